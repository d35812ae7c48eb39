"""When the plant asks for fine ticks: faults, protection, overloads."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.plant.records import Layout
from twin.stack import State

FAULT_FINE_S: Final = 60.0
BRAKE_FINE_S: Final = 60.0
THROTTLE_FINE_S: Final = 30.0
# What keeps setting in does not keep the run at fine ticks: a row or a feed earns them once in this time, a server once a run.
PAUSE_S: Final = 1800.0


class Pace:
    """Until when ticks are to be fine, and who has had its fine ticks."""

    def __init__(self, arrays: Layout) -> None:
        self.fine_until_s = 0.0
        self._arrays = arrays
        self._used = np.zeros(len(arrays.servers), dtype=np.bool_)
        self._brake_s = np.full(len(arrays.rows), -PAUSE_S)
        self._overload_s = np.full(len(arrays.feeds), -PAUSE_S)
        self._capped_s = np.full(len(arrays.rows), -PAUSE_S)
        self._capped = self._caps_on()

    def _caps_on(self) -> NDArray[np.float64]:
        rows = self._arrays.rows
        return np.asarray(np.maximum(rows["t1_on"], 2.0 * rows["t2_on"]))

    def struck(self, fault_s: float) -> None:
        """Ask for fine ticks after the edge of a fault."""
        self.fine_until_s = max(self.fine_until_s, fault_s + FAULT_FINE_S)

    def protect(self, now_s: float) -> None:
        """Ask for fine ticks where protection has just set in or a feed is overloaded."""
        throttled = (self._arrays.servers["edges"] > 0.0) & ~self._used
        if throttled.any():
            self._used |= throttled
            self.fine_until_s = max(self.fine_until_s, now_s + THROTTLE_FINE_S)
        began = (self._arrays.rows["began"] > 0.0) & (now_s - self._brake_s >= PAUSE_S)
        strained = (self._arrays.feeds["spent_share"] > 0.0) & (now_s - self._overload_s >= PAUSE_S)
        self._brake_s[began] = self._overload_s[strained] = now_s
        if began.any() or strained.any():
            self.fine_until_s = max(self.fine_until_s, now_s + BRAKE_FINE_S)

    def graded(self, now_s: float) -> None:
        """Ask for fine ticks where a row's graded caps have just turned to a higher grade."""
        before, self._capped = self._capped, self._caps_on()
        raised = (self._capped > before) & (now_s - self._capped_s >= PAUSE_S)
        self._capped_s[raised] = now_s
        if raised.any():
            self.fine_until_s = max(self.fine_until_s, now_s + BRAKE_FINE_S)

    def snapshot(self) -> State:
        """Return until when, and who has had its own."""
        return {
            "fine_until_s": self.fine_until_s,
            "fine_used": self._used.copy(),
            "brake_fine_s": self._brake_s.copy(),
            "overload_fine_s": self._overload_s.copy(),
            "capped_fine_s": self._capped_s.copy(),
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        self.fine_until_s = float(state["fine_until_s"])
        self._used = np.array(state["fine_used"], dtype=np.bool_)
        self._brake_s = np.array(state["brake_fine_s"], dtype=np.float64)
        self._overload_s = np.array(state["overload_fine_s"], dtype=np.float64)
        self._capped_s = np.array(state["capped_fine_s"], dtype=np.float64)
        self._capped = self._caps_on()

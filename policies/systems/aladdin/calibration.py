"""What requests that missed an objective teach: how much room to leave.

The constraints reckon with mean lengths. Requests that end early have had fewer tokens to make up for a prefill that held
them up, and what waits for its first token may be longer than usual. How often that matters depends on the demand, so the
room is found by watching (reviews of the paper ask for such a loop; its steps are proposed).
"""

from typing import Final

import numpy as np

from twin.serving.levers import Finished, Floats, Ints
from twin.stack import State

_HEAVIEST: Final = 16.0
_TIGHTEST: Final = 0.2
_HEAVIER: Final = 1.25
_TIGHTER: Final = 0.85
_NARROWEST: Final = 0.4
_NARROWER: Final = 0.92
# What is given back at each heartbeat at which nearly nobody missed.
_RELAXED: Final = 0.97
_ARRAYS: Final = ("stall_weight", "atgt_share", "ttft_share", "_late", "_slow", "_ended")


class Calibration:
    """How many times a stall of decoding counts, and which shares of the objectives placements may use, shape E.

    Who is late for its tokens may have been held up or be in too large a batch: both are made less likely.
    """

    def __init__(self, endpoints: int) -> None:
        self.stall_weight: Floats = np.ones(endpoints)
        self.atgt_share: Floats = np.ones(endpoints)
        self.ttft_share: Floats = np.ones(endpoints)
        self._late, self._slow, self._ended = (np.zeros(endpoints) for _ in range(3))

    def count(self, done: Finished, ttft_s: Floats, atgt_s: Floats) -> None:
        """Count which of the finished missed the objectives of their endpoints, shape E."""
        which, size = done.endpoint, len(self._ended)
        self._late += np.bincount(which, weights=done.ttft_s > ttft_s[which], minlength=size)
        self._slow += np.bincount(which, weights=done.atgt_s > atgt_s[which], minlength=size)
        self._ended += np.bincount(which, minlength=size)

    def adjust(self, tail_share: Floats) -> None:
        """Leave more room where more missed than may, beyond what chance explains, and less where nearly nobody did."""
        expected = tail_share * self._ended
        ready = expected >= 1.0
        weight = self.stall_weight * _step(self._slow, expected, _HEAVIER, _RELAXED)
        narrow = self.atgt_share * _step(self._slow, expected, _NARROWER, 1.0 / _RELAXED)
        share = self.ttft_share * _step(self._late, expected, _TIGHTER, 1.0 / _RELAXED)
        self.stall_weight = np.where(ready, np.clip(weight, 1.0, _HEAVIEST), self.stall_weight)
        self.atgt_share = np.where(ready, np.clip(narrow, _NARROWEST, 1.0), self.atgt_share)
        self.ttft_share = np.where(ready, np.clip(share, _TIGHTEST, 1.0), self.ttft_share)
        for counted in (self._late, self._slow, self._ended):
            counted[ready] = 0.0

    def snapshot(self) -> State:
        """Return what was learned and counted."""
        return {name.lstrip("_"): getattr(self, name).copy() for name in _ARRAYS}

    def restore(self, state: State) -> None:
        """Take back what was learned and counted."""
        for name in _ARRAYS:
            setattr(self, name, np.array(state[name.lstrip("_")], dtype=np.float64))


def _step(missed: Ints | Floats, expected: Floats, tighten: float, relax: float) -> Floats:
    many = missed > expected + 2.0 * np.sqrt(expected)
    return np.asarray(np.where(many, tighten, np.where(missed <= 0.5 * expected, relax, 1.0)))

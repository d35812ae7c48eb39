"""Memory of instances: what they hold, leaks, collections, restarts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.chance import stream
from twin.incidents.calibrated import number
from twin.incidents.callgraph import Graph
from twin.stack import State

Floats = NDArray[np.float64]
# Collections are counted up to this share of memory; there an instance is as good as killed.
_FULLEST_SHARE = 0.98


def collecting(held_share: Floats) -> Floats:
    """Return core time of collections over that of work, as live over free memory goes (Appel 1987).

    >>> collecting(np.array([0.5, 0.9])).round(3).tolist()
    [0.02, 0.18]
    """
    held = np.minimum(held_share, _FULLEST_SHARE)
    return np.asarray(number("memory.collection_cost") * held / (1.0 - held), dtype=np.float64)


def pauses(held_share: Floats, memory_bytes: Floats) -> tuple[Floats, Floats]:
    """Return first and second moment (s, s²) of what pauses add to a request: one that meets a pause waits for what is left of it."""
    full = np.maximum(collecting(held_share) - collecting(np.array([number("memory.young_share")])), 0.0)
    length_s = number("memory.pause_s_per_gib") * np.minimum(held_share, 1.0) * memory_bytes / 2**30
    met = full / (1.0 + full)
    return met * length_s / 2.0, met * length_s * length_s / 3.0


@dataclass(frozen=True, slots=True)
class Kept:
    """What came of the memory of instances (I) in a window: share held, which were killed for want of it."""

    held_share: Floats
    killed: NDArray[np.bool_]


class Memory:
    """Memory of instances (I), as shares of what each has. An instance that is full is killed, and starts anew with what it held first."""

    def __init__(self, found: Graph, host_ids: Sequence[str], seed: int) -> None:
        low, high, spread = (number(f"memory.{name}_share") for name in ("used_low", "used_high", "leak_spread"))
        drawn = np.array(
            [
                stream(seed, "incidents", "memory", found.service_ids[s], host_ids[h]).random(2)
                for s, h in zip(found.instance_service, found.instance_host, strict=True)
            ]
        ).reshape(-1, 2)
        self._first = low + (high - low) * drawn[:, 0]
        self._pace = 1.0 + spread * (2.0 * drawn[:, 1] - 1.0)
        self._request = number("memory.request_bytes") / found.memory_bytes
        self._service = found.instance_service
        self.leaked = np.zeros(len(self._first))
        self.down_s = np.zeros(len(self._first))
        self.held_share = self._first.copy()

    def up_share(self, window_s: float) -> Floats:
        """Return how much of a window each instance is up."""
        return np.asarray(1.0 - np.minimum(self.down_s, window_s) / window_s, dtype=np.float64)

    def keep(self, window_s: float, leak_per_s: Floats, busy: Floats, waiting: Floats) -> Kept:
        """Go through a window: services (S) leak; instances (I) are busy (share of cores) and hold so many requests that wait."""
        up = self.up_share(window_s)
        self.leaked += leak_per_s[self._service] * self._pace * window_s * up
        self.held_share = self._first + number("memory.load_share") * busy + waiting * self._request + self.leaked
        killed = self.held_share >= 1.0
        self.down_s = np.where(killed, number("memory.restart_s"), np.maximum(self.down_s - window_s, 0.0))
        self.leaked[killed] = 0.0
        found = Kept(np.minimum(self.held_share, 1.0), killed)
        self.held_share = np.where(killed, self._first, self.held_share)
        return found

    def lose(self, gone: NDArray[np.bool_]) -> None:
        """Forget what instances (I) held whose host went away."""
        self.leaked[gone] = 0.0
        self.held_share = np.where(gone, self._first, self.held_share)

    def snapshot(self) -> State:
        """Return what the next window begins with."""
        return {"leaked": self.leaked.copy(), "down_s": self.down_s.copy(), "held_share": self.held_share.copy()}

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        self.leaked, self.down_s, self.held_share = (np.array(state[name]) for name in ("leaked", "down_s", "held_share"))

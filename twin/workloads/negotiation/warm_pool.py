"""A function platform's agent: a pool of warm functions on each VM."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.sources import calibration
from twin.stack import State
from twin.workloads.negotiation import keys
from twin.workloads.negotiation.batch import Answers, hinted
from twin.workloads.negotiation.hint import Hints
from twin.workloads.negotiation.notices import ACCEPTED
from twin.workloads.negotiation.situation import Situation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_VM: Final = keys.SCOPES.index("vm")


class WarmPool:
    """OpenWhisk-like invokers, one a VM: their pools *warm up* as they run, *drain* in seconds when told to go, and come back *cold*.

    Functions are short and go elsewhere, so an invoker accepts every notice and takes every offer; only the warmth is lost, which
    callers feel as cold starts. One that has little to do says until when it will be idle, and that it can be taken at once.
    """

    def __init__(self, arrive_s: Floats) -> None:
        says = {name: float(entry["value"]) for name, entry in calibration("negotiation")["agent"]["functions"].items()}
        self._drain_s, self._warm_s = says["drain_s"], says["warm_s"]
        self._idle_share, self._idle_for_s = says["idle_below_share"], says["idle_for_s"]
        # Those that stand at the start of a run are warm.
        self._cold_s = np.where(arrive_s <= 0.0, -np.inf, arrive_s)
        self._idle_until_s = np.full(len(arrive_s), -1.0)

    def warm_share(self, vm: Ints, t_s: float) -> Floats:
        """Return how warm the pools of VMs are."""
        return np.asarray(1.0 - np.exp(-np.maximum(t_s - self._cold_s[vm], 0.0) / self._warm_s))

    def advance(self, to_s: float, at: Ints, fares: Situation) -> list[Hints]:
        """Return what invokers (positions in ``fares``) say at the end of a while: who is idle until when, and who no longer is."""
        vm, idle = fares.vm[at], fares.busy_share[at] < self._idle_share
        was = self._idle_until_s[vm] > to_s
        begins, ends = vm[idle & ~was], vm[~idle & was]
        self._idle_until_s[begins], self._idle_until_s[ends] = to_s + self._idle_for_s, -1.0
        said = []
        for whose, until_s, ready in ((begins, to_s + self._idle_for_s, 1.0), (ends, -1.0, 0.0)):
            at_s, count = np.full(len(whose), to_s), len(whose)
            said.append(hinted(at_s, _VM, whose, "idle_until_s", np.full(count, until_s)))
            said.append(hinted(at_s, _VM, whose, "eviction_ready", np.full(count, ready)))
        return said

    def answers(self, t_s: float, at: Ints, fares: Situation) -> Answers:
        """Return that VMs (positions in ``fares``) accept, and after how long: the warmer and busier, the more there is to end."""
        vm = fares.vm[at]
        after_s = self._drain_s * self.warm_share(vm, t_s) * np.clip(fares.busy_share[at], 0.0, 1.0)
        return np.full(len(at), ACCEPTED), after_s

    def back(self, vm: Ints, t_s: float) -> None:
        """Begin anew with cold pools."""
        self._cold_s[vm] = t_s

    def snapshot(self) -> State:
        """Return since when pools warm up, and who said to be idle."""
        return {"cold_s": self._cold_s.copy(), "idle_until_s": self._idle_until_s.copy()}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._cold_s, self._idle_until_s = np.array(state["cold_s"]), np.array(state["idle_until_s"])

"""How many VMs may still be evicted under bounds on evictions."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.system import Target
from twin.clock import DAY_S, Clock
from twin.stack import State
from twin.workloads.levers import OffersObservation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
EVICTIONS: Final = "workloads.evictions"
# What the metric counts as inside a window is when an eviction is done: the longest notice of one, and a tick.
_AHEAD_S: Final = 120.0
_ROUNDING: Final = 1e-9


class Allowance:
    """Bounds on evictions a day are earned evenly over the day, so that they hold over whatever part of it a run is long.

    What is not used is kept, up to a day's worth. Each bound counts the VMs of its workloads, in its hours. An eviction that is
    decided is spent, also where it is withdrawn or declined later: never more are done than a bound allows.
    """

    def __init__(self, targets: Sequence[Target], clock: Clock) -> None:
        self._clock = clock
        self._bounds = [target for target in targets if target.metric == EVICTIONS and target.op == "<="]
        self._left = np.zeros(len(self._bounds))

    def earn(self, seen: OffersObservation) -> None:
        """Add what a tick earns; called once a tick, before anybody is evicted in it."""
        for index, target in enumerate(self._bounds):
            most = max(target.bound, 1.0)
            self._left[index] = min(self._left[index] + target.bound * seen.tick_s / DAY_S, most)

    def permitted(self, seen: OffersObservation, order: Ints) -> Ints:
        """Return those of ``order`` (indices of VMs seen, first come first) that may be evicted under every bound."""
        for index, target in enumerate(self._bounds):
            mine = self._counts(target, seen)[order]
            order = order[~mine | (np.cumsum(mine) <= self._left[index] + _ROUNDING)]
        return order

    def spend(self, seen: OffersObservation, chosen: Ints) -> None:
        """Take note of VMs that are evicted."""
        for index, target in enumerate(self._bounds):
            self._left[index] -= self._counts(target, seen)[chosen].sum()

    def _counts(self, target: Target, seen: OffersObservation) -> Bools:
        """Return which VMs a bound is about now, shape N."""
        if not target.in_force(self._clock, seen.t_s, _AHEAD_S):
            return np.zeros(len(seen.vm), dtype=np.bool_)
        named = [seen.workload_ids.index(scope.id) for scope in target.scope if scope.id in seen.workload_ids]
        return np.isin(seen.workload, named) if target.scope else np.ones(len(seen.vm), dtype=np.bool_)

    def snapshot(self) -> State:
        """Return what is left of each bound."""
        return {"left": self._left.copy(), "bounds": self._named()}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state. Bounds that were not in it begin with nothing: another policy set may go on from here."""
        left = dict(zip(state["bounds"], np.asarray(state["left"]).tolist(), strict=True))
        self._left = np.array([left.get(name, 0.0) for name in self._named()], dtype=np.float64)

    def _named(self) -> list[str]:
        """Return each bound in words that no other one has."""
        return [target.model_dump_json() for target in self._bounds]

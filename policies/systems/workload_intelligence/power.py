"""VMs give power back to a row that is short of it, and get it again."""

import numpy as np
from numpy.typing import NDArray

from policies.baselines.clocks import power_share
from policies.systems.workload_intelligence.allowance import Allowance
from policies.systems.workload_intelligence.knobs import WorkloadIntelligenceKnobs
from policies.systems.workload_intelligence.plan import POWER, Plan, ranks, within_budget
from policies.systems.workload_intelligence.tariff import drawn_share, number
from twin.stack import State
from twin.workloads.levers import EVICT, SHUT, OffersObservation
from twin.workloads.negotiation.treatments import HARVEST, MA, SURPLUS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_NEVER_S = -1e18


class Relief:
    """Above its bound a row gets power from VMs that allow it, those that lose the least first.

    Work that may wait runs slower; then harvest and spot VMs are evicted; then multi-availability VMs are shut down. Within
    each, the lowest ``vm_priority`` goes first, and of equals the one that draws the most. What is under way counts as
    given. Below the bound by a margin they come back the other way round, one step at a time.
    """

    def __init__(self, knobs: WorkloadIntelligenceKnobs, rows: int, allowance: Allowance) -> None:
        self._knobs, self._allowance = knobs, allowance
        self._released_s = np.full(rows, _NEVER_S)
        self.short: Bools = np.zeros(rows, dtype=np.bool_)

    def decide(self, seen: OffersObservation, plan: Plan) -> None:
        """Slow, evict and shut VMs in rows that are short, and let some of them come back in rows that are not."""
        spare, knobs = seen.spare, self._knobs
        rows = len(spare.row_power_w)
        if len(self._released_s) != rows:
            self._released_s = np.full(rows, _NEVER_S)
        coming_w = spare.row_power_w - np.bincount(seen.row, weights=_under_way_w(seen, plan), minlength=rows)
        bound_w = knobs.row_power_share * spare.row_budget_w
        rest_w = bound_w - knobs.power_room_share * spare.row_budget_w
        self.short = coming_w > bound_w
        if self.short.any():
            self._shed(seen, plan, np.where(self.short, coming_w - bound_w + 0.5 * (bound_w - rest_w), 0.0))
        taken = ((plan.take == EVICT) | (plan.take == SHUT)) & (plan.cause == POWER)
        ready = (coming_w < rest_w) & (seen.t_s - self._released_s >= knobs.release_s)
        waits = (taken | plan.slow) & ready[seen.row]
        if waits.any():
            self._release(seen, plan, np.flatnonzero(waits), rest_w - coming_w)

    def _shed(self, seen: OffersObservation, plan: Plan, needed_w: Floats) -> None:
        """Take power from VMs of short rows, ``needed_w`` of each row."""
        rated_w = _rated_w(seen)
        mine = seen.running & plan.here & (needed_w[seen.row] > 0.0) & (rated_w > 0.0)
        slower_w = rated_w * (power_share(seen.clock_share) - drawn_share("emergency_share"))
        slow = np.flatnonzero(mine & ~plan.slow & (seen.hints["delay_tolerance_s"] > 0) & (slower_w > 0.0))
        slow = _until(seen, slow[np.lexsort((-slower_w[slow], seen.hints["vm_priority"][slow]))], slower_w, needed_w)
        plan.slow[slow] = True
        needed_w = needed_w - np.bincount(seen.row[slow], weights=slower_w[slow], minlength=len(needed_w))
        left_w = np.where(plan.slow, rated_w * drawn_share("emergency_share"), seen.power_w)
        able = np.flatnonzero(mine & ((plan.granted & (SURPLUS | MA)) != 0) & (needed_w[seen.row] > 0.0))
        kind = np.where(plan.granted[able] & HARVEST, 0, np.where(plan.granted[able] & MA, 2, 1))
        order = able[np.lexsort((-left_w[able], seen.hints["vm_priority"][able], seen.declined[able], kind))]
        evictable = self._allowance.permitted(seen, within_budget(seen, plan, order[(plan.granted[order] & MA) == 0]))
        chosen = _until(seen, np.concatenate([evictable, order[(plan.granted[order] & MA) != 0]]), left_w, needed_w)
        plan.saved_w[chosen] = left_w[chosen]
        shut = (plan.granted[chosen] & MA) != 0
        plan.taking(chosen[shut], SHUT, POWER)
        self._allowance.spend(seen, chosen[~shut])
        plan.taking(chosen[~shut], EVICT, POWER)

    def _release(self, seen: OffersObservation, plan: Plan, waits: Ints, room_w: Floats) -> None:
        """Give power back: to those that were shut first, then to evicted ones, then to slow ones, as far as there is room."""
        rated_w = _rated_w(seen)
        emergency = drawn_share("emergency_share")
        back_w = np.where(plan.saved_w > 0.0, plan.saved_w, rated_w * (1.0 - emergency))
        taken = ~plan.here[waits]
        kind = np.where(taken, np.where(plan.take[waits] == SHUT, 0, 1), 2)
        order = waits[np.lexsort((back_w[waits], -seen.hints["vm_priority"][waits], kind))]
        order = _within(seen.row[order], order, back_w[order], room_w)
        away = order[~plan.here[order]]
        plan.leave(away)
        plan.slow[order[np.isin(order, away, invert=True)]] = False
        self._released_s[np.unique(seen.row[order])] = seen.t_s

    def snapshot(self) -> State:
        """Return when each row was given power last."""
        return {"released_s": self._released_s.copy(), "short": self.short.copy()}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._released_s = np.array(state["released_s"], dtype=np.float64)
        self.short = np.array(state["short"], dtype=np.bool_)


def _rated_w(seen: OffersObservation) -> Floats:
    """Return what VMs would draw now at the rated clock."""
    return np.asarray(seen.power_w / power_share(seen.clock_share))


def _under_way_w(seen: OffersObservation, plan: Plan) -> Floats:
    """Return what VMs will give that are noticed but still run as before."""
    emergency = number("clock", "emergency_share")
    going = seen.running & ~plan.here
    slowing = seen.running & plan.here & plan.slow & (seen.clock_share > emergency + 1e-9)
    slower_w = _rated_w(seen) * (power_share(seen.clock_share) - drawn_share("emergency_share")) if slowing.any() else 0.0
    return np.where(going, seen.power_w, np.where(slowing, slower_w, 0.0))


def _until(seen: OffersObservation, order: Ints, gives_w: Floats, needed_w: Floats) -> Ints:
    """Return the first of each row that give what it needs."""
    row = seen.row[order]
    return order[_before(row, gives_w[order]) < needed_w[row]]


def _within(row: Ints, order: Ints, takes_w: Floats, room_w: Floats) -> Ints:
    """Return the first of each row that find room."""
    return order[_before(row, takes_w) + takes_w <= room_w[row]]


def _before(row: Ints, value: Floats) -> Floats:
    """Return the sum over those of the same row that stand before each one.

    >>> _before(np.array([0, 1, 0, 0]), np.array([1.0, 5.0, 2.0, 3.0])).tolist()
    [0.0, 0.0, 1.0, 3.0]
    """
    order = np.argsort(row, kind="stable")
    sums = np.cumsum(value[order]) - value[order]
    first = ranks(row)[order] == 0
    offset = sums[first][np.cumsum(first) - 1] if len(row) else sums
    found = np.empty(len(row))
    found[order] = sums - offset
    return found

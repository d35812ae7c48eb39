"""Who gives way when a pool is short of cores, and who comes back."""

import numpy as np
from numpy.typing import NDArray

from policies.systems.workload_intelligence.allowance import Allowance
from policies.systems.workload_intelligence.knobs import WorkloadIntelligenceKnobs
from policies.systems.workload_intelligence.passes import ASKED, COUNT, HARVESTS, MOVED, REGULAR, SPOTS, WAITING, holder
from policies.systems.workload_intelligence.plan import CAPACITY, REGION, Plan, enough, over_budget, within_budget, yielding
from policies.systems.workload_intelligence.tariff import RIGHT_SIZE, SIZE_STEP, number
from twin.stack import State
from twin.workloads.levers import EVICT, LEAVE, MOVE, POOLS, OffersObservation
from twin.workloads.negotiation import treatments
from twin.workloads.negotiation.treatments import HARVEST, SURPLUS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
HOSTS = POOLS.index("hosts")
# A move costs more than a short stop: nobody comes home for a while, and more room must be there than for those that wait.
_HOME_MARGINS = 3.0


class Surplus:
    """Regular VMs and the customers to come have their cores first; spot VMs live on the rest, harvest VMs on what is left of it.

    Short of cores, harvest VMs shrink to a quarter, then harvest and after them spot VMs are evicted. They come back, spot
    first, as soon as there is room and some more; harvest VMs grow to their size when nobody waits. VMs that went to another region
    to make room come home when nobody waits and there is room for them and some more.
    """

    def __init__(self, knobs: WorkloadIntelligenceKnobs, allowance: Allowance) -> None:
        self._knobs, self._allowance = knobs, allowance
        # What is left of harvest VMs' cores, by pool.
        self._shrunk_share = np.ones(len(POOLS))

    @property
    def harvest_share(self) -> Floats:
        """Return the size of harvest VMs over what was asked for, by pool."""
        return self._shrunk_share

    def decide(self, seen: OffersObservation, plan: Plan, row_short: NDArray[np.bool_]) -> None:
        """Evict VMs and let them come back. A VM does not come back to a row that is short of power."""
        if seen.surplus_unlimited:
            self._shrunk_share[:] = 1.0
            plan.leave((plan.take == MOVE) | ((plan.take == EVICT) & (plan.cause == CAPACITY)))
            return
        plan.leave(over_budget(seen, plan))
        held = np.zeros((len(POOLS), 7))
        holder()((seen.pool, seen.cores, seen.moved), (plan.granted, plan.take, plan.cause), RIGHT_SIZE, held)
        for pool in range(len(POOLS)):
            if held[pool, COUNT]:
                self._of_pool(seen, plan, pool, held[pool], row_short)

    def _of_pool(self, seen: OffersObservation, plan: Plan, pool: int, held: Floats, row_short: NDArray[np.bool_]) -> None:
        """Decide one pool of whose cores VMs hold so much (columns of ``passes``)."""
        spare = seen.spare
        asked = max(spare.reserve_cores[pool], spare.coming_cores[pool])
        # So many are there for harvest VMs; less than none where spot VMs must go, too.
        left = spare.total_cores[pool] - asked - (spare.others_cores[pool] + held[REGULAR]) - held[SPOTS]
        margin = self._knobs.room_share * spare.total_cores[pool]
        share = self._shrunk(pool, float(held[HARVESTS]), left, margin, waiting=held[WAITING] > 0)
        room = left - held[HARVESTS] * share
        if room < -1e-9:
            there = np.flatnonzero((seen.pool == pool) & plan.here & ((plan.granted & SURPLUS) != 0))
            order = self._allowance.permitted(seen, within_budget(seen, plan, yielding(seen, plan.granted, there)))
            chosen = enough(order, _firm(seen, plan, order, share), -room)
            self._allowance.spend(seen, chosen)
            plan.taking(chosen, EVICT, CAPACITY)
        elif held[WAITING] and room > margin:
            waiting = np.flatnonzero((seen.pool == pool) & (plan.take == EVICT) & (plan.cause == CAPACITY))
            back = yielding(seen, plan.granted, waiting)[::-1]
            back = back[~row_short[seen.row[back]]]
            plan.leave(back[np.cumsum(_firm(seen, plan, back, share)) <= room - margin])
        elif held[MOVED] and not held[WAITING] and room > _HOME_MARGINS * margin:
            away = np.flatnonzero((seen.pool == pool) & (plan.take == MOVE) & seen.moved & ~row_short[seen.row])
            home = yielding(seen, plan.granted, away)[::-1]
            plan.leave(home[np.cumsum(seen.cores[home]) <= room - _HOME_MARGINS * margin])
        if self._knobs.move and (room < -1e-9 or held[WAITING] or held[ASKED]):
            _offer_regions(seen, plan, seen.pool == pool)

    def _shrunk(self, pool: int, harvest: float, left: float, margin: float, *, waiting: bool) -> float:
        """Return the size of harvest VMs, in steps: down as far as needed, up with some room and when nobody waits."""
        before = float(self._shrunk_share[pool])
        if pool == HOSTS and harvest > 0.0:
            down, up = (_stepped(cores / harvest) for cores in (left, left - margin))
            now = down if down < before else max(before, before if waiting else up)
        else:
            now = 1.0
        self._shrunk_share[pool] = now
        return now

    def snapshot(self) -> State:
        """Return the sizes of harvest VMs."""
        return {"shrunk_share": self._shrunk_share.copy()}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._shrunk_share = np.array(state["shrunk_share"], dtype=np.float64)


def _firm(seen: OffersObservation, plan: Plan, at: Ints, share: float) -> Floats:
    """Return the cores that VMs (positions) hold, harvest VMs such a share of them."""
    return np.where(plan.granted[at] & HARVEST, share, 1.0) * seen.cores[at]


def _stepped(share: float) -> float:
    return float(np.clip(np.floor(share / SIZE_STEP + 1e-9) * SIZE_STEP, number("harvest", "least_share"), 1.0))


def _offer_regions(seen: OffersObservation, plan: Plan, mine: NDArray[np.bool_]) -> None:
    """Offer another region to as many VMs as would make room for those that wait; take it back when nobody waits.

    Those that decline are left alone, and others are asked.
    """
    stays = np.zeros(len(seen.vm), dtype=np.bool_) if seen.stays is None else seen.stays
    plan.leave(mine & (plan.take == MOVE) & ~seen.moved & stays)
    offered = mine & (plan.take == MOVE) & ~seen.moved
    waiting = mine & (plan.take == EVICT) & (plan.cause == CAPACITY)
    needed = float(seen.cores[waiting].sum() - seen.cores[offered].sum())
    if not waiting.any():
        plan.leave(offered)
    elif needed > 0.0:
        movable = np.flatnonzero(mine & (plan.take == LEAVE) & ((plan.granted & treatments.REGION) != 0) & ~seen.declined & ~stays)
        order = yielding(seen, plan.granted, movable)
        plan.taking(enough(order, seen.cores[order].astype(np.float64), needed), MOVE, REGION)

"""Who gives way when a pool is short of cores, and who comes back."""

import numpy as np
from numpy.typing import NDArray

from policies.systems.workload_intelligence.allowance import Allowance
from policies.systems.workload_intelligence.knobs import WorkloadIntelligenceKnobs
from policies.systems.workload_intelligence.plan import CAPACITY, REGION, Plan, enough, over_budget, within_budget, yielding
from policies.systems.workload_intelligence.tariff import SIZE_STEP, number
from twin.stack import State
from twin.workloads.levers import EVICT, LEAVE, MOVE, POOLS, OffersObservation
from twin.workloads.negotiation import treatments
from twin.workloads.negotiation.treatments import HARVEST, SURPLUS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
HOSTS = POOLS.index("hosts")


class Surplus:
    """Regular VMs and the customers to come have their cores first; spot VMs live on the rest, harvest VMs on what is left of it.

    Short of cores, harvest VMs shrink to a quarter, then harvest and after them spot VMs are evicted. They come back, spot
    first, as soon as there is room and some more; harvest VMs grow to their size when nobody waits.
    """

    def __init__(self, knobs: WorkloadIntelligenceKnobs, allowance: Allowance) -> None:
        self._knobs, self._allowance = knobs, allowance
        # What is left of harvest VMs' cores, by pool.
        self._shrunk_share = np.ones(len(POOLS))

    @property
    def harvest_share(self) -> Floats:
        """Return the size of harvest VMs over what was asked for, by pool."""
        return self._shrunk_share

    def decide(self, seen: OffersObservation, plan: Plan, size: Floats, row_short: NDArray[np.bool_]) -> None:
        """Evict VMs and let them come back. ``size`` (N) is what VMs outside of harvest have; a VM does not come back to a short row."""
        if seen.surplus_unlimited:
            self._shrunk_share[:] = 1.0
            plan.leave((plan.take == MOVE) | ((plan.take == EVICT) & (plan.cause == CAPACITY)))
            return
        plan.leave(over_budget(seen, plan))
        held = seen.cores * np.minimum(size, 1.0)
        tier = plan.granted & SURPLUS
        for pool in range(len(POOLS)):
            mine = seen.pool == pool
            if not mine.any():
                continue
            staying = mine & plan.here
            spare = seen.spare
            regular = spare.others_cores[pool] + held[mine & (tier == 0) & ~seen.moved].sum()
            asked = max(spare.reserve_cores[pool], spare.coming_cores[pool])
            left = spare.total_cores[pool] - asked - regular - held[staying & (tier == treatments.SPOT)].sum()
            self._of_pool(seen, plan, pool, left, row_short)

    def _of_pool(self, seen: OffersObservation, plan: Plan, pool: int, left: float, row_short: NDArray[np.bool_]) -> None:
        """Decide one pool; ``left`` cores are there for harvest VMs (less than none where spot VMs must go, too)."""
        mine = seen.pool == pool
        margin = self._knobs.room_share * seen.spare.total_cores[pool]
        waiting = np.flatnonzero(mine & (plan.take == EVICT) & (plan.cause == CAPACITY))
        harvest = float(seen.cores[mine & plan.here & ((plan.granted & HARVEST) != 0)].sum())
        share = self._shrunk(pool, harvest, left, margin, waiting=len(waiting) > 0)
        room = left - harvest * share
        firm = np.where(plan.granted & HARVEST, share, 1.0) * seen.cores.astype(np.float64)
        if room < -1e-9:
            there = np.flatnonzero(mine & plan.here & ((plan.granted & SURPLUS) != 0))
            order = self._allowance.permitted(seen, within_budget(seen, plan, yielding(seen, plan.granted, there)))
            chosen = enough(order, firm[order], -room)
            self._allowance.spend(seen, chosen)
            plan.taking(chosen, EVICT, CAPACITY)
        elif len(waiting) and room > margin:
            back = yielding(seen, plan.granted, waiting)[::-1]
            back = back[~row_short[seen.row[back]]]
            plan.leave(back[np.cumsum(firm[back]) <= room - margin])
        if self._knobs.move:
            _offer_regions(seen, plan, mine)

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

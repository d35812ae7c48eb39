"""Offers: what hints open and capacity and power allow, the cheapest."""

import numpy as np
from numpy.typing import NDArray

from policies.system import Surroundings
from policies.systems.workload_intelligence.allowance import Allowance
from policies.systems.workload_intelligence.conditions import codes, eligible_by_code
from policies.systems.workload_intelligence.grants import Choice
from policies.systems.workload_intelligence.growth import Growth
from policies.systems.workload_intelligence.knobs import WorkloadIntelligenceKnobs
from policies.systems.workload_intelligence.limits import HOSTS, open_now
from policies.systems.workload_intelligence.passes import finisher
from policies.systems.workload_intelligence.plan import Memory, Plan
from policies.systems.workload_intelligence.power import Relief
from policies.systems.workload_intelligence.surplus import Surplus
from policies.systems.workload_intelligence.tariff import RIGHT_SIZE, number
from twin.stack import State
from twin.workloads.levers import OffersAction, OffersObservation
from twin.workloads.negotiation.treatments import HARVEST, RIGHTSIZED, discounts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
# An overclocked VM keeps its clock until its load has fallen by so much.
_CALMER_SHARE = 0.1
# And one that has got all of its cores keeps them until its load has fallen by so much.
_STEADIER_SHARE = 0.02


class WorkloadIntelligence:
    """Gives every VM the cheapest set of optimisations that its hints in force open and that nothing is short for.

    It looks at every VM anew each tick, so that a hint counts from the next tick on, and never at who the VM is: only at its
    hints, its load and its place. It remembers whom it has taken, and sizes.
    """

    def __init__(self, knobs: WorkloadIntelligenceKnobs, surroundings: Surroundings) -> None:
        self._knobs = knobs
        self._memory, self._allowance = Memory(), Allowance(knobs.targets, surroundings.clock)
        self._surplus, self._growth = Surplus(knobs, self._allowance), Growth(knobs)
        self._relief = Relief(knobs, len(surroundings.row_ids), self._allowance)
        self._choice, self._taken_off = Choice(discounts()), discounts()

    def offer(self, seen: OffersObservation) -> OffersAction:
        """Return the treatment of every VM that is seen."""
        if seen.taken_off is not None and seen.taken_off != self._taken_off:
            self._choice, self._taken_off = Choice(seen.taken_off), seen.taken_off
        code = codes(seen.hints, self._fits(seen))
        short = self._relief.short if len(self._relief.short) == len(seen.spare.row_power_w) else seen.spare.row_power_w < 0.0
        offered = open_now(seen, eligible_by_code()[code], self._choice, self._knobs, short)
        plan = self._memory.recall(seen, self._choice.best[offered])
        self._allowance.earn(seen)
        self._relief.decide(seen, plan)
        self._surplus.decide(seen, plan, self._relief.short)
        self._memory.keep(seen, plan)
        size, clock, cause = self._settled(seen, plan)
        return OffersAction(plan.granted, size, clock, plan.take, cause, self._choice.why(code, offered))

    def _fits(self, seen: OffersObservation) -> Bools:
        """Return which VMs half of their cores are enough for: on an ordinary day, and with some room now.

        A VM whose load comes near the half gets all of its cores, at their price, until it has fallen again.
        """
        most = (1.0 - self._knobs.size_room_share) * RIGHT_SIZE
        now = np.where(seen.granted & RIGHTSIZED, most, most - _STEADIER_SHARE)
        return np.asarray((seen.peak_share <= RIGHT_SIZE) & (seen.busy_share <= now) & (seen.pool == HOSTS))

    def _settled(self, seen: OffersObservation, plan: Plan) -> tuple[Floats, Floats, Ints]:
        """Return sizes, clocks, and what each is for."""
        harvest, shrunk = (plan.granted & HARVEST) != 0, self._surplus.harvest_share
        grown = self._growth.sizes(seen, harvest & plan.here & (shrunk == 1.0).take(seen.pool), self._relief.short)
        clocks = (number("clock", f"{name}_share") for name in ("over", "under", "emergency"))
        terms = (RIGHT_SIZE, self._knobs.boost_busy_share, _CALMER_SHARE, *clocks)
        size, clock, cause = np.empty(len(grown)), np.empty(len(grown)), np.empty(len(grown), dtype=np.int64)
        now = (seen.pool, seen.size_share, seen.clock_share, seen.busy_share, seen.hints["want_boost"])
        finisher()(now, (plan.granted, plan.take, plan.cause, plan.slow), shrunk, grown, terms, (size, clock, cause))
        return size, clock, cause

    def snapshot(self) -> State:
        """Return what it remembers."""
        return {
            "memory": self._memory.snapshot(),
            "allowance": self._allowance.snapshot(),
            "surplus": self._surplus.snapshot(),
            "relief": self._relief.snapshot(),
            "growth": self._growth.snapshot(),
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._memory.restore(state["memory"])
        self._allowance.restore(state["allowance"])
        self._surplus.restore(state["surplus"])
        self._relief.restore(state["relief"])
        self._growth.restore(state["growth"])

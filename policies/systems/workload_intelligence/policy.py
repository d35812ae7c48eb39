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
from policies.systems.workload_intelligence.plan import CALM, CAPACITY, HINT, POWER, Memory, Plan
from policies.systems.workload_intelligence.power import Relief
from policies.systems.workload_intelligence.surplus import Surplus
from policies.systems.workload_intelligence.tariff import RIGHT_SIZE, number
from twin.stack import State
from twin.workloads.levers import EVICT, MOVE, SHUT, OffersAction, OffersObservation
from twin.workloads.negotiation.treatments import HARVEST, OVERCLOCKED, RIGHTSIZED, UNDERCLOCKED, discounts

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
        right = np.where(plan.granted & RIGHTSIZED, RIGHT_SIZE, 1.0)
        self._surplus.decide(seen, plan, right, self._relief.short)
        self._memory.keep(seen, plan)
        size, size_cause = self._sizes(seen, plan, right)
        clock, clock_cause = self._clocks(seen, plan)
        leaves = (plan.take == EVICT) | (plan.take == SHUT)
        # Who leaves is asked for nothing else; who may go to another region goes on as the others.
        size, clock = np.where(leaves, seen.size_share, size), np.where(leaves, seen.clock_share, clock)
        otherwise = (size != seen.size_share) | (clock != seen.clock_share)
        taken = leaves | ((plan.take == MOVE) & ~otherwise)
        cause = np.where(taken, plan.cause, np.where(clock_cause != CALM, clock_cause, size_cause))
        return OffersAction(plan.granted, size, clock, plan.take, cause, self._choice.why(code, offered))

    def _fits(self, seen: OffersObservation) -> Bools:
        """Return which VMs half of their cores are enough for: on an ordinary day, and with some room now.

        A VM whose load comes near the half gets all of its cores, at their price, until it has fallen again.
        """
        most = (1.0 - self._knobs.size_room_share) * RIGHT_SIZE
        now = np.where(seen.granted & RIGHTSIZED, most, most - _STEADIER_SHARE)
        return np.asarray((seen.peak_share <= RIGHT_SIZE) & (seen.busy_share <= now) & (seen.pool == HOSTS))

    def _sizes(self, seen: OffersObservation, plan: Plan, right: Floats) -> tuple[Floats, Ints]:
        """Return sizes, and what each is for."""
        harvest = (plan.granted & HARVEST) != 0
        shrunk = self._surplus.harvest_share[seen.pool]
        grown = self._growth.sizes(seen, harvest & plan.here & (shrunk == 1.0), self._relief.short)
        size = np.where(harvest, np.where(shrunk < 1.0, shrunk, grown), right)
        return size, np.where(harvest & (shrunk < 1.0), CAPACITY, np.where(right < 1.0, HINT, CALM))

    def _clocks(self, seen: OffersObservation, plan: Plan) -> tuple[Floats, Ints]:
        """Return clocks, and what each is for."""
        over = (plan.granted & OVERCLOCKED) != 0
        busy_share = self._knobs.boost_busy_share - np.where(seen.clock_share > 1.0, _CALMER_SHARE, 0.0)
        asked = seen.hints["want_boost"] > 0
        fast = over & (asked | (seen.busy_share >= busy_share))
        clock = np.where(fast, number("clock", "over_share"), 1.0)
        clock = np.where(plan.granted & UNDERCLOCKED, number("clock", "under_share"), clock)
        clock = np.where(plan.slow, number("clock", "emergency_share"), clock)
        told = (fast & asked) | ((plan.granted & UNDERCLOCKED) != 0)
        return clock, np.where(plan.slow, POWER, np.where(told, HINT, CALM))

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

"""What is decided of each VM, in this tick and remembered to the next."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.systems.workload_intelligence.passes import CALM, CAPACITY, HINT, POWER, REGION, gatherer, scatterer
from twin.stack import State
from twin.workloads.levers import EVICT, LEAVE, SHUT, OffersObservation
from twin.workloads.negotiation.treatments import HARVEST, MA, SURPLUS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
__all__ = ["CALM", "CAPACITY", "HINT", "POWER", "REGION", "Memory", "Plan", "enough", "over_budget", "ranks", "within_budget", "yielding"]
_LEVELS: Final = 1024


@dataclass(slots=True)
class Plan:
    """A tick's decisions, shape N. ``slow`` VMs run at the clock of an emergency, ``saved_w`` is what a VM gave back when it was taken."""

    granted: Ints
    take: Ints
    cause: Ints
    slow: Bools
    saved_w: Floats

    @property
    def here(self) -> Bools:
        """Return which VMs are left alone."""
        return np.asarray(self.take == LEAVE)

    def leave(self, chosen: Ints | Bools) -> None:
        """Let VMs come back."""
        self.take[chosen], self.cause[chosen], self.saved_w[chosen] = LEAVE, CALM, 0.0

    def taking(self, chosen: Ints, how: int, cause: int) -> None:
        """Take VMs."""
        self.take[chosen], self.cause[chosen] = how, cause


class Memory:
    """What was decided of every VM that has been seen, by its number."""

    def __init__(self) -> None:
        self._take, self._cause = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        self._slow, self._saved_w = np.zeros(0, dtype=np.bool_), np.zeros(0)

    def recall(self, seen: OffersObservation, granted: Ints) -> Plan:
        """Return the plan that goes on as before, as far as hints and grants still permit it."""
        self._hold(int(seen.vm.max(initial=-1)) + 1)
        vm = seen.vm
        count = len(vm)
        columns = (np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.bool_), np.empty(count))
        gatherer()(vm, self._take, self._cause, self._slow, self._saved_w, columns)
        plan = Plan(granted, *columns)
        unpermitted = ((plan.take == EVICT) & ((granted & SURPLUS) == 0)) | ((plan.take == SHUT) & ((granted & MA) == 0))
        if unpermitted.any():
            plan.leave(unpermitted)
        plan.slow &= seen.hints["delay_tolerance_s"] > 0
        return plan

    def keep(self, seen: OffersObservation, plan: Plan) -> None:
        """Remember a plan."""
        columns = (plan.take, plan.cause, plan.slow, plan.saved_w)
        scatterer()(seen.vm, self._take, self._cause, self._slow, self._saved_w, columns)

    def _hold(self, size: int) -> None:
        if size > len(self._take):
            more = size + size // 4 - len(self._take)
            for name in ("_take", "_cause", "_slow", "_saved_w"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros(more, dtype=old.dtype)]))

    def snapshot(self) -> State:
        """Return it as arrays."""
        return {"take": self._take.copy(), "cause": self._cause.copy(), "slow": self._slow.copy(), "saved_w": self._saved_w.copy()}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._take, self._cause = np.array(state["take"], dtype=np.int64), np.array(state["cause"], dtype=np.int64)
        self._slow, self._saved_w = np.array(state["slow"], dtype=np.bool_), np.array(state["saved_w"], dtype=np.float64)


def yielding(seen: OffersObservation, granted: Ints, chosen: Ints) -> Ints:
    """Return VMs in the order in which they give way to others: harvest before spot, then by what they hint.

    Those that asked for another one to be taken come last of their kind; then the lowest ``vm_priority``, then those that are drained
    or idle, then the youngest.
    """
    hints = seen.hints
    ready = (hints["eviction_ready"][chosen] > 0) | (hints["idle_until_s"][chosen] > seen.t_s)
    worth = np.clip(hints["vm_priority"][chosen] * 10.0, 0, _LEVELS - 1).astype(np.int64)
    key = ((granted[chosen] & HARVEST) == 0).astype(np.int64)
    for field, width in ((seen.declined[chosen], 1), (worth, 10), (~ready, 1)):
        key = (key << width) | field
    age = np.clip(seen.arrive_s[chosen] + 2**31, 0, 2**33 - 1).astype(np.int64)
    return chosen[np.argsort((key << 33) | (2**33 - 1 - age), kind="stable")]


def within_budget(seen: OffersObservation, plan: Plan, order: Ints) -> Ints:
    """Return those of ``order`` that can be evicted beside those already evicted: never more than a deployment's share at once."""
    deployments = len(seen.deployment_vms)
    gone = np.bincount(seen.deployment[plan.take == EVICT], minlength=deployments)
    mine = seen.deployment[order]
    most = np.floor(seen.hints["preemptibility_share"][order] * seen.deployment_vms[mine] + 1e-9)
    return order[ranks(mine) + gone[mine] < most]


def over_budget(seen: OffersObservation, plan: Plan) -> Ints:
    """Return evicted VMs that are more than their deployment's share now, the most worth first to come back."""
    order = np.flatnonzero(plan.take == EVICT)
    if not len(order):
        return order
    order = yielding(seen, plan.granted, order)
    mine = seen.deployment[order]
    most = np.floor(seen.hints["preemptibility_share"][order] * seen.deployment_vms[mine] + 1e-9)
    return order[ranks(mine) >= most]


def ranks(group: Ints) -> Ints:
    """Return how many of the same group stand before each one.

    >>> ranks(np.array([3, 1, 3, 3, 1])).tolist()
    [0, 0, 1, 2, 1]
    """
    order = np.argsort(group, kind="stable")
    first = np.flatnonzero(np.diff(group[order], prepend=-1)) if len(group) else np.zeros(0, dtype=np.int64)
    found = np.empty(len(group), dtype=np.int64)
    found[order] = np.arange(len(group)) - np.repeat(first, np.diff(np.append(first, len(group))))
    return found


def enough(order: Ints, gives: Floats, needed: float) -> Ints:
    """Return the first of ``order`` that give at least so much together, all where they do not."""
    before = np.cumsum(gives) - gives
    return order[before < needed]

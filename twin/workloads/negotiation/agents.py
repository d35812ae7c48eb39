"""Who answers for workloads: small stated rules by kind of agent."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.stack import State
from twin.workloads.negotiation import hint, notices
from twin.workloads.negotiation.batch import Answers, Batch
from twin.workloads.negotiation.endpoints import Endpoints
from twin.workloads.negotiation.hint import Hints
from twin.workloads.negotiation.notices import OPEN
from twin.workloads.negotiation.replicas import Replicas
from twin.workloads.negotiation.situation import Situation, situation
from twin.workloads.negotiation.tenants import Tenants
from twin.workloads.negotiation.warm_pool import WarmPool

__all__ = ["AGENTS", "Agents", "Situation", "situation"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
AGENTS: Final = ("silent", "batch", "microservices", "functions", "endpoint")
SILENT, BATCH, MICROSERVICES, FUNCTIONS, ENDPOINT = range(len(AGENTS))
_TAKING: Final = tuple(notices.INDEX[name] for name in ("eviction", "power_emergency", "maintenance", "region_move_offer"))
_OFFERS: Final = tuple(notices.INDEX[name] for name in ("scale_up_offer", "overclock_offer"))


class Agents:
    """The agents of all workloads: they hear notices and answer, and say by themselves what the platform may want to know.

    A batch scheduler, a microservice deployment, a function platform and a serving endpoint are state machines of their own (see their
    modules). A *silent* one never answers: what it hinted holds.
    """

    def __init__(self, tenants: Tenants, seed: int) -> None:
        kind = np.array([AGENTS.index(name) for name in tenants.agent], dtype=np.int64)
        self._of = kind[tenants.workload]
        of_deployment = kind[tenants.deployment_workload]
        self._deployments = {which: np.flatnonzero(of_deployment == which) for which in (MICROSERVICES, ENDPOINT)}
        self._workload = tenants.workload
        self._batch = Batch(len(tenants), seed)
        self._replicas = Replicas(len(tenants), len(tenants.deployment_ids))
        self._pool = WarmPool(tenants.arrive_s)
        self._endpoints = Endpoints(len(tenants.deployment_ids), self._deployments[ENDPOINT])
        # Who was taken and is not back: it neither works nor speaks.
        self._away = np.zeros(len(tenants), dtype=np.bool_)
        self._here = tuple(bool((kind == which).any()) for which in range(len(AGENTS)))
        # Work that was lost as VMs were taken, in seconds of running, shape W.
        self.lost_s = np.zeros(len(tenants.workload_ids))

    def hints(self, from_s: float, to_s: float, fares: Situation) -> Hints:
        """Return what agents say of their own accord about a stretch of time, in the order of time.

        ``fares`` holds at its beginning; who is taken then is away for all of it.
        """
        said: list[Hints] = []
        of = np.where(self._away[fares.vm], SILENT, self._of[fares.vm])
        if self._here[BATCH]:
            said += self._batch.advance(from_s, to_s, fares.vm[of == BATCH])
        if self._here[MICROSERVICES]:
            said += self._replicas.advance(to_s, self._deployments[MICROSERVICES], fares)
        if self._here[FUNCTIONS]:
            said += self._pool.advance(to_s, np.flatnonzero(of == FUNCTIONS), fares)
        if self._here[ENDPOINT]:
            said += self._endpoints.advance(from_s, to_s, np.flatnonzero(of == ENDPOINT), fares)
        return hint.joined([each for each in said if len(each)])

    def answers(self, kind: int, at: Ints, reached_s: Floats, lead_s: float, may_decline: Bools, fares: Situation) -> Answers:
        """Return the answer of each VM (a position in ``fares``) to a notice of a kind, and after how many seconds it gives it.

        ``kind`` is an index of ``notices.NAMES``. OPEN is no answer. Where it may not decline it does not.
        """
        answer, after_s = np.full(len(at), OPEN), np.full(len(at), np.nan)
        taking, offer = kind in _TAKING, kind in _OFFERS
        of = self._of[fares.vm[at]]
        for which in (BATCH, MICROSERVICES, FUNCTIONS, ENDPOINT):
            mine = of == which
            if not mine.any():
                continue
            who, reached, may, t_s = at[mine], reached_s[mine], may_decline[mine], float(reached_s[mine].min())
            if which == BATCH:
                told = self._batch.answers(reached, who, taking, lead_s, may, fares)
            elif which == MICROSERVICES:
                told = self._replicas.answers(t_s, who, taking, offer, reached + lead_s, may, fares)
            elif which == FUNCTIONS:
                told = self._pool.answers(t_s, who, fares)
            else:
                told = self._endpoints.answers(who, offer, may, fares)
            answer[mine], after_s[mine] = told
        return answer, after_s

    def taken(self, at: Ints, fares: Situation) -> float:
        """Let VMs go, and return the work that is lost with them, in seconds of running."""
        vm = fares.vm[at]
        self._away[vm] = True
        of = self._of[vm]
        workers, replicas = vm[of == BATCH], at[of == MICROSERVICES]
        lost_s = self._batch.taken(workers)
        np.add.at(self.lost_s, self._workload[workers], lost_s)
        self._replicas.gone(fares.deployment[replicas], fares.cores[replicas])
        return float(lost_s.sum())

    def back(self, vm: Ints, t_s: float) -> None:
        """Let VMs begin anew that have come back."""
        self._away[vm] = False
        of = self._of[vm]
        self._replicas.back(vm[of == MICROSERVICES], t_s)
        self._pool.back(vm[of == FUNCTIONS], t_s)

    def forget(self, vm: Ints) -> None:
        """Let VMs go for good."""
        self._away[vm] = False

    def snapshot(self) -> State:
        """Return the state of every agent."""
        parts = {"batch": self._batch.snapshot(), "replicas": self._replicas.snapshot(), "pool": self._pool.snapshot()}
        return {**parts, "endpoints": self._endpoints.snapshot(), "away": self._away.copy(), "lost_s": self.lost_s.copy()}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._batch.restore(state["batch"])
        self._replicas.restore(state["replicas"])
        self._pool.restore(state["pool"])
        self._endpoints.restore(state["endpoints"])
        self._away, self.lost_s = np.array(state["away"], dtype=np.bool_), np.array(state["lost_s"], dtype=np.float64)

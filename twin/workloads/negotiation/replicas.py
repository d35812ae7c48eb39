"""A microservice deployment's agent: replicas behind a load, and a limit."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.sources import calibration
from twin.stack import State
from twin.workloads.negotiation import keys
from twin.workloads.negotiation.batch import Answers, hinted
from twin.workloads.negotiation.hint import Hints
from twin.workloads.negotiation.notices import ACCEPTED, DECLINED
from twin.workloads.negotiation.situation import Situation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_DEPLOYMENT: Final = keys.SCOPES.index("deployment")
# A controller answers from what it knows of its replicas.
_LOOKS_S: Final = 1.0


class Replicas:
    """Kubernetes-like deployments: replicas share a load, and those that stay take over what one that goes has carried.

    A replica *serves*; told that it will be taken it *drains* where the others stay under ``most_busy_share`` without it, and
    declines where they would not; one that comes back *starts*, and takes no load until it has. As many accept as may go at once.
    A deployment asks for a boost when it is busy, and says the load that it expects when that has moved.
    """

    def __init__(self, vms: int, deployments: int) -> None:
        says = {name: float(entry["value"]) for name, entry in calibration("negotiation")["agent"]["microservices"].items()}
        self._most_share, self._drain_s, self._start_s = says["most_busy_share"], says["drain_s"], says["start_s"]
        self._above, self._below, self._step = says["boost_above_share"], says["boost_below_share"], says["forecast_step_share"]
        self._serves_s = np.full(vms, -np.inf)
        self._wants = np.zeros(deployments, dtype=np.bool_)
        self._forecast = np.full(deployments, -1.0)
        self._starting: Ints = np.zeros(0, dtype=np.int64)
        # Cores of replicas that drain and until when: they are on their way out.
        self._leaving_cores, self._leaving_s = np.zeros(deployments), np.zeros(deployments)

    def _serving_cores(self, t_s: float, fares: Situation) -> Floats:
        """Return the cores of each deployment that serve: those that run, less those that start or drain, shape D."""
        cores = fares.running_cores - np.where(self._leaving_s > t_s, self._leaving_cores, 0.0)
        if len(self._starting):
            late = self._serves_s[fares.vm] > t_s
            cores = cores - np.bincount(fares.deployment[late], fares.cores[late], len(cores))
        return np.maximum(cores, 0.0)

    def advance(self, to_s: float, deployments: Ints, fares: Situation) -> list[Hints]:
        """Return what deployments say at the end of a while: who wants a boost, and loads that have moved."""
        self._starting = self._starting[self._serves_s[self._starting] > to_s]
        busy = fares.deployment_busy_share[deployments]
        wanted = np.where(self._wants[deployments], busy > self._below, busy > self._above)
        flips = deployments[wanted != self._wants[deployments]]
        self._wants[deployments] = wanted
        now = np.clip(np.round(busy / self._step) * self._step, 0.0, 1.0)
        moved = np.abs(busy - self._forecast[deployments]) >= self._step
        told = deployments[moved]
        self._forecast[told] = now[moved]
        return [
            hinted(np.full(len(flips), to_s), _DEPLOYMENT, flips, "want_boost", self._wants[flips].astype(np.float64)),
            hinted(np.full(len(told), to_s), _DEPLOYMENT, told, "load_forecast_share", now[moved]),
        ]

    def answers(self, t_s: float, at: Ints, taking: bool, offer: bool, due_s: Floats, may_decline: Bools, fares: Situation) -> Answers:
        """Return the answers of VMs (positions in ``fares``), and after how long: to ``taking`` them, and to an ``offer`` of more."""
        deployment = fares.deployment[at]
        if offer:
            wants = fares.deployment_busy_share[deployment] > self._below
            return np.where(wants | ~may_decline, ACCEPTED, DECLINED), np.full(len(at), _LOOKS_S)
        if not taking:
            return np.full(len(at), ACCEPTED), np.full(len(at), _LOOKS_S)
        stays = self._serving_cores(t_s, fares)[deployment] - _running_sum(deployment, fares.cores[at])
        fits = (fares.load_cores[deployment] <= self._most_share * np.maximum(stays, 0.0)) | ~may_decline
        going, cores = deployment[fits], fares.cores[at][fits]
        fresh = np.where(self._leaving_s > t_s, self._leaving_cores, 0.0)
        self._leaving_cores = fresh + np.bincount(going, cores, len(fresh))
        np.maximum.at(self._leaving_s, going, due_s[fits])
        return np.where(fits, ACCEPTED, DECLINED), np.where(fits, self._drain_s, _LOOKS_S)

    def gone(self, deployment: Ints, cores: Floats) -> None:
        """Forget replicas that have drained: they no longer run."""
        self._leaving_cores -= np.bincount(deployment, cores, len(self._leaving_cores))
        np.maximum(self._leaving_cores, 0.0, out=self._leaving_cores)

    def back(self, vm: Ints, t_s: float) -> None:
        """Start replicas that have come back."""
        self._serves_s[vm] = t_s + self._start_s
        self._starting = np.union1d(self._starting, vm)

    def snapshot(self) -> State:
        """Return who starts, who leaves, and what was said last."""
        arrays = {"serves_s": self._serves_s, "wants": self._wants, "forecast": self._forecast, "starting": self._starting}
        leaving = {"leaving_cores": self._leaving_cores, "leaving_s": self._leaving_s}
        return {name: values.copy() for name, values in {**arrays, **leaving}.items()}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._serves_s, self._forecast = np.array(state["serves_s"]), np.array(state["forecast"])
        self._wants, self._starting = np.array(state["wants"], dtype=np.bool_), np.array(state["starting"], dtype=np.int64)
        self._leaving_cores, self._leaving_s = np.array(state["leaving_cores"]), np.array(state["leaving_s"])


def _running_sum(group: Ints, values: Floats) -> Floats:
    """Return the sum of each value and those before it in its group, in the order given.

    >>> _running_sum(np.array([0, 1, 0]), np.array([1.0, 5.0, 2.0])).tolist()
    [1.0, 5.0, 3.0]
    """
    order = np.argsort(group, kind="stable")
    whole = np.cumsum(values[order])
    first = np.concatenate([[True], group[order][1:] != group[order][:-1]]) if len(group) else np.zeros(0, dtype=np.bool_)
    before = np.where(first, whole - values[order], 0.0)
    out = np.empty(len(group))
    out[order] = whole - np.maximum.accumulate(before)
    return out

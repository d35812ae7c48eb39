"""How VMs fare as their agents see it: load, replicas, objectives."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.workloads.levers import OffersObservation
from twin.workloads.negotiation.taking import COMPILED

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Situation:
    """The VMs that a tick sees, shape N, in the order of its observation; D deployments.

    ``busy_share`` is what is asked of a VM, of its cores as it rented them; ``cores`` what it has now, by size and clock, 0 where it
    does not run. ``slo_ok`` is False where a serving endpoint misses its objectives. Of a deployment: ``load_cores`` is asked of
    all its VMs, ``running_cores`` is there to do it.
    """

    vm: Ints
    deployment: Ints
    busy_share: Floats
    cores: Floats
    running: Bools
    slo_ok: Bools
    load_cores: Floats
    running_cores: Floats

    @property
    def deployment_busy_share(self) -> Floats:
        """Return how busy each deployment's running VMs are when they share its whole load, shape D; 1 where none runs."""
        there = np.maximum(self.running_cores, 1e-9)
        return np.where(self.running_cores > 0, self.load_cores / there, np.where(self.load_cores > 0, 1.0, 0.0))


def _weigh(*given: Any) -> None:
    rented, running, size_share, clock_share, busy_share, deployment, cores, load_cores, running_cores = given
    for i in range(len(rented)):
        cores[i] = rented[i] * size_share[i] * clock_share[i] if running[i] else 0.0
        load_cores[deployment[i]] += rented[i] * busy_share[i]
        running_cores[deployment[i]] += cores[i]


@cache
def _weigher() -> Any:
    return COMPILED(_weigh)


def situation(seen: OffersObservation, objective_met: Bools | None = None) -> Situation:
    """Return how the VMs of an observation fare; ``objective_met`` (W) is True for all workloads where it is not given."""
    count, shape = len(seen.deployment_vms), len(seen.vm)
    cores, load_cores, running_cores = np.empty(shape), np.zeros(count), np.zeros(count)
    columns = (seen.cores, seen.running, seen.size_share, seen.clock_share, seen.busy_share, seen.deployment)
    _weigher()(*columns, cores, load_cores, running_cores)
    return Situation(
        vm=seen.vm,
        deployment=seen.deployment,
        busy_share=seen.busy_share,
        cores=cores,
        running=seen.running,
        slo_ok=np.ones(len(seen.vm), dtype=np.bool_) if objective_met is None else objective_met[seen.workload],
        load_cores=load_cores,
        running_cores=running_cores,
    )

"""How VMs fare as their agents see it: load, replicas, objectives."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.workloads.levers import OffersObservation

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


def situation(seen: OffersObservation, objective_met: Bools | None = None) -> Situation:
    """Return how the VMs of an observation fare; ``objective_met`` (W) is True for all workloads where it is not given."""
    count = len(seen.deployment_vms)
    rented = seen.cores.astype(np.float64)
    cores = np.where(seen.running, rented * seen.size_share * seen.clock_share, 0.0)
    return Situation(
        vm=seen.vm,
        deployment=seen.deployment,
        busy_share=seen.busy_share,
        cores=cores,
        running=seen.running,
        slo_ok=np.ones(len(seen.vm), dtype=np.bool_) if objective_met is None else objective_met[seen.workload],
        load_cores=np.bincount(seen.deployment, rented * seen.busy_share, count).astype(np.float64),
        running_cores=np.bincount(seen.deployment, cores, count).astype(np.float64),
    )

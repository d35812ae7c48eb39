"""Who negotiates: the VMs of a run, their deployments and workloads."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Tenants:
    """The VMs of the workloads that negotiate, shape V, whenever they come; D deployments of W workloads.

    ``outer`` is a VM's number in its own population: of VMs on servers where ``pool`` is 1, of VMs on hosts where it is 0.
    ``deployment`` is an index of ``deployment_ids``, whose workload is ``deployment_workload``. ``class_id`` (W) names the class of a
    workload, ``agent`` (W) who answers for it. ``usd_per_h`` is a VM's regular price. ``marks`` (V, 8) are even draws of 0 to 1 that
    decide which part of a workload a partial hint covers, one column a hint.
    """

    workload_ids: tuple[str, ...]
    deployment_ids: tuple[str, ...]
    class_id: tuple[str, ...]
    agent: tuple[str, ...]
    vm_ids: Callable[[], tuple[str, ...]]
    outer: Ints
    pool: Ints
    workload: Ints
    deployment: Ints
    deployment_workload: Ints
    cores: Ints
    memory_bytes: Ints
    arrive_s: Floats
    end_s: Floats
    mean_share: Floats
    peak_share: Floats
    usd_per_h: Floats
    marks: Floats

    def __len__(self) -> int:
        """Return how many VMs there are."""
        return len(self.outer)

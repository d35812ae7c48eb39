"""Memory that VMs ask for on hosts: events in the order of time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class HostVms:
    """The VMs that may stand on hosts, shape V. ``memory_bound_share`` is how much of a VM's time waits for memory (0..1)."""

    memory_bytes: Ints
    vcpus: Ints
    memory_bound_share: Floats


@dataclass(frozen=True, slots=True)
class HostEvents:
    """VMs that begin or end on a host, shape E, in the order of time; at one time ends come before begins.

    ``vm`` is an index of HostVms, ``host`` of the fleet's hosts.
    """

    t_s: Floats
    vm: Ints
    host: Ints
    begins: Bools

    def __len__(self) -> int:
        """Return how many events there are."""
        return len(self.t_s)


@dataclass(frozen=True, slots=True)
class PastDemand:
    """What stood on the hosts before a run: events over ``span_s`` seconds (the first ones at 0 are those that stood already)."""

    hosts: int
    vms: HostVms
    events: HostEvents
    span_s: float

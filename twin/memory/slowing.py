"""What pooled memory costs a host: its VMs wait longer for it."""

import numpy as np
from numpy.typing import NDArray

from twin.memory import latency, slices
from twin.memory.allocation import Pool
from twin.memory.demand import HostEvents, HostVms

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# Sums are whole multiples of this, so that what a VM added to its host goes with it to the last bit.
_PARTS = float(1 << 32)


class Slowing:
    """Follows, for every host (H), vCPUs x share of time that waits for memory x share of memory on devices, over its VMs."""

    def __init__(self, vms: HostVms, slice_bytes: int, hosts: int) -> None:
        self._vms, self._slice_bytes = vms, slice_bytes
        self._of_vm = np.zeros(len(vms.vcpus), dtype=np.int64)
        self._of_host = np.zeros(hosts, dtype=np.int64)

    def _parts(self, vms: Ints, pooled_slices: Ints) -> Ints:
        share = pooled_slices * self._slice_bytes / np.maximum(self._vms.memory_bytes[vms], 1)
        return np.rint(self._vms.vcpus[vms] * self._vms.memory_bound_share[vms] * share * _PARTS).astype(np.int64)

    def follow(self, events: HostEvents, pool: Pool) -> None:
        """Take VMs that ended off their hosts, and add those that began and still stand; the pool has taken the events already."""
        ended, left = events.vm[~events.begins], events.host[~events.begins]
        np.subtract.at(self._of_host, left, self._of_vm[ended])
        # A VM can come back: what it added is gone.
        self._of_vm[ended] = 0
        began = events.begins & (pool.slot_of[events.vm] != slices.NONE)
        vms, host = events.vm[began], events.host[began]
        self._of_vm[vms] = self._parts(vms, pool.held[pool.slot_of[vms]].sum(axis=1))
        np.add.at(self._of_host, host, self._of_vm[vms])

    def recount(self, pool: Pool) -> None:
        """Count every VM that stands anew: a fault changes how much of each lies on devices."""
        vms, host, pooled, _ = pool.standing()
        self._of_vm[:] = 0
        self._of_vm[vms] = self._parts(vms, pooled)
        self._of_host[:] = 0
        np.add.at(self._of_host, host, self._of_vm[vms])

    def share(self, vcpus: Ints, access_latency_s: float) -> Floats:
        """Return by which share the VMs of each host take longer for their work, mean by vCPU, shape H."""
        return latency.slowdown_share(self._of_host / _PARTS / np.maximum(vcpus, 1), 1.0, access_latency_s)

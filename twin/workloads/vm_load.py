"""How busy opaque VMs are: those on GPUs, and those that fill a host."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twin.clock import Clock
from twin.faults import Fault
from twin.workloads.load import wave_share
from twin.workloads.population import Population

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NOBODY = -1


class VmLoad:
    """Load of opaque VMs of groups and streams, by time alone: shapes G GPUs, F VMs that fill a host, V VMs.

    ``settle`` gathers what the load is computed from whenever VMs came or went.
    """

    def __init__(self, vms: Population, clock: Clock, hold_s: float, bursts: Sequence[Fault]) -> None:
        self._vms, self._clock, self._hold_s, self._bursts = vms, clock, hold_s, bursts
        # By VM: opaque or not, with nobody at the end; and its place among those whose load is computed.
        self._opaque_or_nobody = np.append(vms.opaque, False)
        self._position = np.full(len(vms.ids), NOBODY, dtype=np.int64)
        self._filling = np.flatnonzero(vms.gpus == 0)
        self._t_s = 0.0

    def settle(self, gpu_vm: Ints, vm_server: Ints) -> None:
        """Take note of whose GPUs (G) are whose, and on which server every VM (V) stands: ``NOBODY`` and none are -1."""
        vms = self._vms
        # Which GPUs belong to VMs whose inside cannot be reached, shape G.
        self.gpu_opaque = self._opaque_or_nobody[gpu_vm]
        self._gpus = np.flatnonzero(self.gpu_opaque)
        self._gpu_vm = gpu_vm[self._gpus]
        self._busy = np.concatenate([np.flatnonzero(vms.opaque & (vm_server != NOBODY)), self._filling])
        self._position[:] = NOBODY
        self._position[self._busy] = np.arange(len(self._busy))
        self._mean, self._swing, self._peak = vms.mean_share[self._busy], vms.swing_share[self._busy], vms.peak_hour[self._busy]
        self._weekend = vms.weekend_share[self._busy]
        self._hits = [vms.workload[self._busy] == self._index(fault.target) for fault in self._bursts]
        self._hold = -1
        self._share: Floats | None = None

    def _index(self, workload: str) -> int:
        ids = self._vms.workload_ids
        return ids.index(workload) if workload in ids else NOBODY

    def _noise(self, until_s: float) -> Floats:
        """Return every busy VM's noise: linear between draws, so that a shorter tick sees the same load."""
        position = until_s / self._hold_s
        whole = int(position)
        if whole != self._hold:
            column, share = self._vms.noise_column[self._busy], self._vms.noise_share[self._busy]
            self._now, self._next = (self._vms.noise[whole + step][column] * share for step in (0, 1))
            self._hold = whole
        return np.asarray(self._now + (position - whole) * (self._next - self._now))

    def advance(self, until_s: float) -> None:
        """Let it be a time."""
        self._t_s, self._share = until_s, None

    def _shares(self) -> Floats:
        """Return the load now of those whose load is computed; it is worked out when it is first asked for."""
        if self._share is None:
            hour, weekday = float(self._clock.hour(self._t_s)), int(self._clock.weekday(self._t_s))
            wave = wave_share(self._mean, self._swing, self._peak, hour)
            share = (wave * self._weekend if weekday >= 5 else wave) + self._noise(self._t_s)
            for fault, hit in zip(self._bursts, self._hits, strict=True):
                if fault.active(self._t_s):
                    share = np.where(hit, share + fault.severity, share)
            self._share = np.clip(share, 0.0, 1.0)
        return self._share

    def gpu_share(self, gpus: int, carried: Floats) -> Floats:
        """Return the load on each GPU, shape G, with VMs that carry so much of theirs (V); zero where there is none of an opaque VM."""
        share = np.zeros(gpus)
        share[self._gpus] = np.minimum(self._shares()[self._position[self._gpu_vm]] * carried[self._gpu_vm], 1.0)
        return share

    def filling_share(self) -> Floats:
        """Return the load of the VMs that fill a host, shape F."""
        return self._shares()[len(self._busy) - len(self._filling) :]

    def of(self, vm: Ints) -> Floats:
        """Return the load now of VMs, as a share of what they rent; NaN where it is not known here: a VM of an endpoint, or one gone."""
        position = self._position[vm]
        return np.where(position == NOBODY, np.nan, np.append(self._shares(), np.nan)[position])

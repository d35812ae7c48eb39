"""How busy hosts are with the VMs that stand on them."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.chance import stream
from twin.faults import Fault
from twin.workloads.host_population import HostPopulation, host_vcpus
from twin.workloads.hosting import HostEvents

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# Sums are kept as whole numbers of this part of a vCPU: what a VM adds it takes away again exactly, in whatever order.
_PARTS: Final = float(1 << 32)
_SQUARES, _BURSTS = 6, 7


class HostLoad:
    """Load of every host as the sum over its VMs of vCPUs x load, over the host's vCPUs; it costs the same however many stand.

    A VM's load is its daily wave, which is kept within 0..1, and noise. Waves of one period add up to one wave. The noises of a
    host's VMs, which are independent, add up to one noise with the sum of their variances, drawn by host before the run. VMs with
    a named host count nothing here.
    """

    def __init__(self, vms: HostPopulation, hosts: int, horizon_s: float, hold_s: float, faults: Sequence[Fault], seed: int) -> None:
        self._hold_s, self._faults = hold_s, faults
        self._terms = _terms(vms, [fault.target for fault in faults])
        self._sums = np.zeros((hosts, self._terms.shape[1]), dtype=np.int64)
        holds = int(np.ceil(horizon_s / hold_s)) + 2
        self._comes = len(vms.vcpus) > vms.named
        self._noise = stream(seed, "workloads", "host-load").standard_normal((holds if self._comes else 2, hosts))
        self._settle()

    def apply(self, events: HostEvents) -> None:
        """Take note of who began and who ended."""
        if len(events):
            np.add.at(self._sums, events.host, np.where(events.begins[:, None], self._terms[events.vm], -self._terms[events.vm]))
            self._settle()

    def restart(self, vm: Ints, host: Ints) -> None:
        """Forget who stood where, and take note of who stands."""
        self._sums[:] = 0
        np.add.at(self._sums, host, self._terms[vm])
        self._settle()

    def _settle(self) -> None:
        """Make shares of a host of the sums, by kind and host."""
        self._shares = self._sums.T / (_PARTS * host_vcpus())
        self._deviation = np.sqrt(self._sums[:, _SQUARES] / _PARTS) / host_vcpus()

    def share(self, t_s: float, hour: float, weekend: bool) -> Floats:
        """Return the load of each host at a time of a day, shape H."""
        if not self._comes:
            return np.zeros(len(self._sums))
        turn = hour * (2.0 * math.pi / 24.0)
        mean, cosine, sine = self._shares[3:6] if weekend else self._shares[:3]
        position = t_s / self._hold_s
        whole = int(position)
        now, following = self._noise[whole], self._noise[whole + 1]
        busy = mean + math.cos(turn) * cosine + math.sin(turn) * sine + self._deviation * (now + (position - whole) * (following - now))
        for index, fault in enumerate(self._faults):
            if fault.active(t_s):
                busy += fault.severity * self._shares[_BURSTS + index]
        return np.asarray(np.maximum(busy, 0.0))


def _terms(vms: HostPopulation, targets: Sequence[str]) -> Ints:
    """Return what each VM adds to its host: mean, cosine and sine of weekdays, of weekends, noise squared, and vCPUs by burst."""
    mean = np.clip(vms.mean_share, 0.0, 1.0)
    swing = np.minimum(vms.swing_share, np.minimum(mean, 1.0 - mean))
    turn = vms.peak_hour * (2.0 * np.pi / 24.0)
    wave = [vms.vcpus * part for part in (mean, swing * np.cos(turn), swing * np.sin(turn))]
    hit = [
        vms.vcpus * (vms.workload == (vms.workload_ids.index(target) if target in vms.workload_ids else -1)).astype(np.float64)
        for target in targets
    ]
    columns = [*wave, *(part * vms.weekend_share for part in wave), (vms.vcpus * vms.noise_share) ** 2, *hit]
    terms = np.rint(np.stack(columns, axis=1) * _PARTS).astype(np.int64)
    terms[: vms.named] = 0
    return terms

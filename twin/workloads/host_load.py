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
from twin.workloads.load import kept_wave
from twin.workloads.running import Running

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# Sums are kept as whole numbers of this part of a vCPU: what a VM adds it takes away again exactly, in whatever order.
_PARTS: Final = float(1 << 32)
_SQUARES, _BURSTS = 6, 7


class HostLoad:
    """Load of every host as the sum over its VMs of vCPUs x load, over the host's vCPUs; it costs the same however many stand.

    A VM's load is its daily wave, which is kept within 0..1, and noise, times the work that it carries (``running``). Waves of one
    period add up to one wave. The noises of a host's VMs, which are independent, add up to one noise with the sum of their
    variances, drawn by host before the run. VMs with a named host count nothing here.
    """

    def __init__(
        self, vms: HostPopulation, hosts: int, horizon_s: float, hold_s: float, faults: Sequence[Fault], seed: int, running: Running
    ) -> None:
        self._hold_s, self._faults, self._running, self._vcpus = hold_s, faults, running, vms.vcpus
        self._terms = _terms(vms, [fault.target for fault in faults])
        self._sums = np.zeros((self._terms.shape[1], hosts), dtype=np.int64)
        self._rented_vcpus = np.zeros(hosts, dtype=np.int64)
        holds = int(np.ceil(horizon_s / hold_s)) + 2
        self._own: dict[bool, Floats] = {}
        self._comes = len(vms.vcpus) > vms.named
        self._noise = stream(seed, "workloads", "host-load").standard_normal((holds if self._comes else 2, hosts))
        self._settle()

    def apply(self, events: HostEvents) -> None:
        """Take note of who began and who ended."""
        if len(events):
            self._rent(events.vm, events.host, np.where(events.begins, 1, -1))
            self._settle()

    def change(self, vm: Ints, host: Ints, work: Floats) -> None:
        """Let VMs that stand on hosts carry so much of their load; each is given once."""
        if len(vm):
            before = self._carried(vm)
            self._running.work[vm] = work
            self._add(host, self._carried(vm) - before)
            self._settle()

    def restart(self, vm: Ints, host: Ints) -> None:
        """Forget who stood where, and take note of who stands."""
        self._sums[:] = 0
        self._rented_vcpus[:] = 0
        self._rent(vm, host, np.ones(len(vm), dtype=np.int64))
        self._settle()

    def _rent(self, vm: Ints, host: Ints, sign: Ints) -> None:
        self._add(host, sign * self._carried(vm))
        np.add.at(self._rented_vcpus, host, sign * self._vcpus[vm])

    def _carried(self, vm: Ints) -> Ints:
        """Return what VMs add to their hosts with the work that they carry, by kind: the same numbers whenever it is asked."""
        terms, work = self._terms[vm].T, self._running.work[vm]
        if (work == 1.0).all():
            return terms
        times = np.broadcast_to(work, terms.shape).copy()
        times[_SQUARES] *= work
        return np.rint(terms * times).astype(np.int64)

    def _add(self, host: Ints, values: Ints) -> None:
        for sums, value in zip(self._sums, values, strict=True):
            np.add.at(sums, host, value)

    def _settle(self) -> None:
        """Make shares of a host of the sums, by kind and host."""
        self._shares = self._sums / (_PARTS * host_vcpus())
        self._deviation = np.sqrt(self._sums[_SQUARES] / _PARTS) / host_vcpus()

    def rented_vcpus(self) -> Ints:
        """Return the vCPUs of the VMs that run on each host, shape H, as many as they asked for."""
        return self._rented_vcpus.copy()

    def share(self, t_s: float, hour: float, weekend: bool) -> Floats:
        """Return the load of each host at a time of a day, shape H."""
        if not self._comes:
            return np.zeros(self._sums.shape[1])
        turn = hour * (2.0 * math.pi / 24.0)
        mean, cosine, sine = self._shares[3:6] if weekend else self._shares[:3]
        busy = mean + math.cos(turn) * cosine + math.sin(turn) * sine + self._deviation * self._drawn(t_s)
        for index, fault in enumerate(self._faults):
            if fault.active(t_s):
                busy += fault.severity * self._shares[_BURSTS + index]
        return np.asarray(np.maximum(busy, 0.0))

    def of(self, vm: Ints, host: Ints, t_s: float, hour: float, weekend: bool) -> Floats:
        """Return the load of VMs on their hosts, as a share of their own vCPUs and before what they carry, within 0 to 1, shape N.

        Of a host's noise every VM has the part that is expected of it when the sum is known: its variance over the host's deviation.
        So vCPUs x work x load of a host's VMs add up to the load of the host.
        """
        turn, own = hour * (2.0 * math.pi / 24.0), self._of_own(weekend)[vm]
        deviation = self._deviation * host_vcpus()
        by_host = np.divide(self._drawn(t_s), deviation, out=np.zeros(len(deviation)), where=deviation > 0.0)
        busy = own[:, :3] @ np.array([1.0, math.cos(turn), math.sin(turn)]) + own[:, 3] * self._running.work[vm] * by_host[host]
        for index, fault in enumerate(self._faults):
            if fault.active(t_s):
                busy += fault.severity * (self._terms[vm, _BURSTS + index] > 0)
        return np.asarray(np.clip(busy, 0.0, 1.0))

    def _of_own(self, weekend: bool) -> Floats:
        """Return mean, cosine, sine and noise squared of each VM over its own vCPUs, shape (V, 4); made when it is first asked for."""
        if weekend not in self._own:
            columns = [3, 4, 5, _SQUARES] if weekend else [0, 1, 2, _SQUARES]
            self._own[weekend] = self._terms[:, columns] / (_PARTS * self._vcpus[:, None])
        return self._own[weekend]

    def _drawn(self, t_s: float) -> Floats:
        """Return the noise of each host before it is multiplied with its deviation: linear between draws."""
        position = t_s / self._hold_s
        whole = int(position)
        now, following = self._noise[whole], self._noise[whole + 1]
        return np.asarray(now + (position - whole) * (following - now))


def _terms(vms: HostPopulation, targets: Sequence[str]) -> Ints:
    """Return what each VM adds to its host: mean, cosine and sine of weekdays, of weekends, noise squared, and vCPUs by burst."""
    mean, swing = kept_wave(vms.mean_share, vms.swing_share)
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

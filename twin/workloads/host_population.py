"""Every VM on CPU hosts of a run: whose, how large, from when to when."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twin.sources import calibration
from twin.workloads.host_streams import HostDrawn, default_memory_bytes
from twin.workloads.load import Load, kept_wave
from twin.workloads.settings import VmGroup

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def host_vcpus() -> int:
    """Return the vCPUs that a CPU host rents out."""
    return int(calibration("workloads")["host"]["vcpus"]["value"])


def filling() -> tuple[int, int]:
    """Return vCPUs and memory (bytes) of a VM that fills a host."""
    return host_vcpus(), default_memory_bytes(host_vcpus())


@dataclass(frozen=True)
class HostPopulation:
    """VMs on hosts in the order in which they are numbered, shape V: those that fill a named host, those that stand, then as they arrive.

    ``named`` says how many have a host of their own, whose load is that of their group. ``memory_bound_share`` is how much of a
    VM's time waits for memory. The load is a daily wave as in ``twin.workloads.load``.
    """

    workload_ids: tuple[str, ...]
    workload: Ints
    arrive_s: Floats
    end_s: Floats
    vcpus: Ints
    memory_bytes: Ints
    memory_bound_share: Floats
    mean_share: Floats
    swing_share: Floats
    peak_hour: Floats
    weekend_share: Floats
    noise_share: Floats
    named: int

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Return ids such as ``search/host-vm-12``; made when they are first asked for."""
        return tuple(f"{self.workload_ids[workload]}/host-vm-{i}" for i, workload in enumerate(self.workload.tolist()))

    def day_shares(self) -> Floats:
        """Return mean and peak of each VM's load over a weekday without noise, as shares of its vCPUs, shape (2, V)."""
        mean, swing = kept_wave(self.mean_share, self.swing_share)
        return np.stack([mean, mean + swing])

    def exogenous(self) -> str:
        """Return a hash of what no policy can change: which VMs arrive when, how large they are and when they leave."""
        digest = hashlib.sha256(repr(self.workload_ids).encode())
        for values in (self.workload, self.vcpus, self.memory_bytes, self.arrive_s, self.end_s):
            digest.update(np.ascontiguousarray(values[self.named :]).tobytes())
        return digest.hexdigest()


class Owner(Protocol):
    """Whose VMs come and go on hosts, and what they are like: a stream, or a name that tenants of a trace are dealt to."""

    @property
    def workload(self) -> str:
        """Name of the workload."""

    @property
    def memory_bound_share(self) -> float:
        """How much of a VM's time waits for memory."""

    @property
    def load(self) -> Load:
        """Template of the load."""


def populate_hosts(groups: Sequence[VmGroup], owners: Sequence[Owner], of: Ints, drawn: HostDrawn) -> HostPopulation:
    """Number the VMs of ``groups``, one on a host each, and those that come and go, which are given in their order with their owners."""
    named = len(groups)
    ids = tuple(dict.fromkeys([group.workload for group in groups] + [each.workload for each in owners]))
    bound = float(calibration("workloads")["host_memory_bound"]["share"]["value"])
    owner = np.array([ids.index(each.workload) for each in owners], dtype=np.int64)
    host, memory = filling()

    def share(fixed: Sequence[float], coming: Floats) -> Floats:
        return np.concatenate([np.array(fixed, dtype=np.float64), coming])

    def count(fixed: Sequence[int], coming: Ints) -> Ints:
        return np.concatenate([np.array(fixed, dtype=np.int64), coming])

    def load(name: str) -> Floats:
        template = np.array([getattr(each.load, name) for each in owners], dtype=np.float64)
        return share([getattr(group.load, name) for group in groups], template[of])

    none = [0.0] * named
    return HostPopulation(
        workload_ids=ids,
        workload=count([ids.index(group.workload) for group in groups], owner[of]),
        arrive_s=share(none, drawn.arrive_s),
        end_s=share([np.inf] * named, drawn.end_s),
        vcpus=count([host] * named, drawn.vcpus),
        memory_bytes=count([memory] * named, drawn.memory_bytes),
        memory_bound_share=share([bound] * named, np.array([each.memory_bound_share for each in owners], dtype=np.float64)[of]),
        mean_share=load("mean_share") + share(none, drawn.mean_shift_share),
        swing_share=load("swing_share"),
        peak_hour=load("peak_hour") + share(none, drawn.peak_shift_h),
        weekend_share=load("weekend_share"),
        noise_share=load("noise_share"),
        named=named,
    )

"""Every VM on CPU hosts of a run: whose, how large, from when to when."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from twin.chance import stream
from twin.clock import Clock
from twin.fleet import Fleet
from twin.sources import calibration
from twin.workloads.host_streams import HostDrawn, HostStream, default_memory_bytes, draw
from twin.workloads.load import Load
from twin.workloads.population import place
from twin.workloads.settings import Settings, VmGroup

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

    def exogenous(self) -> str:
        """Return a hash of what no policy can change: which VMs arrive when, how large they are and when they leave."""
        digest = hashlib.sha256(repr(self.workload_ids).encode())
        for values in (self.workload, self.vcpus, self.memory_bytes, self.arrive_s, self.end_s):
            digest.update(np.ascontiguousarray(values[self.named :]).tobytes())
        return digest.hexdigest()


def named_hosts(settings: Settings, fleet: Fleet) -> tuple[list[VmGroup], Ints]:
    """Return the groups of the VMs that fill a named host, and these hosts."""
    groups, chosen = place(settings, fleet)
    mine = [(settings.vms[group], host) for group, (kind, host) in zip(groups, chosen, strict=True) if kind == 1]
    return [group for group, _ in mine], np.array([host for _, host in mine], dtype=np.int64)


def free_vcpus(settings: Settings, fleet: Fleet) -> Ints:
    """Return what each host has for VMs that come and go, shape H."""
    free = np.full(len(fleet.host_ids), host_vcpus(), dtype=np.int64)
    free[named_hosts(settings, fleet)[1]] = 0
    return free


def check_hosts(settings: Settings, fleet: Fleet) -> None:
    """Raise ValueError where VMs are asked for that the fleet's hosts cannot hold on average."""
    if not settings.host_streams:
        return
    free, size = free_vcpus(settings, fleet), host_vcpus()
    if not len(free):
        raise ValueError("workloads.host_streams: the fleet has no CPU hosts; add a row of kind host or remove the streams")
    large = next((asked for asked in settings.host_streams if asked.largest_vcpus > size), None)
    if large is not None:
        raise ValueError(
            f"workloads.host_streams: {large.workload}: no host takes {large.largest_vcpus} vCPUs, each has {size}; change size_shares"
        )
    held = sum(asked.held_vcpus(size * len(free)) for asked in settings.host_streams)
    if held > free.sum() * (1.0 + 1e-9):
        raise ValueError(
            f"workloads.host_streams: VMs would hold {held:,.0f} vCPUs on average and the hosts have {free.sum():,} left for them; "
            "lower vcpus_share or rate_per_h"
        )


def populate_hosts(settings: Settings, fleet: Fleet, clock: Clock, horizon_s: float, seed: int, when: str = "") -> HostPopulation:
    """Draw every VM on hosts; ``when`` names another time's draws."""
    groups, _ = named_hosts(settings, fleet)
    vcpus = host_vcpus() * len(fleet.host_ids)
    asked = settings.host_streams
    drawn = [
        draw(each, each.mean_rate_per_s(vcpus), clock, horizon_s, seed, f"{each.workload}/{index}{when}")
        for index, each in enumerate(asked)
    ]
    return _population(groups, asked, drawn, stream(seed, "workloads", f"host-order{when}"))


def _population(
    groups: Sequence[VmGroup], asked: Sequence[HostStream], drawn: Sequence[HostDrawn], random: np.random.Generator
) -> HostPopulation:
    """Number the VMs: groups in their order, those that stand shuffled, the others as they arrive."""
    of = np.repeat(np.arange(len(drawn)), [len(each.arrive_s) for each in drawn]).astype(np.int64)
    arrive_s = _joined(drawn, "arrive_s")
    standing = np.flatnonzero(arrive_s <= 0.0)
    later = np.flatnonzero(arrive_s > 0.0)
    order = np.concatenate([random.permutation(standing), later[np.argsort(arrive_s[later], kind="stable")]]).astype(np.int64)
    of, named = of[order], len(groups)
    ids = tuple(dict.fromkeys([group.workload for group in groups] + [each.workload for each in asked]))
    bound = float(calibration("workloads")["host_memory_bound"]["share"]["value"])
    owners = np.array([ids.index(each.workload) for each in asked], dtype=np.int64)
    host, memory = filling()

    def column(fixed: Sequence[float], streamed: Floats | Ints) -> Floats:
        return np.concatenate([np.array(fixed, dtype=np.float64), streamed])

    def whole(fixed: Sequence[int], streamed: Ints) -> Ints:
        return np.concatenate([np.array(fixed, dtype=np.int64), streamed])

    def load(name: str) -> Floats:
        own: list[Load] = [group.load for group in groups]
        return column([getattr(each, name) for each in own], np.array([getattr(each.load, name) for each in asked], dtype=np.float64)[of])

    none = [0.0] * named
    return HostPopulation(
        workload_ids=ids,
        workload=whole([ids.index(group.workload) for group in groups], owners[of]),
        arrive_s=column(none, arrive_s[order]),
        end_s=column([np.inf] * named, _joined(drawn, "end_s")[order]),
        vcpus=whole([host] * named, _joined(drawn, "vcpus")[order].astype(np.int64)),
        memory_bytes=whole([memory] * named, _joined(drawn, "memory_bytes")[order].astype(np.int64)),
        memory_bound_share=column([bound] * named, np.array([each.memory_bound_share for each in asked], dtype=np.float64)[of]),
        mean_share=load("mean_share") + column(none, _joined(drawn, "mean_shift_share")[order]),
        swing_share=load("swing_share"),
        peak_hour=load("peak_hour") + column(none, _joined(drawn, "peak_shift_h")[order]),
        weekend_share=load("weekend_share"),
        noise_share=load("noise_share"),
        named=named,
    )


def _joined(drawn: Sequence[HostDrawn], name: str) -> NDArray[np.float64]:
    return np.concatenate([getattr(each, name) for each in drawn]) if drawn else np.zeros(0)

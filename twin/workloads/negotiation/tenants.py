"""Who negotiates: the VMs of a run, their deployments and workloads."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.chance import stream
from twin.workloads.host_population import HostPopulation
from twin.workloads.negotiation.classes import Classes, named
from twin.workloads.negotiation.settings import Settings
from twin.workloads.population import Population

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
HOSTS, SERVERS = 0, 1
# Marks are dealt so that of so many VMs of one size and deployment, as they are numbered, each part of that width of 0 to 1 has one:
# what a share of the VMs says for itself is said by very nearly that share of VMs and cores, however few they are.
_DEALT: Final = 16
MARKS: Final = 8


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


@dataclass(frozen=True, slots=True)
class _Part:
    """VMs of one population that negotiate, shape N: their numbers there, which tenant each belongs to, mean and peak load (2, N)."""

    outer: Ints
    workload: Ints
    cores: Ints
    memory_bytes: Ints
    arrive_s: Floats
    end_s: Floats
    day_shares: Floats
    ids: Callable[[], tuple[str, ...]]


def tenants(settings: Settings, on_servers: Population, on_hosts: HostPopulation, seed: int) -> Tenants:
    """Return whose VMs negotiate, those on servers first, each population in its own order.

    What a VM is dealt depends on the seed, its workload and how many of that came before, so neither a longer run nor another
    tenant changes it. VMs on servers count GPUs as their cores, and no memory of hosts. ValueError for a class that is not there.
    """
    classes, asked = named(settings.classes), settings.tenants
    parts = (_servers(settings, on_servers), _hosts(settings, on_hosts))
    workload, cores = (np.concatenate([getattr(part, name) for part in parts]) for name in ("workload", "cores"))
    pool = np.repeat([SERVERS, HOSTS], [len(part.outer) for part in parts]).astype(np.int64)
    deployments = [tenant.deployments for tenant in asked]
    first = np.concatenate([[0], np.cumsum(deployments)]).astype(np.int64)
    names = tuple(f"{tenant.id}/deployment-{number + 1}" for tenant in asked for number in range(tenant.deployments))
    deployment, marks = _dealt(settings, workload, pool, cores, first, seed)
    mean, peak = np.concatenate([part.day_shares for part in parts], axis=1)
    price = np.where(pool == SERVERS, settings.regular_usd_per_gpu_h, settings.regular_usd_per_vcpu_h)
    return Tenants(
        workload_ids=tuple(tenant.id for tenant in asked),
        deployment_ids=names,
        class_id=tuple(tenant.workload_class for tenant in asked),
        agent=tuple(tenant.agent or _class(classes, tenant.workload_class) for tenant in asked),
        # Made when they are first asked for: there may be hundreds of thousands.
        vm_ids=cache(lambda: parts[0].ids() + parts[1].ids()),
        outer=np.concatenate([part.outer for part in parts]),
        pool=pool,
        workload=workload,
        deployment=deployment,
        deployment_workload=np.repeat(np.arange(len(asked)), deployments).astype(np.int64),
        cores=cores,
        memory_bytes=np.concatenate([part.memory_bytes for part in parts]),
        arrive_s=np.concatenate([part.arrive_s for part in parts]),
        end_s=np.concatenate([part.end_s for part in parts]),
        mean_share=mean,
        peak_share=peak,
        usd_per_h=cores * price,
        marks=marks,
    )


def _class(classes: Classes, name: str) -> str:
    if name not in classes:
        raise ValueError(f"workloads.negotiation.tenants: class {name!r} is unknown; there are: {', '.join(classes)}")
    return classes[name].agent


def _servers(settings: Settings, vms: Population) -> _Part:
    """Return the VMs on servers: rented ones go by their workload, those that carry serving by their endpoint."""
    index = {tenant.id: number for number, tenant in enumerate(settings.tenants)}
    rented = np.array([index.get(name, -1) for name in vms.workload_ids] + [-1], dtype=np.int64)
    workload = rented[vms.workload]
    for vm, endpoint in vms.endpoints.items():
        workload[vm] = index.get(endpoint, -1)
    mine = np.flatnonzero((workload >= 0) & (vms.gpus > 0))
    return _Part(
        mine, workload[mine], vms.gpus[mine], np.zeros(len(mine), dtype=np.int64), vms.arrive_s[mine], vms.end_s[mine],
        vms.day_shares()[:, mine], lambda: tuple(vms.ids[vm] for vm in mine.tolist()),
    )  # fmt: skip


def _hosts(settings: Settings, vms: HostPopulation) -> _Part:
    """Return the VMs on hosts."""
    index = {tenant.id: number for number, tenant in enumerate(settings.tenants)}
    workload = np.array([index.get(name, -1) for name in vms.workload_ids] + [-1], dtype=np.int64)[vms.workload]
    mine = np.flatnonzero(workload >= 0)
    return _Part(
        mine, workload[mine], vms.vcpus[mine], vms.memory_bytes[mine], vms.arrive_s[mine], vms.end_s[mine],
        vms.day_shares()[:, mine], lambda: tuple(vms.ids[vm] for vm in mine.tolist()),
    )  # fmt: skip


def _dealt(settings: Settings, workload: Ints, pool: Ints, cores: Ints, first: Ints, seed: int) -> tuple[Ints, Floats]:
    """Return the deployment and the marks of each VM."""
    deployment, marks = np.zeros(len(workload), dtype=np.int64), np.zeros((len(workload), MARKS))
    for number, tenant in enumerate(settings.tenants):
        for place in (SERVERS, HOSTS):
            mine = np.flatnonzero((workload == number) & (pool == place))
            if not len(mine):
                continue
            names = ("workloads", "tenants", tenant.id, str(place))
            own = _even(len(mine), 1, tenant.deployments, stream(seed, *names))[:, 0] * tenant.deployments
            deployment[mine] = first[number] + own.astype(np.int64)
            for each in range(tenant.deployments):
                these = mine[deployment[mine] == first[number] + each]
                for size in np.unique(cores[these]).tolist():
                    alike = these[cores[these] == size]
                    marks[alike] = _even(len(alike), MARKS, _DEALT, stream(seed, *names, str(each), str(size)))
    return deployment, marks


def _even(count: int, columns: int, parts: int, random: np.random.Generator) -> Floats:
    """Return even draws of 0 to 1, shape (count, columns); of each so many in a row, every part of 0 to 1 of that size has one.

    The first ones are the same however many are drawn.
    """
    drawn = random.random((-(-count // parts), 2, parts, columns))
    strata = np.argsort(np.argsort(drawn[:, 0], axis=1), axis=1)
    return np.asarray(((strata + drawn[:, 1]) / parts).reshape(-1, columns)[:count])

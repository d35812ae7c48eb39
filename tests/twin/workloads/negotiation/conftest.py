"""VMs that negotiate, without a site, and their bills."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.tables import Sink
from twin.workloads.negotiation.bills import Bills, Treated
from twin.workloads.negotiation.capacity import Pools
from twin.workloads.negotiation.tenants import Tenants
from twin.workloads.negotiation.treatments import discounts


def _tenants(vms: int = 6, seed: int = 3) -> Tenants:
    """Return VMs of three workloads in turn, one in three of them on servers with GPUs; each workload has two deployments."""
    rng = np.random.default_rng(seed)
    workload = np.arange(vms) % 3
    pool = np.where(workload == 2, 1, 0)
    cores = np.where(pool == 1, 8, rng.choice([2, 4, 8], vms))
    return Tenants(
        workload_ids=("web", "batch", "chat"),
        deployment_ids=tuple(f"{name}/{number}" for name in ("web", "batch", "chat") for number in (1, 2)),
        class_id=("microservices", "big-data", "search"),
        agent=("microservices", "batch", "endpoint"),
        vm_ids=lambda: tuple(f"vm-{number}" for number in range(vms)),
        outer=np.arange(vms),
        pool=pool,
        workload=workload,
        deployment=workload * 2 + (np.arange(vms) // 3) % 2,
        deployment_workload=np.repeat(np.arange(3), 2),
        cores=cores,
        memory_bytes=cores * (4 << 30),
        arrive_s=np.zeros(vms),
        end_s=np.full(vms, np.inf),
        mean_share=np.full(vms, 0.35),
        peak_share=np.full(vms, 0.5),
        usd_per_h=np.where(pool == 1, 4.0, 0.048) * cores,
        marks=rng.random((vms, 8)),
    )


def _treated(tenants: Tenants, **said: Any) -> Treated:
    """Return how all VMs are treated: opaque ones that run, 35 % busy, in pools of twice their cores, unless it is said otherwise."""
    vm = np.asarray(said.pop("vm", np.arange(len(tenants))))
    count = len(vm)
    plain: dict[str, Any] = {
        "granted": np.zeros(count, dtype=np.int64),
        "size_share": np.ones(count),
        "clock_share": np.ones(count),
        "running": np.ones(count, dtype=np.bool_),
        "moved": np.zeros(count, dtype=np.bool_),
        "busy_share": np.full(count, 0.35),
    }
    given = {name: np.broadcast_to(said.pop(name, value), (count,)).astype(value.dtype) for name, value in plain.items()}
    total = np.bincount(tenants.pool, weights=2.0 * tenants.cores, minlength=2)
    rest = {"why": None, "carbon_kg_per_kwh": 0.4, "pools": Pools(total, np.zeros(2), np.zeros(2)), **said}
    return Treated(vm=vm, **given, **rest)


@dataclass
class Till:
    """Bills of some VMs, with the VMs that had a requirement broken in whatever hour is asked for."""

    tenants: Tenants
    taken_off: dict[str, float] = field(default_factory=lambda: dict(discounts()))
    broken: tuple[int, ...] = ()
    t_s: float = 0.0

    def __post_init__(self) -> None:
        self.bills = Bills(self.tenants, self.taken_off)
        self.sink = Sink({"tenant": self.tenants.workload_ids, "tenant_vm": self.tenants.vm_ids()})

    def mask(self, t_s: float) -> np.ndarray:
        del t_s
        return np.isin(np.arange(len(self.tenants)), self.broken)

    def go(self, until_s: float, tick_s: float = 60.0, **said: Any) -> "Till":
        """Treat VMs alike up to a time."""
        treated = _treated(self.tenants, **said)
        while self.t_s < until_s:
            end_s = min(self.t_s + tick_s, until_s)
            self.bills.account(self.t_s, end_s, treated, self.mask)
            self.bills.write(self.sink)
            self.t_s = end_s
        return self

    def tables(self) -> dict[str, pl.DataFrame]:
        """Close the run and return its tables."""
        self.bills.close(self.t_s, self.mask)
        self.bills.write(self.sink)
        return self.sink.frames()


@pytest.fixture(scope="session")
def tenants_of() -> Callable[..., Tenants]:
    """``tenants_of(vms, seed)``: VMs of three workloads in turn."""
    return _tenants


@pytest.fixture(scope="session")
def treated() -> Callable[..., Treated]:
    """``treated(tenants, **said)``: one tick of them."""
    return _treated


@pytest.fixture(scope="session")
def till() -> Callable[..., Till]:
    """``till(tenants, taken_off, broken)``: bills that are run by hand."""
    return Till

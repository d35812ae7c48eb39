"""VMs that negotiate, without a site, and their bills."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.tables import Sink
from twin.workloads.levers import OffersAction, OffersObservation, Spare
from twin.workloads.negotiation import keys
from twin.workloads.negotiation.bills import Bills, Treated
from twin.workloads.negotiation.capacity import Pools
from twin.workloads.negotiation.maintenance import Site
from twin.workloads.negotiation.messages import MessageLog
from twin.workloads.negotiation.platform import Done, Platform
from twin.workloads.negotiation.requirements import Requirements
from twin.workloads.negotiation.settings import Settings
from twin.workloads.negotiation.situation import situation
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


_PERMISSIVE = {"preemptible": 1, "preemptibility_share": 1, "availability_nines": 2, "scale_up_down": 1, "delay_tolerance_s": 3600}


@dataclass
class Floor:
    """VMs under one platform on two rows, driven by hand: what a holder wants of all of them, and what they hint, is said tick by tick.

    ``agents`` answer for the three workloads; notices reach VMs after ``way_s``; hints are permissive where nothing else is said.
    """

    vms: int = 6
    agents: tuple[str, str, str] = ("silent", "silent", "silent")
    way_s: float = 0.05
    tick_s: float = 15.0
    maintenance_per_day: float = 0.0
    seed: int = 3
    tenants: Tenants | None = None

    def __post_init__(self) -> None:
        self.tenants = replace(_tenants(self.vms) if self.tenants is None else self.tenants, agent=self.agents)
        settings = Settings(maintenance_per_day=self.maintenance_per_day)
        self.log, site = MessageLog(), Site(("row-1", "row-2"), (("host-1", "host-2"), ("server-1", "server-2")))
        reach = {"site": site, "reach_s": lambda t_s, vm: np.full(len(vm), t_s + self.way_s)}
        self.platform = Platform(self.tenants, settings, self.log, self.seed, **reach)
        self.requirements = Requirements(self.tenants)
        self.sink = Sink({"tenant": self.tenants.workload_ids, "tenant_vm": self.tenants.vm_ids()})
        self.t_s, self.hints, self.row_power_w = 0.0, dict(_PERMISSIVE), np.array([200e3, 200e3])

    def seen(self, vm: np.ndarray, busy: Any) -> OffersObservation:
        """Return the VMs as the next tick sees them; even ones stand in the first row."""
        count, whole, platform = len(vm), self.tenants, self.platform
        plain = {key.name: np.full(count, float(key.default)) for key in keys.KEYS}
        hinted = {name: np.broadcast_to(np.asarray(value, dtype=np.float64), (self.vms,))[vm].copy() for name, value in self.hints.items()}
        zeros, cores = np.zeros(2), np.full(2, 1000.0)
        return OffersObservation(
            t_s=self.t_s,
            tick_s=self.tick_s,
            workload_ids=whole.workload_ids,
            vm=vm,
            workload=whole.workload[vm],
            deployment=whole.deployment[vm],
            pool=whole.pool[vm],
            place=vm % 2,
            row=vm % 2,
            cores=whole.cores[vm],
            memory_bytes=whole.memory_bytes[vm],
            arrive_s=whole.arrive_s[vm],
            hints=plain | hinted,
            granted=platform.granted[vm],
            size_share=platform.size_share[vm],
            clock_share=platform.clock_share[vm],
            running=platform.running[vm],
            moved=platform.gone[vm],
            noticed=platform.noticed[vm],
            declined=platform.declined(self.t_s)[vm],
            busy_share=np.broadcast_to(np.asarray(busy, dtype=np.float64), (self.vms,))[vm].copy(),
            peak_share=whole.peak_share[vm],
            power_w=np.full(count, 100.0),
            changed=np.zeros(count, dtype=np.bool_),
            deployment_vms=np.bincount(whole.deployment[vm], minlength=len(whole.deployment_ids)),
            surplus_unlimited=False,
            spare=Spare(cores, zeros, zeros, zeros, zeros, zeros, self.row_power_w, np.array([250e3, 250e3]), 0.4),
        )

    def tick(self, vm: Any = None, busy: Any = 0.35, objective_met: Any = None, **wanted: Any) -> Done:
        """Go one tick on; what is wanted (``take``, ``size_share``, …) is said of all VMs, else they are left alone."""
        vm = np.arange(self.vms) if vm is None else np.asarray(vm)
        plain: dict[str, Any] = {"granted": 0, "size_share": 1.0, "clock_share": 1.0, "take": 0, "cause": 0}
        parts = {
            name: np.broadcast_to(np.asarray(wanted.get(name, value), dtype=type(value)), (self.vms,))[vm].copy()
            for name, value in plain.items()
        }
        seen = self.seen(vm, busy)
        fares = situation(seen, objective_met)
        done = self.platform.act(self.t_s, seen, OffersAction(**parts), fares)
        self.said = self.platform.agents.hints(self.t_s, self.t_s + self.tick_s, fares)
        self.requirements.account(self.t_s, self.t_s + self.tick_s, seen, self.platform)
        self.t_s += self.tick_s
        return done

    def ticks(self, count: int, **said: Any) -> list[Done]:
        """Go on so many ticks."""
        return [self.tick(**said) for _ in range(count)]

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return what was written; the hour that runs is ended."""
        self.requirements.close(self.t_s)
        for part in (self.platform, self.log, self.requirements):
            part.write(self.sink)
        return self.sink.frames()


@pytest.fixture(scope="session")
def floor() -> Callable[..., Floor]:
    """``floor(vms, agents, …)``: a platform that is driven by hand."""
    return Floor

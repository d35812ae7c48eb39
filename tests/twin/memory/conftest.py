"""Drives the model of memory by hand: VMs on the example's hosts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest

from policies.baselines.pickers import least_loaded
from twin.clock import Clock, Window
from twin.faults import Fault
from twin.fleet import Fleet
from twin.memory.demand import HostEvents, HostVms, Ints, PastDemand
from twin.memory.levers import PoolAction, TopologyAction
from twin.memory.model import Model, Settings
from twin.memory.readings import READINGS
from twin.metrics import Asked
from twin.scenario import load
from twin.stack import State
from twin.tables import Sink

GIB = 1 << 30
HOST_VCPUS = 40
CLOCK = Clock.of(datetime.fromisoformat("2025-07-01"), "UTC")


@dataclass
class Stand:
    """VMs that come and go: ``begin_s``, ``end_s``, ``host``, ``gib``, ``vcpus`` by VM. What ends after the last second stays."""

    host: Ints
    begin_s: np.ndarray
    end_s: np.ndarray
    gib: Ints
    vcpus: Ints
    bound_share: float = 0.2

    @property
    def vms(self) -> HostVms:
        return HostVms(self.gib * GIB, self.vcpus, np.full(len(self.gib), self.bound_share))

    def events(self, since_s: float, until_s: float) -> HostEvents:
        """Events after ``since_s`` (at 0 those at 0 too) up to ``until_s``; at one time ends come first."""
        count = len(self.host)
        t_s, vm = np.concatenate([self.begin_s, self.end_s]), np.tile(np.arange(count), 2)
        begins = np.repeat([True, False], count)
        order = np.lexsort([vm, begins, t_s])
        order = order[(t_s[order] <= until_s) & ((t_s[order] > since_s) | ((since_s == 0.0) & (t_s[order] == 0.0)))]
        return HostEvents(t_s[order], vm[order], self.host[vm[order]], begins[order])


def _stream(seed: int, hosts: int, vms: int, span_s: float, largest_gib: int = 24) -> Stand:
    """Return VMs at random over hosts and time; a fifth stands from the start."""
    rng = np.random.default_rng(seed)
    begin_s = np.round(rng.uniform(0.0, span_s, vms), 1)
    begin_s[: vms // 5] = 0.0
    end_s = begin_s + np.round(rng.exponential(span_s / 3, vms), 1) + 0.1
    sizes = rng.integers(1, largest_gib + 1, vms)
    return Stand(rng.integers(0, hosts, vms), begin_s, end_s, sizes, rng.integers(1, 5, vms))


def _past(seed: int, hosts: int = 15, vms: int = 300, largest: int = 20) -> PastDemand:
    """Return VMs below ``largest`` GiB that came at random within 900 of 1000 s, to stay for 200 s on average."""
    rng = np.random.default_rng(seed)
    begin = rng.random(vms) * 900.0
    t_s = np.concatenate([begin, begin + rng.exponential(200.0, vms)])
    order = np.argsort(t_s, kind="stable")
    order = order[t_s[order] <= 1000.0]
    vm, none = np.tile(np.arange(vms), 2)[order], np.zeros(vms)
    events = HostEvents(t_s[order], vm, rng.integers(0, hosts, vms)[vm], (np.arange(2 * vms) < vms)[order])
    return PastDemand(hosts, HostVms(rng.integers(1, largest, vms) * GIB, none.astype(np.int64), none), events, 1000.0)


def _steady(hosts: int, gib: int, vcpus: int = 8, bound_share: float = 0.2) -> Stand:
    """Return one VM on each host that never ends."""
    many = np.ones(hosts, dtype=np.int64)
    return Stand(np.arange(hosts), np.zeros(hosts), np.full(hosts, 1e9), many * gib, many * vcpus, bound_share)


@dataclass
class Drive:
    """One run of the model alone."""

    model: Model
    stand: Stand
    sink: Sink
    pick: Any = least_loaded
    migrate: bool = False
    snapshots: dict[float, State] = field(default_factory=dict)

    def go(self, until_s: float, tick_s: float = 10.0, keep: Sequence[float] = ()) -> "Drive":
        while self.model.t_s < until_s - 1e-9:
            since_s = self.model.t_s
            end_s = min(since_s + tick_s, until_s)
            action = PoolAction(np.zeros(len(self.model.device_ids)), self.migrate)
            self.model.advance(end_s, self.stand.events(since_s, end_s), self.pick, action)
            self.model.record(self.sink)
            if end_s in keep:
                self.snapshots[end_s] = self.model.snapshot()
        return self

    def tables(self) -> dict[str, pl.DataFrame]:
        """Close the run and return its tables."""
        self.model.close(self.sink)
        return self.sink.frames()


def _drive(
    fleet: Fleet, stand: Stand, action: TopologyAction, faults: Sequence[Fault] = (), start: State | None = None, **settings: Any
) -> Drive:
    """Return a model that is built and, where a snapshot is given, goes on from it."""
    model = Model(Settings(**settings), fleet, stand.vms, HOST_VCPUS, faults)
    model.build(action)
    if start is not None:
        model.restore(start)
    return Drive(model, stand, Sink({"host": fleet.host_ids, "pod": model.pod_ids, "device": model.device_ids}))


def _asked(tables: dict[str, pl.DataFrame], span_s: float, window: Window | None = None) -> Asked:
    return Asked({name: frame.lazy() for name, frame in tables.items()}, CLOCK, span_s, (), window)


def _metrics(tables: dict[str, pl.DataFrame], span_s: float, window: Window | None = None) -> dict[str, float | None]:
    """Return every metric of memory, by its name without the domain."""
    question = _asked(tables, span_s, window)
    return {name.removeprefix("memory."): reading(question) for name, reading in READINGS.items()}


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    """96 hosts in one row of four racks."""
    return load("example").fleet


@pytest.fixture(scope="session")
def drive(fleet: Fleet) -> Callable[..., Drive]:
    """``drive(stand, action, faults, start, **settings)``: a model of memory on the example's hosts, ready to go."""
    return partial(_drive, fleet)


@pytest.fixture(scope="session")
def steady(fleet: Fleet) -> Callable[..., Stand]:
    """``steady(gib, vcpus, bound_share)``: one VM on each host that never ends."""
    return partial(_steady, len(fleet.host_ids))


@pytest.fixture(scope="session")
def coming(fleet: Fleet) -> Callable[..., Stand]:
    """``coming(seed, vms, span_s, largest_gib)``: VMs that come and go."""
    return lambda seed, *rest, **more: _stream(seed, len(fleet.host_ids), *rest, **more)


@pytest.fixture(scope="session")
def past_of() -> Callable[..., PastDemand]:
    """``past_of(seed, hosts, vms, largest)``: what stood on hosts for 1000 s before."""
    return _past


@pytest.fixture(scope="session")
def metrics() -> Callable[..., dict[str, float | None]]:
    """``metrics(tables, span_s, window)``: every metric of memory."""
    return _metrics

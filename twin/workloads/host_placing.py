"""Who stands on which host when, drawn and placed before the first tick."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.chance import stream
from twin.clock import DAY_S, Clock
from twin.fleet import Fleet
from twin.workloads.host_population import HostPopulation, host_vcpus, populate_hosts
from twin.workloads.host_streams import HostDrawn, HostStream, draw
from twin.workloads.host_trace import HostTrace, played, read
from twin.workloads.hosting import NO_HOST, HostEvents, events_of, place
from twin.workloads.load import Load
from twin.workloads.population import place as named_places
from twin.workloads.settings import Settings, VmGroup

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_PAST_DAYS: Final = 3
_COLUMNS: Final = tuple(field.name for field in fields(HostDrawn))


@dataclass(frozen=True, slots=True)
class Placed:
    """VMs, the host of each (``NO_HOST`` where none had room), and the events of those with a host over ``span_s`` seconds."""

    vms: HostPopulation
    vm_host: Ints
    events: HostEvents
    span_s: float


@dataclass(frozen=True, slots=True)
class _Named:
    """A name that tenants of a trace are dealt to."""

    workload: str
    memory_bound_share: float
    load: Load


def placed(settings: Settings, fleet: Fleet, clock: Clock, horizon_s: float, seed: int) -> Placed:
    """Return the VMs of a run: it goes on where the past ends, with the VMs that stand there, on their hosts."""
    return _placed(settings, fleet, clock, horizon_s, seed, past=False)


def placed_before(settings: Settings, fleet: Fleet, clock: Clock, seed: int) -> Placed:
    """Return the VMs of the time before a run: of a trace what comes before, of streams three days."""
    return _placed(settings, fleet, clock, 0.0, seed, past=True)


def _placed(settings: Settings, fleet: Fleet, clock: Clock, horizon_s: float, seed: int, *, past: bool) -> Placed:
    """Draw and place everybody from the past's beginning to the run's end, and take the part that is asked for."""
    trace = settings.host_trace
    before_s = _PAST_DAYS * DAY_S if trace is None else trace.from_s
    until_s = before_s + horizon_s
    owners, of, whole = _streamed(settings, fleet, clock, until_s, seed) if trace is None else _traced(trace, fleet, seed)
    random = stream(seed, "workloads", "host-places")
    hosts = place(whole.arrive_s, whole.end_s, whole.vcpus, free_vcpus(settings, fleet), random, until_s)
    begin_s = 0.0 if past else before_s
    # Those who were turned away before the run began do not come back.
    mine = (whole.arrive_s < until_s) & (whole.end_s > begin_s) & ((whole.arrive_s > begin_s) | (hosts != NO_HOST))
    part = HostDrawn(**{name: getattr(whole, name)[mine] for name in _COLUMNS})
    shifted = replace(part, arrive_s=np.maximum(part.arrive_s - begin_s, 0.0), end_s=part.end_s - begin_s)
    return _settled(settings, fleet, owners, of[mine], shifted, hosts[mine], until_s - begin_s)


def named_hosts(settings: Settings, fleet: Fleet) -> tuple[list[VmGroup], Ints]:
    """Return the groups of the VMs that fill a named host, and these hosts."""
    groups, chosen = named_places(settings, fleet)
    mine = [(settings.vms[group], host) for group, (kind, host) in zip(groups, chosen, strict=True) if kind == 1]
    return [group for group, _ in mine], np.array([host for _, host in mine], dtype=np.int64)


def free_vcpus(settings: Settings, fleet: Fleet) -> Ints:
    """Return what each host has for VMs that come and go, shape H."""
    free = np.full(len(fleet.host_ids), host_vcpus(), dtype=np.int64)
    free[named_hosts(settings, fleet)[1]] = 0
    return free


def check_hosts(settings: Settings, fleet: Fleet, horizon_s: float) -> None:
    """Raise ValueError where VMs are asked for that the fleet's hosts cannot hold on average, or that a trace is too short for."""
    if not settings.host_streams and settings.host_trace is None:
        return
    key = "host_streams" if settings.host_trace is None else "host_trace"
    free, size = free_vcpus(settings, fleet), host_vcpus()
    if not len(free):
        raise ValueError(f"workloads.{key}: the fleet has no CPU hosts; add a row of kind host or remove it")
    large = next((asked for asked in settings.host_streams if asked.largest_vcpus > size), None)
    if large is not None:
        raise ValueError(
            f"workloads.{key}: {large.workload}: no host takes {large.largest_vcpus} vCPUs, each has {size}; change size_shares"
        )
    trace = settings.host_trace
    held = sum(asked.held_vcpus(size * len(free)) for asked in settings.host_streams)
    held += trace.vcpus_share * size * len(free) if trace else 0.0
    if held > free.sum() * (1.0 + 1e-9):
        lower = "vcpus_share" if trace else "vcpus_share or rate_per_h"
        raise ValueError(
            f"workloads.{key}: VMs would hold {held:,.0f} vCPUs on average and the hosts have {free.sum():,} left for them; lower {lower}"
        )
    if trace and (span_s := read(trace.name, 0).span_s) < trace.from_s + horizon_s:
        raise ValueError(
            f"workloads.host_trace: {trace.name} lasts {span_s:,.0f} s and the run plays it from {trace.from_s:,.0f} s to "
            f"{trace.from_s + horizon_s:,.0f} s; shorten horizon_s or lower from_s"
        )


def _streamed(settings: Settings, fleet: Fleet, clock: Clock, until_s: float, seed: int) -> tuple[Sequence[HostStream], Ints, HostDrawn]:
    """Draw the streams from the past's beginning on: those that stand there first and shuffled, the others as they arrive."""
    asked, total = settings.host_streams, host_vcpus() * len(fleet.host_ids)
    before = Clock(clock.start - timedelta(days=_PAST_DAYS))
    drawn = [draw(each, each.mean_rate_per_s(total), before, until_s, seed, f"{each.workload}/{index}") for index, each in enumerate(asked)]
    of = np.repeat(np.arange(len(drawn)), [len(each.arrive_s) for each in drawn]).astype(np.int64)
    merged = _merged(drawn)
    later = np.flatnonzero(merged.arrive_s > 0.0)
    standing = stream(seed, "workloads", "host-order").permutation(np.flatnonzero(merged.arrive_s <= 0.0))
    order = np.concatenate([standing, later[np.argsort(merged.arrive_s[later], kind="stable")]]).astype(np.int64)
    return asked, of[order], HostDrawn(**{name: getattr(merged, name)[order] for name in _COLUMNS})


def _merged(drawn: Sequence[HostDrawn]) -> HostDrawn:
    none, nothing = np.zeros(0), np.zeros(0, dtype=np.int64)
    parts = (HostDrawn(none, none, nothing, nothing, none, none), *drawn)
    return HostDrawn(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS})


def _traced(asked: HostTrace, fleet: Fleet, seed: int) -> tuple[Sequence[_Named], Ints, HostDrawn]:
    """Return a trace's VMs, whole, with the workload that each one's tenant was dealt to."""
    trace, of = played(asked, host_vcpus() * len(fleet.host_ids), seed)
    shifts = stream(seed, "workloads", "trace-spread").standard_normal((len(trace.vcpus), 2))
    drawn = HostDrawn(
        trace.arrive_s,
        trace.end_s,
        trace.vcpus,
        trace.memory_bytes,
        shifts[:, 0] * asked.load.spread_share,
        shifts[:, 1] * asked.load.spread_h,
    )
    return [_Named(name, asked.memory_bound_share, asked.load) for name in asked.workloads], of, drawn


def _settled(
    settings: Settings,
    fleet: Fleet,
    owners: Sequence[_Named] | Sequence[HostStream],
    of: Ints,
    drawn: HostDrawn,
    hosts: Ints,
    span_s: float,
) -> Placed:
    """Put VMs that fill a named host before those that come and go."""
    groups, own = named_hosts(settings, fleet)
    vms, vm_host = populate_hosts(groups, owners, of, drawn), np.concatenate([own, hosts])
    return Placed(vms, vm_host, events_of(vms.arrive_s, vms.end_s, vm_host, span_s), span_s)

"""Every VM of a run: whose, how large, from when to when."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.chance import stream
from twin.clock import Clock
from twin.fleet import GPUS_PER_SERVER, Fleet, expand
from twin.workloads.load import Load
from twin.workloads.settings import Settings, VmGroup
from twin.workloads.streams import Drawn, draw

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
# Noise is drawn for so many VMs of streams, some at a time; a larger number of them shares it.
_NOISES: Final = 4096
_NOISES_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Population:
    """VMs in the order in which they are numbered, shape V: those with a named place, groups by count, then streams.

    ``gpus`` is 0 for VMs on CPU hosts. ``named`` says how many have a place of their own, ``grouped`` how many belong to
    groups. ``noise`` has a column for each of these, and columns that VMs of streams share; ``noise_column`` and
    ``noise_share`` give a VM's column and what it is multiplied with. ``order`` is the order in which the others ask for a
    place: those that stand at the start shuffled, then as they arrive.
    """

    ids: tuple[str, ...]
    workload_ids: tuple[str, ...]
    endpoints: Mapping[int, str]
    workload: Ints
    opaque: Bools
    gpus: Ints
    arrive_s: Floats
    end_s: Floats
    mean_share: Floats
    swing_share: Floats
    peak_hour: Floats
    weekend_share: Floats
    noise: Floats
    noise_column: Ints
    noise_share: Floats
    order: Ints
    named: int
    grouped: int

    def day_shares(self) -> Floats:
        """Return mean and peak of each VM's load over a weekday without noise, shape (2, V); of an endpoint's VM what it declares."""
        mean = np.clip(self.mean_share, 0.0, 1.0)
        return np.stack([mean, np.clip(self.mean_share + self.swing_share, 0.0, 1.0)])

    def exogenous(self) -> str:
        """Return a hash of what no policy can change: which VMs arrive when, how large they are and when they leave."""
        digest = hashlib.sha256(json.dumps(self.ids[self.named :]).encode())
        for values in (self.gpus, self.arrive_s, self.end_s):
            digest.update(np.ascontiguousarray(values[self.named :]).tobytes())
        return digest.hexdigest()


def place(settings: Settings, fleet: Fleet) -> tuple[list[int], list[tuple[int, int]]]:
    """Return of each VM with a named place its group and place: (0, server index) or (1, host index).

    ValueError names a place that is not free.
    """
    places = {name: (0, i) for i, name in enumerate(fleet.server_ids)} | {name: (1, i) for i, name in enumerate(fleet.host_ids)}
    taken: set[tuple[int, int]] = set()
    groups: list[int] = []
    chosen: list[tuple[int, int]] = []
    for index, group in enumerate(settings.vms):
        for name in expand(group.servers):
            if name not in places:
                raise ValueError(f"workloads.vms: {group.workload}: the fleet has no server or host {name!r}")
            if places[name] in taken:
                raise ValueError(f"workloads.vms: {group.workload}: {name} is taken already; each carries one VM")
            taken.add(places[name])
            groups.append(index)
            chosen.append(places[name])
    return groups, chosen


def growth(settings: Settings, fleet: Fleet) -> float:
    """Return how many times as much is asked of this site as of the one that was built."""
    if not settings.follow_capacity:
        return 1.0
    servers = len(fleet.server_ids)
    return servers / (servers - int(fleet.row_extra_servers.sum()))


def counts(settings: Settings, fleet: Fleet) -> list[int]:
    """Return how many VMs of each group look for a place."""
    return [round((group.count or 0) * growth(settings, fleet)) for group in settings.vms]


def carried(settings: Settings, fleet: Fleet) -> dict[str, int]:
    """Return how many VMs each serving endpoint is given."""
    found: dict[str, int] = {}
    for group, count in zip(settings.vms, counts(settings, fleet), strict=True):
        if group.kind == "saas":
            name = group.endpoint or group.workload
            found[name] = found.get(name, 0) + count + len(expand(group.servers))
    return found


def check_room(settings: Settings, fleet: Fleet) -> None:
    """Raise ValueError where VMs are asked for that the fleet as built cannot hold on average."""
    _, chosen = place(settings, fleet)
    gpus = len(fleet.gpu_servers)
    fixed = GPUS_PER_SERVER * (sum(1 for kind, _ in chosen if kind == 0) + sum(counts(settings, fleet)))
    if fixed > gpus:
        raise ValueError(f"workloads.vms: {fixed} GPUs are asked for and the fleet has {gpus}; lower count")
    held = sum(asked.held_gpus(gpus) for asked in settings.arrivals)
    if fixed + held > gpus * (1.0 + 1e-9):
        raise ValueError(
            f"workloads.arrivals: VMs would hold {held:,.0f} GPUs on average beside {fixed} of groups, and the fleet has {gpus}; "
            "lower gpus_share or rate_per_h"
        )


def populate(settings: Settings, fleet: Fleet, clock: Clock, horizon_s: float, seed: int) -> Population:
    """Draw every VM of a run."""
    groups, chosen = place(settings, fleet)
    named = len(groups)
    groups = groups + [index for index, count in enumerate(counts(settings, fleet)) for _ in range(count)]
    times = growth(settings, fleet)
    built = len(fleet.gpu_servers) - GPUS_PER_SERVER * int(fleet.row_extra_servers.sum())
    streams = [
        draw(asked, times * asked.mean_rate_per_s(built), clock, horizon_s, seed, f"{asked.workload}/{index}")
        for index, asked in enumerate(settings.arrivals)
    ]
    workload_ids = tuple(dict.fromkeys([group.workload for group in settings.vms] + [asked.workload for asked in settings.arrivals]))
    table = _by_arrival(streams)
    on_host = np.array([kind for kind, _ in chosen] + [0] * (len(groups) - named), dtype=np.int64)
    own = [settings.vms[group] for group in groups]
    shifts = _shifts(own, seed)
    # Load of groups, then of streams, with the VM's own shifts.
    loads = [group.load for group in own] + [settings.arrivals[index].load for index in table.stream]
    mean = np.array([load.mean_share for load in loads]) + np.concatenate([shifts[0], table.mean_shift_share])
    peak = np.array([load.peak_hour for load in loads]) + np.concatenate([shifts[1], table.peak_shift_h])
    workloads = [group.workload for group in own] + [settings.arrivals[index].workload for index in table.stream]
    kinds = np.array([group.kind == "iaas" for group in own] + [True] * len(table.stream), dtype=np.bool_)
    noise, column, amplitude = _noise(settings, loads, len(own), horizon_s, seed)
    arrive_s = np.concatenate([np.zeros(len(own)), table.arrive_s])
    return Population(
        ids=tuple(f"{workload}/vm-{i}" for i, workload in enumerate(workloads)),
        workload_ids=workload_ids,
        endpoints={vm: group.endpoint or group.workload for vm, group in enumerate(own) if group.kind == "saas"},
        workload=np.array([workload_ids.index(workload) for workload in workloads], dtype=np.int64),
        opaque=kinds,
        gpus=np.concatenate([np.where(on_host == 1, 0, GPUS_PER_SERVER), table.gpus]).astype(np.int64),
        arrive_s=arrive_s,
        end_s=np.concatenate([np.full(len(own), np.inf), table.end_s]),
        mean_share=mean,
        swing_share=np.array([load.swing_share for load in loads]),
        peak_hour=peak,
        weekend_share=np.array([load.weekend_share for load in loads]),
        noise=noise,
        noise_column=column,
        noise_share=amplitude,
        order=_order(arrive_s, named, seed),
        named=named,
        grouped=len(own),
    )


class _Streamed(NamedTuple):
    """The VMs of all streams by arrival: which stream, and what was drawn."""

    stream: Ints
    arrive_s: Floats
    end_s: Floats
    gpus: Ints
    mean_shift_share: Floats
    peak_shift_h: Floats


def _by_arrival(streams: Sequence[Drawn]) -> _Streamed:
    index = np.repeat(np.arange(len(streams)), [len(each.arrive_s) for each in streams]).astype(np.int64)
    fields = ("arrive_s", "end_s", "gpus", "mean_shift_share", "peak_shift_h")
    columns = [np.concatenate([getattr(each, name) for each in streams]) if streams else np.zeros(0) for name in fields]
    order = np.argsort(columns[0], kind="stable")
    arrive_s, end_s, gpus, mean_shift, peak_shift = (column[order] for column in columns)
    return _Streamed(index[order], arrive_s, end_s, gpus.astype(np.int64), mean_shift, peak_shift)


def _shifts(own: Sequence[VmGroup], seed: int) -> tuple[Floats, Floats]:
    """Return how VMs of groups differ from their template in mean load and hour of the peak; nothing where it has no spread."""
    drawn = stream(seed, "workloads", "spread").standard_normal((len(own), 2))
    share, hours = np.array([[group.load.spread_share, group.load.spread_h] for group in own]).reshape(-1, 2).T
    return np.asarray(drawn[:, 0] * share), np.asarray(drawn[:, 1] * hours)


def _noise(settings: Settings, loads: Sequence[Load], grouped: int, horizon_s: float, seed: int) -> tuple[Floats, Ints, Floats]:
    holds = int(np.ceil(horizon_s / settings.noise_hold_s)) + 2
    own = stream(seed, "workloads", "load").standard_normal((holds, grouped)) * np.array([load.noise_share for load in loads[:grouped]])
    count = len(loads) - grouped
    # Drawn hour by hour in blocks of one width: a longer horizon has more hours and more VMs, and leaves the first ones as they were.
    width = min(count, _NOISES)
    blocks = range(-(-width // _NOISES_AT_ONCE))
    drawn = [stream(seed, "workloads", "stream-load", str(block)).standard_normal((holds, _NOISES_AT_ONCE)) for block in blocks]
    shared = np.concatenate([np.zeros((holds, 0)), *drawn], axis=1)[:, :width]
    column = np.concatenate([np.arange(grouped), grouped + np.arange(count) % _NOISES]).astype(np.int64)
    amplitude = np.array([1.0] * grouped + [load.noise_share for load in loads[grouped:]])
    return np.concatenate([own, shared], axis=1), column, amplitude


def _order(arrive_s: Floats, named: int, seed: int) -> Ints:
    """Return in which order VMs without a named place ask for one."""
    standing = named + np.flatnonzero(arrive_s[named:] <= 0.0)
    later = named + np.flatnonzero(arrive_s[named:] > 0.0)
    return np.concatenate([stream(seed, "workloads", "order").permutation(standing), later]).astype(np.int64)

"""What a pod loses when parts of it fail, and what capacity it needs then."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.chance import stream
from twin.memory.demand import PastDemand
from twin.memory.optimum import least_peak
from twin.memory.outages import DEVICE, LINK, SWITCH, Place, exists, lost
from twin.memory.pods import Pod
from twin.memory.terms import Terms
from twin.memory.tiling import Tiling

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Failure:
    """What is gone while parts of a pod (H hosts) have failed.

    ``devices_lost`` (H) counts the devices that each host reaches no more; ``hosts_hit`` are the hosts that lose any, ``isolated``
    those that lose all: their pooled memory, ``stranded_bytes``, fits nowhere. ``pairs_lost`` (P, 2) are the hosts that shared a
    device and share none now. ``lost_bytes`` is what lay on what failed. ``need_before_bytes`` and ``need_after_bytes`` are the
    least capacity of every device that holds the demand, as a linear program finds it.
    """

    devices_lost: Ints
    hosts_hit: Ints
    isolated: Ints
    pairs_lost: Ints
    one_hop_before_share: float
    one_hop_after_share: float
    lost_bytes: float
    stranded_bytes: float
    need_before_bytes: float
    need_after_bytes: float

    @property
    def more_capacity_share(self) -> float:
        """How much larger devices must be than without the failure; 0 where nothing is asked for."""
        return self.need_after_bytes / self.need_before_bytes - 1.0 if self.need_before_bytes > 0.0 else 0.0


def what_if(
    pod: Pod,
    demand_bytes: Ints | Floats,
    *,
    devices: Sequence[int] = (),
    links: Sequence[tuple[int, int]] = (),
    switches: Sequence[int] = (),
    held_bytes: Ints | Floats | None = None,
) -> Failure:
    """Return what the failure of devices, links (host, port) and switches, all counted from 0, takes from one pod.

    ``demand_bytes`` (H) is the pooled memory of each host's VMs. ``held_bytes`` (H, R) says how much of it lies on each device of
    the host's reach; without it, it is spread evenly. Raises ValueError, one line, for what the pod does not have.
    """
    gone = [Place(DEVICE, i) for i in devices] + [Place(LINK, *at) for at in links] + [Place(SWITCH, i) for i in switches]
    open_links = ~_shut(pod, gone)
    demand = np.asarray(demand_bytes, dtype=np.float64)
    held = np.asarray(demand[:, None] / pod.reach.shape[1] if held_bytes is None else held_bytes, dtype=np.float64)
    shared, shares = pod.overlap > 0, _overlap(pod, open_links) > 0
    pairs = np.argwhere(np.triu(shared & ~shares, 1))
    isolated = ~open_links.any(axis=1)
    devices_lost = (~open_links).sum(axis=1)
    before, _ = least_peak(pod.reach, pod.devices, demand)
    after, _ = least_peak(pod.reach, pod.devices, np.where(isolated, 0.0, demand), open_links)
    return Failure(
        devices_lost=devices_lost,
        hosts_hit=np.flatnonzero(devices_lost),
        isolated=np.flatnonzero(isolated),
        pairs_lost=pairs,
        one_hop_before_share=_pair_share(shared),
        one_hop_after_share=_pair_share(shares),
        lost_bytes=float(np.where(open_links, 0.0, held).sum()),
        stranded_bytes=float(demand[isolated].sum()),
        need_before_bytes=before,
        need_after_bytes=after,
    )


def more_capacity(pod: Pod, demand_bytes: Ints | Floats, lost_share: float, draws: int = 6, seed: int = 1) -> Floats:
    """Return how much larger devices must be when a share of them has failed, by random draw, shape (draws,).

    With the share p lost, what they held must go on the others: about p / (1 - p) more, and no less where all were full.
    """
    count = round(lost_share * pod.devices)
    random = stream(seed, "memory", "failures", pod.name)
    drawn = [random.permutation(pod.devices)[:count].tolist() for _ in range(draws)]
    return np.array([what_if(pod, demand_bytes, devices=gone).more_capacity_share for gone in drawn])


def demand_at_peak(pod: Pod, past: PastDemand, terms: Terms) -> Ints:
    """Return the pooled memory of each host of a pod (H), in bytes, when the fullest of the pods held the most."""
    tiling = Tiling(pod, past.hosts)
    moved = np.where(past.events.begins, 1, -1) * terms.slices(past.vms.memory_bytes)[past.events.vm]
    of_pod = tiling.host_pods[past.events.host]
    sums = [np.append(0, np.cumsum(np.where(of_pod == number, moved, 0))) for number in range(tiling.pods)]
    fullest = int(np.argmax([levels.max() for levels in sums]))
    upto, first = int(np.argmax(sums[fullest])), fullest * pod.hosts
    mine = of_pod[:upto] == fullest
    host = past.events.host[:upto][mine] - first
    slices = np.bincount(host, weights=moved[:upto][mine], minlength=pod.hosts)
    return np.rint(slices).astype(np.int64) * terms.slice_bytes


def _shut(pod: Pod, places: Sequence[Place]) -> Bools:
    """Return which devices of its reach each host has lost, shape (H, R)."""
    tiling = Tiling(pod, pod.hosts)
    for place in places:
        if not exists(place, tiling):
            has = f"{pod.hosts} hosts x {pod.host_ports} ports, {pod.devices} devices and {pod.switches} switches"
            raise ValueError(f"pod {pod.name} has no {place.name}; it has {has}")
    links, devices = lost(places, tiling)
    return links | devices[pod.reach]


def _overlap(pod: Pod, open_links: Bools) -> Floats:
    """Return how many working devices two hosts share, shape (H, H)."""
    linked = np.zeros((pod.hosts, pod.devices))
    np.put_along_axis(linked, pod.reach, open_links.astype(np.float64), axis=1)
    return np.asarray(linked @ linked.T)


def _pair_share(pairs: Bools) -> float:
    hosts = len(pairs)
    return float(np.triu(pairs, 1).sum()) / (hosts * (hosts - 1) / 2.0) if hosts > 1 else 0.0

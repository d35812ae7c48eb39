"""Faults of the pool: cables, devices and switches that are lost."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.faults import Fault
from twin.memory.tiling import Tiling

Bools = NDArray[np.bool_]
LINK, DEVICE, SWITCH = "cxl_link_loss", "cxl_device_loss", "cxl_switch_loss"
FAULT_KINDS: Final = (LINK, DEVICE, SWITCH)
_ENTITY: Final = {LINK: "link", DEVICE: "device", SWITCH: "switch"}
_EXAMPLES: Final = {LINK: "host-3/port-2", DEVICE: "device-7", SWITCH: "switch-1"}
_NUMBER: Final = {kind: re.compile(rf"^{word}-([1-9]\d{{0,6}})$") for kind, word in ((DEVICE, "device"), (SWITCH, "switch"))}
_PORT: Final = re.compile(r"^(.+)/port-([1-9]\d{0,6})$")


@dataclass(frozen=True, slots=True)
class Place:
    """What a fault strikes: a device or switch by its index, or a port of a host."""

    kind: str
    index: int
    port: int = -1

    @property
    def name(self) -> str:
        """What it is called, counted from 1."""
        word = "host" if self.kind == LINK else _ENTITY[self.kind]
        return f"{word}-{self.index + 1}" + (f"/port-{self.port + 1}" if self.kind == LINK else "")


@dataclass(frozen=True, slots=True)
class Edge:
    """One fault that begins or ends. ``place`` is None where this run's pod has no such part."""

    t_s: float
    fault: Fault
    begins: bool
    place: Place | None

    @property
    def entity(self) -> str:
        """Kind of entity that the fault strikes."""
        return _ENTITY[self.fault.kind]


def check(faults: Sequence[Fault], host_ids: Sequence[str]) -> list[Place]:
    """Return what each fault strikes, counted from 0; ValueError, one line, for a target that no pod could have.

    Whether a device, port or switch of that number is there is up to the pod, which a scenario does not know.
    """
    return [_place(fault, host_ids) for fault in faults]


def _place(fault: Fault, host_ids: Sequence[str]) -> Place:
    if fault.kind not in FAULT_KINDS:
        raise ValueError(f"faults: {fault.kind!r} is not of the memory pool; it is one of {', '.join(FAULT_KINDS)}")
    if fault.severity != 1.0:
        raise ValueError(f"faults: {fault.kind}: severity is {fault.severity:g}; a cable, device or switch is lost whole, leave it out")
    if fault.kind == LINK:
        match = _PORT.match(fault.target)
        if match is None or match[1] not in host_ids:
            known = f"{host_ids[0]}/port-1" if host_ids else _EXAMPLES[LINK]
            raise ValueError(f"faults: {fault.kind}: target {fault.target!r} names no port of a host; write one such as {known}")
        return Place(LINK, list(host_ids).index(match[1]), int(match[2]) - 1)
    match = _NUMBER[fault.kind].match(fault.target)
    if match is None:
        like = _EXAMPLES[fault.kind]
        raise ValueError(f"faults: {fault.kind}: target {fault.target!r} is no {_ENTITY[fault.kind]}; write one such as {like}")
    return Place(fault.kind, int(match[1]) - 1)


def exists(place: Place, tiling: Tiling) -> bool:
    """Return whether the pods of a run have such a part."""
    if tiling.pod is None or place.index < 0:
        return False
    if place.kind == LINK:
        return 0 <= place.port < tiling.pod.host_ports and place.index < tiling.hosts and bool(tiling.pooled[place.index])
    return place.index < (tiling.devices if place.kind == DEVICE else tiling.switches)


def lost(places: Sequence[Place], tiling: Tiling) -> tuple[Bools, Bools]:
    """Return what cannot be used while all these are lost: links, shape (H, R), and devices, shape M.

    A device behind a lost switch is lost with what it held. A cable to a switch takes the host's way to all devices behind it.
    """
    links, devices = np.zeros(tiling.reach.shape, dtype=np.bool_), np.zeros(tiling.devices, dtype=np.bool_)
    for place in places:
        if place.kind == DEVICE:
            devices[place.index] = True
        elif place.kind == SWITCH:
            devices |= tiling.device_switches == place.index
        elif tiling.pod is not None and tiling.pod.switches:
            behind = tiling.device_switches[tiling.reach[place.index]] % tiling.pod.switches
            links[place.index] |= behind == place.port
        else:
            links[place.index, place.port] = True
    return links, devices


class Outages:
    """The faults of a run in the order of their edges, and which of them are on."""

    def __init__(self, faults: Sequence[Fault], host_ids: Sequence[str]) -> None:
        self._places = check(faults, host_ids)
        edges = [(edge_s, edge_s == fault.from_s, i, fault) for i, fault in enumerate(faults) for edge_s in fault.edges_s()]
        # At one time repairs come before new faults.
        self._edges = sorted(edges, key=lambda edge: edge[:3])
        self._next = 0

    def passed(self, t_s: float, tiling: Tiling) -> Iterator[Edge]:
        """Yield every edge up to a time that was not yet passed, and pass it."""
        while self._next < len(self._edges) and self._edges[self._next][0] <= t_s + 1e-9:
            edge_s, begins, i, fault = self._edges[self._next]
            self._next += 1
            yield Edge(edge_s, fault, begins, self._places[i] if exists(self._places[i], tiling) else None)

    def on(self, tiling: Tiling) -> list[Place]:
        """Return what is lost after the edges that were passed."""
        active: dict[int, None] = {}
        for _, begins, i, _ in self._edges[: self._next]:
            if begins:
                active[i] = None
            else:
                active.pop(i, None)
        return [self._places[i] for i in active if exists(self._places[i], tiling)]

    def resume(self, t_s: float) -> None:
        """Stand as if every edge before ``t_s`` had been passed."""
        self._next = sum(1 for edge in self._edges if edge[0] < t_s - 1e-9)

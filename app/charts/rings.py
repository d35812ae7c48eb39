"""Where the hosts, devices and switches of a pod stand in its figure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.charts.statements import count
from twin.memory.pods import NO_ISLAND, Pod

WIDTH: Final = 440.0
HEIGHT: Final = 400.0
_CENTRE: Final = (WIDTH / 2, HEIGHT / 2)
_OUTER: Final = 170.0
# Radii of the devices, as parts of the hosts' ring: inside an island, outside all islands, without islands.
_ISLAND: Final = 0.75
_EXTERNAL: Final = 0.37
_INNER: Final = 0.56
_TOP: Final = 44.0
# Up to this many hosts carry their numbers.
_NUMBERED: Final = 28
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Word:
    """Words in the figure: where, what, how they are anchored, and the node that lights them ('' none)."""

    x: float
    y: float
    text: str
    anchor: str = "middle"
    node: str = ""


@dataclass(frozen=True, slots=True)
class Places:
    """Points (x, y) of hosts (H, 2), devices (M, 2), switches (S, 2); ``bent`` devices (M) take
    curved cables; plates are outlines behind islands, ``gaps`` is how far hosts, and devices, stand
    apart where they are densest."""

    hosts: Floats
    devices: Floats
    switches: Floats
    bent: NDArray[np.bool_]
    plates: tuple[str, ...] = ()
    words: tuple[Word, ...] = ()
    gaps: tuple[float, float] = (12.0, 12.0)

    def point(self, node: str) -> tuple[float, float]:
        """Return where a node such as h0, d5 or s1 stands."""
        group = {"h": self.hosts, "d": self.devices, "s": self.switches}[node[0]]
        x, y = group[int(node[1:])]
        return float(x), float(y)

    def cable(self, one: str, other: str) -> str:
        """Return the path of a cable: straight, or bent towards the middle for devices that stand inside the ring."""
        (x, y), (u, v) = self.point(one), self.point(other)
        if not (other[0] == "d" and self.bent[int(other[1:])]):
            return f"M{x:.1f} {y:.1f}L{u:.1f} {v:.1f}"
        (a, b), (c, d) = _towards((x, y), 0.34), _towards((u, v), -0.45)
        return f"M{x:.1f} {y:.1f}C{a:.1f} {b:.1f} {c:.1f} {d:.1f} {u:.1f} {v:.1f}"


def cables(pod: Pod) -> Iterator[tuple[str, str]]:
    """Return every cable of a pod as a pair of nodes: host and device, or behind switches host and switch, then switch and device."""
    if not pod.switches:
        yield from ((f"h{host}", f"d{device}") for host, row in enumerate(pod.reach.tolist()) for device in row)
        return
    yield from ((f"h{host}", f"s{switch}") for host in range(pod.hosts) for switch in range(pod.switches))
    yield from ((f"s{device * pod.switches // pod.devices}", f"d{device}") for device in range(pod.devices))


def places(pod: Pod) -> Places:
    """Place a pod's nodes: islands on a ring with their devices in their arcs, switches and full pods in columns, others on two rings."""
    if pod.switches or pod.kind == "fully_connected":
        return _columns(pod)
    if int(pod.host_islands.max(initial=NO_ISLAND)) > 0:
        return _islands(pod)
    return _rings(pod)


def _towards(point: tuple[float, float], share: float) -> tuple[float, float]:
    return point[0] + share * (_CENTRE[0] - point[0]), point[1] + share * (_CENTRE[1] - point[1])


def _on(radius: float, angles: Floats) -> Floats:
    return np.column_stack([_CENTRE[0] + radius * np.cos(angles), _CENTRE[1] + radius * np.sin(angles)])


def _arc(count_: int, middle: float, width: float) -> Floats:
    """Return evenly spaced angles in an arc, half a step from its ends."""
    return middle + width * ((np.arange(count_) + 0.5) / max(count_, 1) - 0.5)


def _ring_order(pod: Pod, devices: NDArray[np.int64], angles: Floats) -> Floats:
    """Return the angles of devices on a ring of their own, in the order of the mean direction of their hosts."""
    linked = pod.incidence[:, devices].astype(np.float64)
    # Rounded: directions that cancel must not be ordered by the last bit of a sum.
    mean = np.round(np.column_stack([np.cos(angles) @ linked, np.sin(angles) @ linked]), 6)
    direction = np.arctan2(mean[:, 1], mean[:, 0])
    order = np.lexsort((devices, direction))
    out = np.empty(len(devices))
    out[order] = -np.pi + 2 * np.pi * (np.arange(len(devices)) + 0.5) / max(len(devices), 1)
    return out


def _islands(pod: Pod) -> Places:
    islands = int(pod.host_islands.max()) + 1
    step = 2 * np.pi / islands
    width = step - min(0.16, 0.2 * step)
    hosts, devices = np.empty(pod.hosts), np.empty(pod.devices)
    external = np.flatnonzero(pod.device_islands == NO_ISLAND)
    plates, words = [], []
    for island in range(islands):
        middle = -np.pi / 2 + island * step
        mine, own = np.flatnonzero(pod.host_islands == island), np.flatnonzero(pod.device_islands == island)
        hosts[mine] = _arc(len(mine), middle, width)
        devices[own] = _arc(len(own), middle, width)
        plates.append(_plate(middle, width))
        words.append(_beside(middle, f"island {island + 1}", f"i{island}", 16.0))
    devices[external] = _ring_order(pod, external, hosts)
    radius = np.where(pod.device_islands == NO_ISLAND, _EXTERNAL * _OUTER, _ISLAND * _OUTER)
    placed = np.column_stack([_CENTRE[0] + radius * np.cos(devices), _CENTRE[1] + radius * np.sin(devices)])
    inside = max(pod.devices - len(external), 1)
    gaps = (
        _OUTER * width * islands / pod.hosts,
        min(_ISLAND * _OUTER * width * islands / inside, 2 * np.pi * _EXTERNAL * _OUTER / max(len(external), 1)),
    )
    return Places(_on(_OUTER, hosts), placed, np.empty((0, 2)), pod.device_islands == NO_ISLAND, tuple(plates), tuple(words), gaps)


def _plate(middle: float, width: float) -> str:
    """Return the outline of an island's arc, around its hosts and devices."""
    pad = 0.02
    a, b = middle - width / 2 - pad, middle + width / 2 + pad
    far, near = _OUTER + 9.0, _ISLAND * _OUTER - 8.0
    corners = [*_on(far, np.array([a, b])), *_on(near, np.array([b, a]))]
    large = int(b - a > np.pi)
    p = [f"{x:.1f} {y:.1f}" for x, y in corners]
    return f"M{p[0]}A{far:.1f} {far:.1f} 0 {large} 1 {p[1]}L{p[2]}A{near:.1f} {near:.1f} 0 {large} 0 {p[3]}Z"


def _beside(angle: float, text: str, node: str, away: float) -> Word:
    """Return words just outside the ring at an angle."""
    x, y = _CENTRE[0] + (_OUTER + away) * np.cos(angle), _CENTRE[1] + (_OUTER + away) * np.sin(angle)
    side = np.cos(angle)
    anchor = "middle" if abs(side) < 0.3 else "start" if side > 0 else "end"
    return Word(float(x), float(y) + 4.0, text, anchor, node)


def _rings(pod: Pod) -> Places:
    angles = -np.pi / 2 + 2 * np.pi * np.arange(pod.hosts) / pod.hosts
    devices = _ring_order(pod, np.arange(pod.devices), angles)
    numbered = pod.hosts <= _NUMBERED
    words = tuple(_beside(float(angle), str(host + 1), f"h{host}", 14.0) for host, angle in enumerate(angles)) if numbered else ()
    gaps = 2 * np.pi * _OUTER / pod.hosts, 2 * np.pi * _INNER * _OUTER / pod.devices
    bent = np.ones(pod.devices, dtype=np.bool_)
    return Places(_on(_OUTER, angles), _on(_INNER * _OUTER, devices), np.empty((0, 2)), bent, (), words, gaps)


def _columns(pod: Pod) -> Places:
    across = (64.0, WIDTH / 2, WIDTH - 64.0) if pod.switches else (112.0, WIDTH / 2, WIDTH - 112.0)
    hosts, devices, switches = (
        _column(x, n) for x, n in zip((across[0], across[2], across[1]), (pod.hosts, pod.devices, pod.switches), strict=True)
    )
    top = min(float(points[:, 1].min()) for points in (hosts, devices)) - 20.0
    words = [Word(x, top, text) for x, text in _heads(pod, across)]
    for letter, points, aside in (("h", hosts, -14.0), ("d", devices, 14.0)):
        if 1 < len(points) <= _NUMBERED or len(points) == 1:
            anchor = "end" if aside < 0 else "start"
            words += [Word(float(x) + aside, float(y) + 4.0, str(i + 1), anchor, f"{letter}{i}") for i, (x, y) in enumerate(points)]
    gaps = _pitch(pod.hosts), _pitch(pod.devices)
    return Places(hosts, devices, switches, np.zeros(pod.devices, dtype=np.bool_), (), tuple(words), gaps)


def _heads(pod: Pod, across: Sequence[float]) -> Iterator[tuple[float, str]]:
    yield across[0], count(pod.hosts, "host")
    if pod.switches:
        yield across[1], "one switch" if pod.switches == 1 else count(pod.switches, "switche")
    yield across[2], count(pod.devices, "device")


def _pitch(number: int) -> float:
    return min(34.0, (HEIGHT - _TOP - 24.0) / max(number - 1, 1))


def _column(x: float, number: int) -> Floats:
    pitch = _pitch(number)
    middle = (_TOP + HEIGHT - 24.0) / 2
    return np.column_stack([np.full(number, x), middle + pitch * (np.arange(number) - (number - 1) / 2)])

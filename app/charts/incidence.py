"""Which host uses which device: the matrix of a pod."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.charts import svg
from app.charts.pod import links, name_of
from app.charts.tokens import Tokens, translucent
from twin.memory.pods import NO_ISLAND, Pod

WIDTH: Final = 440.0
HEIGHT: Final = 452.0
_LEFT: Final = 58.0
_TOP: Final = 42.0
_GAP: Final = 0.035
_MOST: Final = 16.0


@dataclass(frozen=True, slots=True)
class Grid:
    """Geometry of a matrix: the order of devices, their left edges (M), the size of a cell, and the groups of rows (first, last)."""

    order: NDArray[np.int64]
    left: NDArray[np.float64]
    cell_w: float
    cell_h: float
    groups: tuple[tuple[int, int], ...]
    inside: int


def grid_of(pod: Pod) -> Grid:
    """Lay out the matrix: devices by island, the external ones after a gap in the order of their first host."""
    first = np.argmax(pod.incidence, axis=0)
    external = pod.device_islands == NO_ISLAND
    islands = not bool(external.all())
    order = np.lexsort((np.arange(pod.devices), first, pod.device_islands, external)) if islands else np.arange(pod.devices)
    inside = int(pod.devices - external.sum()) if islands else pod.devices
    gap = _GAP * (WIDTH - _LEFT) if 0 < inside < pod.devices else 0.0
    cell_w = min((WIDTH - _LEFT - gap) / pod.devices, _MOST)
    cell_h = min((HEIGHT - _TOP - 4.0) / pod.hosts, _MOST)
    place = np.empty(pod.devices)
    place[order] = _LEFT + cell_w * np.arange(pod.devices) + np.where(np.arange(pod.devices) >= inside, gap, 0.0)
    return Grid(order, place, cell_w, cell_h, _groups(pod), inside)


def _groups(pod: Pod) -> tuple[tuple[int, int], ...]:
    if int(pod.host_islands.max(initial=NO_ISLAND)) > 0:
        edges = [0, *(np.flatnonzero(np.diff(pod.host_islands)) + 1).tolist(), pod.hosts]
    else:
        step = 1 if pod.hosts <= 28 else 8 if pod.hosts <= 64 else 16
        edges = [*range(0, pod.hosts, step), pod.hosts]
    return tuple((low, high - 1) for low, high in pairwise(edges))


def incidence_svg(pod: Pod, tokens: Tokens, *, host: int | None = None, lost: Iterable[str] = ()) -> str:
    """Draw the matrix, a row a host and a column a device; the row of ``host`` is lit, cells that are ``lost`` are red.

    Rows carry ``data-node``, cells ``data-a`` (host) and ``data-b`` (device), so that the page can light others without asking.
    """
    grid = grid_of(pod)
    right = float(grid.left.max() + grid.cell_w)
    parts = _heads(pod, grid, tokens) + _blocks(pod, grid, tokens)
    for row in range(pod.hosts):
        fill = tokens.candidate_fill if row == host else "transparent"
        y = _TOP + row * grid.cell_h
        box = f'x="{_LEFT:.1f}" y="{y:.2f}" width="{right - _LEFT:.1f}" height="{grid.cell_h:.2f}"'
        parts.append(f'<rect class="row" data-node="h{row}" {box} fill="{fill}"><title>{name_of(f"h{row}")}</title></rect>')
    parts += _cells(pod, grid, tokens, host, gone(pod, lost))
    for low, high in grid.groups:
        lit = host is not None and low <= host <= high
        words = str(low + 1) if low == high else f"{low + 1}–{high + 1}"
        y = _TOP + (low + high + 1) / 2 * grid.cell_h + 4.0
        if grid.cell_h * (high - low + 1) >= 11.0:
            ink, heavy = (tokens.candidate, 600) if lit else (tokens.muted, 400)
            text = svg.text(_LEFT - 8, y, words, ink, anchor="end", weight=heavy)
            parts.append(f'<g data-rows="{low} {high}">{text}</g>')
        if low:
            parts.append(svg.line(_LEFT, _TOP + low * grid.cell_h, right, _TOP + low * grid.cell_h, tokens.grid))
    height = min(HEIGHT, _TOP + pod.hosts * grid.cell_h + 4.0)
    return svg.document(WIDTH, height, parts, f"Matrix of {pod.hosts} hosts and {pod.devices} devices: which host uses which device")


def gone(pod: Pod, lost: Iterable[str]) -> set[tuple[int, int]]:
    """Return which hosts do not reach which devices any more (both from 0) while devices, switches and host ports are lost."""
    names, ports = set(lost), links(pod)
    hosts, devices = range(pod.hosts), range(pod.devices)
    out = {(host, device) for device in devices if f"device-{device + 1}" in names for host in hosts}
    for name in names:
        if name in ports:
            host, end = int(ports[name][0][1:]), ports[name][1]
            behind = [int(end[1:])] if end[0] == "d" else [d for d in devices if d * pod.switches // pod.devices == int(end[1:])]
            out |= {(host, device) for device in behind}
        elif name.startswith("switch-") and pod.switches:
            out |= {(host, d) for d in devices if f"switch-{d * pod.switches // pod.devices + 1}" == name for host in hosts}
    return out


def _cells(pod: Pod, grid: Grid, tokens: Tokens, host: int | None, lost: set[tuple[int, int]]) -> list[str]:
    width, height = max(grid.cell_w - 0.4, 1.2), max(grid.cell_h - 0.4, 1.4)
    size = f'width="{width:.2f}" height="{height:.2f}"'
    parts = []
    for row, devices in enumerate(pod.reach.tolist()):
        for device in devices:
            missing = (row, device) in lost
            fill = tokens.limit if missing else tokens.candidate if row == host else tokens.text
            place = f'x="{grid.left[device]:.2f}" y="{_TOP + row * grid.cell_h + 0.2:.2f}"'
            kind = "cell gone" if missing else "cell"
            parts.append(f'<rect class="{kind}" data-a="h{row}" data-b="d{device}" {place} {size} fill="{fill}"/>')
    return parts


def _blocks(pod: Pod, grid: Grid, tokens: Tokens) -> list[str]:
    """Return a plate behind the hosts and devices of each island."""
    parts = []
    for low, high in grid.groups if grid.inside < pod.devices else ():
        own = np.flatnonzero(pod.device_islands == pod.host_islands[low])
        if len(own):
            x, y = float(grid.left[own].min()), _TOP + low * grid.cell_h
            parts.append(svg.rect(x, y, len(own) * grid.cell_w, (high - low + 1) * grid.cell_h, translucent(tokens.today, 0.10)))
    return parts


def _heads(pod: Pod, grid: Grid, tokens: Tokens) -> list[str]:
    parts = [svg.text(_LEFT - 8, _TOP - 10, "host", tokens.muted, anchor="end")]
    external = pod.devices - grid.inside
    if not external:
        shared = f"each reached by {pod.hosts} hosts" if pod.switches else f"each shared by {pod.device_ports} hosts"
        return [*parts, svg.text(_LEFT, _TOP - 26, f"{pod.devices} devices", tokens.text), svg.text(_LEFT, _TOP - 10, shared, tokens.muted)]
    islands = int(pod.host_islands.max()) + 1
    outside = int(np.sum(pod.device_islands[pod.reach[0]] == NO_ISLAND))
    middle = float(grid.left[grid.order[grid.inside]])
    inner = f"{grid.inside // islands} an island, {pod.host_ports - outside} ports a host"
    return [
        *parts,
        svg.text(_LEFT, _TOP - 26, f"{grid.inside} island devices", tokens.text),
        svg.text(_LEFT, _TOP - 10, inner, tokens.muted),
        svg.text(max(middle, _LEFT + 210), _TOP - 26, f"{external} external", tokens.text),
        svg.text(max(middle, _LEFT + 210), _TOP - 10, f"{outside} ports a host", tokens.muted),
    ]

"""Jobs as they went: stages over time, GPUs and cores at work below."""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.charts import svg
from app.charts.task_graph import fit
from app.charts.tokens import Tokens, translucent
from twin.units import show

WIDE: Final = 1120.0
NARROW: Final = 330.0
_LEAST_LANE: Final = 3.0
_ROW: Final = 14.0
_TALLEST: Final = 42.0
_BETWEEN: Final = 4.0
_HEAD: Final = 24.0
_USED: Final = 30.0
_WAITING: Final = 0.34
_MOST_LANES: Final = 14


@dataclass(frozen=True, slots=True)
class Bar:
    """Items that were done together, seconds since the job was asked for; pale from ``ready_s`` to ``start_s``."""

    ready_s: float
    start_s: float
    end_s: float
    items: int
    says: str


@dataclass(frozen=True, slots=True)
class Row:
    """One stage of a job; ``hue`` counts stages, so that a stage has the same hue wherever it is drawn."""

    stage: str
    title: str
    hue: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Used:
    """Something that a job had at work: (from when on, how much), the last one zero; ``held`` is what all workflows held meanwhile."""

    name: str
    steps: tuple[tuple[float, float], ...]
    held: float | None = None


@dataclass(frozen=True, slots=True)
class Strip:
    """One job in one run."""

    words: str
    today: bool
    end_s: float
    rows: tuple[Row, ...]
    used: tuple[Used, ...]


def lanes(bars: Sequence[Bar]) -> list[int]:
    """Return in which lane each bar stands, so that none lies on another: the first that is free when it begins.

    >>> bars = [Bar(0, 0, 2, 1, ""), Bar(0, 1, 3, 1, ""), Bar(0, 2, 4, 1, "")]
    >>> lanes(bars)
    [0, 1, 0]
    """
    found = [0] * len(bars)
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    for index in sorted(range(len(bars)), key=lambda i: (bars[i].start_s, bars[i].end_s, i)):
        while busy and busy[0][0] <= bars[index].start_s + 1e-9:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        found[index] = lane
        heapq.heappush(busy, (bars[index].end_s, lane))
    return found


def gantt_svg(
    strips: Sequence[Strip], tokens: Tokens, title: str, *, limit_s: float | None = None, chosen: str = "", width: float = WIDE
) -> str:
    """Draw jobs below one another on one scale of time, from the moment each was asked for; a stage carries its id for a click."""
    left = 150.0 if width > 500 else 122.0
    span = max([strip.end_s for strip in strips] + ([limit_s] if limit_s else []), default=0.0) or 1.0
    px = (width - left - 8.0) / span
    parts: list[str] = []
    y = 0.0
    for strip in strips:
        drawn, y = _strip(strip, y, left, px, width, tokens, chosen)
        parts += drawn
    ticks = _ticks(span, 8 if width > 500 else 4)
    grid = [svg.line(left + t * px, _HEAD, left + t * px, y, tokens.grid) for t in ticks]
    for t in ticks:
        parts.append(svg.text(left + t * px, y + 14, "0" if not t else show(t, "x_s"), tokens.muted, anchor="start" if not t else "middle"))
    if limit_s:
        at = left + limit_s * px
        parts += [
            svg.line(at, _HEAD - 4, at, y, tokens.limit),
            svg.text(at - 4, 12, f"limit {show(limit_s, 'x_s')}", tokens.broken_text, anchor="end"),
        ]
    return svg.document(width, y + 20, [*grid, *parts], title)


def _strip(
    strip: Strip, y: float, left: float, px: float, width: float, tokens: Tokens, chosen: str
) -> tuple[list[str], float]:  # fmt: skip
    line = {"width": 2.0, "dash": "4 3" if strip.today else ""}
    parts = [
        svg.line(0, y + 11, 16, y + 11, tokens.today if strip.today else tokens.candidate, width=2.0, dash=str(line["dash"])),
        svg.text(22, y + 15, fit(strip.words, width - 30), tokens.text, weight=600),
    ]
    y += _HEAD
    for row in strip.rows:
        placed = lanes(row.bars)
        count = 1 + max(placed, default=0)
        height = min(max(_ROW, _LEAST_LANE * count), _TALLEST)
        hue = tokens.series[row.hue % len(tokens.series)]
        bars = _many(row, y, height, left, px, hue) if count > _MOST_LANES else _few(row, placed, count, y, height, left, px, hue)
        bars = [*(_waits(row, y, height, left, px, hue) if count > 1 else ()), *bars]
        name = svg.text(0, y + height / 2 + 4, fit(row.title, left - 10), tokens.text if row.stage == chosen else tokens.muted,
                        weight=600 if row.stage == chosen else 400)  # fmt: skip
        parts.append(svg.marked(name + "".join(bars), (0, y - 1, width, height + 2), row.stage, _says(row)))
        y += height + _BETWEEN
    for used in strip.used:
        parts += _used(used, strip, y, left, px, width, tokens)
        y += _USED + _BETWEEN
    return parts, y + 6


def _says(row: Row) -> str:
    if not row.bars:
        return f"{row.title}: nothing was done"
    items = sum(bar.items for bar in row.bars)
    worked = sum((bar.end_s - bar.start_s) * bar.items for bar in row.bars)
    waited = sum((bar.start_s - bar.ready_s) * bar.items for bar in row.bars)
    begun, ended = min(bar.start_s for bar in row.bars), max(bar.end_s for bar in row.bars)
    words = (
        f"{row.title}: from {_time(begun)} to {_time(ended)}, {items} item{'' if items == 1 else 's'}, {show(worked / items, 'x_s')} each"
    )
    return (
        f"{words}, waiting {show(waited / items, 'x_s')} · {row.bars[0].says}"
        if waited > 0.005 * worked
        else f"{words} · {row.bars[0].says}"
    )


def _time(t_s: float) -> str:
    return "0\u00a0s" if abs(t_s) < 5e-4 else show(t_s, "x_s")


def _few(row: Row, placed: Sequence[int], count: int, y: float, height: float, left: float, px: float, hue: str) -> list[str]:  # noqa: PLR0913 - where a bar stands
    tall = height / count
    inner = max(tall - (1.0 if tall > 4 else 0.5), 1.0)
    parts = []
    for bar, lane in zip(row.bars, placed, strict=True):
        top = y + lane * tall
        if (bar.start_s - bar.ready_s) * px > 1.0 and count == 1:
            parts.append(svg.rect(left + bar.ready_s * px, top, (bar.start_s - bar.ready_s) * px, inner, translucent(hue, _WAITING)))
        parts.append(svg.rect(left + bar.start_s * px, top, max((bar.end_s - bar.start_s) * px - 0.5, 1.0), inner, hue))
    return parts


def _waits(row: Row, y: float, height: float, left: float, px: float, hue: str) -> list[str]:
    """Draw when something waited, below bars that stand in several lanes."""
    found: list[tuple[float, float]] = []
    for bar in sorted(row.bars, key=lambda bar: bar.ready_s):
        if found and bar.ready_s <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], bar.start_s))
        else:
            found.append((bar.ready_s, bar.start_s))
    pale = translucent(hue, _WAITING)
    return [svg.rect(left + a * px, y, (b - a) * px, height - 1.0, pale) for a, b in found if (b - a) * px > 1.0]


def _many(row: Row, y: float, height: float, left: float, px: float, hue: str) -> list[str]:
    """Draw how many batches were done at once, where there are too many to see each."""
    edges = sorted([(bar.start_s, 1) for bar in row.bars] + [(bar.end_s, -1) for bar in row.bars])
    steps, now = [], 0
    for t_s, by in edges:
        now += by
        steps.append((t_s, float(now)))
    return [svg.path(_area(steps, y + height, height, max(value for _, value in steps), left, px), fill=hue)]


def _area(steps: Sequence[tuple[float, float]], base: float, height: float, most: float, left: float, px: float) -> str:
    n, commands, last = svg.number, [], base
    for t_s, value in steps:
        x, top = left + t_s * px, base - height * value / (most or 1.0)
        commands.append(f"{'L' if commands else 'M'}{n(x)} {n(last)}L{n(x)} {n(top)}")
        last = top
    return "".join((*commands, f"L{n(left + steps[-1][0] * px)} {n(base)}Z")) if commands else ""


def _used(used: Used, strip: Strip, y: float, left: float, px: float, width: float, tokens: Tokens) -> list[str]:
    most = max([value for _, value in used.steps] + [used.held or 0.0]) or 1.0
    peak = max((value for _, value in used.steps), default=0.0)
    colour = tokens.today if strip.today else tokens.candidate
    base = y + _USED
    held = used.held is not None and used.held > 0
    words = f"{used.name}: {peak:.0f} of {used.held:.0f} held" if held else f"{used.name}: at most {peak:.0f}"
    parts = [
        svg.text(0, y + _USED / 2 + 4, fit(words, left - 6), tokens.muted),
        svg.line(left, base, width - 8, base, tokens.hairline),
    ]
    if peak:
        parts.append(svg.path(_area(used.steps, base, _USED - 4, most, left, px), fill=translucent(colour, 0.4)))
    if used.held is not None and used.held > 0:
        top = base - (_USED - 4) * used.held / most
        parts.append(svg.line(left, top, left + strip.end_s * px, top, tokens.muted, dash="1 3"))
    return parts


def _ticks(span: float, most: int) -> list[float]:
    raw = span / most
    nice = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
    step = next((float(each) for each in nice if each >= raw), 86400.0 * math.ceil(raw / 86400.0))
    if raw < 0.5:
        step = 10.0 ** math.ceil(math.log10(raw))
    return [index * step for index in range(int(span / step + 1e-9) + 1)]

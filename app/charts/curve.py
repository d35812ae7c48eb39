"""Curves as plain SVG, for a file that must work offline and in print."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.charts import svg
from app.charts.quantity import Measure
from app.charts.tokens import Tokens
from twin.clock import Clock

WIDTH_PX: Final = 340
HEIGHT_PX: Final = 164
_LEFT: Final = 44
_RIGHT: Final = 8
_TOP: Final = 16
_BOTTOM: Final = 22


@dataclass(frozen=True, slots=True)
class Curve:
    """One line: ``today`` is drawn grey and dashed, ``candidate`` blue."""

    role: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its ends and ticks, each a place and its words."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit or a bound of an intent, with what is written on it, and the part of x where it holds."""

    value: float
    words: str
    spans: tuple[tuple[float, float], ...] = ()


def clock_axis(clock: Clock, begin_s: float, end_s: float) -> Axis:
    """Return the site's local clock as an axis, at most seven ticks.

    >>> from datetime import UTC, datetime
    >>> [words for _, words in clock_axis(Clock(datetime(2026, 7, 14, tzinfo=UTC)), 0.0, 86400.0).ticks]
    ['00:00', '06:00', '12:00', '18:00', '24:00']
    """
    hours = (end_s - begin_s) / 3600.0
    step = next((h for h in (1 / 12, 0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 96, 168) if hours / h <= 6), 336) * 3600.0
    offset = float(clock.hour(0.0)) * 3600.0
    first = math.ceil((begin_s + offset) / step - 1e-9) * step - offset
    places = [first + i * step for i in range(int((end_s - first) / step + 1e-9) + 1)]
    return Axis(begin_s, end_s, tuple((t, _clock_words(clock, t, t == places[-1])) for t in places))


def _clock_words(clock: Clock, t_s: float, last: bool) -> str:
    words = clock.at(t_s).strftime("%H:%M")
    return "24:00" if words == "00:00" and last and t_s > 0 else words


def value_axis(values: Sequence[float], measure: Measure, zero: bool = False) -> Axis:
    """Return an axis of round numbers around values, four or five ticks."""
    low, high = min([*values, *([0.0] if zero else [])]), max(values)
    if high - low < 1e-12 * max(abs(high), 1.0):
        low, high = low - 0.5 * measure.factor, high + 0.5 * measure.factor
    step = _round_step((high - low) / measure.factor / 3.5) * measure.factor
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return Axis(first * step, last * step, tuple((i * step, f"{round(i * step / measure.factor, 9):g}") for i in range(first, last + 1)))


def _round_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= raw * 0.999)


def draw(curves: Sequence[Curve], x: Axis, y: Axis, tokens: Tokens, title: str, measure: Measure, bounds: Sequence[Bound] = ()) -> str:
    """Return curves as one SVG; points are kept as data, so that a page's script can read a value out."""
    width, height = WIDTH_PX - _LEFT - _RIGHT, HEIGHT_PX - _TOP - _BOTTOM

    def px(value: float) -> float:
        return _LEFT + (value - x.low) / ((x.high - x.low) or 1.0) * width

    def py(value: float) -> float:
        return _TOP + height - (value - y.low) / ((y.high - y.low) or 1.0) * height

    parts = [svg.rect(px(a), _TOP, px(b) - px(a), height, tokens.candidate_fill) for bound in bounds for a, b in bound.spans]
    for place, words in y.ticks:
        parts += [
            svg.line(_LEFT, py(place), WIDTH_PX - _RIGHT, py(place), tokens.grid),
            svg.text(_LEFT - 6, py(place) + 4, words, tokens.muted, anchor="end"),
        ]
    for place, words in x.ticks:
        at = px(place)
        anchor = "end" if at > WIDTH_PX - 24 else "start" if at < _LEFT + 4 else "middle"
        parts.append(svg.line(at, _TOP + height, at, _TOP + height + 3, tokens.control))
        parts.append(svg.text(at, HEIGHT_PX - 5, words, tokens.muted, anchor=anchor))
    for bound in bounds:
        if y.low <= bound.value <= y.high:
            parts.append(svg.line(_LEFT, py(bound.value), WIDTH_PX - _RIGHT, py(bound.value), tokens.limit))
            parts.append(svg.text(_LEFT + 4, py(bound.value) - 4, bound.words, tokens.broken_text))
    for curve in curves:
        today = curve.role == "today"
        commands = _commands([(px(a), py(b)) if b is not None else None for a, b in zip(curve.x, curve.y, strict=True)])
        parts.append(
            svg.path(commands, stroke=tokens.today if today else tokens.candidate, width=1.5 if today else 1.8, dash="4 3" if today else "")
        )
    drawn = svg.document(WIDTH_PX, HEIGHT_PX, parts, title)
    # Inside a page the namespace is known, and without it the file names no address at all.
    return drawn.replace(' xmlns="http://www.w3.org/2000/svg"', f' data-figure="{_readout(curves, x, measure)}"', 1)


def _commands(points: Sequence[tuple[float, float] | None]) -> str:
    parts, pen = [], "M"
    for point in points:
        if point is None:
            pen = "M"
            continue
        parts.append(f"{pen}{svg.number(point[0])} {svg.number(point[1])}")
        pen = "L"
    return "".join(parts)


def _readout(curves: Sequence[Curve], x: Axis, measure: Measure) -> str:
    """Return what the page's script needs to read a value out: the plot's left and right end in pixels, and the points."""
    points = [
        {
            "role": c.role,
            "x": [round((a - x.low) / ((x.high - x.low) or 1.0), 5) for a in c.x],
            "y": [None if b is None else measure.plain(b) for b in c.y],
        }
        for c in curves
    ]
    data = {"left": _LEFT / WIDTH_PX, "right": 1.0 - _RIGHT / WIDTH_PX, "unit": measure.unit, "curves": points}
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")

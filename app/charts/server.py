"""One server over the day: its GPUs against their limit, inlet, power."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.charts import svg
from app.charts.curve import clock_axis
from app.charts.tokens import Tokens
from twin.clock import Clock

Floats = NDArray[np.floating]
Place = Callable[[float], float]
_LABEL: Final = 11.0


@dataclass(frozen=True, slots=True)
class Span:
    """The time that a drawing covers, and where the cursor stands; seconds of the run."""

    clock: Clock
    begin_s: float
    end_s: float
    t_s: float


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its name at the right end, its colour, its values evenly over the span."""

    name: str
    colour: str
    values: Floats


@dataclass(frozen=True, slots=True)
class Scale:
    """How values are written: a factor, a unit, and a limit where there is one (in the values' own unit).

    ``fixed`` is the axis where it must not follow the values, from low to high, as they are written.
    """

    factor: float
    unit: str
    limit: float | None = None
    limit_words: str = ""
    fixed: tuple[float, float] | None = None


def thinned(values: Floats, points: int) -> Floats:
    """Return the highest value of each of at most ``points`` equal parts; not a number where a part has none."""
    if len(values) <= points:
        return values
    cuts = np.linspace(0, len(values), points + 1).astype(int)[:-1]
    filled = np.maximum.reduceat(np.where(np.isnan(values), -np.inf, values), cuts)
    return np.where(np.isinf(filled), np.nan, filled)


def lines_svg(  # noqa: PLR0913 - what, when, how it is written, and its size
    lines: Sequence[Line], span: Span, scale: Scale, tokens: Tokens, title: str, *, width: float, height: float, lowest: bool = False
) -> str:
    """Draw lines over the day with the cursor and the limit; names stand at the right ends, apart from each other.

    Where there are more values than pixels, each stretch shows its highest, or its ``lowest``.
    """
    names = any(line.name for line in lines)
    left, right, top, bottom = 40.0, 44.0 if names else 6.0, 14.0, height - 20.0
    sign = -1.0 if lowest else 1.0
    found = [sign * thinned(sign * line.values, int((width - left - right) / 2)) * scale.factor for line in lines]
    known = np.concatenate([values[np.isfinite(values)] for values in found]) if found else np.array([])
    if not known.size:
        return svg.document(width, 24, [svg.text(0, 14, "Nothing was recorded", tokens.muted)], title)
    limit = None if scale.limit is None else scale.limit * scale.factor
    low, high = float(known.min()), float(max(known.max(), limit if limit is not None else -math.inf))
    room = max(high - low, 1e-6 + 0.02 * abs(high)) * 0.08
    low, high = scale.fixed or (low - room, high + room)

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    def x(share: float) -> float:
        return left + share * (width - left - right)

    axis = clock_axis(span.clock, span.begin_s, span.end_s)
    parts = _grid(low, high, y, (left, width - right), scale, tokens)
    every = 1 if width > 500 else 2
    for place, words in axis.ticks[::every]:
        at = x((place - span.begin_s) / (span.end_s - span.begin_s))
        anchor = "end" if at > width - 30 else "start" if at < left + 6 else "middle"
        parts.append(svg.text(at, height - 4, words, tokens.muted, anchor=anchor))
    for line, values in zip(lines, found, strict=True):
        parts.append(svg.path(_path(values, x, y), stroke=line.colour, width=1.3))
    if limit is not None:
        parts.append(svg.line(left, y(limit), width - right, y(limit), tokens.limit))
        parts.append(svg.text(left + 4, y(limit) - 4, scale.limit_words, tokens.broken_text))
    now = x(min(max((span.t_s - span.begin_s) / (span.end_s - span.begin_s), 0.0), 1.0))
    parts.append(svg.line(now, top - 6, now, bottom, tokens.text, width=1.2))
    parts += _names(lines, found, y, width - right + 5, (top, bottom), tokens) if names else []
    return svg.document(width, height, parts, title)


def _grid(low: float, high: float, y: Place, box: tuple[float, float], scale: Scale, tokens: Tokens) -> list[str]:
    left, right = box
    limit = None if scale.limit is None else scale.limit * scale.factor
    step = next(s for s in (0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 25, 50, 100, 1e9) if (high - low) / s <= 4)
    decimals = 0 if step >= 1 else 2 if step in (0.05, 0.25) else 1
    parts = []
    tick = math.ceil(low / step) * step
    while tick <= high:
        if limit is None or abs(y(tick) - y(limit)) > 9:
            parts.append(svg.line(left, y(tick), right, y(tick), tokens.grid))
            parts.append(svg.text(left - 5, y(tick) + 4, f"{tick:.{decimals}f}", tokens.muted, anchor="end"))
        tick += step
    parts.append(svg.text(0, 10, scale.unit, tokens.muted))
    return parts


def _path(values: Floats, x: Place, y: Place) -> str:
    parts, pen = [], "M"
    last = max(len(values) - 1, 1)
    for index, value in enumerate(values):
        if not math.isfinite(value):
            pen = "M"
            continue
        parts.append(f"{pen}{svg.number(x(index / last))} {svg.number(y(float(value)))}")
        pen = "L"
    return "".join(parts)


def _names(lines: Sequence[Line], found: Sequence[Floats], y: Place, x: float, box: tuple[float, float], tokens: Tokens) -> list[str]:
    """Write names beside the last values, pushed apart downwards and then back up where they ran out of room."""
    _, bottom = box
    ends: list[tuple[float, Line]] = []
    for line, values in zip(lines, found, strict=True):
        known = values[np.isfinite(values)]
        if known.size:
            ends.append((y(float(known[-1])) + 4, line))
    ends.sort(key=lambda end: end[0])
    levels = [level for level, _ in ends]
    for index in range(1, len(levels)):
        levels[index] = max(levels[index], levels[index - 1] + _LABEL)
    if levels and levels[-1] > bottom + 4:
        levels[-1] = bottom + 4
        for index in range(len(levels) - 2, -1, -1):
            levels[index] = min(levels[index], levels[index + 1] - _LABEL)
    parts = []
    for at, (_, line) in zip(levels, ends, strict=True):
        parts.append(svg.line(x - 3, at - 4, x + 4, at - 4, line.colour, width=2))
        parts.append(svg.text(x + 8, at, line.name, tokens.text, size=11))
    return parts

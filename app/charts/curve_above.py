"""The quantity that a chain changes, above its lanes: today, shown, limit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.charts import svg
from app.charts.quantity import Measure
from app.charts.tokens import Tokens

Floats = NDArray[np.float64]
TOP = 22.0
HEIGHT = 44.0


@dataclass(frozen=True, slots=True)
class Curve:
    """One quantity over a window: times in seconds, values in the unit of ``name``; today's run beside it, and its limit."""

    label: str
    name: str
    t_s: Floats
    values: Floats
    today: tuple[Floats, Floats] | None = None
    limit: float | None = None
    limit_words: str = "bound"
    shown_is_today: bool = False


def curve_parts(curve: Curve, tokens: Tokens, window: tuple[float, float], ends: tuple[float, float], above: bool) -> list[str]:
    """Return the drawing of a curve between two x: limit red, today dashed grey, the shown run solid with its last value."""
    known = [*curve.values[np.isfinite(curve.values)]]
    if curve.today is not None:
        known += [*curve.today[1][np.isfinite(curve.today[1])]]
    if not known:
        return [svg.text(0, 12, f"{curve.label}: not recorded", tokens.muted)]
    low, high = float(min(known)), float(max(known))
    ends_of_data = (low, high) if high - low > 0.02 * abs(high) else (low,)
    near = curve.limit is not None and curve.limit - high < 3 * (high - low + 0.02 * abs(high))
    if near and curve.limit is not None:
        high = max(high, curve.limit)
    low, high = _padded(low, high, min(known) >= 0.0)
    measure = Measure.of(curve.name, max(abs(low), abs(high)))

    def x(t_s: float) -> float:
        return ends[0] + 4.0 + (t_s - window[0]) / max(window[1] - window[0], 1e-9) * (ends[1] - ends[0] - 4.0)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * HEIGHT

    def drawn(t_s: Floats, values: Floats) -> str:
        inside = np.isfinite(values) & (t_s >= window[0] - 1e-6) & (t_s <= window[1] + 1e-6)
        return "".join(
            f"{'M' if index == 0 else 'L'}{svg.number(x(float(t)))} {svg.number(y(float(v)))}"
            for index, (t, v) in enumerate(zip(t_s[inside], values[inside], strict=True))
        )

    unit = f", {measure.unit}" if measure.unit else ""
    parts = [svg.text(0, 12, f"{curve.label}{unit}", tokens.text)]
    for value in ends_of_data:
        parts.append(svg.line(ends[0], y(value), ends[1], y(value), tokens.grid))
        if not above and not (near and curve.limit is not None and abs(y(value) - y(curve.limit)) < 12):
            parts.append(svg.text(ends[0] - 8, y(value) + 4, measure.plain(value), tokens.muted, anchor="end"))
    if curve.limit is not None:
        words = f"{curve.limit_words} {measure.plain(curve.limit)}"
        if near:
            parts.append(svg.line(ends[0], y(curve.limit), ends[1], y(curve.limit), tokens.limit))
            place = (ends[1], y(curve.limit) - 4.0, "end") if above else (ends[0] - 8, y(curve.limit) + 4.0, "end")
            parts.append(svg.text(place[0], place[1], words, tokens.broken_text, anchor=place[2]))
        else:
            parts.append(svg.text(ends[1], 12, f"{words}, far above", tokens.broken_text, anchor="end"))
    if curve.today is not None:
        parts.append(svg.path(drawn(*curve.today), stroke=tokens.today, width=1.5, dash="4 3"))
    ink, dash = (tokens.today, "4 3") if curve.shown_is_today else (tokens.candidate, "")
    parts.append(svg.path(drawn(curve.t_s, curve.values), stroke=ink, width=2.0, dash=dash))
    return parts + _last(curve, measure, window, ends, y, tokens)


def _last(curve: Curve, measure: Measure, window: tuple[float, float], ends: tuple[float, float], y: object, tokens: Tokens) -> list[str]:
    """Return the last value of the shown run, and of today's where it is another, at the right end."""
    assert callable(y)
    inside = (curve.t_s <= window[1] + 1e-6) & np.isfinite(curve.values)
    if not inside.any():
        return []
    value = float(curve.values[inside][-1])
    height = min(max(float(y(value)) + 14.0, TOP + 10.0), TOP + HEIGHT + 8.0)
    ink = tokens.muted if curve.shown_is_today else tokens.candidate
    return [svg.text(ends[1], height, measure.plain(value), ink, anchor="end", weight=600)]


def _padded(low: float, high: float, positive: bool) -> tuple[float, float]:
    room = max(0.12 * (high - low), 0.01 * abs(high), 1e-9)
    return (max(low - room, 0.0) if positive else low - room), high + room

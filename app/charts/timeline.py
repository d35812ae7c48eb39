"""Quantities over the day on the site's clock."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import polars as pl

from app.charts.template import DASH, clock_axis, cursor_line, figure, limit_line, local
from app.charts.tokens import LABEL_PX, Tokens
from twin.clock import Clock
from twin.units import show, suffix_of

# Shown units of an axis: factor and words, by the unit in the column's name.
_AXIS = {
    "_w": (1e-3, " kW"),
    "_c": (1.0, " °C"),
    "_share": (100.0, " %"),
    "_s": (1.0, " s"),
    "_usd_per_h": (1.0, ""),
    "_per_s": (1.0, "/s"),
}


@dataclass(frozen=True, slots=True)
class Span:
    """The calendar that a timeline is drawn on."""

    clock: Clock
    horizon_s: float


def scaled(name: str) -> tuple[float, str]:
    """Return the factor and the suffix that bring a column to the unit of its axis.

    >>> scaled("power_w")
    (0.001, ' kW')
    """
    return _AXIS.get(suffix_of(name), (1.0, ""))


def over_time(
    curves: Mapping[str, pl.DataFrame | None],
    column: str,
    tokens: Tokens,
    span: Span,
    *,
    limit: float | None = None,
    cursor_s: float | None = None,
    height_px: int = 180,
) -> go.Figure:
    """Draw one quantity over the day: ``today`` grey and dashed under ``candidate`` blue, others in the order of the series.

    Each frame has ``t_s`` and ``column``; a missing frame is left out. The limit carries its value.
    """
    factor, unit = scaled(column)
    fig = figure(tokens, height_px)
    hues = iter(tokens.series)
    for name, frame in curves.items():
        if frame is None or frame.is_empty():
            continue
        role = {"today": (tokens.today, DASH, 1.5), "candidate": (tokens.candidate, "solid", 2.0)}
        colour, dash, width = role[name] if name in role else (next(hues), "solid", 1.8)
        values = frame[column].to_numpy().astype(np.float32) * np.float32(factor)
        fig.add_scatter(
            **_times(frame["t_s"].to_numpy(), span), y=values, name=name, mode="lines",
            line={"color": colour, "dash": dash, "width": width},
            hovertemplate=f"%{{y:.3~g}}{unit}",
        )  # fmt: skip
        _end_label(fig, values, "" if name in role else name, tokens, unit)
    fig.update_yaxes(ticksuffix=unit)
    clock_axis(fig, span.clock, span.horizon_s)
    if limit is not None:
        limit_line(fig, limit * factor, f"limit {show(limit, column)}", tokens)
    if cursor_s is not None:
        cursor_line(fig, span.clock, cursor_s, tokens)
    return fig


def _times(t_s: "np.ndarray", span: Span) -> dict[str, object]:
    """Return x of a curve: a start and a step where samples are even (far smaller to send), else every time."""
    if len(t_s) > 2 and np.allclose(np.diff(t_s), t_s[1] - t_s[0]):
        return {"x0": local(span.clock, float(t_s[0])), "dx": float(t_s[1] - t_s[0]) * 1000.0}
    return {"x": [local(span.clock, t) for t in t_s.tolist()]}


def _end_label(fig: go.Figure, values: "np.ndarray", name: str, tokens: Tokens, unit: str) -> None:
    if name and len(values):
        fig.add_annotation(
            x=1.0, xref="paper", y=float(values[-1]), text=f" {name}", showarrow=False, xanchor="left",
            font={"color": tokens.text, "size": LABEL_PX},
        )  # fmt: skip

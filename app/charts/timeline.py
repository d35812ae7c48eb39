"""Quantities over the day on the site's clock: curves and steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import plotly.graph_objects as go
import polars as pl

from app.charts.template import DASH, clock_axis, cursor_line, figure, limit_line, local, weak
from app.charts.tokens import LABEL_PX, Tokens
from twin.clock import Clock
from twin.units import show, suffix_of

# The first four hues belong to the stages of a request.
FIRST_HUE: Final = 4
# Steps in one direction closer than this are one decision to the eye.
APART_S: Final = 1800.0
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


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane of steps: how many over time, what it was sized for, and when it was changed. Columns ``t_s`` and ``count``."""

    label: str
    shown: pl.DataFrame
    today: pl.DataFrame | None = None


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


def lanes(found: Sequence[Lane], tokens: Tokens, span: Span, *, cursor_s: float | None = None, lane_px: int = 52) -> go.Figure:
    """Draw counts over the day, one lane each from zero: today dashed grey, the shown run in its hue.

    A triangle up or down is a change of the shown run; the number at the right is the count at the cursor.
    """
    fig = figure(tokens, max(lane_px * len(found), lane_px) + 36)
    tops: list[float] = []
    for index, lane in enumerate(found):
        base = float(len(found) - 1 - index)
        most = max([1.0, *(_most(frame) for frame in (lane.shown, lane.today) if frame is not None)])
        scale = 0.72 / most
        hue = tokens.series[(FIRST_HUE + index) % len(tokens.series)]
        _steps(fig, lane.shown, (base, scale), span, {"color": hue, "width": 1.8, "fill": weak(hue, 0.14)}, f"{lane.label}, shown")
        if lane.today is not None:
            _steps(fig, lane.today, (base, scale), span, {"color": tokens.today, "width": 1.5, "dash": DASH}, f"{lane.label}, today")
        _triangles(fig, lane, (base, scale), span, tokens)
        at = span.horizon_s if cursor_s is None else cursor_s
        fig.add_annotation(
            x=1.0, xref="paper", y=base + 0.3, text=f"<b>{count_at(lane.shown, at):.0f}</b>", showarrow=False, xanchor="left", xshift=8,
            font={"color": tokens.text, "size": LABEL_PX},
        )  # fmt: skip
        tops.append(base)
    fig.update_layout(hovermode="closest", margin={"l": 96, "r": 40, "t": 4, "b": 28})
    fig.update_yaxes(
        tickvals=[top + 0.3 for top in tops], ticktext=[lane.label for lane in found],
        range=[-0.1, max(len(found), 1) - 0.05], showgrid=False, tickfont={"color": tokens.text},
    )  # fmt: skip
    clock_axis(fig, span.clock, span.horizon_s)
    if cursor_s is not None:
        cursor_line(fig, span.clock, cursor_s, tokens)
    return fig


def count_at(frame: pl.DataFrame, t_s: float) -> float:
    """Return the count that holds at a moment: the last one at or before it, the first one before that."""
    before = frame.filter(pl.col("t_s") <= t_s)
    if frame.is_empty():
        return 0.0
    return float((before if len(before) else frame.head(1))["count"][-1 if len(before) else 0])


def changes(frame: pl.DataFrame) -> pl.DataFrame:
    """Return only the rows at which the count changes, the first and the last included."""
    return frame.filter((pl.col("count") != pl.col("count").shift(1)).fill_null(True) | (pl.int_range(pl.len()) == pl.len() - 1))


def _most(frame: pl.DataFrame) -> float:
    return float(frame["count"].max() or 0.0) if len(frame) else 0.0  # type: ignore[arg-type]


def _steps(fig: go.Figure, frame: pl.DataFrame, place: tuple[float, float], span: Span, line: dict[str, object], name: str) -> None:
    """Draw one staircase on ``place`` (base and height of one); a line that carries ``fill`` is filled down to its base."""
    base, scale = place
    few = changes(frame)
    counts = few["count"].to_numpy().astype(np.float64)
    x = [local(span.clock, t) for t in few["t_s"].to_list()]
    fill = line.pop("fill", None)
    if fill:
        fig.add_scatter(x=x, y=np.full(len(x), base), mode="lines", line={"width": 0}, hoverinfo="skip")
    fig.add_scatter(
        x=x, y=base + counts * scale, mode="lines", line={**line, "shape": "hv"}, name=name, customdata=counts,
        hovertemplate=f"{name}: %{{customdata:.0f}}<extra></extra>", **({"fill": "tonexty", "fillcolor": fill} if fill else {}),
    )  # fmt: skip


def decisions(frame: pl.DataFrame) -> pl.DataFrame:
    """Return where a count begins to rise or fall: ``t_s``, ``count``, ``by``; steps of one direction that follow at once are one."""
    moved = frame.with_columns(pl.col("count").diff().alias("by")).filter(pl.col("by").fill_null(0) != 0)
    same = pl.col("by").sign() == pl.col("by").sign().shift(1)
    soon = pl.col("t_s") - pl.col("t_s").shift(1) < APART_S
    part = (~(same & soon)).fill_null(True).cum_sum().alias("part")
    joined = moved.with_columns(part).group_by("part", maintain_order=True)
    return joined.agg(pl.col("t_s").first(), pl.col("count").first(), pl.col("by").sum()).drop("part")


def _triangles(fig: go.Figure, lane: Lane, place: tuple[float, float], span: Span, tokens: Tokens) -> None:
    moved = decisions(lane.shown)
    if moved.is_empty():
        return
    fig.add_scatter(
        x=[local(span.clock, t) for t in moved["t_s"].to_list()], y=place[0] + moved["count"].to_numpy() * place[1], mode="markers",
        marker={"symbol": ["triangle-up" if by > 0 else "triangle-down" for by in moved["by"].to_list()], "size": 7, "color": tokens.text},
        customdata=moved["by"].to_numpy(), hovertemplate=f"{lane.label} %{{customdata:+.0f}} from %{{x|%H:%M}}<extra></extra>",
    )  # fmt: skip

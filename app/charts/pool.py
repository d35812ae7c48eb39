"""Memory over the day: the pool against its capacity, devices, hosts."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import plotly.graph_objects as go
import polars as pl

from app.charts.day import Mark
from app.charts.quantity import Measure
from app.charts.template import DASH, clock_axis, cursor_line, figure, local, weak
from app.charts.timeline import Span
from app.charts.tokens import LABEL_PX, Tokens

_BYTES: Final = "x_bytes"
_MOVED_PART: Final = 0.25
_NUMBER: Final = "%{y:.3~g}"


def pool(
    frame: pl.DataFrame, marks: Sequence[Mark], tokens: Tokens, span: Span, *, cursor_s: float, today: bool, height_px: int = 220
) -> go.Figure:
    """Draw what VMs ask of all devices together against what those can hold.

    ``frame`` has ``t_s``, ``wanted_bytes``, ``held_bytes``, ``capacity_bytes``, ``migrated_bytes``, ``overflow_events`` and
    ``overflow_bytes``. Bars at the foot are bytes moved aside, a red cross is an overflow, ticks at the top are events.
    """
    fig, measure = figure(tokens, height_px), _measure(frame, "capacity_bytes", "wanted_bytes")
    times = _times(frame, span)
    scaled = {name: frame[name].to_numpy() / measure.factor for name in frame.columns if name.endswith("_bytes")}
    moved = scaled["migrated_bytes"]
    if moved.any():
        small = Measure.of(_BYTES, float(frame["migrated_bytes"].max() or 0.0))  # type: ignore[arg-type]
        fig.add_bar(
            x=times, y=frame["migrated_bytes"].to_numpy() / small.factor, yaxis="y2",
            marker={"color": weak(tokens.text, 0.45), "line": {"width": 0}},
            name="moved aside", hovertemplate=f"moved aside {_NUMBER}\u00a0{small.unit}<extra></extra>",
        )  # fmt: skip
        top = float(frame["migrated_bytes"].max() or 1.0) / small.factor / _MOVED_PART  # type: ignore[arg-type]
        fig.update_layout(yaxis2={"overlaying": "y", "range": [0.0, top], "visible": False, "fixedrange": True}, bargap=0.0)
    fig.add_scatter(
        x=times, y=scaled["capacity_bytes"], mode="lines", line={"color": tokens.limit, "width": 1, "shape": "vh"}, name="capacity",
        hovertemplate=f"devices hold {_NUMBER}\u00a0{measure.unit}<extra></extra>",
    )  # fmt: skip
    fig.add_scatter(
        x=times, y=scaled["wanted_bytes"], mode="lines", line=_role(tokens, today), name="wanted",
        hovertemplate=f"VMs ask for {_NUMBER}\u00a0{measure.unit}<extra></extra>",
    )  # fmt: skip
    _overflows(fig, frame, times, scaled["wanted_bytes"], tokens, measure)
    capacity = float(scaled["capacity_bytes"][-1])
    _right(fig, capacity, f"{measure.plain(capacity * measure.factor)}\u00a0{measure.unit}", tokens.broken_text)
    top = 1.12 * max(float(scaled["capacity_bytes"].max()), float(scaled["wanted_bytes"].max()))
    _ticks(fig, marks, top, span, tokens)
    _finish(fig, span, cursor_s, tokens, measure, top)
    return fig


def _overflows(fig: go.Figure, frame: pl.DataFrame, times: list[str], wanted: "np.ndarray", tokens: Tokens, measure: Measure) -> None:
    over = np.flatnonzero(frame["overflow_events"].to_numpy() > 0)
    if over.size:
        told = [[frame["overflow_events"][int(i)], measure.plain(float(frame["overflow_bytes"][int(i)]))] for i in over]
        fig.add_scatter(
            x=[times[int(i)] for i in over], y=wanted[over], mode="markers", customdata=told, name="overflow",
            marker={"symbol": "x-thin-open", "color": tokens.limit, "size": 7, "line": {"width": 1.5}},
            hovertemplate="%{customdata[0]} VMs turned away, %{customdata[1]}\u00a0" + f"{measure.unit} stay there<extra></extra>",
        )  # fmt: skip


def devices(
    frame: pl.DataFrame, picked: pl.DataFrame | None, tokens: Tokens, span: Span, *, cursor_s: float, today: bool, height_px: int = 220
) -> go.Figure:
    """Draw how use spreads over devices: band from the emptiest to the fullest, the median, the fullest one, and a picked one.

    ``frame`` has ``t_s``, ``least_bytes``, ``median_bytes``, ``most_bytes``, ``fullest_bytes`` (of the one device that comes nearest
    to full) and ``capacity_bytes`` (of the largest one); ``picked`` has ``t_s``, ``device_id``, ``used_bytes``.
    """
    fig, measure = figure(tokens, height_px), _measure(frame, "capacity_bytes")
    times, role = _times(frame, span), _role(tokens, today)
    columns = {name: frame[name].to_numpy() / measure.factor for name in frame.columns if name.endswith("_bytes")}
    _band(fig, times, columns["least_bytes"], columns["most_bytes"], weak(str(role["color"]), 0.18), measure)
    lines = {"median_bytes": ("median", role), "fullest_bytes": ("fullest", {"color": tokens.text, "width": 1.2})}
    for name, (words, line) in lines.items():
        form = f"{words} {_NUMBER}\u00a0{measure.unit}<extra></extra>"
        fig.add_scatter(x=times, y=columns[name], mode="lines", line=line, name=words, hovertemplate=form)
    fig.add_scatter(
        x=times, y=columns["capacity_bytes"], mode="lines", line={"color": tokens.limit, "width": 1, "shape": "vh"}, name="capacity",
        hovertemplate=f"a device holds {_NUMBER}\u00a0{measure.unit}<extra></extra>",
    )  # fmt: skip
    ends = [("median", float(columns["median_bytes"][-1])), ("fullest", float(columns["fullest_bytes"][-1]))]
    if picked is not None and len(picked):
        name = str(picked["device_id"][0])
        values = picked["used_bytes"].to_numpy() / measure.factor
        form = f"{name} {_NUMBER}\u00a0{measure.unit}<extra></extra>"
        line = {"color": tokens.series[0], "width": 1.8}
        fig.add_scatter(x=_times(picked, span), y=values, mode="lines", line=line, name=name, hovertemplate=form)
        ends.insert(0, (name, float(values[-1])))
    top = 1.12 * max(float(columns["capacity_bytes"].max()), float(columns["most_bytes"].max()))
    _ends(fig, ends, top, tokens)
    _finish(fig, span, cursor_s, tokens, measure, top)
    return fig


def hosts(
    frame: pl.DataFrame, picked: pl.DataFrame | None, tokens: Tokens, span: Span, *, cursor_s: float, today: bool, height_px: int = 220
) -> go.Figure:
    """Draw what hosts need where there is no pool: band over hosts, the median, the neediest one, and a picked one.

    ``frame`` has ``t_s``, ``least_bytes``, ``median_bytes``, ``most_bytes``; ``picked`` has ``t_s``, ``host_id``, ``demand_bytes``.
    """
    fig, measure = figure(tokens, height_px), _measure(frame, "most_bytes")
    times, role = _times(frame, span), _role(tokens, today)
    columns = {name: frame[name].to_numpy() / measure.factor for name in frame.columns if name.endswith("_bytes")}
    _band(fig, times, columns["least_bytes"], columns["most_bytes"], weak(str(role["color"]), 0.18), measure)
    form = f"median {_NUMBER}\u00a0{measure.unit}<extra></extra>"
    fig.add_scatter(x=times, y=columns["median_bytes"], mode="lines", line=role, name="median", hovertemplate=form)
    ends = [("median", float(columns["median_bytes"][-1])), ("most", float(columns["most_bytes"][-1]))]
    if picked is not None and len(picked):
        name = str(picked["host_id"][0])
        values = picked["demand_bytes"].to_numpy() / measure.factor
        form = f"{name} {_NUMBER}\u00a0{measure.unit}<extra></extra>"
        line = {"color": tokens.series[0], "width": 1.8}
        fig.add_scatter(x=_times(picked, span), y=values, mode="lines", line=line, name=name, hovertemplate=form)
        ends.insert(0, (name, float(values[-1])))
    top = 1.1 * float(columns["most_bytes"].max())
    _ends(fig, ends, top, tokens)
    _finish(fig, span, cursor_s, tokens, measure, top)
    return fig


def _measure(frame: pl.DataFrame, *names: str) -> Measure:
    return Measure.of(_BYTES, max(float(frame[name].max() or 0.0) for name in names))  # type: ignore[arg-type]


def _times(frame: pl.DataFrame, span: Span) -> list[str]:
    return [local(span.clock, t) for t in frame["t_s"].to_list()]


def _role(tokens: Tokens, today: bool) -> dict[str, object]:
    return {"color": tokens.today, "dash": DASH, "width": 1.5} if today else {"color": tokens.candidate, "width": 2.0}


def _band(fig: go.Figure, times: list[str], low: "np.ndarray", high: "np.ndarray", fill: str, measure: Measure) -> None:
    fig.add_scatter(
        x=times, y=low, mode="lines", line={"width": 0}, name="least", hovertemplate=f"least {_NUMBER}\u00a0{measure.unit}<extra></extra>"
    )  # fmt: skip
    fig.add_scatter(
        x=times, y=high, mode="lines", line={"width": 0}, fill="tonexty", fillcolor=fill, name="most",
        hovertemplate=f"most {_NUMBER}\u00a0{measure.unit}<extra></extra>",
    )  # fmt: skip


def _ticks(fig: go.Figure, marks: Sequence[Mark], top: float, span: Span, tokens: Tokens) -> None:
    for bad in (False, True):
        mine = [mark for mark in marks if mark.bad == bad]
        if mine:
            fig.add_scatter(
                x=[local(span.clock, mark.t_s) for mark in mine], y=[0.97 * top] * len(mine), mode="markers", name="events",
                marker={"symbol": "line-ns-open", "size": 9, "color": tokens.limit if bad else tokens.text, "line": {"width": 2}},
                customdata=[[mark.words] for mark in mine], hovertemplate="%{customdata[0]}<extra></extra>",
            )  # fmt: skip


def _ends(fig: go.Figure, ends: Sequence[tuple[str, float]], top: float, tokens: Tokens) -> None:
    """Write names at the right end, apart from one another."""
    placed: list[float] = []
    for name, value in ends:
        if all(abs(value - other) > 0.09 * top for other in placed):
            placed.append(value)
            _right(fig, value, name, tokens.text)


def _right(fig: go.Figure, value: float, words: str, colour: str) -> None:
    fig.add_annotation(
        x=1.0, xref="paper", y=value, text=f" {words}", showarrow=False, xanchor="left", font={"color": colour, "size": LABEL_PX}
    )  # fmt: skip


def _finish(fig: go.Figure, span: Span, cursor_s: float, tokens: Tokens, measure: Measure, top: float) -> None:
    fig.update_layout(yaxis={"range": [0.0, top], "ticksuffix": f" {measure.unit}"}, margin={"l": 60, "r": 72, "t": 8, "b": 28})
    clock_axis(fig, span.clock, span.horizon_s)
    fig.update_xaxes(nticks=5)  # a phone has no room for more
    cursor_line(fig, span.clock, cursor_s, tokens)

"""Functions over the day: cold starts, cores busy and spinning, headroom."""

from typing import Final

import numpy as np
import plotly.graph_objects as go
import polars as pl

from app.charts.template import DASH, clock_axis, cursor_line, figure, limit_line, local, weak
from app.charts.timeline import Span
from app.charts.tokens import LABEL_PX, Tokens

_MARGIN: Final = {"l": 52, "r": 16, "t": 12, "b": 28}


def cold_starts(
    shown: pl.DataFrame, today: pl.DataFrame | None, tokens: Tokens, span: Span, *, cursor_s: float, is_today: bool, height_px: int = 190
) -> go.Figure:
    """Draw calls that waited for a start (``t_s``, ``cold_starts``), bars of the shown run under the line of today's policy."""
    fig = figure(tokens, height_px)
    colour = tokens.today if is_today else tokens.candidate
    # A bar stands over its window, which ends at t_s.
    middle = shown["t_s"].to_numpy() - shown["window_s"].to_numpy() / 2.0
    fig.add_bar(
        x=[local(span.clock, t) for t in middle.tolist()], y=shown["cold_starts"].to_numpy(), name="cold starts",
        width=(1000.0 * shown["window_s"].to_numpy()).tolist(), marker={"color": weak(colour, 0.75), "line": {"width": 0}},
        hovertemplate="%{y:,.0f} cold starts<extra></extra>",
    )  # fmt: skip
    if today is not None and not today.is_empty():
        fig.add_scatter(
            x=[local(span.clock, t) for t in today["t_s"].to_list()], y=today["cold_starts"].to_numpy(), mode="lines", name="today",
            line={"color": tokens.today, "dash": DASH, "width": 1.5, "shape": "vh"}, hovertemplate="today %{y:,.0f}<extra></extra>",
        )  # fmt: skip
    return _finished(fig, tokens, span, cursor_s)


def cores(
    shown: pl.DataFrame, today: pl.DataFrame | None, tokens: Tokens, span: Span, *, cursor_s: float, is_today: bool, height_px: int = 190
) -> go.Figure:
    """Draw cores busy with calls, and on them those that spin (``t_s``, ``busy_cores``, ``polling_cores``, ``cores``).

    The red line is what functions have; cores that spin are not among those. Today's policy is a dashed line of both together.
    """
    fig = figure(tokens, height_px)
    times = [local(span.clock, t) for t in shown["t_s"].to_list()]
    busy, spinning = (shown[name].to_numpy() for name in ("busy_cores", "polling_cores"))
    hue = tokens.today if is_today else tokens.candidate
    fig.add_scatter(
        x=times, y=busy, mode="lines", line={"color": hue, "width": 1.5, "shape": "vh"}, fill="tozeroy", fillcolor=weak(hue, 0.4),
        name="busy", hovertemplate="busy with calls %{y:.3~g}<extra></extra>",
    )  # fmt: skip
    if spinning.any():
        fig.add_scatter(
            x=times, y=busy + spinning, customdata=spinning, mode="lines", line={"color": tokens.risk, "width": 1.2, "shape": "vh"},
            fill="tonexty", fillcolor=weak(tokens.risk, 0.3), name="polling", hovertemplate="spinning %{customdata:.3~g}<extra></extra>",
        )  # fmt: skip
    if today is not None and not today.is_empty():
        fig.add_scatter(
            x=[local(span.clock, t) for t in today["t_s"].to_list()], y=(today["busy_cores"] + today["polling_cores"]).to_numpy(),
            mode="lines", line={"color": tokens.today, "dash": DASH, "width": 1.5, "shape": "vh"}, name="today",
            hovertemplate="today %{y:.3~g}<extra></extra>",
        )  # fmt: skip
    most = float(shown["cores"].max() or 0.0)  # type: ignore[arg-type]
    if most:
        limit_line(fig, most, f"functions have {most:.3g}", tokens)
    return _finished(fig, tokens, span, cursor_s, least=1.2 * max(most, float((busy + spinning).max(initial=0.0))))


def headroom(
    shown: pl.DataFrame, today: pl.DataFrame | None, tokens: Tokens, span: Span, *, cursor_s: float, is_today: bool, height_px: int = 190
) -> go.Figure:
    """Draw calls a second (``arrived_per_s``) under those that the cores could do (``saturation_per_s``), on an axis of powers of ten."""
    fig = figure(tokens, height_px)
    role = {"color": tokens.today, "dash": DASH, "width": 1.5} if is_today else {"color": tokens.candidate, "width": 2.0}
    for frame, name, line in ((shown, "all cores busy", role), (today, "today", {"color": tokens.today, "dash": DASH, "width": 1.5})):
        if frame is None or frame.is_empty():
            continue
        fig.add_scatter(
            x=[local(span.clock, t) for t in frame["t_s"].to_list()], y=_positive(frame["saturation_per_s"]), mode="lines", name=name,
            line=line, hovertemplate=f"{name} %{{y:,.0f}} calls a second<extra></extra>",
        )  # fmt: skip
    came = _positive(shown["arrived_per_s"])
    fig.add_scatter(
        x=[local(span.clock, t) for t in shown["t_s"].to_list()], y=came, mode="lines", line={"color": tokens.text, "width": 1.2},
        name="calls", hovertemplate="%{y:,.3~g} calls a second came<extra></extra>",
    )  # fmt: skip
    known = came[np.isfinite(came)]
    if known.size:
        fig.add_annotation(
            x=0.01, xref="paper", y=float(np.log10(known[0])), text="calls that come", showarrow=False, xanchor="left", yanchor="bottom",
            font={"color": tokens.muted, "size": LABEL_PX},
        )  # fmt: skip
    fig.update_yaxes(type="log", tickformat=",~s", nticks=4)
    fig = _finished(fig, tokens, span, cursor_s, zero=False)
    return fig


def _positive(values: pl.Series) -> "np.ndarray":
    found = values.cast(pl.Float64).to_numpy()
    return np.where(found > 0.0, found, np.nan)


def _finished(fig: go.Figure, tokens: Tokens, span: Span, cursor_s: float, *, least: float = 0.0, zero: bool = True) -> go.Figure:
    fig.update_layout(margin=_MARGIN, bargap=0.0)
    clock_axis(fig, span.clock, span.horizon_s)
    fig.update_xaxes(nticks=5)
    if zero:
        fig.update_yaxes(rangemode="tozero", **({"range": [0.0, least]} if least else {}))
    cursor_line(fig, span.clock, cursor_s, tokens)
    return fig

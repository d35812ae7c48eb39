"""Latency over load under each runtime, up to what its cores can do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import plotly.graph_objects as go

from app.charts.quantity import grouped
from app.charts.template import DASH, figure
from app.charts.tokens import LABEL_PX, Tokens, translucent
from twin.units import show

SHOWN: Final = (("latency_p50_s", "p50", 1.2), ("latency_p99_s", "p99", 2.0))
_MOST_TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Here:
    """Where a run stands: how busy its cores are on average, as calls a second, and its words."""

    name: str
    rate_per_s: float
    words: str


def load_curve(
    runtimes: Mapping[str, Mapping[str, Any]], tokens: Tokens, *, busy: float, here: Sequence[Here] = (), height_px: int = 300
) -> go.Figure:
    """Draw p50 (thin) and p99 of each runtime over calls a second; a dotted line is where all cores are busy.

    The first runtime is today's way (grey, dashed), the second the other (blue). Points of the load ``busy`` are full; each
    carries its load as ``customdata``. A diamond is where a run stands.
    """
    fig, values = figure(tokens, height_px), list[float]()
    for place, ((name, found), today) in enumerate(zip(runtimes.items(), (True, False), strict=False)):
        colour = tokens.today if today else tokens.candidate
        points: Sequence[Mapping[str, Any]] = found["points"]
        for column, words, width in SHOWN:
            y = [1e3 * point[column] for point in points]
            values += y
            fig.add_scatter(
                x=[point["rate_per_s"] for point in points], y=y, mode="lines+markers", name=f"{name} {words}",
                line={"color": colour, "width": width, "dash": DASH if today else "solid"},
                marker={
                    "size": [9 if point["busy_share"] == busy else 5 for point in points], "line": {"color": colour, "width": 1.2},
                    "color": [colour if point["busy_share"] == busy else tokens.surface for point in points],
                },
                customdata=[[f"{point['busy_share']:g}", f"{100 * point['busy_share']:.3g}"] for point in points],
                hovertemplate=f"{name} {words} %{{y:.3~g}}\u00a0ms<br>"
                "%{x:,.0f} calls a second, %{customdata[1]}\u00a0% busy<extra></extra>",
            )  # fmt: skip
        _saturation(fig, (name, float(found["saturation_per_s"])), colour, tokens, line=place)
        _standing(fig, [each for each in here if each.name == name], points, colour)
    fig.update_layout(hovermode="closest", margin={"l": 56, "r": 16, "t": 36, "b": 40})
    ticks = _ticks(min(values), max(values))
    fig.update_yaxes(type="log", fixedrange=True, tickvals=ticks, ticktext=[_short(1e-3 * tick) for tick in ticks])
    most = max(float(found["saturation_per_s"]) for found in runtimes.values())
    fig.update_xaxes(
        title_text="calls a second and host", range=[0.0, 1.06 * most], nticks=5, tickformat=",.3~s", fixedrange=True, showspikes=False
    )
    return fig


def _ticks(low: float, high: float) -> list[float]:
    """Return round values between, five at most."""
    found = [m * 10.0**e for e in range(-4, 7) for m in (1.0, 2.0, 5.0) if 0.8 * low <= m * 10.0**e <= 1.25 * high]
    while len(found) > _MOST_TICKS:
        found = found[::2]
    return found


def _short(value_s: float) -> str:
    number, _, unit = show(value_s, "x_s").partition("\u00a0")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number}\u00a0{unit}"


def _saturation(fig: go.Figure, found: tuple[str, float], colour: str, tokens: Tokens, *, line: int) -> None:
    """Draw where all cores are busy; its words stand on a line of their own above the plot, since two may lie side by side."""
    name, highest = found
    fig.add_shape(type="line", x0=highest, x1=highest, yref="paper", y0=0, y1=1, line={"color": colour, "width": 1, "dash": "dot"})
    fig.add_annotation(
        x=highest, y=1.0, yref="paper", text=f"{name}: {grouped(highest)}/s", showarrow=False, xanchor="right", yanchor="bottom",
        yshift=14 * (1 - line), font={"color": tokens.text, "size": LABEL_PX},
    )  # fmt: skip


def _standing(fig: go.Figure, here: Sequence[Here], points: Sequence[Mapping[str, Any]], colour: str) -> None:
    for each in here:
        y = 1e3 * _at(points, each.rate_per_s)
        fig.add_scatter(
            x=[each.rate_per_s], y=[y], mode="markers", marker={"symbol": "diamond", "size": 11, "color": translucent(colour, 0.9)},
            hovertemplate=f"this run: {each.words}<extra></extra>", showlegend=False, name=each.words,
        )  # fmt: skip


def _at(points: Sequence[Mapping[str, Any]], rate_per_s: float) -> float:
    """Return the 99th percentile at a rate, between the loads that are known."""
    before = points[0]
    for point in points:
        if point["rate_per_s"] >= rate_per_s:
            span = point["rate_per_s"] - before["rate_per_s"]
            part = (rate_per_s - before["rate_per_s"]) / span if span else 0.0
            return float(before["latency_p99_s"] + max(part, 0.0) * (point["latency_p99_s"] - before["latency_p99_s"]))
        before = point
    return float(before["latency_p99_s"])


def spoken(point: Mapping[str, Any]) -> str:
    """Return a load's latencies in words."""
    return f"p50 {show(point['latency_p50_s'], 'x_s')}, p99 {show(point['latency_p99_s'], 'x_s')}"

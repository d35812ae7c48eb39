"""Candidates on two metrics, the front among them, the bounds."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
import polars as pl

from app.charts.template import figure, weak
from app.charts.tokens import LABEL_PX, Tokens
from twin.metrics import METRICS
from twin.units import show


def front(frame: pl.DataFrame, *names: str) -> pl.Series:
    """Return which candidates no other one beats on all these metrics, by the vocabulary's direction of better."""
    signs = np.array([1.0 if METRICS[name].better == "lower" else -1.0 for name in names])
    points = np.column_stack([frame[name].to_numpy() for name in names]) * signs
    beaten = [bool(np.any(np.all(points <= point, axis=1) & np.any(points < point, axis=1))) for point in points]
    return pl.Series("front", [not lost for lost in beaten], dtype=pl.Boolean)


def pareto(
    frame: pl.DataFrame, x: str, y: str, tokens: Tokens, *, bounds: dict[str, float] | None = None, height_px: int = 300
) -> go.Figure:
    """Draw candidates by two metrics of the vocabulary.

    ``frame`` has ``name``, both metrics, ``meets`` (all bounds hold) and ``is_today``. Meeting ones are filled, others hollow; the
    front is joined by steps; bounds are thin red lines that carry their values.
    """
    fig = figure(tokens, height_px)
    marked = frame.with_columns(front(frame, x, y))
    best = marked.filter(pl.col("front") & ~pl.col("is_today")).sort(x)
    if len(best) > 1:
        fig.add_scatter(
            x=best[x], y=best[y], mode="lines", line={"color": weak(tokens.candidate, 0.6), "width": 1.5, "shape": "hv"}, hoverinfo="skip"
        )
    for today in (True, False):
        part = marked.filter(pl.col("is_today") == today)
        if part.is_empty():
            continue
        colour = tokens.today if today else tokens.candidate
        fill = [colour if meets or today else tokens.surface for meets in part["meets"].to_list()]
        fig.add_scatter(
            x=part[x], y=part[y], mode="markers+text" if today else "markers", text=part["name"], textposition="top center",
            textfont={"color": tokens.muted, "size": LABEL_PX},
            marker={"color": fill, "size": 10, "symbol": "diamond" if today else "circle", "line": {"color": colour, "width": 1.8}},
            customdata=[[name, show(a, x), show(b, y)] for name, a, b in part.select("name", x, y).iter_rows()],
            hovertemplate="<br>".join(
                ("%{customdata[0]}", f"{METRICS[x].label} %{{customdata[1]}}", f"{METRICS[y].label} %{{customdata[2]}}<extra></extra>")
            ),
        )  # fmt: skip
    bound_lines(fig, x, y, tokens, bounds or {})
    fig.update_layout(hovermode="closest", clickmode="event+select")
    fig.update_xaxes(title_text=axis_words(x), showspikes=False, showgrid=True)
    fig.update_yaxes(title_text=axis_words(y))
    return fig


def bound_lines(fig: go.Figure, x: str, y: str, tokens: Tokens, bounds: Mapping[str, float]) -> None:
    """Draw the bounds of both metrics: thin red lines that carry their values."""
    ink = {"color": tokens.broken_text, "size": LABEL_PX}
    for name, value in bounds.items():
        words = f"{METRICS[name].label} {show(value, name)}"
        if name == x:
            fig.add_vline(
                x=value, line={"color": tokens.limit, "width": 1}, annotation_text=words, annotation_font=ink,
                annotation_position="bottom right",
            )  # fmt: skip
        elif name == y:
            fig.add_hline(
                y=value, line={"color": tokens.limit, "width": 1}, annotation_text=words, annotation_font=ink,
                annotation_position="top left",
            )  # fmt: skip


def axis_words(name: str) -> str:
    """Return what an axis shows, and which way is better."""
    metric = METRICS[name]
    return f"{metric.label}, {metric.better} is better"

"""Pods by what they cost and save: none beats the blue ones, click any."""

import math
from collections.abc import Mapping
from typing import Any, Final

import plotly.graph_objects as go
import polars as pl

from app.charts.curve import value_axis
from app.charts.pareto import bound_lines
from app.charts.quantity import Measure
from app.charts.template import figure, weak
from app.charts.tokens import LABEL_PX, Tokens
from twin.units import show

COST: Final = "memory.cost_usd_per_host"
SAVING: Final = "memory.dram_saving_share"
HOSTS: Final = "memory.pod_hosts"
# How a pod stands: none beats it, another one is better in all, a bound is missed.
BEST, BEATEN, MISSED = "best", "beaten", "missed"
_PERCENT: Final = Measure("", "%", 0.01)
_LEAST_PX: Final = 5.0
_PX_BY_ROOT: Final = 0.65


def options(
    frame: pl.DataFrame, tokens: Tokens, *, here: str = "", bounds: Mapping[str, float] | None = None, height_px: int = 280
) -> go.Figure:
    """Draw pods by cost per host and DRAM saved, the larger the more hosts.

    ``frame`` has ``name``, ``title``, ``label``, the three metrics, ``stands`` and ``why`` (what beats it or what it misses). Those that
    none beats are blue and joined, beaten ones faint, those that miss a bound hollow; ``here`` is ringed. A point's first ``customdata``
    is its name.
    """
    fig = figure(tokens, height_px)
    best = frame.filter(pl.col("stands") == BEST).sort(COST)
    if len(best) > 1:
        line = {"color": weak(tokens.candidate, 0.5), "width": 1.5}
        rising = best.filter(pl.col(SAVING) >= pl.col(SAVING).cum_max())
        fig.add_scatter(x=rising[COST], y=rising[SAVING], mode="lines", line={**line, "shape": "hv"}, hoverinfo="skip")
    for stands in (MISSED, BEATEN, BEST):
        part = frame.filter(pl.col("stands") == stands)
        if len(part):
            fig.add_scatter(**_points(part, stands, tokens))
    ringed = frame.filter(pl.col("name") == here)
    if len(ringed):
        size = _sizes(ringed)[0] + 8.0
        fig.add_scatter(
            x=ringed[COST], y=ringed[SAVING], mode="markers", hoverinfo="skip", customdata=[[here]],
            marker={"size": size, "symbol": "circle-open", "color": tokens.text, "line": {"width": 1.5}},
            unselected={"marker": {"opacity": 1.0}},
        )  # fmt: skip
    _labels(fig, frame, here, tokens)
    bound_lines(fig, COST, SAVING, tokens, bounds or {})
    fig.update_layout(hovermode="closest", clickmode="event+select", margin={"l": 44, "r": 16, "t": 12, "b": 36})
    fig.update_xaxes(title_text="cost per host, USD", showspikes=False, showgrid=True, rangemode="tozero", separatethousands=True)
    ticks = value_axis(
        [0.0, *frame[SAVING].to_list(), *(value for name, value in (bounds or {}).items() if name == SAVING)], _PERCENT
    ).ticks
    fig.update_yaxes(title_text="DRAM saved", tickvals=[at for at, _ in ticks], ticktext=[f"{words}\u00a0%" for _, words in ticks])
    return fig


def _points(part: pl.DataFrame, stands: str, tokens: Tokens) -> dict[str, Any]:
    faint = weak(tokens.today, 0.45)
    fill = {BEST: tokens.candidate, BEATEN: faint, MISSED: tokens.surface}[stands]
    # Dots that lie on one another keep their edges.
    edge = {BEST: tokens.surface, BEATEN: tokens.surface, MISSED: tokens.control}[stands]
    told = [
        [name, title, show(hosts, HOSTS), show(cost, COST), show(saved, SAVING), why]
        for name, title, hosts, cost, saved, why in part.select("name", "title", HOSTS, COST, SAVING, "why").iter_rows()
    ]
    lines = ("<b>%{customdata[1]}</b>", "%{customdata[3]} a host", "%{customdata[4]} of DRAM saved", "%{customdata[5]}<extra></extra>")
    return {
        "x": part[COST],
        "y": part[SAVING],
        "mode": "markers",
        "marker": {"color": fill, "size": _sizes(part), "opacity": 1.0, "line": {"color": edge, "width": 1.2}},
        # Clicking one point must not fade the others.
        "unselected": {"marker": {"opacity": 1.0}},
        "customdata": told,
        "hovertemplate": "<br>".join(lines),
    }


def _sizes(part: pl.DataFrame) -> list[float]:
    return [_LEAST_PX + _PX_BY_ROOT * math.sqrt(hosts) for hosts in part[HOSTS].to_list()]


def _labels(fig: go.Figure, frame: pl.DataFrame, here: str, tokens: Tokens) -> None:
    """Write counts of hosts beside the ringed pod, and the one that saves most and the cheapest that none beats; and each ``label``."""
    best = frame.filter(pl.col("stands") == BEST).sort(SAVING, COST, descending=[True, False])
    ends = [] if best.is_empty() else [best["name"][0], best.sort(COST)["name"][0]]
    for row in frame.filter(pl.col("name").is_in([here, *ends]) | (pl.col("label") != "")).iter_rows(named=True):
        mine = row["name"] == here
        above = bool(row["label"])
        # The joined ones lead up to the best: its words stand at the left of it, all others at the right.
        left = not mine and row["name"] in ends[:1]
        fig.add_annotation(
            x=row[COST], y=row[SAVING], text=row["label"] or f"{row[HOSTS]:.0f} hosts", showarrow=False,
            xanchor="center" if above else "right" if left else "left", yanchor="bottom" if above else "middle",
            xshift=0 if above else -9 if left else 11, yshift=6 if above else 0,
            font={"color": tokens.text if mine else tokens.muted, "size": LABEL_PX},
        )  # fmt: skip


def options_title(frame: pl.DataFrame, against: str) -> str:
    """Return which of the pods that none beats saves most, and against what.

    >>> rows = {"title": ["two", "nine hosts"], HOSTS: [2.0, 9.0], COST: [90.0, 80.0], SAVING: [0.01, 0.052]}
    >>> options_title(pl.DataFrame({**rows, "stands": [BEATEN, BEST]}), "own peaks").replace("\\u00a0", " ")
    '5.20 % of DRAM saved against own peaks at best: nine hosts, 80.0 USD a host'
    """
    best = frame.filter(pl.col("stands") == BEST).sort(SAVING, COST, descending=[True, False])
    if best.is_empty():
        return f"No pod keeps every bound; savings are against {against}"
    title, saved, cost = best.select("title", SAVING, COST).row(0)
    return f"{show(saved, SAVING)} of DRAM saved against {against} at best: {title}, {show(cost, COST)} a host"

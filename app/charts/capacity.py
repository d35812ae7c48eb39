"""Who holds the cores of a pool over the day, and who was turned away."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import plotly.graph_objects as go
import polars as pl

from app.charts.template import clock_axis, cursor_line, figure, local, weak
from app.charts.timeline import Span
from app.charts.tokens import LABEL_PX, Tokens

# From the foot up, in the order in which capacity is served; surplus is what is left to the top.
BANDS: Final[Mapping[str, str]] = {
    "regular_cores": "regular",
    "reserve_cores": "reserve",
    "spot_cores": "spot",
    "harvest_cores": "harvest",
}
UNITS: Final[Mapping[str, str]] = {"hosts": "vCPUs", "servers": "GPUs"}
# Names at the right end stand so far from one another, as a share of all cores.
_APART: Final = 0.13


def capacity(frame: pl.DataFrame, tokens: Tokens, span: Span, *, cursor_s: float, unit: str, height_px: int = 200) -> go.Figure:
    """Draw one pool of the capacity table: bands of who holds it under the line of all cores; red is what found no room.

    What the reserve got is drawn as held for it; what it did not get stands in red at the top. The bands pass the line by what
    harvest VMs have grown into: cores that others rent and leave idle, counted for both.
    """
    fig = figure(tokens, height_px)
    times = [local(span.clock, t) for t in frame["t_s"].to_list()]
    got = (frame["reserve_cores"] - frame["turned_away_cores"]).to_numpy()
    foot = np.zeros(len(frame))
    for hue, (column, word) in zip(tokens.series, BANDS.items(), strict=False):
        values = got if column == "reserve_cores" else frame[column].to_numpy()
        top = foot + values
        fig.add_scatter(x=times, y=foot, mode="lines", line={"width": 0}, hoverinfo="skip", showlegend=False)
        fig.add_scatter(
            x=times, y=top, mode="lines", line={"color": hue, "width": 1.2}, fill="tonexty", fillcolor=weak(hue, 0.34), name=word,
            customdata=values, hovertemplate=f"{word} %{{customdata:,.0f}} {unit}<extra></extra>",
        )  # fmt: skip
        foot = top
    lost = frame["turned_away_cores"].to_numpy()
    if lost.any():
        fig.add_bar(
            x=times, y=np.where(lost > 0, lost, np.nan), base=foot, name="turned away",
            marker={"color": tokens.limit, "line": {"width": 0}},
            hovertemplate=f"turned away %{{y:,.0f}} {unit}<extra></extra>",
        )  # fmt: skip
    total = frame["total_cores"].to_numpy()
    fig.add_scatter(
        x=times,
        y=total,
        mode="lines",
        line={"color": tokens.limit, "width": 1},
        name="all",
        hovertemplate=f"all %{{y:,.0f}} {unit}<extra></extra>",
    )
    _names(fig, frame, got, tokens)
    fig.update_layout(margin={"l": 52, "r": 72, "t": 8, "b": 28}, bargap=0.0)
    fig.update_yaxes(rangemode="tozero", range=[0.0, 1.06 * float(max(total.max(), (foot + lost).max()))])
    clock_axis(fig, span.clock, span.horizon_s)
    fig.update_xaxes(nticks=5)
    cursor_line(fig, span.clock, cursor_s, tokens)
    return fig


def borrowed(frame: pl.DataFrame) -> float:
    """Return by how many cores the bands pass all cores at most: what harvest VMs hold of rented cores that are idle."""
    got = pl.col("reserve_cores") - pl.col("turned_away_cores")
    over = frame.select((pl.sum_horizontal("regular_cores", "spot_cores", "harvest_cores") + got - pl.col("total_cores")).alias("over"))
    return max(float(over["over"].max() or 0.0), 0.0)  # type: ignore[arg-type]


def _names(fig: go.Figure, frame: pl.DataFrame, got: "np.ndarray", tokens: Tokens) -> None:
    """Write each band's name at its right end, as far as they do not cover one another."""
    top, foot, last = float(frame["total_cores"].max() or 1.0), 0.0, -1.0  # type: ignore[arg-type]
    for column, word in BANDS.items():
        value = float(got[-1]) if column == "reserve_cores" else float(frame[column][-1])
        middle = foot + value / 2
        foot += value
        if value > 0.0 and middle - last > _APART * top and (middle <= top or last < 0.0):
            fig.add_annotation(
                x=1.0,
                xref="paper",
                y=middle,
                text=word,
                showarrow=False,
                xanchor="left",
                xshift=6,
                font={"color": tokens.muted, "size": LABEL_PX},
            )
            last = middle
    # The line of all keeps its own name, above that of a band that reaches it.
    fig.add_annotation(
        x=1.0, xref="paper", y=max(top, last + _APART * top), text=f"{top:,.0f}".replace(",", "\u00a0"),
        showarrow=False, xanchor="left", xshift=6,
        font={"color": tokens.broken_text, "size": LABEL_PX},
    )  # fmt: skip

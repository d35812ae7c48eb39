"""Jobs over the day: one dot each, crosses for those refused."""

from collections.abc import Mapping
from typing import Final

import plotly.graph_objects as go
import polars as pl

from app.charts.curve import value_axis
from app.charts.quantity import Measure
from app.charts.template import clock_axis, cursor_line, figure, limit_line, local
from app.charts.timeline import Span
from app.charts.tokens import Tokens
from twin.units import show

_MOST: Final = 4000
_HEIGHT_PX: Final = 220


def job_dots(
    jobs: Mapping[str, pl.DataFrame], column: str, tokens: Tokens, span: Span, *, chosen: str = "", cursor_s: float | None = None,
    limit: float | None = None,
) -> go.Figure:  # fmt: skip
    """Draw a figure of each job by when it was asked for: ``today`` grey rings, ``candidate`` blue dots; refused ones stand on zero.

    Frames are of the table *jobs*; a dot's first ``customdata`` is its job's id. Of very many every n-th is drawn.
    """
    fig = figure(tokens, _HEIGHT_PX)
    shown = {name: thinned(frame) for name, frame in jobs.items()}
    values = [v for frame in shown.values() for v in frame.filter(pl.col("outcome") == "done")[column].to_list()]
    measure = Measure.of(column, max(values, default=0.0))
    for name, frame in shown.items():
        today = name == "today"
        done, lost = frame.filter(pl.col("outcome") == "done"), frame.filter(pl.col("outcome") == "refused")
        colour = tokens.today if today else tokens.candidate
        _dots(fig, done, done[column].to_list(), column, span, {"symbol": "circle-open" if today else "circle", "size": 7, "color": colour})
        refused = {"symbol": "x-thin", "size": 8, "line": {"color": tokens.limit, "width": 1.8}}
        _dots(fig, lost, [0.0] * lost.height, "", span, refused, today=today)
    here = next((frame.filter(pl.col("job_id") == chosen) for frame in reversed(shown.values()) if chosen in frame["job_id"]), None)
    if here is not None and here["outcome"][0] == "done":
        fig.add_scatter(
            x=[local(span.clock, here["submit_s"][0])], y=[here[column][0]], mode="markers", hoverinfo="skip", customdata=[[chosen]],
            marker={"symbol": "circle-open", "size": 15, "color": tokens.text, "line": {"width": 1.5}},
            unselected={"marker": {"opacity": 1.0}},
        )  # fmt: skip
    ticks = value_axis([*values, *([limit] if limit else [])] or [0.0, 1.0], measure, zero=True).ticks
    unit = f"\u00a0{measure.unit}" if measure.unit else ""
    fig.update_yaxes(tickvals=[at for at, _ in ticks], ticktext=[f"{words}{unit}" for _, words in ticks], rangemode="tozero")
    fig.update_layout(hovermode="closest", clickmode="event+select")
    clock_axis(fig, span.clock, span.horizon_s)
    if limit is not None:
        limit_line(fig, limit, f"limit {show(limit, column)}", tokens)
    if cursor_s is not None:
        cursor_line(fig, span.clock, cursor_s, tokens)
    return fig


def thinned(frame: pl.DataFrame) -> pl.DataFrame:
    """Return at most a few thousand jobs, even over the day."""
    step = -(-frame.height // _MOST) or 1
    return frame if step == 1 else frame.gather_every(step)


def _dots(
    fig: go.Figure, frame: pl.DataFrame, values: list[float], column: str, span: Span, marker: dict[str, object], *, today: bool = False
) -> None:
    if frame.is_empty():
        return
    whose = "today: " if today else ""
    told = [
        [job, f"{whose}{job}, {items} items", show(value, column) if column else f"refused: {why}"]
        for (job, items, why), value in zip(frame.select("job_id", "items", "why").iter_rows(), values, strict=True)
    ]
    fig.add_scatter(
        x=[local(span.clock, t) for t in frame["submit_s"].to_list()], y=values, mode="markers", marker=marker, customdata=told,
        hovertemplate="<b>%{customdata[1]}</b><br>%{x|%H:%M} · %{customdata[2]}<extra></extra>", unselected={"marker": {"opacity": 1.0}},
    )  # fmt: skip

"""Instances over the day, lane by lane, and when that was decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
import polars as pl

from app.charts.slots import ORDER, ROLES, role_colour
from app.charts.template import DASH, clock_axis, cursor_line, figure, local, weak
from app.charts.timeline import Span
from app.charts.tokens import LABEL_PX, Tokens

# Steps in one direction closer than this are one decision to the eye.
APART_S: Final = 1800.0
_MARK_PX: Final = 7
_SMALL_PX: Final = 5
_MANY: Final = 16
_KINDS: Final = {"instance_start": 1, "instance_stop": -1, "instance_lost": -1}
_MOVES: Final[Mapping[str, Any]] = {"t_s": pl.Float64, "by": pl.Int64, "gpus": pl.Float64, "lost": pl.Boolean}


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane of steps: how many instances of a role (``t_s``, ``count``, ``gpus``), what today has, what was decided (``moves``)."""

    label: str
    role: int
    shown: pl.DataFrame
    today: pl.DataFrame | None = None
    moves: pl.DataFrame | None = None


def counts(instances: pl.DataFrame) -> dict[tuple[str, int], pl.DataFrame]:
    """Return the instances on over time (``t_s``, ``count``, ``gpus``) by endpoint and role, of what ``slots.slots`` gives."""
    held = pl.col("on_share").cast(pl.Float64)
    # The whole frame of times for each, so that a pool that is given up falls to zero.
    on = instances.filter(pl.col("on_share") > 0).group_by("endpoint_id", "role", "t_s")
    summed = on.agg(held.sum().round(0).alias("count"), (held * pl.col("gpus")).sum().round(0).alias("gpus"))
    times = instances.select(pl.col("t_s").unique().sort())
    found = {}
    for (endpoint, role), group in summed.group_by("endpoint_id", "role"):
        found[str(endpoint), int(str(role))] = times.join(group.select("t_s", "count", "gpus"), on="t_s", how="left").fill_null(0.0)
    return dict(sorted(found.items(), key=lambda item: (item[0][0], ORDER.index(item[0][1]))))


def decisions(events: pl.DataFrame, instances: pl.DataFrame, begin_s: float) -> dict[tuple[str, int], pl.DataFrame]:
    """Return when instances were started, stopped or lost (``t_s``, ``by``, ``gpus``, ``lost``) by endpoint and role.

    What stands at the beginning of the run is no decision. Decisions of one direction that follow at once are one.
    """
    if events.is_empty() or instances.is_empty():
        return {}
    moved = events.filter(pl.col("kind").is_in(list(_KINDS)) & (pl.col("t_s") > begin_s))
    moved = moved.select(
        "t_s",
        pl.col("entity_id").cast(pl.String).alias("instance_id"),
        pl.col("kind").cast(pl.String).replace_strict(_KINDS, return_dtype=pl.Int64).alias("sign"),
        pl.col("value").abs().alias("gpus"),
        (pl.col("kind") == "instance_lost").alias("lost"),
    ).sort("t_s")
    roles = instances.select("t_s", "instance_id", "endpoint_id", "role").sort("t_s")
    known = moved.join_asof(roles, on="t_s", by="instance_id", check_sortedness=False).drop_nulls("role")
    by = known.group_by("endpoint_id", "role", "t_s").agg(
        pl.col("sign").sum().alias("by"), (pl.col("gpus") * pl.col("sign")).sum().alias("gpus"), pl.col("lost").any()
    )
    found = {}
    for (endpoint, role), group in by.group_by("endpoint_id", "role"):
        found[str(endpoint), int(str(role))] = _together(group.filter(pl.col("by") != 0).sort("t_s")).select(list(_MOVES))
    return found


def _together(moves: pl.DataFrame) -> pl.DataFrame:
    same = (pl.col("by").sign() == pl.col("by").sign().shift(1)) & (pl.col("lost") == pl.col("lost").shift(1))
    part = (~(same & (pl.col("t_s").diff() < APART_S))).fill_null(True).cum_sum().alias("part")
    joined = moves.with_columns(part).group_by("part", maintain_order=True)
    return joined.agg(pl.col("t_s").first(), pl.col("by").sum(), pl.col("gpus").sum(), pl.col("lost").first()).drop("part")


def lane_label(endpoint: str, role: int) -> str:
    """Return the name of a lane; a pool that serves all stages is the endpoint itself."""
    return endpoint if role not in ROLES or role == 0 else f"{endpoint} {ROLES[role]}"


def lanes(found: Sequence[Lane], tokens: Tokens, span: Span, *, cursor_s: float | None = None, lane_px: int = 40) -> go.Figure:
    """Draw counts over the day, one lane each from zero, in the hue of its role: today dashed grey, the shown run filled.

    A triangle up or down is a decision of the shown run, a red cross a loss; the number at the right is the count at the cursor.
    """
    fig = figure(tokens, max(lane_px * len(found), lane_px) + 36)
    for index, lane in enumerate(found):
        base = float(len(found) - 1 - index)
        most = max([1.0, *(_most(frame) for frame in (lane.shown, lane.today) if frame is not None)])
        hue, place = role_colour(tokens, lane.role), (base, 0.72 / most)
        _steps(fig, lane.shown, place, span, {"color": hue, "width": 1.8, "fill": weak(hue, 0.14)}, f"{lane.label}, shown")
        if lane.today is not None:
            _steps(fig, lane.today, place, span, {"color": tokens.today, "width": 1.5, "dash": DASH}, f"{lane.label}, today")
        _marks(fig, lane, place, span, tokens)
        at = span.horizon_s if cursor_s is None else cursor_s
        fig.add_annotation(
            x=1.0, xref="paper", y=base + 0.3, text=f"<b>{count_at(lane.shown, at):.0f}</b>", showarrow=False, xanchor="left", xshift=8,
            font={"color": tokens.text, "size": LABEL_PX},
        )  # fmt: skip
    fig.update_layout(hovermode="closest", margin={"l": 120, "r": 40, "t": 4, "b": 28})
    fig.update_yaxes(
        tickvals=[len(found) - 1 - index + 0.3 for index in range(len(found))], ticktext=[lane.label for lane in found],
        range=[-0.1, max(len(found), 1) - 0.05], showgrid=False, ticklabelstandoff=6, tickfont={"color": tokens.text},
    )  # fmt: skip
    clock_axis(fig, span.clock, span.horizon_s)
    fig.update_xaxes(nticks=5)
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
    counted = few.select(pl.col("count", "gpus").cast(pl.Float64)).to_numpy()
    x = [local(span.clock, t) for t in few["t_s"].to_list()]
    fill = line.pop("fill", None)
    if fill:
        fig.add_scatter(x=x, y=np.full(len(x), base), mode="lines", line={"width": 0}, hoverinfo="skip")
    fig.add_scatter(
        x=x, y=base + counted[:, 0] * scale, mode="lines", line={**line, "shape": "hv"}, name=name, customdata=counted,
        hovertemplate=f"{name}: %{{customdata[0]:.0f}} on %{{customdata[1]:.0f}} GPUs<extra></extra>",
        **({"fill": "tonexty", "fillcolor": fill} if fill else {}),
    )  # fmt: skip


def _marks(fig: go.Figure, lane: Lane, place: tuple[float, float], span: Span, tokens: Tokens) -> None:
    moved = lane.moves
    if moved is None or moved.is_empty():
        return
    at = [count_at(lane.shown, t) for t in moved["t_s"].to_list()]
    pairs = moved.select("by", "lost").rows()
    mark = {
        "symbol": ["x-thin-open" if lost else "triangle-up" if by > 0 else "triangle-down" for by, lost in pairs],
        "color": [tokens.limit if lost else tokens.text for _, lost in pairs],
        "size": _MARK_PX if len(moved) <= _MANY else _SMALL_PX,
    }
    fig.add_scatter(
        x=[local(span.clock, t) for t in moved["t_s"].to_list()], y=place[0] + np.array(at) * place[1], mode="markers",
        marker=mark,
        customdata=moved.select("by", "gpus").to_numpy(),
        hovertemplate=f"{lane.label} %{{customdata[0]:+.0f}} (%{{customdata[1]:+.0f}} GPUs) from %{{x|%H:%M}}<extra></extra>",
    )  # fmt: skip

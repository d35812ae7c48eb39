"""Time to the first token by stage, waiting pale, at p50 and p99."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from app.charts import svg
from app.charts.breakdown import BANDS, PARTS, who
from app.charts.tokens import Tokens, stage_colour, translucent
from twin.units import show

_LEFT: Final = 30.0
_RIGHT: Final = 58.0
# A bound this many times as far away as the longest bar would press the bars together: its words say that it is further out.
_FAR: Final = 1.6


def waits_svg(frame: pl.DataFrame, bounds: Mapping[str, float], tokens: Tokens, *, width: float = 384) -> str:
    """Draw a group per endpoint and kind of request (image, text), in it p50 and p99: ``PARTS`` one after the other.

    ``frame`` is ``breakdown`` of one run or two, told apart by ``run`` (today, candidate); where there are both, today is the
    thin bar above. ``bounds`` are the objectives in seconds; one that lies far outside is written only.
    """
    bars = frame.filter(pl.col("at").is_in(list(BANDS)))
    both = bars["run"].n_unique() > 1
    span = width - _LEFT - _RIGHT
    longest = max([1e-9, *bars["ttft_s"].to_list()])
    near = [bounds[name] for name in bars["endpoint_id"].unique().to_list() if bounds.get(name, 0.0) < _FAR * longest and name in bounds]
    reach = 1.02 * max([longest, *near])
    parts, y = [], 0.0
    for (endpoint, kind), group in bars.group_by("endpoint_id", "kind", maintain_order=True):
        kinds = bars.filter(pl.col("endpoint_id") == endpoint)["kind"].n_unique()
        top = y + 18
        y = top
        for at in BANDS:
            mine = {row["run"]: row for row in group.filter(pl.col("at") == at).iter_rows(named=True)}
            if mine:
                parts.append(svg.text(0, y + (20 if both else 14), at, tokens.muted))
                parts += _bars(mine, y, (span / reach, width), both, tokens)
                y += 28 if both else 20
        parts += _head(who(str(endpoint), str(kind), kinds > 1), (top, y), bounds.get(str(endpoint)), (reach, span, width), tokens)
        y += 8
    return svg.document(width, y + 34, [*parts, *_legend(y + 12, width, both, tokens)], "Time to first token by stage, at p50 and p99")


def _bars(mine: Mapping[str, Mapping[str, Any]], y: float, scale: tuple[float, float], both: bool, tokens: Tokens) -> list[str]:
    parts = []
    for run, row in mine.items():
        thin = both and run == "today"
        top, height, below = (y + 3, 4, 8) if thin else (y + 11, 10, 20) if both else (y + 5, 10, 14)
        x = _LEFT
        for part, (stage, waits) in PARTS.items():
            length = (row[part] or 0.0) * scale[0]
            parts += [svg.rect(x, top, length, height, _fill(stage, waits, tokens))] if length > 0.05 else []
            x += length
        ink, weight = (tokens.muted, 400) if thin else (tokens.text, 600)
        parts.append(svg.text(scale[1], y + below, show(row["ttft_s"], "ttft_s"), ink, anchor="end", weight=weight))
    return parts


def _fill(stage: str | None, waits: bool, tokens: Tokens) -> str:
    if stage is None:
        return tokens.control
    return translucent(stage_colour(tokens, stage), 0.38) if waits else stage_colour(tokens, stage)


def _head(name: str, rows: tuple[float, float], bound: float | None, scale: tuple[float, float, float], tokens: Tokens) -> list[str]:
    (top, bottom), (reach, span, width) = rows, scale
    parts = [svg.text(0, top - 4, name, tokens.text)]
    if bound is None:
        return parts
    beyond = bound > reach
    parts.append(svg.text(width, top - 4, f"bound {show(bound, 'ttft_s')}{' →' if beyond else ''}", tokens.broken_text, anchor="end"))
    x = _LEFT + bound / reach * span
    return parts if beyond else [*parts, svg.line(x, top, x, bottom, tokens.limit)]


def _legend(y: float, width: float, both: bool, tokens: Tokens) -> list[str]:
    x, parts = 0.0, []
    for stage, words, room in (("preprocess", "preprocess", 82), ("encode", "encode", 62), ("prefill", "prefill", 58)):
        parts += [
            svg.rect(x, y, 5, 10, translucent(stage_colour(tokens, stage), 0.38)),
            svg.rect(x + 5, y, 5, 10, stage_colour(tokens, stage)),
            svg.text(x + 14, y + 9, words, tokens.muted),
        ]
        x += room
    parts += [svg.rect(x, y, 10, 10, tokens.control), svg.text(x + 14, y + 9, "transfer", tokens.muted)]
    if both:
        parts.append(svg.text(width, y + 9, "thin: today", tokens.muted, anchor="end"))
    return parts

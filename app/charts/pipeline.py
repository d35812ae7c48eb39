"""Stages of serving: load, use, queue, and where the first token waits."""

from typing import Any, Final

import polars as pl

from app.charts import svg
from app.charts.tokens import STAGES, Tokens, stage_colour, translucent
from twin.units import show, split_prefixed

LANE_H: Final = 84
_LABEL_W: Final = 132
_CELL_W: Final = 280
_GAP: Final = 44
_BAR_H: Final = 44
_USES: Final = {"decode": "of the KV cache"}


def pipeline_svg(frame: pl.DataFrame, tokens: Tokens, *, target_share: float = 0.85) -> str:
    """Draw a lane per endpoint and a column per stage, no boxes.

    ``frame`` has ``endpoint_id``, ``stage`` (prefill, decode), ``instances``, ``gpus``, ``requests_per_s``, ``tokens_per_s``,
    ``use_share`` (what runs out first: time of prefill, KV cache of decode), ``time_share``, ``queue`` (requests that wait, null
    where a stage has no queue), ``batch`` (requests served together), ``ttft_waiting_share`` (null after the first token) and
    ``e2e_share``. Amber is past the target of ``use_share``, a red tick.
    """
    stages = [stage for stage in STAGES if stage in frame["stage"].to_list()]
    width = _LABEL_W + len(stages) * (_CELL_W + _GAP) - _GAP
    parts = []
    for column, stage in enumerate(stages):
        x = _LABEL_W + column * (_CELL_W + _GAP)
        parts += [svg.rect(x, 3, 8, 8, stage_colour(tokens, stage)), svg.text(x + 14, 11, stage, tokens.text)]
    endpoints = frame["endpoint_id"].unique(maintain_order=True).to_list()
    for lane, endpoint in enumerate(endpoints):
        y = 22 + lane * LANE_H
        mine = {row["stage"]: row for row in frame.filter(pl.col("endpoint_id") == endpoint).iter_rows(named=True)}
        first = next(iter(mine.values()))
        parts += [
            svg.line(0, y, width, y, tokens.hairline),
            svg.text(0, y + 22, str(endpoint), tokens.text, weight=600, size=14),
            svg.text(0, y + 40, f"{count_words(first['requests_per_s'])} requests/s", tokens.muted),
            svg.text(0, y + 56, f"{first['instances']:.0f} on, {first['gpus']:.0f} GPUs", tokens.muted),
        ]
        for column, stage in enumerate(stages):
            x = _LABEL_W + column * (_CELL_W + _GAP)
            parts += _cell(mine[stage], x, y, tokens, target_share)
            if column:
                parts += _arrow(x - _GAP + 8, x - 8, y + 30, tokens)
    return svg.document(width, 22 + len(endpoints) * LANE_H, parts, f"Serving stages of {', '.join(map(str, endpoints))}")


def _cell(row: dict[str, Any], x: float, y: float, tokens: Tokens, target: float) -> list[str]:
    hue = stage_colour(tokens, row["stage"])
    use, share = min(row["use_share"] or 0.0, 1.0), row["e2e_share"] or 0.0
    past, right = use > target, x + _CELL_W
    together = f"batch of {count_words(row['batch'])}, {100 * row['time_share']:.0f} % of the time" if row["batch"] else ""
    parts = [
        svg.text(
            x,
            y + 18,
            f"{100 * use:.0f} % {_USES.get(row['stage'], 'busy')}",
            tokens.risk_text if past else tokens.muted,
            weight=600 if past else 400,
        ),
        svg.text(right, y + 18, f"{count_words(row['tokens_per_s'])} tokens/s", tokens.muted, anchor="end"),
        svg.rect(x, y + 25, _CELL_W, 7, tokens.hairline),
        svg.rect(x, y + 25, _CELL_W * use, 7, hue),
        svg.line(x + _CELL_W * target, y + 22, x + _CELL_W * target, y + 35, tokens.limit),
        svg.text(x, y + 50, together, tokens.muted),
        svg.text(
            x,
            y + 70,
            f"{100 * share:.0f} % of end to end",
            tokens.text if share > 0.5 else tokens.muted,
            weight=600 if share > 0.5 else 400,
        ),
        svg.rect(x + 116, y + 62, _CELL_W - 116, 8, tokens.hairline),
    ]
    waits = row["ttft_waiting_share"]
    length = (_CELL_W - 116) * min(share, 1.0)
    if waits is None:
        return [*parts, svg.rect(x + 116, y + 62, length, 8, hue)]
    queue = row["queue"] or 0.0
    ink, weight = (tokens.text, 600) if queue >= 1 else (tokens.muted, 400)
    return [
        *parts,
        svg.text(right, y + 50, f"{count_words(queue)} wait, {100 * waits:.0f} % of TTFT", ink, anchor="end", weight=weight),
        svg.rect(x + 116, y + 62, length * waits, 8, translucent(hue, 0.38)),
        svg.rect(x + 116 + length * waits, y + 62, length * (1.0 - waits), 8, hue),
    ]


def waits_svg(frame: pl.DataFrame, tokens: Tokens, *, width: float = 384) -> str:
    """Draw the mean time to first token of each endpoint by part: waiting pale, prefill full; today is the thin bar above.

    ``frame`` has ``endpoint_id``, ``run`` (today, candidate), ``waiting_s`` and ``running_s``: means, because only means add up.
    """
    reach = 1.02 * max([1e-9, *(frame["waiting_s"] + frame["running_s"]).drop_nulls().to_list()])
    span, hue = width - 64, stage_colour(tokens, "prefill")
    endpoints = frame["endpoint_id"].unique(maintain_order=True).to_list()
    parts = []
    for index, endpoint in enumerate(endpoints):
        y = index * _BAR_H
        parts.append(svg.text(0, y + 12, str(endpoint), tokens.text))
        mine = frame.filter(pl.col("endpoint_id") == endpoint)
        both = mine["run"].n_unique() > 1
        for row in mine.iter_rows(named=True):
            thin = both and row["run"] == "today"
            top, height = (y + 17, 4) if thin else (y + 23, 10)
            waits, runs = row["waiting_s"] / reach * span, row["running_s"] / reach * span
            words = show(row["waiting_s"] + row["running_s"], "ttft_mean_s")
            ink, weight, below = (tokens.muted, 400, 12) if thin else (tokens.text, 600, 32)
            parts += [
                svg.rect(0, top, waits, height, translucent(hue, 0.38)),
                svg.rect(waits, top, runs, height, hue),
                svg.text(width, y + below, words, ink, anchor="end", weight=weight),
            ]
    bottom = len(endpoints) * _BAR_H + 14
    parts += [
        svg.rect(0, bottom - 9, 10, 10, translucent(hue, 0.38)), svg.text(16, bottom, "waiting", tokens.muted),
        svg.rect(74, bottom - 9, 10, 10, hue), svg.text(90, bottom, "prefill", tokens.muted),
    ]  # fmt: skip
    if frame["run"].n_unique() > 1:
        parts.append(svg.text(width, bottom, "thin: today", tokens.muted, anchor="end"))
    return svg.document(width, bottom + 6, parts, "Mean time to first token, waiting and prefill")


def count_words(value: float) -> str:
    """Return a count or rate with three digits and an SI prefix."""
    if value < 1000:
        return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
    number, prefix = split_prefixed(value, "")
    return f"{number}\u00a0{prefix}"


def _arrow(x1: float, x2: float, y: float, tokens: Tokens) -> list[str]:
    head = f"M{svg.number(x2 - 5)} {svg.number(y - 4)}L{svg.number(x2)} {svg.number(y)}L{svg.number(x2 - 5)} {svg.number(y + 4)}"
    return [svg.line(x1, y, x2, y, tokens.control), svg.path(head, stroke=tokens.control)]

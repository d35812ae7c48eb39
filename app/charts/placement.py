"""Which instance holds how much, and where the last request went."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from app.charts import svg
from app.charts.pipeline import count_words, percent
from app.charts.quantity import grouped
from app.charts.slots import DECODE, IMAGE, ORDER, PREFILL, ROLES, WHOLE, pool_words, role_colour
from app.charts.tokens import Tokens

WIDTH: Final = 384.0
# Of a larger pool the fullest are drawn; the rest is one line.
AT_MOST: Final = 24
_ROW_H: Final = 18.0
_FIRST_X: Final = 40.0
_BAR_W: Final = 54.0
_STEP_W: Final = 94.0
_BUDGET_W: Final = 0.8
Row = Mapping[str, Any]
# What fills up in each role: heading, column.
_FILLS: Final[Mapping[int, tuple[tuple[str, str], ...]]] = {
    IMAGE: (("busy", "busy_share"),),
    PREFILL: (("busy", "busy_share"), ("KV cache", "kv_share")),
    WHOLE: (("batch", "batch_share"), ("KV cache", "kv_share"), ("ATGT budget", "atgt_budget_share")),
    DECODE: (("batch", "batch_share"), ("KV cache", "kv_share"), ("ATGT budget", "atgt_budget_share")),
}


def workers(instances: pl.DataFrame, t_s: float, max_batch: int, took: int | None) -> pl.DataFrame:
    """Return an endpoint's instances that were on in the five minutes from ``t_s``, role by role in a request's order.

    ``instances`` is what ``slots.slots`` gives of the endpoint; ``max_batch`` is the configured batch limit, ``took`` the number
    of the instance that took the last request. ``load_share`` is what is fullest of it, budgets included.
    """
    batch = (pl.col("batch_mean").cast(pl.Float64) / max_batch) if max_batch else pl.lit(None, pl.Float64)
    inside = pl.when(pl.col("role") == IMAGE).then(pl.col("encode_share")).otherwise(0.0)
    found = instances.filter((pl.col("t_s") == t_s) & (pl.col("on_share") > 0)).with_columns(
        batch.alias("batch_share"),
        (pl.col("prefill_share") + pl.col("decode_share") + inside).cast(pl.Float64).clip(0.0, 1.0).alias("busy_share"),
        (pl.col("number") == (took or 0)).alias("took"),
        pl.col("role")
        .cast(pl.Int64)
        .replace_strict({role: place for place, role in enumerate(ORDER)}, return_dtype=pl.Int64)
        .alias("place"),
    )
    decodes = pl.col("role").is_in([WHOLE, DECODE])
    load = pl.when(decodes).then(pl.max_horizontal("batch_share", "kv_share", "atgt_budget_share"))
    load = load.otherwise(pl.max_horizontal("busy_share", pl.when(pl.col("role") == PREFILL).then(pl.col("kv_share")).otherwise(0.0)))
    return found.with_columns(load.cast(pl.Float64).alias("load_share")).sort("place", "number").drop("place")


def placement_svg(frame: pl.DataFrame, tokens: Tokens, max_batch: int) -> str:
    """Draw a row per instance of ``workers``: what fills up in its role against its limit, who waits, its clock.

    The instance that took the last request is marked. The ATGT budget ends at the red line: what is beyond it is red.
    """
    put_back = bool(frame["preemptions"].sum())
    parts, y = [], 0.0
    for role in ORDER:
        group = frame.filter(pl.col("role") == role)
        if group.is_empty():
            continue
        shown = drawn(group)
        parts += _heads(role, group, y, max_batch, tokens, put_back)
        y += 40
        for row in shown.iter_rows(named=True):
            parts += _row(row, y, tokens, put_back)
            y += _ROW_H
        rest = len(group) - len(shown)
        if rest:
            fullest = float(group.join(shown, on="number", how="anti")["load_share"].max() or 0.0)  # type: ignore[arg-type]
            parts.append(svg.text(0, y + 13, f"{rest} more, filled to {percent(fullest)} at most", tokens.muted))
            y += _ROW_H
        y += 8
    return svg.document(WIDTH, max(y, 1.0), parts, "What each instance holds, and which took the last request")


def drawn(group: pl.DataFrame) -> pl.DataFrame:
    """Return the instances of a role that are drawn: of many the fullest, and the one that took the last request."""
    if len(group) <= AT_MOST:
        return group
    first = group.sort(pl.col("took").cast(pl.Int8), "load_share", descending=True).head(AT_MOST - 1)
    return first.sort("number")


def _heads(role: int, group: pl.DataFrame, y: float, max_batch: int, tokens: Tokens, put_back: bool) -> list[str]:
    name = {WHOLE: "all stages"}.get(role, ROLES[role])
    parts = [
        svg.rect(0, y + 5, 8, 8, role_colour(tokens, role)),
        svg.text(14, y + 13, f"{name}, {pool_words(group)}", tokens.text),
        svg.text(WIDTH, y + 13, "put back" if put_back else "", tokens.muted, anchor="end"),
    ]
    for column, (words, key) in enumerate(_FILLS[role]):
        words = f"batch of {max_batch}" if key == "batch_share" and max_batch else words
        parts.append(svg.text(_FIRST_X + column * _STEP_W, y + 31, words, tokens.muted))
    last = "number" if put_back else "clock"
    return [
        *parts,
        svg.text(WIDTH - 34, y + 31, "wait", tokens.muted, anchor="end"),
        svg.text(WIDTH, y + 31, last, tokens.muted, anchor="end"),
    ]


def _row(row: Row, y: float, tokens: Tokens, put_back: bool) -> list[str]:
    took, hue = row["took"], role_colour(tokens, row["role"])
    parts = [svg.rect(-4, y, WIDTH + 8, _ROW_H, tokens.candidate_fill, radius=2)] if took else []
    ink = tokens.candidate if took else tokens.text
    parts.append(svg.text(0, y + 13, f"{'▸' if took else ''}{row['number']}", ink, weight=600 if took else 400))
    for column, (_, key) in enumerate(_FILLS[row["role"]]):
        parts += _fill(row, key, (_FIRST_X + column * _STEP_W, y), hue, tokens)
    waits = row["queue_mean"] or 0.0
    parts.append(svg.text(WIDTH - 34, y + 13, count_words(waits), tokens.text if waits >= 1 else tokens.muted, anchor="end"))
    last = grouped(row["preemptions"]) if put_back else percent(row["clock_share"])
    return [*parts, svg.text(WIDTH, y + 13, last, tokens.risk_text if put_back and row["preemptions"] else tokens.muted, anchor="end")]


def _fill(row: Row, key: str, place: tuple[float, float], hue: str, tokens: Tokens) -> list[str]:
    (x, y), value = place, row[key]
    if value is None:
        return [svg.text(x, y + 13, "not known", tokens.muted)]
    budget = key == "atgt_budget_share"
    over = budget and value > 1.0
    bound_x = x + _BAR_W * (_BUDGET_W if budget else 1.0)
    words = count_words(row["batch_mean"]) if key == "batch_share" else percent(value)
    length = min(value * (bound_x - x), _BAR_W)
    return [
        svg.rect(x, y + 6, _BAR_W, 6, tokens.hairline),
        svg.rect(x, y + 6, length, 6, tokens.broken if over else hue),
        svg.line(bound_x, y + 3, bound_x, y + 15, tokens.limit),
        svg.text(x + _BAR_W + 4, y + 13, words, tokens.broken_text if over else tokens.muted, weight=600 if over else 400),
    ]

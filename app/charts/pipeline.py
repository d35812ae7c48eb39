"""Stages of serving: load, use, queue, and where the first token waits."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from app.charts import svg
from app.charts.tokens import STAGES, Tokens, stage_colour, translucent
from twin.units import split_prefixed

TARGET_SHARE: Final = 0.85
_LABEL_W: Final = 116
_CELL_W: Final = 132
_GAP: Final = 28
_LANE_H: Final = 100
_NARROW_W: Final = 358
_STEP_H: Final = 46
_LEADS_AT: Final = 0.5
Row = Mapping[str, Any]


def pipeline_svg(frame: pl.DataFrame, tokens: Tokens) -> str:
    """Draw a lane per endpoint and a column per stage, as ``stages.pipeline`` gives them; no boxes.

    A bar is how much of a stage is in use, the red tick its target (``TARGET_SHARE``), amber what is past it. A bracket joins
    the stages that one pool of instances serves. The thin bar below is the stage's part of the time to the first token,
    waiting pale; of decode its part of end to end.
    """
    width = _LABEL_W + len(STAGES) * (_CELL_W + _GAP) - _GAP
    parts = []
    for column, stage in enumerate(STAGES):
        x = _x(column)
        parts += [svg.rect(x, 3, 8, 8, stage_colour(tokens, stage)), svg.text(x + 14, 11, stage, tokens.text)]
    lanes = _by_endpoint(frame)
    for lane, (endpoint, mine) in enumerate(lanes.items()):
        y = 22 + lane * _LANE_H
        parts += [
            svg.line(0, y, width, y, tokens.hairline),
            svg.text(0, y + 24, endpoint, tokens.text, weight=600, size=14),
            *(svg.text(0, y + 42 + 16 * i, words, tokens.muted) for i, words in enumerate(_load_words(mine))),
            *_brackets(mine, y, tokens),
        ]
        for column, row in enumerate(mine):
            parts += [] if row["skipped"] else _cell(row, _x(column), y + 8, tokens, _joined(mine, column))
            if column and not row["skipped"] and not mine[column - 1]["skipped"]:
                parts += _arrow(_x(column) - _GAP + 6, _x(column) - 6, y + 36, tokens)
        parts += _skipped(mine, y + 36, tokens)
    return svg.document(width, 22 + len(lanes) * _LANE_H, parts, _title(frame))


def _x(column: int) -> float:
    return _LABEL_W + column * (_CELL_W + _GAP)


def _by_endpoint(frame: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in frame.iter_rows(named=True):
        found.setdefault(row["endpoint_id"], []).append(row)
    return {endpoint: sorted(rows, key=lambda row: STAGES.index(row["stage"])) for endpoint, rows in found.items()}


def _load_words(mine: list[dict[str, Any]]) -> tuple[str, str]:
    images, all_s = mine[0]["requests_per_s"], mine[-1]["requests_per_s"]
    return f"{count_words(all_s)} requests/s", f"{count_words(images)}/s with images" if images else "text only"


def _joined(mine: list[dict[str, Any]], column: int) -> bool:
    """Return whether a stage shares its instances with a stage before it."""
    return any(not row["skipped"] and row["roles"] and row["roles"] == mine[column]["roles"] for row in mine[:column])


def _brackets(mine: list[dict[str, Any]], y: float, tokens: Tokens) -> list[str]:
    """Join the neighbouring stages that the same instances serve."""
    parts = []
    for column, row in enumerate(mine):
        last = max((i for i, other in enumerate(mine) if other["roles"] == row["roles"] and not other["skipped"]), default=column)
        if row["skipped"] or not row["roles"] or last == column or _joined(mine, column):
            continue
        left, right, top = _x(column), _x(last) + _CELL_W, y + 8
        parts.append(svg.path(f"M{left} {top + 4}V{top}H{right}V{top + 4}", stroke=tokens.control))
    return parts


def _cell(row: Row, x: float, y: float, tokens: Tokens, joined: bool) -> list[str]:
    hue, right = stage_colour(tokens, row["stage"]), x + _CELL_W
    use = row["use_share"]
    past = use is not None and use > TARGET_SHARE
    parts = [
        svg.text(x, y + 18, "same pool" if joined else row["pool"], tokens.muted),
        svg.text(right, y + 18, f"{count_words(row['requests_per_s'])}/s", tokens.muted, anchor="end"),
    ]
    if use is not None:
        parts += _use_bar(x, y + 24, _CELL_W, (min(use, 1.0), past), hue, tokens)
        ink, weight = (tokens.risk_text, 600) if past else (tokens.muted, 400)
        parts.append(svg.text(x, y + 48, _use_words(row), ink, weight=weight))
    side, loud = _side_words(row)
    parts.append(svg.text(right, y + 48, side, tokens.text if loud else tokens.muted, anchor="end", weight=600 if loud else 400))
    return parts + _share(row, (x, y + 66, 82.0), _CELL_W, tokens)


def _use_bar(x: float, y: float, width: float, use: tuple[float, bool], hue: str, tokens: Tokens) -> list[str]:
    tick = x + width * TARGET_SHARE
    return [
        svg.rect(x, y, width, 7, tokens.hairline),
        svg.rect(x, y, width * use[0], 7, hue),
        svg.line(tick, y - 3, tick, y + 10, tokens.limit),
    ]


def _use_words(row: Row) -> str:
    return f"{percent(row['use_share'])} {row['use']}"


def _side_words(row: Row) -> tuple[str, bool]:
    """Return what stands at the right of a bar: who waits; in decode without a queue of its own, the batch."""
    if row["waiting"] is not None:
        return f"{count_words(row['waiting'])} wait", row["waiting"] >= 1
    return (f"batch {count_words(row['batch'])}", False) if row["batch"] is not None else ("", False)


def _share(row: Row, place: tuple[float, float, float], width: float, tokens: Tokens) -> list[str]:
    """Write a stage's part of the time to the first token (of decode: of end to end), and draw it from ``place``'s third on."""
    x, y, label_w = place
    first = row["stage"] != "decode"
    share = row["ttft_share"] if first else row["e2e_share"]
    if share is None:
        return []
    leads = first and share > _LEADS_AT
    words = svg.text(
        x, y, f"{percent(share)} of {'TTFT' if first else 'E2E'}", tokens.text if leads else tokens.muted, weight=600 if leads else 400
    )
    hue, room, left = stage_colour(tokens, row["stage"]), width - label_w, x + label_w
    waits = (row["ttft_waiting_share"] or 0.0) if first else 0.0
    return [
        words,
        svg.rect(left, y - 8, room, 8, tokens.grid),
        svg.rect(left, y - 8, room * min(waits, 1.0), 8, translucent(hue, 0.38)),
        svg.rect(left + room * min(waits, 1.0), y - 8, room * max(min(share, 1.0) - waits, 0.0), 8, hue),
    ]


def _skipped(mine: list[dict[str, Any]], y: float, tokens: Tokens) -> list[str]:
    if not mine[0]["skipped"]:
        return []
    middle = (_x(0) + _x(1) + _CELL_W) / 2
    return [
        svg.line(_x(0), y, _x(2) - 6, y, tokens.control, dash="2 3"),
        svg.text(middle, y - 6, "no images, skipped", tokens.muted, anchor="middle"),
        *_arrow(_x(2) - 12, _x(2) - 6, y, tokens),
    ]


def pipeline_narrow_svg(frame: pl.DataFrame, tokens: Tokens) -> str:
    """Draw the same, stages under each other, for a phone."""
    parts, y = [], 0.0
    for endpoint, mine in _by_endpoint(frame).items():
        if y:
            parts.append(svg.line(0, y + 4, _NARROW_W, y + 4, tokens.hairline))
        parts += [
            svg.text(0, y + 22, endpoint, tokens.text, weight=600, size=14),
            svg.text(_NARROW_W, y + 22, ", ".join(_load_words(mine)), tokens.muted, anchor="end"),
        ]
        y += 30
        if mine[0]["skipped"]:
            parts.append(svg.text(0, y + 12, "preprocess, encode: no images, skipped", tokens.muted))
            y += 20
        for column, row in enumerate(mine):
            if not row["skipped"]:
                parts += _step(row, y, tokens, _joined(mine, column))
                y += _STEP_H
        y += 6
    return svg.document(_NARROW_W, max(y, 1.0), parts, _title(frame))


def _step(row: Row, y: float, tokens: Tokens, joined: bool) -> list[str]:
    hue, use, right = stage_colour(tokens, row["stage"]), row["use_share"], _NARROW_W
    past = use is not None and use > TARGET_SHARE
    side, loud = _side_words(row)
    parts = [
        svg.rect(0, y + 4, 8, 8, hue),
        svg.text(14, y + 12, row["stage"], tokens.text),
        svg.text(88, y + 12, "same pool" if joined else row["pool"], tokens.muted),
        svg.text(right, y + 12, f"{count_words(row['requests_per_s'])}/s", tokens.muted, anchor="end"),
        svg.text(148, y + 36, side, tokens.text if loud else tokens.muted, weight=600 if loud else 400),
        *_share(row, (218.0, y + 36, 82.0), right - 218.0, tokens),
    ]
    if use is None:
        return parts
    ink, weight = (tokens.risk_text, 600) if past else (tokens.muted, 400)
    return [
        *parts,
        *_use_bar(0, y + 17, right, (min(use, 1.0), past), hue, tokens),
        svg.text(0, y + 36, _use_words(row), ink, weight=weight),
    ]


def _title(frame: pl.DataFrame) -> str:
    return f"Serving stages of {', '.join(frame['endpoint_id'].unique(maintain_order=True).to_list())}"


def percent(share: float) -> str:
    """Return a share in whole percent; a little is said to be less than one.

    >>> percent(0.914), percent(0.002), percent(0.0)
    ('91\\xa0%', '<\\xa01\\xa0%', '0\\xa0%')
    """
    if 0.0 < share < 0.005:
        return "<\u00a01\u00a0%"
    return f"{100 * share:.0f}\u00a0%"


def count_words(value: float) -> str:
    """Return a count or rate with three digits and an SI prefix.

    >>> count_words(0.0), count_words(0.02), count_words(2.25), count_words(1234.0)
    ('0', '<\\xa00.1', '2.2', '1.23\\xa0k')
    """
    if 0.0 < value < 0.05:
        return "<\u00a00.1"
    if value < 1000:
        return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
    number, prefix = split_prefixed(value, "")
    return f"{number}\u00a0{prefix}"


def _arrow(x1: float, x2: float, y: float, tokens: Tokens) -> list[str]:
    head = f"M{svg.number(x2 - 5)} {svg.number(y - 4)}L{svg.number(x2)} {svg.number(y)}L{svg.number(x2 - 5)} {svg.number(y + 4)}"
    return [svg.line(x1, y, x2, y, tokens.control), svg.path(head, stroke=tokens.control)]

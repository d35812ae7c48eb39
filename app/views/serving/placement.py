"""What each instance holds, and where the last request went."""

import html
from collections.abc import Mapping
from typing import Any, Final

import polars as pl
import streamlit as st

from app import parts, state
from app.charts.grid import Cell, grid, word
from app.charts.pipeline import percent
from app.charts.placement import placement_svg, workers
from app.charts.quantity import grouped
from app.charts.slots import DECODE, WHOLE
from app.views.serving import reading
from app.views.serving.reading import GRID_S, Span
from app.widgets.drawing import drawing
from app.widgets.sheet import sheet

_HEADS: Final = (word("Arrived"), word("Prompt tokens", "n"), word("Went to"), word("Could have", "n"), word("Why"))
_LATEST: Final = 4


def placement(now: Span, endpoint: str) -> None:
    """Draw the instances of an endpoint at the cursor and the requests that they were given last."""
    mine = reading.instances(now.home, now.run_id).filter(pl.col("endpoint_id") == endpoint)
    spec = reading.specs(now.home, now.run_id)[endpoint]
    placed = reading.placements(now.run_id, endpoint, now.to_s)
    max_batch = int(spec.get("max_batch") or 0)
    took = int(placed["instance"][0]) if len(placed) else None
    frame = workers(mine, now.to_s - GRID_S, max_batch, took)
    if frame.is_empty():
        parts.empty(f"{endpoint} has no instance on", f"Nothing of it was on in the five minutes up to {now.clock_text}.", key="placement")
        return
    sql = _SQL.format(run_id=now.run_id, endpoint=endpoint, t_s=now.to_s - GRID_S, to_s=now.to_s)
    with parts.panel(placement_title(endpoint, frame), "placement", data=frame, sql=sql, png=True):
        drawing(placement_svg(frame, state.colours(), max_batch), key="placement-drawing")
        st.html(f'<p class="iw-note">{_note(now, endpoint, placed)}</p>')
        if len(placed):
            latest = [_row(row) for row in placed.head(_LATEST).iter_rows(named=True)]
            sheet(grid(_HEADS, latest), key="placement-rows")


def placement_title(endpoint: str, frame: pl.DataFrame) -> str:
    """Return how many of an endpoint's instances hold work, and how full the fullest is."""
    busy = frame.filter(pl.col("busy_share") > 0)
    if busy.is_empty():
        return f"{_of(len(frame), len(frame))} of {endpoint} stand{'s' if len(frame) == 1 else ''} empty"
    over = int((frame["atgt_budget_share"] > 1.0).sum())
    if over:
        return f"{_of(over, len(frame))} of {endpoint} had a request over the ATGT budget"
    if len(frame) == 1:
        return f"The one instance of {endpoint} holds work; {_fullest(busy).replace('the fullest', 'it')}"
    return f"{_of(len(busy), len(frame))} of {endpoint} hold work; {_fullest(busy)}"


def _of(some: int, whole: int) -> str:
    if whole == 1:
        return "The one instance"
    return f"All {whole} instances" if some == whole else f"{some} of {whole} instances"


def _fullest(busy: pl.DataFrame) -> str:
    names = {"atgt_budget_share": "of its ATGT budget", "kv_share": "of its KV cache", "batch_share": "of its batch limit"}
    decodes = busy.filter(pl.col("role").is_in([WHOLE, DECODE]))
    known = {name: value for name in names if (value := decodes[name].max()) is not None}
    if not known:
        return f"the fullest works {percent(float(busy['busy_share'].max() or 0.0))} of its time"  # type: ignore[arg-type]
    name = max(known, key=lambda key: float(known[key]))  # type: ignore[arg-type]
    return f"the fullest is at {percent(float(known[name]))} {names[name]}"  # type: ignore[arg-type]


def _note(now: Span, endpoint: str, placed: pl.DataFrame) -> str:
    words = (
        "Five minutes each: mean batch (of the configured limit), highest KV use, slowest finished request against the ATGT objective, "
        "requests that wait, clock."
    )
    if placed.is_empty():
        return f"{words} This run does not say where requests went: it was stored before that was recorded."
    row = placed.row(0, named=True)
    why = html.escape(_why(row, now, endpoint))
    return f"{words} ▸ took the last request before {now.clock_text}: {why}. Listed: the last request of each window."


def _why(row: dict[str, Any], now: Span, endpoint: str) -> str:
    """Return why a request went where it went, and among how many; a router that does not say is named."""
    reason = str(row["reason"])
    if reason == "by its rule":
        reason = f"by the rule of {reading.router(now.home, now.run_id, endpoint, now.to_s)}"
    return f"{reason}; {row['feasible']} could have" if row["feasible"] else reason


def _row(row: Mapping[str, Any]) -> list[Cell]:
    at = state.context().clock.at(row["arrive_s"]).strftime("%H:%M:%S")
    return [
        word(at, "s m"),
        word(grouped(row["prompt_tokens"]), "n s m"),
        word(f"no.\u00a0{row['instance']}", "s"),
        word(row["feasible"] or "–", "n s m"),
        word(row["reason"], "s m wrap"),
    ]


_SQL: Final = (
    "SELECT * FROM instances WHERE run_id = '{run_id}' AND t_s = {t_s:.0f} AND on_share > 0\n"
    "  AND split_part(instance_id, '/', 1) = '{endpoint}' ORDER BY role, instance_id;\n"
    "SELECT * FROM placements WHERE run_id = '{run_id}' AND endpoint_id = '{endpoint}' AND t_s <= {to_s:.0f} ORDER BY t_s DESC LIMIT 15"
)

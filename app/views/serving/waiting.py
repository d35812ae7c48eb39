"""Panels of the pipeline and of the time to the first token by stage."""

from typing import Any

import polars as pl
import streamlit as st

from app import parts, state
from app.charts.breakdown import who
from app.charts.pipeline import percent, pipeline_narrow_svg, pipeline_svg
from app.charts.waits import waits_svg
from app.views.serving import reading
from app.views.serving.reading import Span
from app.widgets.drawing import drawing
from twin.units import show as shown

_NOTE = (
    "Bars: waiting pale, running full. p50 and p99 are means of the requests around them (45th to 55th, 98.5th to 99.5th percentile), "
    "because only means add up."
)


def pipeline(now: Span) -> None:
    """Draw every endpoint's stages."""
    frame = reading.pipeline(now.home, now.run_id, now.from_s, now.to_s)
    with parts.panel(pipeline_title(frame), "stages", data=frame, sql=_STAGES_SQL.format(**_asked(now)), png=True):
        tokens = state.colours()
        drawing(pipeline_svg(frame, tokens), key="stages-drawing", narrow=pipeline_narrow_svg(frame, tokens))
        st.html(f'<p class="iw-note">{_pool_note(frame)}</p>')


def pipeline_title(frame: pl.DataFrame) -> str:
    """Return which stage is nearest to full."""
    used = frame.filter(pl.col("use_share").is_not_null() & ~pl.col("skipped")).sort("use_share", descending=True)
    if used.is_empty():
        return "No instance was on"
    row = used.row(0, named=True)
    use = percent(row["use_share"])
    if row["stage"] == "decode":
        what = "its KV cache" if row["use"] == "of KV" else "its batch limit"
        return f"Decode of {row['endpoint_id']} is nearest to full: {use} of {what}"
    return f"{row['stage'].capitalize()} of {row['endpoint_id']} is nearest to full: {use} busy"


def _pool_note(frame: pl.DataFrame) -> str:
    shared = frame.filter(~pl.col("skipped") & (pl.col("roles") != "")).group_by("endpoint_id", "roles").len().filter(pl.col("len") > 1)
    words = "“Same pool”: instances serve the joined stages in turn. " if len(shared) else "Each stage has instances of its own. "
    return (
        f"{words}Red tick: target of 85\u00a0%. Decode is in use whenever anybody is served; "
        "its bar is its fullest KV cache or its batch limit, whichever is nearer."
    )


def first_tokens(now: Span) -> None:
    """Draw the time to the first token by stage, shown run and today."""
    found = {state.context().shown: now.run_id}
    if now.other:
        found = {"today": now.other, **found}
    frames = [
        reading.means(now.home, run_id, now.from_s, now.to_s).with_columns(pl.lit(run).alias("run"))
        for run, run_id in found.items()
        if reading.has_stage_times(run_id)
    ]
    both = pl.concat(frames) if frames else pl.DataFrame()
    if both.is_empty() or both.filter(pl.col("at") != "mean").is_empty():
        _none(now)
        return
    bounds = {name: each["ttft_s"] for name, each in reading.objectives(now.home, now.run_id).items()}
    mine = both.filter(pl.col("run") == list(found)[-1])
    with parts.panel(first_token_title(mine, bounds), "waits", data=both, sql=_FIRST_SQL.format(**_asked(now)), png=True):
        ordered = both.sort("endpoint_id", "kind", pl.col("run") != "today")
        drawing(waits_svg(ordered, bounds, state.colours()), key="waits-drawing")
        st.html(f'<p class="iw-note">{_NOTE}</p>')


def _none(now: Span) -> None:
    if not reading.has_stage_times(now.run_id):
        title, text = "The times of the stages are not in this run", "It was stored before they were recorded. Run it again to see them."
    else:
        title, text = "Too few requests to split their time", f"At least ten are needed in the quarter of an hour up to {now.clock_text}."
    parts.empty(title, text, key="waits")


def first_token_title(mine: pl.DataFrame, bounds: dict[str, float]) -> str:
    """Return who is nearest to the objective at p99, or beyond it."""
    tails = [row for row in mine.filter(pl.col("at") == "p99").iter_rows(named=True) if bounds.get(row["endpoint_id"])]
    if not tails:
        return "Too few requests for a 99th percentile"
    worst = max(tails, key=lambda row: row["ttft_s"] / bounds[row["endpoint_id"]])
    return _against(worst, bounds[worst["endpoint_id"]], mine)


def _against(row: dict[str, Any], bound: float, mine: pl.DataFrame) -> str:
    both = mine.filter(pl.col("endpoint_id") == row["endpoint_id"])["kind"].n_unique() > 1
    name, plural = who(row["endpoint_id"], row["kind"], both), both and row["kind"] == "image"
    p99 = shown(row["ttft_s"], "ttft_s")
    if row["ttft_s"] > bound:
        return f"{name} break{'' if plural else 's'} the bound: {p99} at p99 against {shown(bound, 'ttft_s')}"
    return f"{name} come{'' if plural else 's'} nearest to the bound: {p99} of {shown(bound, 'ttft_s')} at p99"


def _asked(now: Span) -> dict[str, Any]:
    return {"run_id": now.run_id, "from_s": now.from_s, "to_s": now.to_s}


_STAGES_SQL = (
    "WITH held AS (SELECT * FROM instances WHERE run_id = '{run_id}' AND t_s >= {from_s:.0f} AND t_s < {to_s:.0f}),\n"
    "     times AS (SELECT count(DISTINCT t_s) AS n FROM held)\n"
    "SELECT split_part(instance_id, '/', 1) AS endpoint_id, role, sum(on_share) / any_value(n) AS instances,\n"
    "       sum(encode_share) / sum(on_share) AS encode_share, sum(prefill_share) / sum(on_share) AS prefill_share,\n"
    "       sum(decode_share) / sum(on_share) AS decode_share, max(kv_share) AS kv_share,\n"
    "       sum(queue_mean) / any_value(n) AS waiting\n"
    "FROM held, times WHERE on_share > 0\n"
    "GROUP BY 1, 2 ORDER BY 1, 2"
)
_FIRST_SQL = (
    "SELECT endpoint_id, images > 0 AS with_images, count(*) AS requests, avg(ttft_s) AS ttft_s, avg(prepare_s) AS prepare_s,\n"
    "       avg(encode_wait_s) AS encode_wait_s, avg(encode_s) AS encode_s, avg(transfer_s) AS transfer_s, avg(queue_s) AS queue_s\n"
    "FROM requests WHERE run_id = '{run_id}' AND arrive_s >= {from_s:.0f} AND arrive_s < {to_s:.0f} AND NOT isnan(ttft_s)\n"
    "GROUP BY 1, 2 ORDER BY 1, 2"
)

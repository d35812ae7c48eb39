"""Where do requests wait?"""

import html

import polars as pl
import streamlit as st

from app import parts, state
from app.charts.breakdown import longest_wait, who
from app.charts.quantity import grouped
from app.views.serving import cost, instances, latency, placement, reading, waiting
from app.views.serving.reading import Span
from twin.units import show as shown

_WAITS = 0.1
_WAIT_WORDS = {
    "preprocess_wait_s": "wait for preprocessing",
    "encode_wait_s": "wait for the encoder",
    "transfer_s": "wait for the transfer",
    "prefill_wait_s": "wait for prefill",
}


def show() -> None:
    """Show the page."""
    if parts.no_run("serving"):
        return
    run_id = state.context().run_id or ""
    if state.table(run_id, "endpoints").is_empty():
        parts.empty(
            "This run served no requests", "Its scenario has no serving endpoints; add one under [[serving.endpoints]].", key="serving-none"
        )
        return
    now = reading.span()
    under = f"Means of the quarter of an hour up to {now.clock_text} · preprocess, encode, prefill, decode · seed {state.context().seed}"
    parts.page_title(title(now), under)
    _put_back(now)
    left, right = st.columns([784, 384], gap="small")
    with left:
        waiting.pipeline(now)
    with right:
        waiting.first_tokens(now)
    endpoint = _endpoint(now)
    left, right = st.columns([784, 384], gap="small")
    with left:
        latency.distributions(now, endpoint)
        instances.instances(now)
        cost.cost(now)
    with right:
        placement.placement(now, endpoint)


def title(now: Span) -> str:
    """Return who waits longest, and how much of the time to the first token that is."""
    if not reading.arrived(now):
        return f"No request arrived in the quarter of an hour up to {now.clock_text}"
    if not reading.has_stage_times(now.run_id):
        return "This run is older than the times of the stages; run it again to see where requests wait"
    worst = longest_wait(reading.means(now.home, now.run_id, now.from_s, now.to_s))
    if worst is None:
        return "No request of this quarter of an hour has its first token yet"
    name = who(worst["endpoint_id"], worst["kind"], worst["both"])
    share = worst["wait_s"] / worst["ttft_s"] if worst["ttft_s"] else 0.0
    ttft = shown(worst["ttft_s"], "ttft_s")
    if share >= _WAITS:
        return f"{name} {_conjugated(worst)}: {100 * share:.0f}\u00a0% of the {ttft} to the first token"
    if worst["wait_s"] <= 0.0:
        return "No request waits anywhere"
    return f"Requests hardly wait: {name} longest, {shown(worst['wait_s'], 'x_s')} of {ttft} to the first token"


def _conjugated(worst: dict[str, object]) -> str:
    words = _WAIT_WORDS[str(worst["part"])]
    return words if worst["both"] and worst["kind"] == "image" else words.replace("wait ", "waits ", 1)


def _put_back(now: Span) -> None:
    """Warn where requests lost their place because a KV cache was full."""
    frame = reading.instances(now.home, now.run_id).filter((pl.col("preemptions") > 0) & (pl.col("t_s") < now.to_s))
    if frame.is_empty():
        return
    recent = int(frame.filter(pl.col("t_s") >= now.from_s)["preemptions"].sum())
    most = frame.group_by("endpoint_id").agg(pl.col("preemptions").sum()).sort("preemptions", descending=True).row(0)
    words = (
        f"{grouped(recent)} request{'' if recent == 1 else 's'} put back in this quarter of an hour, "
        f"{grouped(int(frame['preemptions'].sum()))} since the start, most at {most[0]}; they are computed again."
    )
    st.html(f'<p class="iw-under">{parts.mark("at risk", "A KV cache ran full:")} {html.escape(words)}</p>')


def _endpoint(now: Span) -> str:
    """Let the operator choose the endpoint that the panels below look into."""
    names = list(reading.specs(now.home, now.run_id))
    kept = st.session_state.get("serving-endpoint")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html('<span class="iw-under">Distributions and placement of</span>', width="content")
        chosen = st.segmented_control(
            "Endpoint",
            names,
            default=kept if kept in names else names[0],
            required=True,
            key="serving-endpoint",
            label_visibility="collapsed",
            persist_state="session",
        )
    return chosen if chosen in names else names[0]

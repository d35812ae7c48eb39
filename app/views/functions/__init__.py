"""What would kernel bypass buy?"""

from collections.abc import Mapping
from typing import Final

import streamlit as st

from app import hops, later, parts, state
from app.hops import RUNTIMES
from app.later import Answer
from app.views.functions import day, listed, load, path, reading, what_if
from app.views.functions.reading import PAPER_ID, Tracing
from twin.units import show as shown
from twin.units import show_change

_NOTHING: Final = 5e-4


def show() -> None:
    """Show the page: path, what-if, curve and distribution of one function; cold starts, cores and room of the run."""
    _live()


@st.fragment
def _live() -> None:
    now = state.context()
    trace = reading.tracing(now)
    # Asked before anything is drawn: what comes in while the page is drawn draws it once more.
    known = {name: reading.alone(trace, trace.runtime(name)) for name in RUNTIMES}
    parts.page_title(title(trace, known), under(trace), legend=False)
    place = st.container(key="functions-waiting")
    listed.choose(trace)
    left, right = st.columns([738, 430], gap="small")
    with left:
        waiting = [*known.values(), *path.path(trace)]
        runtimes, busy = load.load(trace)
    with right:
        waiting += what_if.what_if(trace)
    left, right = st.columns([738, 430], gap="small")
    with left:
        waiting += load.spread(trace, runtimes, busy)
    with right:
        if trace.ids:
            listed.listed(trace)
        else:
            _empty(trace)
    day.day(trace)
    with place:
        later.follow(waiting, state.in_step, key="functions")


def _empty(trace: Tracing) -> None:
    if not trace.run_id:
        parts.empty(
            "Nothing has run on the twin yet",
            "Cold starts, cores burnt and room over the day would stand here. Start the example on the Overview.",
            key="functions-day",
        )
        return
    parts.empty(
        "No function was called in this run",
        "Cold starts, cores burnt and room over the day would stand here. Name functions, the hosts that run them and the workload "
        "whose VMs fill those, under [functions] and [[functions.functions]] of the scenario, and run it. Above is the paper’s function.",
        key="functions-day",
    )


def title(trace: Tracing, known: Mapping[str, Answer]) -> str:
    """Return what bypass would buy this function: time, and calls."""
    median, tail = path.cut(known, "latency_p50_s"), path.cut(known, "latency_p99_s")
    times = hops.cpu_s(trace.runtime(RUNTIMES[0]), trace.function) / hops.cpu_s(trace.runtime(RUNTIMES[1]), trace.function)
    who = "the paper’s function" if trace.function.id == PAPER_ID else trace.function.id
    if median is None or tail is None:
        return f"What would kernel bypass buy {who}?"
    calls = f"{times:.2g} times the calls" if times > 1.05 else "no more calls"
    if abs(median) < _NOTHING and abs(tail) < _NOTHING and abs(times - 1.0) < 5e-3:
        return f"Kernel bypass buys {who} nothing"
    if median < -_NOTHING or tail < -_NOTHING:
        return f"With these costs bypass answers {who} later: median {_more(-median)}, p99 {_more(-tail)}, {calls}"
    less = f"cuts the median of {who} by {shown(median, 'x_share')}, its p99 by {shown(tail, 'x_share')}"
    return f"Kernel bypass {less} and carries {calls}"


def _more(share: float) -> str:
    return show_change(share, "x_share")


def under(trace: Tracing) -> str:
    """Return one line of context: what the function is, where it runs, under which runtime the shown run ran."""
    function = trace.function
    kind = f"{function.language}, {shown(function.run_median_s, 'x_s')} of work, {shown(function.cpu_mean_s, 'x_s')} of it on a core"
    if not trace.of_run:
        return f"{kind} · {trace.cores} cores · costs are calibrated, not measured"
    runs = reading.runtime_of(trace.run_id)
    hosts = f"{trace.cores} cores on each of {len(trace.settings.hosts)} hosts"
    return f"{kind} · {shown(trace.rate_per_s, 'x_per_s')} · {hosts} · this run: {runs} · costs are calibrated, not measured"

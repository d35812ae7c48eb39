"""The curve over load, worked out once in a job and kept."""

import html
from collections.abc import Mapping
from typing import Any, Final

import streamlit as st

from app import hops, jobs, parts, state
from app.hops import COSTS, RUNTIMES
from app.views.functions.reading import Tracing
from app.views.memory.kept import Kept, look
from twin.sources import code_hash

KIND: Final = "load_curve"


def spec(trace: Tracing) -> dict[str, Any]:
    """Return what the job is asked: the function, its cores on a host, and what hops cost. Whoever asks the same shares the answer."""
    # How often it is called in the run changes nothing about the curve.
    function = trace.function.model_dump(mode="json", exclude={"rate_per_s", "trigger", "trace", "id"})
    return {
        "function": {"id": "any", **function},
        "cores": trace.cores,
        "cached": trace.settings.cached,
        "settings": {name: hops.told(trace.runtime(name)) for name in RUNTIMES},
        "rests_on": code_hash()[:12],
    }


def found(trace: Tracing) -> Kept:
    """Return what is known of the curve. As calibrated it is begun by itself, once; with edited costs it waits to be asked for."""
    asked = spec(trace)
    known = look(KIND, asked)
    if known.answer is None and known.job is None and not trace.edits:
        jobs.submit(KIND, asked, state.home())
        known = look(KIND, asked)
    return known


def offer(trace: Tracing, known: Kept) -> None:
    """Show the job that works the curve out, or the button that starts it, and what else an older answer was worked out with."""
    asked = spec(trace)
    if known.answer is not None and not known.exact:
        told = differing(known.settings, asked["settings"])
        st.html(f'<p class="iw-note">{parts.mark("at risk", "")} {html.escape(told)}</p>')
    if known.job is not None and not known.job.over:
        parts.progress(known.job.job_id, key="functions-load")
    elif not known.exact:
        if known.job is not None and known.job.state == "failed":
            st.html(f'<p class="iw-note">{parts.mark("broken", "")} {html.escape(known.job.error or "it failed")}</p>')
        words = "Work the curve out" if known.answer is None else "Work it out with these costs"
        st.button(words, key="functions-load-go", on_click=jobs.submit, args=(KIND, asked, state.home()))


def differing(had: Mapping[str, Mapping[str, float]], wanted: Mapping[str, Mapping[str, float]]) -> str:
    """Return with which costs an answer was worked out that are not those of now."""
    old = [
        f"{name} {cost.label.split(',')[0].lower()} {had.get(name, {})[key]:g}"
        for name in RUNTIMES
        for key, cost in COSTS.items()
        if key in had.get(name, {}) and had[name][key] != wanted[name][key]
    ]
    return f"Worked out with {', '.join(old)}; the fields above say otherwise now."

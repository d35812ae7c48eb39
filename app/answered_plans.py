"""The plans that answer a request about jobs, and which one is best."""

import html
from collections.abc import Mapping
from typing import Any

import polars as pl
import streamlit as st

from app import desk, fronts, jobs, parts, state
from app.widgets.rows import Head, rows

_COLUMNS = (
    Head("plan", "Plan", "strong", "36%"),
    Head("makespan", "Makespan", "number", "16%"),
    Head("energy", "Energy", "number", "16%"),
    Head("cost", "Cost", "number", "16%"),
    Head("quality", "Quality", "number", "16%", narrow=False),
)


def panels(record: Any, key: str) -> None:
    """Show the plans of each workflow that a request is about, or why none can be; nothing where it plans no jobs."""
    if not desk.plans(record):
        return
    job = jobs.latest(state.home(), "design", intent_id=record.intent_id, version=record.version)
    if job is None or (job.over and job.state != "done"):
        if job is not None and job.error and not desk.builds(record):
            parts.failed("The plans were not worked out", job.error, key=f"plans-{key}")
        with parts.panel("It asks for plans of jobs: which there are is not worked out yet", f"plans-none-{key}"):
            st.html('<p class="iw-note">Plans are made on an idle site before the run, for the epoch in which most jobs come.</p>')
            st.button("Work out the plans", key=f"plans-go-{key}", on_click=desk.design, args=(record,))
    elif not job.over and not desk.builds(record):
        with parts.panel("Plans of jobs are looked for", f"planning-{key}"):
            parts.progress(job.job_id, key=f"plans-{key}")
    for front in (job.result or {}).get("plans", ()) if job is not None else ():
        _shown(front, f"{key}-{front['workflow']}")


def _shown(front: Mapping[str, Any], key: str) -> None:
    cells = fronts.table(front)
    frame = pl.DataFrame([list(each) for each in cells], schema=["", "plan", *fronts.COLUMNS], orient="row")
    with parts.panel(fronts.statement(front), f"plans-{key}", data=frame):
        st.html(f'<p class="iw-said">{html.escape(str(front["why"])[:1].upper() + str(front["why"])[1:])}.</p>')
        for missed in fronts.misses(front):
            st.html(f'<p class="iw-note">{parts.mark("broken", "")} {html.escape(missed)}</p>')
        if cells:
            rows(_COLUMNS, [_row(*each) for each in cells], state.colours(), key=f"plans-rows-{key}")
        st.html(f'<p class="iw-note">{html.escape(fronts.BASIS[0].upper() + fronts.BASIS[1:])}.</p>')
        st.button("Choose one on the Workflows page", key=f"plans-see-{key}", on_click=state.go, args=("workflows",))


def _row(mark: str, name: str, *figures: str) -> dict[str, Any]:
    lead = {"chosen": "✓", "nearest": "≈"}.get(mark, "")
    values = dict(zip(fronts.COLUMNS, figures, strict=True))
    return {"id": name, "plan": {"lead": lead, "text": name} if lead else name, **values}

"""The design that answers a request: the pod, what it was chosen from."""

import html
from collections.abc import Mapping
from typing import Any

import polars as pl
import streamlit as st

from app import designs, desk, jobs, parts, state
from app.widgets.rows import Head, rows

_COLUMNS = (
    Head("pod", "Pod", "strong", "31%"),
    Head("hosts", "Hosts", "number", "10%"),
    Head("cost", "Per host", "number", "15%"),
    Head("saved", "Saved", "number", "15%"),
    Head("latency", "Latency", "number", "13%", narrow=False),
    Head("moved", "Moved per day", "number", "16%", narrow=False),
)


def panel(record: Any, key: str) -> None:
    """Show what a request's policy set would build, or why nothing can be built; nothing where it builds nothing."""
    if not desk.builds(record):
        return
    job = jobs.latest(state.home(), "design", intent_id=record.intent_id, version=record.version)
    if job is None or (job.over and job.state != "done"):
        if job is not None and job.error:
            parts.failed("The pod was not worked out", job.error, key=f"design-{key}")
        with parts.panel("It asks for a pod: which one is not worked out yet", f"design-none-{key}"):
            st.html('<p class="iw-note">Every pod that can be built is priced, laid out and tried on the demand before the run.</p>')
            st.button("Work out the pod", key=f"design-go-{key}", on_click=desk.design, args=(record,))
    elif not job.over:
        with parts.panel("Pods are priced, laid out and tried on past demand", f"designing-{key}"):
            parts.progress(job.job_id, key=f"design-{key}")
    elif job.result and job.result.get("design"):
        _shown(job.result["design"], key)
        _others(record, job.result["design"], key)


def _shown(design: Mapping[str, Any], key: str) -> None:
    listed = [_row(*cells) for cells in designs.table(design)]
    frame = pl.DataFrame([list(cells) for cells in designs.table(design)], schema=["", "pod", "title", *designs.COLUMNS], orient="row")
    with parts.panel(designs.statement(design), f"design-{key}", data=frame):
        st.html(f'<p class="iw-said">{html.escape(str(design["why"]))}.</p>')
        for missed in designs.misses(design):
            st.html(f'<p class="iw-note">{parts.mark("broken", "")}{html.escape(missed)}</p>')
        if listed:
            rows(_COLUMNS, listed, state.colours(), key=f"design-rows-{key}", on_pick=desk.open_pod)
        st.html(f'<p class="iw-note">{html.escape(designs.basis(design))}. Click a pod to see it on the Memory page.</p>')
        chosen = design["chosen"] or design["nearest"]
        if chosen is not None:
            words = "See the chosen pod" if design["chosen"] else "See the nearest pod"
            st.button(words, key=f"design-see-{key}", on_click=desk.open_pod, args=(chosen["name"],))


def _others(record: Any, design: Mapping[str, Any], key: str) -> None:
    """Offer the other pods: one that is taken is a new version, with evidence of its own."""
    chosen = design["chosen"]
    others = [each["name"] for each in design["front"] if chosen is None or each["name"] != chosen["name"]]
    if not others or record.state in desk.LIVE:
        return
    field = f"build-{key}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"build-bar-{key}"):
        st.selectbox("Another pod", others, key=field, label_visibility="collapsed", width=260)
        st.button("Take this pod instead", key=f"{field}-go", on_click=desk.build, args=(record, field))


def _row(mark: str, name: str, title: str, *figures: str) -> dict[str, Any]:
    values = dict(zip(("hosts", "cost", "saved", "latency", "moved"), figures, strict=True))
    lead = {"chosen": "✓", "nearest": "≈"}.get(mark, "")
    del title
    return {"id": name, "pod": {"lead": lead, "text": name} if lead else name, **values}

"""Edited hints tried on the twin: asked, followed, what came of them."""

import html
from typing import Any, Final

import streamlit as st

from app import hint_edits, jobs, parts, state
from app.hint_edits import Edits
from app.views.workloads import reading
from app.views.workloads.lanes import note
from app.views.workloads.reading import Listening
from twin.units import MINUS

KIND: Final = "hints"
_SHOWN: Final = 3


def tries(listen: Listening, edits: Edits) -> None:
    """Offer to run the scenario with the edited hints under the shown run's policy, follow those that run, show what came of others."""
    text = hint_edits.written(edits)
    mine = [job for job in jobs.list_jobs(state.home()) if job.kind == KIND and job.spec.get("run_id") == listen.run_id]
    same = next((job for job in mine if job.spec.get("edits") == text and job.state in {"queued", "running", "done"}), None)
    spec = {"run_id": listen.run_id, "edits": text, "name": _name(listen, edits)}
    st.button(
        "Try it on the twin", key="hints-try", type="primary", disabled=not text or same is not None,
        help="It has its answer below." if same else None if text else "Edit a hint first.",
        on_click=jobs.submit, args=(KIND, spec, state.home()),
    )  # fmt: skip
    for job in mine[:_SHOWN]:
        with st.container(key=f"decision-hints-{job.job_id}", gap="small"):
            _line(listen, job)
    if not mine:
        note("The whole run again in the same world with these hints; it is kept beside this one.")


def _name(listen: Listening, edits: Edits) -> str:
    policy = "today" if listen.now.shown == "today" else state.name_of(listen.run_id)
    return f"{policy}; {hint_edits.words(edits)}"[:80]


def _line(listen: Listening, job: jobs.Job) -> None:
    known = reading.tenants(listen.run_id)
    edits = hint_edits.read(str(job.spec.get("edits", "")), [str(one["id"]) for one in known], reading.class_ids(listen.run_id))
    st.html(f'<p class="iw-note">{html.escape(hint_edits.words(edits) or str(job.spec.get("name", "")))}</p>')
    if not job.over:
        parts.progress(job.job_id, key=f"hints-{job.job_id}")
        return
    answer = str((job.result or {}).get("run_id", ""))
    if job.state != "done" or answer not in {brief.run_id for brief in state.stored()}:
        words = parts.mark("broken", "failed") if job.state == "failed" else "cancelled"
        st.html(f'<p class="iw-note">{words} {html.escape(job.error or "")}</p>')
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"hints-line-{job.job_id}"):
        st.html(f'<p class="iw-said">{told(listen.run_id, answer)}</p>')
        if st.button("Open", key=f"hints-open-{job.job_id}", type="tertiary"):
            open_run(answer)
            st.rerun()


def told(before: str, after: str) -> str:
    """Return prices, evictions and requirements of a run beside those of the run that it was asked of; as HTML."""
    home = str(state.home())
    cuts = [reading.cut_share(reading.bill(home, run)) for run in (before, after)]
    parts_ = []
    if None not in cuts:
        was, now = (100 * float(cut or 0.0) for cut in cuts)
        sense = "better" if now > was + 0.005 else "worse" if now < was - 0.005 else ""
        parts_.append(f"price <b>{MINUS}{now:.1f}\u00a0%</b> (was {MINUS}{was:.1f}\u00a0%{', ' + sense if sense else ''})")
    for name, words in (("workloads.evictions", "evictions a day"), ("workloads.broken_requirements", "VM-hours broken a day")):
        values: list[Any] = [state.metric(run, name) for run in (before, after)]
        if None not in values:
            parts_.append(f"{values[1]:.0f} {words} (was {values[0]:.0f})")
    return " · ".join(parts_) or "it has no bills"


def open_run(run_id: str) -> None:
    """Open a stored run on this page: its scenario is the edited one, so it stands alone there."""
    brief = state.run(run_id).brief
    t_s = state.context().t_s
    state.set_scenario(brief.scenario)
    state.set_seed(brief.seed)
    state.set_today(run_id if brief.is_today else None)
    state.set_candidate(None if brief.is_today else run_id)
    state.listen(edit=None, chain=None)
    state.set_t(t_s)

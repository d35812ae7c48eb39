"""A plan that was chosen tried on the twin: asked, followed, opened."""

import html
from collections.abc import Mapping
from typing import Any, Final

import streamlit as st

from app import jobs, parts, plans, state
from app.views.workflows.reading import Looking
from app.views.workloads.lanes import note
from twin.metrics import Scope
from twin.units import show

KIND: Final = "plan"
_SHOWN: Final = 3
_SAID: Final = (
    ("workflows.makespan_p50_s", "time"),
    ("workflows.cost_usd_per_job", "cost"),
    ("workflows.energy_j_per_job", "energy"),
)


def offer(look: Looking, name: str, knobs: Mapping[str, Any]) -> None:
    """Offer to run the scenario once more under the shown run's policy with this plan pinned."""
    asked = spec(look, name, knobs)
    same = next(
        (job for job in _mine(look) if job.spec.get("levers") == asked["levers"] and job.state not in {"failed", "cancelled"}), None
    )
    st.button(
        "Try it on the twin", key="workflows-try", type="primary", disabled=same is not None, on_click=jobs.submit,
        args=(KIND, asked, state.home()), help="It is under way or has its answer below." if same else None,
    )  # fmt: skip
    if same is None:
        kept = "the plans of other workflows are Murakkab’s, too" if look.today and len(look.there.settings.workflows) > 1 else ""
        note(f"The same day once more with this plan in every epoch{f'; {kept}' if kept else ''}. It stands beside today’s run then.")


def spec(look: Looking, name: str, knobs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the job is asked."""
    stack = state.run(look.run_id).manifest["schedule"][0]["policy"].get(plans.LEVER, ())
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in knobs.items()}
    base = "" if look.today else f"{state.name_of(look.run_id).split('; plan ')[0]}; "
    return {
        "run_id": look.run_id,
        "workflow": look.workflow.id,
        "levers": plans.levers_with(stack, plain),
        "name": f"{base}plan {name}"[:80],
    }


def _mine(look: Looking) -> list[jobs.Job]:
    of = look.workflow.id
    return [each for each in jobs.list_jobs(state.home()) if each.kind == KIND and each.spec.get("workflow") == of and _here(look, each)]


def _here(look: Looking, job: jobs.Job) -> bool:
    """Return whether a job's runs stand in the scenario and seed that is shown."""
    run_ids = {str(job.spec.get("run_id", "")), str((job.result or {}).get("run_id", ""))}
    return bool(run_ids & {look.run_id, *look.runs.values()})


def told(look: Looking) -> None:
    """Follow plans that are being tried, and say what came of those that were."""
    for job in _mine(look)[:_SHOWN]:
        with st.container(key=f"decision-plan-{job.job_id}", gap="small"):
            _line(look, job)


def _line(look: Looking, job: jobs.Job) -> None:
    st.html(f'<p class="iw-note">{html.escape(str(job.spec["name"]))}</p>')
    if not job.over:
        parts.progress(job.job_id, key=f"plan-{job.job_id}")
        return
    answer = str((job.result or {}).get("run_id", ""))
    if job.state != "done" or answer not in {brief.run_id for brief in state.stored()}:
        words = parts.mark("broken", "failed") if job.state == "failed" else "cancelled"
        st.html(f'<p class="iw-note">{words} {html.escape(job.error or "")}</p>')
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"plan-line-{job.job_id}"):
        st.html(f'<p class="iw-said">{compared(str(job.spec["run_id"]), answer, look.workflow.id)}</p>')
        if answer != look.run_id and st.button("Open", key=f"plan-open-{job.job_id}", type="tertiary"):
            state.set_candidate(answer)
            st.rerun()


def compared(before: str, after: str, workflow: str) -> str:
    """Return what jobs of a workflow take in a run beside the run that it was asked of; as HTML."""
    scope = (Scope("workflow", workflow),)
    found = []
    for name, words in _SAID:
        was, now = (state.metric(run_id, name, scope) for run_id in (before, after))
        if now is not None:
            found.append(f"{words} <b>{show(now, name)}</b>" + (f" (was {show(was, name)})" if was is not None else ""))
    return " · ".join(found) or "no job was done"

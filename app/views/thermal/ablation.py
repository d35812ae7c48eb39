"""Panel that sets the parts of TAPAS against today's policy."""

from functools import cache
from hashlib import sha256
from json import dumps, loads
from typing import Final

import polars as pl
import streamlit as st

from app import jobs, parts, state
from app.charts.ablation import COLUMNS, TODAY, ablation_svg, ablation_title, values_of
from app.views.thermal import what_if
from app.widgets.drawing import drawing


def _policies(run_id: str) -> dict[str, str]:
    """Return the id of each ablation's policy set, at the size of a run's site, as stored runs carry it."""
    return _ids(dumps(state.run(run_id).manifest["schedule"][0]["policy"]))


@cache
def _ids(asked: str) -> dict[str, str]:
    from policies import ablations
    from policies.policy import PolicySet

    found = ablations.canonical(PolicySet(levers=loads(asked)))
    return {label: sha256(dumps([spec], sort_keys=True).encode()).hexdigest()[:12] for label, spec in found.items()}


def stored(run_id: str) -> dict[str, str]:
    """Return the stored run of each ablation in the world and over the time of a run, the newest of each; whoever made it."""
    mine = state.run(run_id)
    found: dict[str, str] = {}
    for label, policy_id in _policies(run_id).items():
        for brief in state.stored():
            alike = (brief.begin_s, brief.end_s, brief.world, brief.seed) == (
                mine.brief.begin_s, mine.brief.end_s, mine.brief.world, mine.brief.seed,
            )  # fmt: skip
            if brief.policy_id == policy_id and alike and _question(brief.run_id) == _question(run_id):
                found[label] = brief.run_id
                break
    return found


def _question(run_id: str) -> object:
    return state.run(run_id).manifest["scenario"]


def ablation(run_id: str, now: state.Context) -> None:
    """Show what each part of TAPAS does in the shown world, or offer to find out."""
    found = stored(run_id)
    values = {label: values_of(state.run(run).metrics) for label, run in found.items()}
    job = next((one for one in jobs.list_jobs(state.home()) if one.kind == "ablation" and one.spec.get("run_id") == run_id), None)
    complete = set(found) == set(_policies(run_id))
    with parts.panel(
        ablation_title(values),
        "ablation",
        data=(lambda: _frame(found, values)) if len(found) > 1 else None,
        sql=_sql(found),
        png=len(found) > 1,
    ):
        brief = state.run(run_id).brief
        span = "the whole run" if brief.whole else f"{brief.clock.at(brief.begin_s):%H:%M} to {brief.clock.at(brief.end_s):%H:%M}"
        words = "Place: where VMs go. Route: where requests go. Config: clocks, batches and emergencies."
        st.html(f'<p class="iw-note">{words} Over {span}, seed {brief.seed}{_size(run_id)}.</p>')
        if len(found) > 1:
            drawing(
                ablation_svg(values, state.colours()), key="ablation-drawing", narrow=ablation_svg(values, state.colours(), narrow=True)
            )
        if job is not None and not job.over:
            parts.progress(job.job_id, key="ablation")
        else:
            _foot(run_id, now, found, complete, job)


def _foot(run_id: str, now: state.Context, found: dict[str, str], complete: bool, job: jobs.Job | None) -> None:
    if job is not None and job.state == "failed" and not complete:
        parts.failed("The comparison did not run", job.error or "", key="ablation")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if not complete:
            left = len(_policies(run_id)) - len(found)
            st.button(
                "Compare the parts of TAPAS" if len(found) < 2 else f"Run the {left} that are missing",
                key="ablation-run",
                on_click=_submit,
                args=(run_id, now),
                help=f"{left} runs in the background, in the same world as this one.",
            )
        if len(found) > 1:
            labels = [label for label in found if found[label] != run_id]
            picked = st.selectbox(
                "Open a run", labels, index=None, placeholder="Open one of these runs", key="ablation-open", label_visibility="collapsed",
                format_func=lambda label: "Today’s policy" if label == TODAY else f"TAPAS {label}", width=240,
            )  # fmt: skip
            if picked and st.button("Open", key="ablation-go", type="tertiary"):
                _open(found[picked], now)


def _size(run_id: str) -> str:
    extra = sum(state.run(run_id).manifest.get("extra_servers", {}).values())
    return f", all with {extra} servers more than were built" if extra else ""


def _open(run: str, now: state.Context) -> None:
    t_s = now.t_s
    what_if.show(run)
    state.set_t(t_s)
    st.rerun()


def _submit(run_id: str, now: state.Context) -> None:
    # Newer runs come: what is shown stays what is shown.
    if now.today and now.candidate:
        state.pin(now.today, now.candidate)
    jobs.submit("ablation", {"run_id": run_id}, state.home())


def _frame(found: dict[str, str], values: dict[str, dict[str, float]]) -> pl.DataFrame:
    rows = [{"policy": label, "run_id": found[label], **{name: values[label].get(name) for name in COLUMNS}} for label in found]
    return pl.DataFrame(rows)


def _sql(found: dict[str, str]) -> str:
    if len(found) < 2:
        return ""
    ids = ", ".join(f"'{run}'" for run in found.values())
    return _SQL.format(ids=ids)


_SQL: Final = (
    "SELECT run_id, max(gpu_temp_max_c) AS gpu_temp_max_c, max(power_w) AS row_power_peak_w, sum(power_brakes) AS power_brakes\n"
    "FROM rows WHERE run_id IN ({ids}) AND NOT isnan(gpu_temp_max_c) GROUP BY run_id"
)

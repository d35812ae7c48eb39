"""Panel of one job as it went, in both runs, with what it had at work."""

import html
from collections.abc import Mapping
from typing import Any, Final

import polars as pl
import streamlit as st

from app import parts, state
from app.charts.gantt import NARROW, Bar, Row, Strip, Used, gantt_svg
from app.charts.tokens import LIGHT
from app.views.memory.controls import select
from app.views.workflows import reading
from app.views.workflows.reading import Looking
from app.views.workloads.lanes import note
from app.widgets.talk import talk
from twin.units import show

_WHOSE: Final = {"candidate": "Candidate", "today": "Today’s policy"}
_NEAR: Final = 60


def gantt(look: Looking) -> None:
    """Draw the chosen job, the candidate's above today's, on one scale of time; a click on a stage looks at it."""
    rows = {role: _job(run_id, look.workflow.id, look.job) for role, run_id in look.runs.items()}
    title = gantt_title(look.workflow.id, rows)
    drawn = [strip(look, role, row) for role, row in rows.items() if row is not None]
    data = pl.concat([reading.tasks(run_id, look.job).with_columns(pl.lit(role).alias("policy")) for role, run_id in look.runs.items()])
    sql = _SQL.format(run_id=look.run_id, job=look.job.replace("'", "''"))
    limit_s = look.workflow.limits.makespan_s
    save = parts.Save("SVG", f"{look.job}.svg", "image/svg+xml", lambda: gantt_svg(drawn, LIGHT, title, limit_s=limit_s))
    with parts.panel(title, "workflows-gantt", data=data, sql=sql, png=True, saves=(save,)):
        _choose(look)
        if not drawn:
            note("No job of this workflow came in this run.")
            return
        tokens = state.colours()
        about: dict[str, Any] = {"limit_s": limit_s, "chosen": look.stage.id}
        talk(
            gantt_svg(drawn, tokens, title, **about), narrow=gantt_svg(drawn, tokens, title, width=NARROW, **about),
            key="workflows-gantt-drawing", hint="Point at a stage to read its times, click it to look at it. Pale is waiting.",
            on_pick=lambda stage: state.set_flow(stage=stage),
        )  # fmt: skip
        for role, row in rows.items():
            if row is not None and row["outcome"] == "refused":
                st.html(f'<p class="iw-note">{parts.mark("broken", f"{_WHOSE[role]}: refused")} {html.escape(str(row["why"]))}</p>')


def _choose(look: Looking) -> None:
    frame = reading.jobs(look.run_id, look.workflow.id)
    if frame.is_empty():
        return
    names = frame["job_id"].to_list()
    at = names.index(look.job)
    clock = look.now.clock
    times = dict(frame.select("job_id", "submit_s").iter_rows())
    near = names[max(at - _NEAR, 0) : at + _NEAR]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="workflows-job"):
        select(
            "Job, by when it was asked for", near, look.job, "workflows-job-pick", lambda one: go_to(look, one), width=190,
            words=lambda one: f"{clock.at(times[one]):%H:%M:%S}, job {one.removeprefix(look.workflow.id).lstrip('-')}",
        )  # fmt: skip
        for words, index in (("Earlier", at - 1), ("Later", at + 1)):
            there = 0 <= index < len(names)
            st.button(
                words, key=f"workflows-job-{words}", type="tertiary", disabled=not there, on_click=go_to,
                args=(look, names[index] if there else look.job),
            )  # fmt: skip


def go_to(look: Looking, job: str) -> None:
    """Look at a job, and put the cursor where it was asked for."""
    frame = reading.jobs(look.run_id, look.workflow.id)
    mine = frame.filter(pl.col("job_id") == job) if not frame.is_empty() else frame
    state.set_flow(job=job)
    if not mine.is_empty():
        state.set_t(float(mine["submit_s"][0]))


def _job(run_id: str, workflow: str, job: str) -> dict[str, Any] | None:
    frame = reading.jobs(run_id, workflow)
    mine = frame.filter(pl.col("job_id") == job) if not frame.is_empty() else frame
    return None if mine.is_empty() else mine.row(0, named=True)


def gantt_title(workflow: str, rows: Mapping[str, Mapping[str, Any] | None]) -> str:
    """Return how long the job took, beside what it took under today's policy.

    >>> row = {"job_id": "video-3", "outcome": "done", "makespan_s": 50.0}
    >>> gantt_title("video", {"candidate": row, "today": None}).replace("\\u00a0", " ")
    'Job video-3 took 50.0 s'
    """
    mine, today = rows.get("candidate"), rows.get("today")
    shown = mine or today
    if shown is None:
        return f"No job of {workflow} came"
    name = f"Job {shown['job_id']}"
    if shown["outcome"] != "done":
        words = "was refused" if shown["outcome"] == "refused" else "is still under way at the end of the run"
        after = f"; today’s policy takes {show(today['makespan_s'], 'x_s')}" if mine and today and today["outcome"] == "done" else ""
        return f"{name} {words}{after}"
    took = f"{name} took {show(shown['makespan_s'], 'x_s')}"
    if mine is None or today is None:
        return took
    if today["outcome"] == "refused":
        return f"{took}; today’s policy refuses it"
    return took if today["outcome"] != "done" else f"{took}, under today’s policy {show(today['makespan_s'], 'x_s')}"


def strip(look: Looking, role: str, row: Mapping[str, Any]) -> Strip:
    """Return a job of one run as it is drawn."""
    run_id = look.runs[role]
    done = reading.tasks(run_id, look.job)
    submit_s, end_s = float(row["submit_s"]), float(row["t_s"])
    words = _WHOSE[role]
    if row["outcome"] == "done":
        figures = (show(row["makespan_s"], "x_s"), show(row["energy_j"], "x_j"), show(row["cost_usd"], "x_usd"))
        words += f": {', '.join(figures)}; without waiting for anything {show(row['critical_path_s'], 'x_s')}"
    else:
        words += f": {row['outcome']}"
    drawn = []
    for hue, stage in enumerate(look.graph.stages if not done.is_empty() else ()):
        mine = done.filter(pl.col("stage_id") == stage.id)
        drawn.append(Row(stage.id, stage.title, hue, tuple(_bar(look, each, submit_s) for each in mine.iter_rows(named=True))))
    used = () if done.is_empty() else (
        Used("GPUs", steps(done, "gpus", submit_s), held(run_id, submit_s, end_s)), Used("Cores", steps(done, "cores", submit_s))
    )  # fmt: skip
    return Strip(words, role == "today", end_s - submit_s, tuple(drawn), used)


def _bar(look: Looking, task: Mapping[str, Any], submit_s: float) -> Bar:
    who = reading.titled(look, task["executor_id"])
    return Bar(task["ready_s"] - submit_s, task["start_s"] - submit_s, task["t_s"] - submit_s, task["items"], f"by {who}")


def steps(done: pl.DataFrame, column: str, submit_s: float) -> tuple[tuple[float, float], ...]:
    """Return how many GPUs or cores the job had at work from when on: each instance counts once, however many items it had at once."""
    edges: dict[float, float] = {}
    on = done.filter(pl.col(column) > 0)
    for (_, size), mine in on.group_by("instance_id", column, maintain_order=True):
        end_s = None
        for start_s, stop_s in mine.sort("start_s").select("start_s", "t_s").iter_rows():
            if end_s is None or start_s > end_s:
                if end_s is not None:
                    edges[end_s] = edges.get(end_s, 0.0) - float(size)
                edges[start_s] = edges.get(start_s, 0.0) + float(size)
                end_s = stop_s
            end_s = max(end_s, stop_s)
        if end_s is not None:
            edges[end_s] = edges.get(end_s, 0.0) - float(size)
    found, now = [], 0.0
    for t_s in sorted(edges):
        now += edges[t_s]
        found.append((t_s - submit_s, max(now, 0.0)))
    return tuple(found)


def held(run_id: str, begin_s: float, end_s: float) -> float | None:
    """Return how many GPUs all workflows held on average in the minutes of a job; None where that was not recorded."""
    use = reading.table(run_id, "workflow_use")
    if use.is_empty():
        return None
    mine = use.filter(pl.col("t_s") > begin_s, pl.col("t_s") <= end_s + 60.0)
    return None if mine.is_empty() else float(mine.select(pl.col("held_gpus").mean()).item())


_SQL: Final = "SELECT * FROM workflow_tasks WHERE run_id = '{run_id}' AND job_id = '{job}' ORDER BY start_s"

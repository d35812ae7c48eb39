"""Panels of the day: every job, and what workflows held and used."""

from collections.abc import Mapping
from typing import Final

import polars as pl
import streamlit as st

from app import parts, state
from app.charts.job_dots import job_dots
from app.charts.quantity import grouped
from app.charts.timeline import Span, over_time
from app.views.memory.controls import select
from app.views.workflows import reading
from app.views.workflows.gantt import go_to
from app.views.workflows.reading import Looking
from app.views.workloads.lanes import note
from twin.units import show

_JOBS: Final[Mapping[str, str]] = {"time": "makespan_s", "cost": "cost_usd", "energy": "energy_j"}
_USE: Final[Mapping[str, str]] = {
    "GPUs held": "held_gpus",
    "GPUs at work": "busy_gpus",
    "surplus GPUs": "spot_gpus",
    "cores at work": "busy_cores",
    "power": "power_w",
    "cost an hour": "cost_usd_per_h",
    "tasks that wait": "waiting_tasks",
    "jobs under way": "jobs",
}
_WORDS: Final = {"makespan_s": "take", "cost_usd": "cost", "energy_j": "use"}


def jobs(look: Looking) -> None:
    """Draw what each job of the workflow took, cost or used by when it was asked for; a click looks at that job."""
    frames = {role: reading.jobs(run_id, look.workflow.id) for role, run_id in look.runs.items()}
    frames = {role: frame for role, frame in reversed(frames.items()) if not frame.is_empty()}
    key = "workflows-day-what"
    what = st.session_state.get(key, "time")
    column = _JOBS.get(what, "makespan_s")
    sql = _SQL.format(run_id=look.run_id, workflow=look.workflow.id)
    title = jobs_title(look, frames, column)
    with parts.panel(title, "workflows-jobs", data=reading.jobs(look.run_id, look.workflow.id), sql=sql, png=True):
        if not frames:
            note("No job of this workflow came in this run.")
            return
        st.segmented_control("Quantity", list(_JOBS), default="time", required=True, key=key, label_visibility="collapsed")
        span, limit = Span(look.now.clock, look.now.horizon_s), look.workflow.limits.model_dump().get(column)
        fig = job_dots(frames, column, state.colours(), span, chosen=look.job, cursor_s=look.now.t_s, limit=limit)
        parts.plot(fig, "workflows-jobs", alt=title, on_pick=lambda job: go_to(look, job))
        refused = {role: frame.filter(pl.col("outcome") == "refused").height for role, frame in frames.items()}
        words = "A dot is a job, grey of today’s policy" if len(frames) > 1 else "A dot is a job"
        note(f"{words}; click one to see it. {'Crosses on the axis were refused.' if any(refused.values()) else ''}".strip())


def jobs_title(look: Looking, frames: Mapping[str, pl.DataFrame], column: str) -> str:
    """Return how many jobs were done and what half of them took at most, beside today's."""
    role = "today" if look.today else "candidate"
    frame = frames.get(role)
    if frame is None:
        return f"No job of {look.workflow.id} came"
    done = frame.filter(pl.col("outcome") == "done")
    if done.is_empty():
        return f"None of {grouped(frame.height)} jobs was done"
    many = f"{grouped(done.height)} of {grouped(frame.height)} jobs" if done.height < frame.height else f"{grouped(frame.height)} jobs"
    many = "The one job" if frame.height == 1 else many
    words = f"{many} {_WORDS[column]}{'s' if frame.height == 1 else ''} {show(middle(done, column), column)}"
    words += "" if frame.height == 1 else " in the median"
    before = frames.get("today") if role == "candidate" else None
    was = None if before is None else middle(before.filter(pl.col("outcome") == "done"), column)
    return words if was is None else f"{words}, today {show(was, column)}"


def middle(done: pl.DataFrame, column: str) -> float | None:
    """Return the median of a column; None of no job."""
    return None if done.is_empty() else float(done.select(pl.col(column).median()).item())


def use(look: Looking) -> None:
    """Draw what all workflows held and used over the day."""
    frames = {role: reading.table(run_id, "workflow_use") for role, run_id in reversed(look.runs.items())}
    key = "workflows-use-what"
    column = _USE.get(st.session_state.get(key, "GPUs held"), "held_gpus")
    sql = f"SELECT t_s, {column} FROM workflow_use WHERE run_id = '{look.run_id}' ORDER BY t_s"  # noqa: S608 - a text to be shown
    title = use_title(look)
    with parts.panel(title, "workflows-use", data=reading.table(look.run_id, "workflow_use"), sql=sql, png=True):
        select("Quantity", list(_USE), st.session_state.get(key, "GPUs held"), "workflows-use-pick", lambda one: _set(key, one), width=190)
        span = Span(look.now.clock, look.now.horizon_s)
        fig = over_time(frames, column, state.colours(), span, cursor_s=look.now.t_s, height_px=220)
        fig.update_yaxes(rangemode="tozero")
        parts.plot(fig, "workflows-use", alt=title)
        note(f"Of all workflows together, minute by minute, by the executors’ profiles.{told(look.run_id)}")


def _set(key: str, value: str) -> None:
    st.session_state[key] = value


def use_title(look: Looking) -> str:
    """Return how many GPUs are held on average, how many of them work, and how many today's policy holds."""
    mine = held(look.run_id)
    if mine is None:
        return "Nothing was recorded of what workflows hold"
    words = f"Workflows hold {mine[0]:.3g} GPUs on average, of which {mine[1]:.3g} work"
    before = held(look.runs["today"]) if not look.today and "today" in look.runs else None
    return words if before is None else f"{words}; today’s policy holds {before[0]:.3g}"


def told(run_id: str) -> str:
    """Return in words what the planner told the cluster is coming, on average over the epochs; empty where it told nothing."""
    frame = reading.table(run_id, "workflow_coming")
    if frame.is_empty():
        return ""
    gpus, spot, cores, power_w = frame.select(pl.col("gpus", "spot_gpus", "cores", "power_w").mean()).row(0)
    return f" The cluster was told to expect {gpus + spot:.3g} GPUs, {cores:.3g} cores at work and {show(power_w, 'power_w')} above idle."


def held(run_id: str) -> tuple[float, float] | None:
    """Return the GPUs held and at work, on average over a run."""
    frame = reading.table(run_id, "workflow_use")
    if frame.is_empty():
        return None
    row = frame.select(pl.col("held_gpus").mean(), pl.col("busy_gpus").mean()).row(0)
    return float(row[0]), float(row[1])


_SQL: Final = (
    "SELECT submit_s, job_id, outcome, makespan_s, energy_j, cost_usd, quality_share, why FROM jobs\n"
    "WHERE run_id = '{run_id}' AND workflow_id = '{workflow}' ORDER BY submit_s"
)

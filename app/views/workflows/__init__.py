"""What is the cheapest way to run this job well enough?"""

from typing import Final, NamedTuple

import polars as pl
import streamlit as st

from app import later, parts, state
from app.views.workflows import day, gantt, graph, library, reading, shared, stage, tradeoff
from app.views.workflows.reading import Looking
from twin.units import show as shown

# By how much later the slowest jobs must be to be told beside a median that is better.
_LATER: Final = 1.1


def show() -> None:
    """Show the page: task graph, trade-off, the stage looked at, a job, the day, what is shared and refused, the library."""
    if not parts.no_run("workflows"):
        _live()


@st.fragment
def _live() -> None:
    now = state.context()
    if not reading.has_any(now.run_id or ""):
        parts.page_title("No workflow runs in this scenario", f"{now.scenario} · seed {now.seed}", legend=False)
        parts.empty(
            "It declares no compound AI jobs",
            "Task graph, plans, jobs and the library of executors would stand here. Declare a workflow in the scenario, under "
            "[[workflows.workflows]], with servers, hosts and a workload whose VMs it fills, and run it.",
            key="workflows-none",
        )
        return
    try:
        look = reading.looking()
    except ValueError as error:
        parts.page_title("The workflows of this run cannot be read", f"{now.scenario} · seed {now.seed}", legend=False)
        parts.failed("What the run was made with has changed", str(error), key="workflows-unread")
        return
    parts.page_title(title(look), under(look))
    place = st.container(key="workflows-waiting")
    left, right = st.columns([400, 768], gap="small")
    with left:
        graph.graph(look)
    with right:
        waiting = [tradeoff.tradeoff(look)]
        stage.stage(look)
    gantt.gantt(look)
    left, right = st.columns(2, gap="small")
    with left:
        day.jobs(look)
        shared.pools(look)
    with right:
        day.use(look)
        shared.refused(look)
    library.library(look)
    with place:
        later.follow(waiting, state.in_step, key="workflows")


def title(look: Looking) -> str:
    """Return what a job takes and costs, and how that stands against today's policy."""
    name = look.workflow.id
    mine, today = (_figures(look, role) for role in ("today" if look.today else "candidate", "today"))
    if mine is None:
        return f"No job of {name} was done"
    words = f"A job of {name} takes {shown(mine.time_s, 'x_s')} and {shown(mine.usd, 'x_usd')}"
    if look.today:
        return f"{words} as it is written today"
    if today is None:
        return f"{words}; today’s policy does none" if "today" in look.runs else words
    faster, cheaper = _times(today.time_s, mine.time_s, "faster", "slower"), _times(today.usd, mine.usd, "cheaper", "dearer")
    at = f", at {shown(mine.quality, 'x_share')} quality instead of {shown(today.quality, 'x_share')}"
    return f"{words}: {faster} and {cheaper} than today{at if abs(mine.quality - today.quality) > 5e-4 else ''}{later_words(mine, today)}"


class Figures(NamedTuple):
    """What jobs of a workflow come to: median time, mean cost, worst quality, 99th percentile of time."""

    time_s: float
    usd: float
    quality: float
    late_s: float


def _figures(look: Looking, role: str) -> Figures | None:
    run_id = look.runs.get(role)
    frame = reading.jobs(run_id, look.workflow.id) if run_id else pl.DataFrame()
    done = frame if frame.is_empty() else frame.filter(pl.col("outcome") == "done")
    if done.is_empty():
        return None
    of = done.select(pl.col("makespan_s").median(), pl.col("cost_usd").mean(), pl.col("quality_share").min(),
                     pl.col("makespan_s").quantile(0.99, "linear").alias("late_s"))  # fmt: skip
    return Figures(*(float(each) for each in of.row(0)))


def later_words(mine: Figures, today: Figures) -> str:
    """Return what the slowest jobs take where half of all jobs are faster than today and these are later; else nothing."""
    if mine.time_s >= today.time_s or mine.late_s <= _LATER * today.late_s:
        return ""
    return f"; the slowest hundredth take {shown(mine.late_s, 'x_s')}, today {shown(today.late_s, 'x_s')}"


def _times(was: float, now: float, less: str, more: str) -> str:
    if was <= 0 or now <= 0 or 0.995 < was / now < 1.005:
        return f"no {less}"
    return f"{was / now:.3g} times {less}" if was > now else f"{now / was:.3g} times {more}"


def under(look: Looking) -> str:
    """Return one line of context: what is asked of the workflow, how many jobs, whose policy."""
    asks = {"MIN_COST": "least cost", "MIN_LATENCY": "least time", "MIN_ENERGY": "least energy", "MAX_QUALITY": "best quality"}
    limits = {"makespan_s": "within", "energy_j": "on", "cost_usd": "for"}
    told = [f"{words} {shown(value, name)}" for name, words in limits.items() if (value := getattr(look.workflow.limits, name)) is not None]
    if look.workflow.limits.gpus is not None:
        told.append(f"on {look.workflow.limits.gpus} GPUs")
    if look.workflow.limits.quality_share is not None:
        told.append(f"at {shown(look.workflow.limits.quality_share, 'x_share')} quality or more")
    asked = ", ".join([f"asks for {asks[look.workflow.constraint]}", *told])
    policy = "today’s policy" if look.today else f"candidate {state.name_of(look.run_id)}"
    return " · ".join([f"{look.workflow.items} items a job", asked, policy, f"seed {look.now.seed}"])

"""Panels of instances that workflows share, and of what was refused."""

from functools import lru_cache
from typing import Any, Final

import polars as pl

from app import parts, state
from app.charts.quantity import grouped
from app.charts.statements import count
from app.views.workflows import reading
from app.views.workflows.gantt import go_to
from app.views.workflows.reading import Looking
from app.views.workloads.lanes import note
from app.widgets.rows import Head, rows
from twin.units import show

_POOLS: Final = (
    Head("who", "Model or tool", "strong", "32%"),
    Head("where", "An instance", "text", "14%", narrow=False),
    Head("instances", "Instances", "number", "12%"),
    Head("whose", "Used by", "muted", "30%"),
    Head("busy", "At work", "value", "12%"),
)
_REFUSED: Final = (
    Head("limit", "What binds", "strong", "18%"),
    Head("jobs", "Jobs", "value", "9%"),
    Head("policy", "Policy", "muted", "16%", narrow=False),
    Head("why", "In the planner’s words", "text", "57%"),
)
_MOST: Final = 12


def pools(look: Looking) -> None:
    """List the instances that did anything, by model, and which workflows used them."""
    frame = used(look.home, look.run_id)
    with parts.panel(pools_title(frame, len(look.there.settings.workflows)), "workflows-pools", data=frame):
        if frame.is_empty():
            note("Nothing was done in this run.")
            return
        rows(_POOLS, [_pool(look, row) for row in frame.head(_MOST).iter_rows(named=True)], state.colours(), key="workflows-pool-rows")
        note("At work: of the time from the first to the last thing that an instance did, on average over instances.")


@lru_cache(maxsize=8)
def used(home: str, run_id: str) -> pl.DataFrame:
    """Return the pools of instances of a run, a row each: executors of one instance together, who used it, how much it worked."""
    tasks = reading.table(run_id, "workflow_tasks")
    mine = tasks if tasks.is_empty() else tasks.filter((pl.col("gpus") > 0) | (pl.col("cores") > 0))
    if mine.is_empty():
        return pl.DataFrame()
    spans = mine.sort("start_s").with_columns(pl.col("t_s").cum_max().shift(1).over("instance_id").alias("until_s"))
    # What overlaps with work before it on the same instance counts once.
    work = (pl.col("t_s") - pl.max_horizontal("start_s", pl.col("until_s").fill_null(0.0))).clip(lower_bound=0.0)
    each = spans.group_by("instance_id").agg(
        pl.col("executor_id").unique().sort(), pl.col("workflow_id").unique().sort(), pl.col("gpus").max(), pl.col("cores").max(),
        work.sum().alias("work_s"), (pl.col("t_s").max() - pl.col("start_s").min()).alias("there_s"), pl.col("items").sum(),
    )  # fmt: skip
    each = each.with_columns(pl.col("executor_id").list.join(", ").alias("executors"), (pl.col("work_s") / pl.col("there_s")).alias("busy"))
    found = each.group_by("executors", "gpus", "cores").agg(
        pl.len().alias("instances"), pl.col("workflow_id").explode().unique().sort().alias("of"), pl.col("busy").mean().alias("busy_share"),
        pl.col("items").sum(),
    )  # fmt: skip
    found = found.with_columns(pl.col("of").list.len().alias("workflows"), pl.col("of").list.join(", ").alias("used_by")).drop("of")
    return found.sort("workflows", "gpus", "executors", descending=[True, True, False])


def pools_title(frame: pl.DataFrame, workflows: int) -> str:
    """Return how many pools of instances several workflows share."""
    if frame.is_empty():
        return "No instance did anything"
    shared = frame.filter(pl.col("workflows") > 1)
    if shared.is_empty():
        return "One workflow has all instances to itself" if workflows == 1 else "Workflows share no instances: each has its own"
    on_gpus = shared.filter(pl.col("gpus") > 0)
    what = "models" if on_gpus.height == shared.height else "models and tools"
    return f"Workflows share the instances of {shared.height} of {frame.height} {what}"


def _pool(look: Looking, row: dict[str, Any]) -> dict[str, Any]:
    titles = [reading.titled(look, one) for one in row["executors"].split(", ")]
    known = reading.executors(look).get(row["executors"].split(", ")[0])
    model = known.model if known is not None and known.model else titles[0]
    name = titles[0] if len(titles) == 1 else f"{model}, {count(len(titles), 'executor')}"
    hardware = _hardware(look, row)
    return {
        "id": f"{row['executors']}/{row['gpus']}/{row['cores']}", "who": name, "where": reading.where(hardware, row["gpus"], row["cores"]),
        "instances": f"{row['instances']}", "whose": row["used_by"], "busy": show(row["busy_share"], "x_share"),
    }  # fmt: skip


def _hardware(look: Looking, row: dict[str, Any]) -> str:
    known = reading.executors(look).get(row["executors"].split(", ")[0])
    profiles = () if known is None else known.profiles
    found = next((each.hardware for each in profiles if (each.gpus, each.cores) == (row["gpus"], row["cores"])), "")
    return found or ("GPUs" if row["gpus"] else "cpu")


def refused(look: Looking) -> None:
    """List what was refused, by the limit that stood in the way, in both runs."""
    frame = refusals(look)
    with parts.panel(refused_title(look, frame), "workflows-refused", data=frame):
        if frame.is_empty():
            note("A job for which no plan keeps its limits, or that does not fit, is refused; the limit that binds would stand here.")
            return
        found = [
            {
                "id": row["first_job"], "limit": row["limit"], "jobs": grouped(row["jobs"]), "why": f"{row['workflow_id']}: {row['words']}",
                "policy": "today’s" if row["policy"] == "today" else "candidate",
            }
            for row in frame.head(_MOST).iter_rows(named=True)
        ]  # fmt: skip
        rows(_REFUSED, found, state.colours(), key="workflows-refused-rows", on_pick=lambda job: _open(look, job))
        note("Click a row to see the first of its jobs.")


def _open(look: Looking, job: str) -> None:
    if job in set(reading.jobs(look.run_id, look.workflow.id)["job_id"]):
        go_to(look, job)


def refusals(look: Looking) -> pl.DataFrame:
    """Return refused jobs by policy, workflow and reason; what stands before the colon of a reason is the limit that binds."""
    found = []
    for role, run_id in look.runs.items():
        jobs = reading.table(run_id, "jobs")
        if not jobs.is_empty():
            found.append(jobs.filter(pl.col("outcome") == "refused").with_columns(pl.lit(role).alias("policy")))
    if not found or not sum(frame.height for frame in found):
        return pl.DataFrame()
    grouped_ = pl.concat(found).group_by("policy", "workflow_id", "why", maintain_order=True)
    frame = grouped_.agg(pl.len().alias("jobs"), pl.col("job_id").first().alias("first_job"), pl.col("submit_s").min().alias("first_s"))
    split = pl.col("why").str.split_exact(": ", 1)
    limit = pl.when(pl.col("why").str.contains(": ", literal=True)).then(split.struct.field("field_0")).otherwise(pl.lit("no plan"))
    # The first colon ends the limit; whatever else is said after it stays whole.
    words = pl.when(limit != "no plan").then(pl.col("why").str.replace(r"^[^:]*: ", "")).otherwise(pl.col("why"))
    return frame.with_columns(limit.alias("limit"), words.alias("words")).sort("jobs", "first_s", descending=[True, False])


def refused_title(look: Looking, frame: pl.DataFrame) -> str:
    """Return how many jobs the shown run refused and why most of them."""
    role = "today" if look.today else "candidate"
    mine = frame.filter(pl.col("policy") == role) if not frame.is_empty() else frame
    others = int(frame["jobs"].sum()) - int(mine["jobs"].sum()) if not frame.is_empty() else 0
    after = f"; today’s policy refuses {grouped(others)}" if others and role == "candidate" else ""
    if mine.is_empty():
        return f"No job was refused{after}"
    total = int(mine["jobs"].sum())
    return f"{grouped(total)} job{' was' if total == 1 else 's were'} refused, most for {mine['limit'][0]}{after}"

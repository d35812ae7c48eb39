"""The tables that workflows write, and the metrics read off them."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from twin.metrics import Asked, Reading
from twin.tables import Column, Table

_WHICH: Final = Column("workflow_id", pl.String, "workflow", "workflow")
JOBS: Final = Table(
    "jobs",
    "one row per job, when it ended or was refused; those under way at the end of the run too",
    (
        Column("t_s", pl.Float64, "when it ended; for one under way the end of the run"),
        Column("submit_s", pl.Float64, "when it was asked for"),
        Column("start_s", pl.Float64, "when its first stage began; not-a-number for none"),
        _WHICH,
        Column("job_id", pl.String, "the job"),
        Column("items", pl.Int64, "scenes, files or questions"),
        Column("outcome", pl.String, "done, refused, under way"),
        Column("makespan_s", pl.Float64, "from asking to result; not-a-number where there is none"),
        Column("energy_j", pl.Float64, "of its stages, with its part of what instances draw idle"),
        Column("cost_usd", pl.Float64, "what it held at its tariff, and requests to endpoints and functions at theirs"),
        Column("quality_share", pl.Float64, "of its weakest stage"),
        Column("critical_path_s", pl.Float64, "the longest way through its stages without any waiting"),
        Column("why", pl.String, "why it was refused; empty else"),
    ),
    telemetry=False,
)
TASKS: Final = Table(
    "workflow_tasks",
    "one row per stage and batch of items that an instance did together",
    (
        Column("t_s", pl.Float64, "when it ended"),
        Column("ready_s", pl.Float64, "when all that it reads was there"),
        Column("start_s", pl.Float64, "when it began"),
        _WHICH,
        Column("job_id", pl.String, "the job"),
        Column("stage_id", pl.String, "the stage"),
        Column("first_item", pl.Int64, "its first item; -1 for the job as a whole"),
        Column("items", pl.Int64, "items that it did together"),
        Column("executor_id", pl.String, "who did it"),
        Column("instance_id", pl.String, "on which instance"),
        Column("gpus", pl.Int64, "GPUs of that instance"),
        Column("cores", pl.Int64, "cores of that instance"),
    ),
    telemetry=False,
)
PLANS: Final = Table(
    "workflow_plans",
    "one row per epoch, workflow and stage: what was chosen",
    (
        Column("t_s", pl.Float64, "from when on it holds"),
        _WHICH,
        Column("stage_id", pl.String, "the stage; empty where the workflow was refused"),
        Column("executor_id", pl.String, "who does it"),
        Column("hardware", pl.String, "on what"),
        Column("instances", pl.Int64, "how many of it"),
        Column("batch", pl.Int64, "items at once at most"),
        Column("gpus", pl.Int64, "GPUs of all of them"),
        Column("cores", pl.Int64, "cores of all of them"),
        Column("spot", pl.Boolean, "whether it stands on surplus"),
        Column("predicted_makespan_s", pl.Float64, "of a job under the whole plan"),
        Column("predicted_energy_j", pl.Float64, "of a job"),
        Column("predicted_cost_usd", pl.Float64, "of a job"),
        Column("why", pl.String, "why this plan, or why none"),
    ),
    telemetry=False,
)
USE: Final = Table(
    "workflow_use",
    "one row per minute: what workflows hold and use",
    (
        Column("t_s", pl.Float64, "end of the minute, seconds since the start of the run"),
        Column("held_gpus", pl.Float64, "GPUs held, those on surplus too"),
        Column("busy_gpus", pl.Float64, "of them at work"),
        Column("busy_cores", pl.Float64, "cores at work"),
        Column("spot_gpus", pl.Float64, "GPUs on surplus"),
        Column("waiting_tasks", pl.Int64, "tasks that are ready and wait"),
        Column("jobs", pl.Int64, "jobs under way"),
        Column("power_w", pl.Float64, "what all that is drawn on average, by the executors' profiles"),
        Column("cost_usd_per_h", pl.Float64, "what all that costs an hour; requests to endpoints and functions apart"),
    ),
)
COMING: Final = Table(
    "workflow_coming",
    "one row per epoch in which a planner told the cluster what is coming; on average over the epoch",
    (
        Column("t_s", pl.Float64, "from when on"),
        Column("gpus", pl.Float64, "GPUs held"),
        Column("spot_gpus", pl.Float64, "GPUs on surplus"),
        Column("cores", pl.Float64, "cores at work"),
        Column("power_w", pl.Float64, "of all work, above idle"),
        Column("gpu_power_w", pl.Float64, "of it on GPUs held; their rows keep it free"),
    ),
    telemetry=False,
)
TABLES: Final = (JOBS, TASKS, PLANS, USE, COMING)


def _done(asked: Asked, column: str) -> pl.Series | None:
    """Return a column of the jobs that were done, of those asked for inside the window; None where there are none."""
    if JOBS.name not in asked.tables:
        return None
    wanted = pl.col("outcome") == "done"
    if names := asked.ids("workflow"):
        wanted &= pl.col("workflow_id").cast(pl.String).is_in(names)
    rows = asked.tables[JOBS.name].filter(wanted).select("submit_s", column).collect()
    if asked.window is not None:
        rows = rows.filter(pl.Series(asked.clock.inside(rows["submit_s"].to_numpy(), asked.window)))
    return rows[column] if rows.height else None


def _makespan(share: float) -> Reading:
    """Return the reading of a quantile of the time from asking to result."""

    def reading(asked: Asked) -> float | None:
        values = _done(asked, "makespan_s")
        return None if values is None else float(np.quantile(values.to_numpy(), share))

    return reading


def _mean(column: str) -> Reading:
    """Return the reading of a mean over jobs that were done."""

    def reading(asked: Asked) -> float | None:
        values = _done(asked, column)
        return None if values is None else float(np.mean(values.to_numpy()))

    return reading


def _quality_min_share(asked: Asked) -> float | None:
    values = _done(asked, "quality_share")
    return None if values is None else float(np.min(values.to_numpy()))


READINGS: Final[Mapping[str, Reading]] = {
    "workflows.makespan_p50_s": _makespan(0.5),
    "workflows.makespan_p99_s": _makespan(0.99),
    "workflows.energy_j_per_job": _mean("energy_j"),
    "workflows.cost_usd_per_job": _mean("cost_usd"),
    "workflows.quality_min_share": _quality_min_share,
}

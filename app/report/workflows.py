"""The workflows of a report: jobs, plans, what was refused."""

from typing import Final

import numpy as np
import polars as pl

from app.charts.statements import count
from app.report.negotiation import Part
from app.report.tabled import NOTHING, Sides, TabledSection, counted, lowered, shown, table
from app.shelf import StoredRun
from twin.workflows.readings import JOBS, PLANS

# What a job comes to: head, metric of the vocabulary, column of jobs, how it is summed up.
_FIGURES: Final = (
    ("Makespan p50", "workflows.makespan_p50_s", "makespan_s", 0.50),
    ("Makespan p99", "workflows.makespan_p99_s", "makespan_s", 0.99),
    ("Energy", "workflows.energy_j_per_job", "energy_j", None),
    ("Cost", "workflows.cost_usd_per_job", "cost_usd", None),
)


def section(sides: Sides) -> TabledSection | None:
    """Return the section on workflows, read off the tables of the runs; None where no job was asked for."""
    run = list(sides.values())[-1] if sides else None
    if run is None or table(run, JOBS).is_empty():
        return None
    parts = [_jobs(sides), _chosen(sides), _reasons(sides), _refused(sides)]
    return TabledSection("Workflows", _title(sides), _why(run), tuple(part for part in parts if part.rows))


def _title(sides: Sides) -> str:
    *before, now = (side.metrics for side in sides.values())
    if now.get("workflows.makespan_p50_s") is None:
        return "no job was done"
    words = []
    for name in ("makespan_p50_s", "energy_j_per_job", "cost_usd_per_job"):
        metric = f"workflows.{name}"
        change = lowered(before[0].get(metric) if before else None, now.get(metric))
        words.append(f"{shown(now.get(metric), metric)}{f' ({change})' if change else ''}")
    refused = table(list(sides.values())[-1], JOBS).filter(pl.col("outcome") == "refused").height
    told = f"a job takes {words[0]}, {words[1]} and {words[2]}"
    return f"{told}; {count(refused, 'job')} refused" if refused else told


def _why(run: StoredRun) -> str:
    jobs = table(run, JOBS)
    ended = dict(jobs.group_by("outcome").len().iter_rows())
    told = [f"{counted(ended[name])} {name}" for name in ("done", "refused", "under way") if name in ended]
    return f"Of {count(len(jobs), 'job')} of {count(jobs['workflow_id'].n_unique(), 'workflow')}: {', '.join(told)}."


def _jobs(sides: Sides) -> Part:
    """Return a row a workflow: jobs done, what one takes and costs, and its weakest stage; today's beside the candidate's."""
    frames = {role: table(run, JOBS) for role, run in sides.items()}
    names = list(dict.fromkeys(name for frame in frames.values() for name in frame["workflow_id"].unique(maintain_order=True)))
    rows = []
    for name in names:
        done = {role: frame.filter((pl.col("workflow_id") == name) & (pl.col("outcome") == "done")) for role, frame in frames.items()}
        figures = [shown(_figure(mine[column], share), metric) for _, metric, column, share in _FIGURES for mine in done.values()]
        weakest = [NOTHING if mine.is_empty() else shown(float(mine["quality_share"].min()), "x_share") for mine in done.values()]  # type: ignore[arg-type]
        rows.append((name, *(counted(len(mine)) for mine in done.values()), *figures, *weakest))
    heads = [f"{head}, {role}" for head in ("Done", *(each[0] for each in _FIGURES), "Quality") for role in sides]
    note = "Of jobs that were done. Energy and cost: means of one job, with its part of what instances hold; quality: of the weakest stage."
    return Part("What a job takes", ("Workflow", *heads), tuple(rows), 1, note)


def _figure(values: pl.Series, share: float | None) -> float | None:
    if values.is_empty():
        return None
    return float(np.mean(values.to_numpy()) if share is None else np.quantile(values.to_numpy(), share))


def _chosen(sides: Sides) -> Part:
    """Return a row a stage: who did it on what under the plan that held longest, today's beside the candidate's."""
    found = {role: _lasting(run) for role, run in sides.items()}
    keys = list(dict.fromkeys(key for plans in found.values() for key in plans))
    rows = [(*key, *(plans.get(key, NOTHING) for plans in found.values())) for key in keys]
    heads = ("Workflow", "Stage", *(role.capitalize() for role in sides))
    note = "The plan that held in most epochs: executor, hardware, instances and what they hold together, items at once."
    return Part("Who does each stage", heads, tuple(rows), len(heads), note)


def _lasting(run: StoredRun) -> dict[tuple[str, str], str]:
    plans = _whole(run).filter(pl.col("stage_id") != "")
    return {(row["workflow_id"], row["stage_id"]): _words(row) for row in plans.iter_rows(named=True)}


def _whole(run: StoredRun) -> pl.DataFrame:
    """Return of each workflow the rows of the plan that held in most epochs, the first of equals."""
    plans = table(run, PLANS)
    if plans.is_empty():
        return plans
    each = ["stage_id", "executor_id", "hardware", "instances", "batch", "spot"]
    told = plans.group_by("workflow_id", "t_s", maintain_order=True).agg(pl.struct(each).alias("plan"))
    held = told.group_by("workflow_id", "plan", maintain_order=True).agg(pl.len().alias("epochs"), pl.col("t_s").first())
    lasting = held.sort("epochs", descending=True, maintain_order=True).unique("workflow_id", keep="first", maintain_order=True)
    return plans.join(lasting.select("workflow_id", "t_s"), on=["workflow_id", "t_s"], how="semi")


def _words(row: dict[str, object]) -> str:
    held = [f"{row[name]} {name if name == 'cores' else 'GPUs'}" for name in ("gpus", "cores") if row[name]]
    if not held:
        return f"{row['executor_id']} ({row['hardware']})"
    spot = ", on surplus" if row["spot"] else ""
    words = f"{row['executor_id']} ({row['hardware']}, {count(int(str(row['instances'])), 'instance')}, {' and '.join(held)} in all"
    return f"{words}, batch {row['batch']}{spot})"


def _reasons(sides: Sides) -> Part:
    """Return a row a workflow and side: why that plan, in the planner's words."""
    rows = []
    for role, run in sides.items():
        why = _whole(run).unique("workflow_id", keep="first", maintain_order=True)
        rows += [(row["workflow_id"], role.capitalize(), str(row["why"])) for row in why.iter_rows(named=True)]
    return Part("Why these", ("Workflow", "Policy", "Why"), tuple(rows), 3, "Of the plan that held in most epochs.")


def _refused(sides: Sides) -> Part:
    """Return a row a workflow and reason: how many jobs were refused, and which limit bound."""
    rows = []
    for role, run in sides.items():
        refused = table(run, JOBS).filter(pl.col("outcome") == "refused")
        counts = refused.group_by("workflow_id", "why", maintain_order=True).len()
        rows += [(name, role.capitalize(), why, counted(number)) for name, why, number in counts.iter_rows()]
    note = "A job is refused where no plan keeps what was asked of it; the reason names the limit that binds."
    return Part("What was refused", ("Workflow", "Policy", "Which limit binds", "Jobs"), tuple(rows), 3, note)

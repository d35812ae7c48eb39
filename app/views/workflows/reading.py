"""What a run's tables say of its workflows, read once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import polars as pl

from app import floors, later, plans, state
from app.later import Answer
from app.plans import There
from twin.workflows.executors import Executor, Profile
from twin.workflows.graph import Graph, Stage
from twin.workflows.settings import Workflow

_TEXT: Final = (pl.Categorical, pl.Enum)
HARDWARE: Final[Mapping[str, str]] = {"cpu": "cores", "a100": "A100", "h100": "H100", "endpoint": "endpoint", "function": "function"}


def written(run_id: str) -> Mapping[str, Any]:
    """Return what a run's scenario says of workflows; empty where it says nothing."""
    found: Mapping[str, Any] = (state.run(run_id).manifest["scenario"] or {}).get("workflows") or {}
    return found if isinstance(found, Mapping) else {}


def has_any(run_id: str) -> bool:
    """Return whether a run's scenario declares a workflow."""
    return bool(written(run_id).get("workflows"))


def there(run_id: str) -> There:
    """Return the workflows of a run, who could do their stages on its site, and their graphs.

    Raises ValueError, one line, where its library or a job is not there any more.
    """
    return _there(str(state.home()), run_id)


@lru_cache(maxsize=8)
def _there(home: str, run_id: str) -> There:
    scenario, fleet = state.run(run_id).manifest["scenario"], floors.fleet_in(home, run_id)
    kinds = sorted({fleet.model_names[model] for model in fleet.server_models})
    endpoints = [str(each["id"]) for each in (scenario.get("serving") or {}).get("endpoints") or ()]
    functions = [str(each["id"]) for each in (scenario.get("functions") or {}).get("functions") or ()]
    return plans.there(written(run_id), kinds, len(written(run_id).get("hosts") or ()), endpoints, functions)


def table(run_id: str, name: str) -> pl.DataFrame:
    """Return a table of workflows with its names as plain text; empty where the run has none."""
    return _table(str(state.home()), run_id, name)


@lru_cache(maxsize=24)
def _table(home: str, run_id: str, name: str) -> pl.DataFrame:
    frame = state.table(run_id, name)
    coded = [column for column, dtype in frame.schema.items() if isinstance(dtype, _TEXT) or dtype in _TEXT]
    return frame.with_columns(pl.col(coded).cast(pl.String)) if coded else frame


@dataclass(frozen=True, slots=True)
class Looking:
    """What the page looks at: the shown run, the one beside it, one workflow, one of its jobs and one of its stages.

    ``runs`` are the runs by role, the candidate's first.
    """

    now: state.Context
    home: str
    run_id: str
    runs: Mapping[str, str]
    there: There
    workflow: Workflow
    graph: Graph
    job: str
    stage: Stage

    @property
    def today(self) -> bool:
        """Return whether it is today's run that is shown."""
        return self.run_id == self.runs.get("today")


def looking() -> Looking:
    """Return what the URL asks for as far as it is there. Raises ValueError where the run's workflows cannot be read."""
    now, asked = state.context(), state.flow()
    run_id = now.run_id or ""
    found = there(run_id)
    workflows = found.settings.workflows
    workflow = next((each for each in workflows if each.id == asked.get("workflow")), workflows[0])
    graph = found.graphs[workflow.id]
    pairs = {"candidate": now.candidate, "today": now.today}
    runs = {role: one for role, one in pairs.items() if one is not None and (one == run_id or has_any(one))}
    job = job_at(jobs(run_id, workflow.id), now.t_s, asked.get("job", ""))
    stage = next((each for each in graph.stages if each.id == asked.get("stage")), None) or longest(run_id, workflow.id, graph)
    return Looking(now, str(state.home()), run_id, runs, found, workflow, graph, job, stage)


def jobs(run_id: str, workflow: str) -> pl.DataFrame:
    """Return the jobs of a workflow by when they were asked for."""
    return _jobs(str(state.home()), run_id, workflow)


@lru_cache(maxsize=24)
def _jobs(home: str, run_id: str, workflow: str) -> pl.DataFrame:
    frame = _table(home, run_id, "jobs")
    return frame if frame.is_empty() else frame.filter(pl.col("workflow_id") == workflow).sort("submit_s", "job_id")


def job_at(frame: pl.DataFrame, t_s: float, asked: str) -> str:
    """Return the job that is asked for, else the one under way at a moment, else the one nearest to it that was done; "" without any.

    >>> rows = pl.DataFrame({"job_id": ["a", "b"], "submit_s": [0.0, 90.0], "t_s": [50.0, 99.0], "outcome": ["done", "done"]})
    >>> job_at(rows, 30.0, ""), job_at(rows, 80.0, ""), job_at(rows, 30.0, "b")
    ('a', 'b', 'b')
    """
    if frame.is_empty():
        return ""
    if asked and asked in frame["job_id"]:
        return asked
    done = frame.filter(pl.col("outcome") == "done")
    best = frame if done.is_empty() else done
    gap = pl.max_horizontal(pl.col("submit_s") - t_s, t_s - pl.col("t_s"), pl.lit(0.0))
    return str(best.select("job_id", gap.alias("gap")).sort("gap", maintain_order=True)["job_id"][0])


def tasks(run_id: str, job: str) -> pl.DataFrame:
    """Return what was done for a job, in the order in which it began."""
    frame = table(run_id, "workflow_tasks")
    return frame if frame.is_empty() else frame.filter(pl.col("job_id") == job).sort("start_s", "instance_id")


def plan_at(run_id: str, workflow: str, t_s: float) -> dict[str, dict[str, Any]]:
    """Return the plan of a workflow in the epoch of a moment: its rows by stage; ``""`` alone where it was refused."""
    frame = table(run_id, "workflow_plans")
    mine = frame.filter(pl.col("workflow_id") == workflow, pl.col("t_s") <= t_s) if not frame.is_empty() else frame
    if mine.is_empty():
        return {}
    return {row["stage_id"]: row for row in mine.filter(pl.col("t_s") == mine["t_s"].max()).iter_rows(named=True)}


@lru_cache(maxsize=24)
def _work(home: str, run_id: str, workflow: str) -> Mapping[str, float]:
    frame = _table(home, run_id, "workflow_tasks")
    mine = frame.filter(pl.col("workflow_id") == workflow) if not frame.is_empty() else frame
    if mine.is_empty():
        return {}
    spent = mine.group_by("job_id", "stage_id").agg((pl.col("t_s").max() - pl.col("start_s").min()).alias("s"))
    return dict(spent.group_by("stage_id").agg(pl.col("s").mean()).iter_rows())


def longest(run_id: str, workflow: str, graph: Graph) -> Stage:
    """Return the stage that jobs spend the most time in; the first one where nothing was done."""
    spent = _work(str(state.home()), run_id, workflow)
    return max(graph.stages, key=lambda stage: spent.get(stage.id, 0.0))


def front(look: Looking) -> Answer:
    """Return the plans of the workflow that none beats in the epoch of the cursor: begun where it was not asked before."""
    epoch_s = look.there.settings.epoch_s
    t_s = look.now.t_s // epoch_s * epoch_s
    run_id, workflow = look.run_id, look.workflow.id
    home = state.home()
    return later.ask("plans", (look.home, run_id, workflow, t_s), lambda: plans.front(run_id, workflow, t_s, home))


def executors(look: Looking) -> dict[str, Executor]:
    """Return the executors that the site can use, by id."""
    return {each.id: each for each in look.there.executors}


def titled(look: Looking, executor: str) -> str:
    """Return what an executor is called; its id where the library has it no more."""
    found = executors(look).get(executor)
    return executor if found is None else found.title


def where(hardware: str, gpus: int, cores: int, spot: bool = False) -> str:
    """Return on what something stands in words.

    >>> where("a100", 8, 0), where("cpu", 0, 4), where("endpoint", 0, 0)
    ('8 A100', '4 cores', 'endpoint')
    """
    name = HARDWARE.get(hardware, hardware)
    count = gpus or cores
    words = f"{count} {name}" if count and name not in {"endpoint", "function"} else name
    words = "1 core" if words == "1 cores" else words
    return f"{words}, surplus" if spot else words


def of_profile(profile: Profile) -> str:
    """Return on what one instance stands."""
    return where(profile.hardware, profile.gpus, profile.cores)

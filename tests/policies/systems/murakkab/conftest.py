"""A small site for workflows, what a planner sees of it, and runs of it."""

from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from policies.baselines.workflows import Sequential
from policies.system import Knobs, Surroundings
from policies.systems.murakkab.knobs import MurakkabKnobs
from policies.systems.murakkab.policy import Murakkab
from twin.clock import Clock
from twin.tables import Sink
from twin.workflows.levers import PlanObservation
from twin.workflows.model import Model
from twin.workflows.settings import Settings, Workflow
from twin.workflows.site import Site

CLOCK = Clock.of(datetime(2026, 6, 1), "UTC")  # noqa: DTZ001  (the zone is attached by Clock.of)
AROUND = Surroundings((), (), (), (), (), (), 0, 0.0)
TWO_VMS = Site(np.array([8, 8]), ("a100", "a100"), np.array([64, 64, 64]))


def video(**more: Any) -> Workflow:
    asked = {"limits": {"quality_share": 0.99}, "items": 16, "rate_per_h": 6.0, **more}
    return Workflow(id="video", job="video-understanding", **asked)


def code(**more: Any) -> Workflow:
    return Workflow(id="code", job="code-generation", **{"limits": {"quality_share": 0.85}, "items": 1, "rate_per_h": 3600.0, **more})


def maths(**more: Any) -> Workflow:
    return Workflow(id="math", job="math-qa", **{"limits": {"quality_share": 0.9}, "items": 1, "rate_per_h": 1800.0, **more})


def model(*workflows: Workflow, site: Site = TWO_VMS, horizon_s: float = 7200.0, seed: int = 1, **settings: Any) -> Model:
    return Model(Settings(workflows=workflows, **settings), site, CLOCK, horizon_s, seed)


def seen(*workflows: Workflow, **more: Any) -> PlanObservation:
    return model(*workflows, **more).observe()


def murakkab(**knobs: Any) -> Murakkab:
    return Murakkab(MurakkabKnobs(**knobs), AROUND)


def sequential() -> Sequential:
    return Sequential(Knobs(), AROUND)


def done(holder: Any, *workflows: Workflow, horizon_s: float = 7200.0, watch: Callable[[Model], None] | None = None, **more: Any) -> Any:
    """Return the tables of a run of so many seconds under a holder."""
    run = model(*workflows, horizon_s=horizon_s, **more)
    sink = Sink({"workflow": list(run.workflow_ids)})
    while run.t_s < horizon_s - 1e-9:
        if run.opens_epoch:
            run.plan(holder.plan(run.observe()))
        run.advance(min(run.t_s + 60.0, horizon_s))
        run.record(sink)
        if watch is not None:
            watch(run)
    run.close(sink)
    return sink.frames()


def mean(tables: Any, column: str, workflow: str = "video") -> float:
    """Return the mean of what was done; all that was asked must have been done or be under way."""
    jobs = tables["jobs"].with_columns(pl.col("workflow_id", "outcome").cast(pl.String)).filter(pl.col("workflow_id") == workflow)
    assert "refused" not in set(jobs["outcome"])
    return float(jobs.filter(pl.col("outcome") == "done")[column].mean())


@pytest.fixture(scope="session")
def lab() -> SimpleNamespace:
    return SimpleNamespace(
        site=TWO_VMS, around=AROUND, video=video, code=code, maths=maths, model=model, seen=seen, murakkab=murakkab,
        sequential=sequential, done=done, mean=mean,
    )  # fmt: skip

"""A site for workflows, and models that run jobs on it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.clock import Clock
from twin.tables import Sink
from twin.workflows.levers import Choice, Plan, PlanAction
from twin.workflows.model import Model
from twin.workflows.settings import Settings, Workflow
from twin.workflows.site import Site, Surplus

CLOCK = Clock.of(datetime.fromisoformat("2026-06-01"), "UTC")
TWO_VMS = Site(np.array([8, 8]), ("a100", "a100"), np.array([64, 64, 64]))
Tables = dict[str, pl.DataFrame]


def choose(executor: str, profile: int = 0, instances: int = 1, batch: int = 1, **more: Any) -> Choice:
    return Choice(executor, profile, instances, batch, **more)


def video_plan(transcript: Choice, workers: int = 16, batch: int = 4, models: int = 1, **more: Any) -> Plan:
    stages = {
        "scenes": choose("frame-extractor", 0, workers),
        "transcript": transcript,
        "objects": choose("clip-detector", 0, workers),
        "summary": choose("nvlm-72b-summary", 0, models, batch),
        "embedding": choose("nvlm-embed", 0, 1, 16 if batch > 1 else 1),
        "index": choose("vector-index", 0, workers),
        "answer": choose("nvlm-72b-answer", 0, models, batch),
    }
    return Plan(stages, **more)


ON_CPU = choose("whisper", 1, 16)
ON_GPUS = choose("whisper", 0, 4)
AS_WRITTEN = video_plan(choose("whisper"), workers=1, batch=1, one_by_one=True, dedicated=True)


def code_plan(executor: str, instances: int = 1, batch: int = 8, testers: int = 8, **more: Any) -> Plan:
    return Plan({"code": choose(executor, 0, instances, batch), "test-results": choose("test-runner", 0, testers)}, **more)


def plan_of(**executors: str) -> Plan:
    """Return a plan with one instance of each executor, by stage."""
    return Plan({stage: choose(executor) for stage, executor in executors.items()})


def built(*workflows: Workflow, site: Site = TWO_VMS, horizon_s: float = 7200.0, seed: int = 1, **settings: Any) -> Model:
    return Model(Settings(workflows=workflows, **settings), site, CLOCK, horizon_s, seed)


def sink_of(model: Model) -> Sink:
    return Sink({"workflow": list(model.workflow_ids)})


def go(
    model: Model,
    sink: Sink,
    until_s: float,
    plans: Mapping[str, Plan],
    surplus: Callable[[float], Surplus] | None = None,
    tick_s: float = 10.0,
) -> None:
    """Run on to a time, planning each epoch alike."""
    while model.t_s < until_s - 1e-9:
        if model.opens_epoch:
            model.plan(PlanAction(plans))
        model.advance(min(model.t_s + tick_s, until_s), None if surplus is None else surplus(model.t_s))
        model.record(sink)


def done(model: Model, until_s: float, plans: Mapping[str, Plan], **more: Any) -> Tables:
    """Return the tables of a whole run."""
    sink = sink_of(model)
    go(model, sink, until_s, plans, **more)
    model.close(sink)
    return sink.frames()


class Lab:
    """All of the above, for tests to take."""

    two_vms, as_written, on_cpu, on_gpus = TWO_VMS, AS_WRITTEN, ON_CPU, ON_GPUS
    choose, video_plan, code_plan = staticmethod(choose), staticmethod(video_plan), staticmethod(code_plan)
    plan = staticmethod(plan_of)
    built, sink_of, go, done = staticmethod(built), staticmethod(sink_of), staticmethod(go), staticmethod(done)


@pytest.fixture
def lab() -> type[Lab]:
    return Lab


@pytest.fixture
def video() -> Workflow:
    return Workflow(id="video", job="video-understanding", items=16, at_s=(0.0,))

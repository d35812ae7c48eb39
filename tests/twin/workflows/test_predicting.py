"""What a planner is told of one job is what a run gives."""

import time
from typing import Any

import numpy as np
import pytest

from twin.workflows.predicting import predict
from twin.workflows.settings import Workflow
from twin.workflows.site import Site


@pytest.mark.parametrize("plan", ["on_cpu", "on_gpus", "as_written"])
def test_a_prediction_is_what_a_lone_job_takes(lab: Any, video: Workflow, plan: str) -> None:
    chosen = lab.as_written if plan == "as_written" else lab.video_plan(getattr(lab, plan))
    model = lab.built(video)
    (job,) = lab.done(model, 400.0, {"video": chosen})["jobs"].to_dicts()
    foreseen = predict(model.graphs[0], chosen, model.library, 16, 16, 192)
    for name in ("makespan_s", "energy_j", "cost_usd", "quality_share", "critical_path_s"):
        assert getattr(foreseen, name) == pytest.approx(job[name]), name
    assert foreseen.gpus == {"on_cpu": 10, "on_gpus": 14, "as_written": 16}[plan]


def test_a_plan_without_room_is_refused_in_words(lab: Any, video: Workflow) -> None:
    model = lab.built(video)
    assert predict(model.graphs[0], lab.video_plan(lab.on_cpu), model.library, 16, 4, 192).refused.startswith("gpus: nvlm-72b needs 8")
    assert predict(model.graphs[0], lab.video_plan(lab.on_cpu), model.library, 16, 16, 2).refused.startswith("cores: whisper needs 4")


def test_requests_take_what_their_endpoint_took(lab: Any) -> None:
    workflow = Workflow(id="report", job="report", items=4, at_s=(0.0,))
    site = Site(np.array([8]), ("a100",), np.array([16]), endpoints=("chat",), functions=("search-index",))
    model = lab.built(workflow, site=site)
    plan = lab.plan(queries="query-planner-chat", passages="retriever", notes="reader-chat", report="writer-chat")
    plain, slow = (predict(model.graphs[0], plan, model.library, 4, 8, 16, told) for told in ({}, {"chat": 100.0}))
    assert plain.makespan_s == pytest.approx(3.0 + 4 * 0.4 + 8.0 + 25.0, abs=0.01)
    assert slow.makespan_s == pytest.approx(300.0 + 4 * 0.4, abs=0.01)
    assert plain.gpus == 0


def test_a_prediction_takes_milliseconds(lab: Any, video: Workflow, record_property: Any) -> None:
    model = lab.built(video)
    begin = time.process_time()
    for _ in range(10):
        assert predict(model.graphs[0], lab.video_plan(lab.on_cpu), model.library, 16, 16, 192).gpus == 10
    record_property("prediction_s", (time.process_time() - begin) / 10)

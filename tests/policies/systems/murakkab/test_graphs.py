"""Task graphs drawn by a language model: read, checked, and the same by types again."""

import json

import pytest

from policies import llm
from policies.systems.murakkab.graphs import drawn, hints, read
from twin.workflows.jobs import JOBS
from twin.workflows.library import library
from twin.workflows.making import TypeMismatch, UnassignableTask, make

LIBRARY = library("packaged")
CODE = JOBS["code-generation"]
STEPS = [{"gives": "code", "reads": ["task"]}, {"gives": "test-results", "reads": ["code"]}]


def written(*steps: dict[str, object]) -> str:
    return json.dumps({"steps": list(steps)})


def test_without_a_model_the_graph_is_made_by_types(monkeypatch):
    monkeypatch.delenv(llm.MODEL_VARIABLE, raising=False)
    found = drawn(CODE, LIBRARY)
    assert found.by == "types"
    assert found.graph == make(CODE.inputs, CODE.goal, LIBRARY, CODE.tasks)


def test_a_model_is_shown_the_job_and_the_library_and_its_graph_is_checked(monkeypatch):
    shown = []

    def reader(messages, schema, model):
        shown.append(json.loads(messages[-1]["content"]))
        return written(*STEPS)

    llm.register_provider("drawer", reader)
    monkeypatch.setenv(llm.MODEL_VARIABLE, "drawer/any")
    found = drawn(CODE, LIBRARY)
    assert found.graph.ids == ("code", "test-results")
    assert found.by.endswith("any")
    assert found.record["prompt_hash"]
    assert shown[0]["goal"] == "test-results"
    assert {"reads": ["task"], "gives": "code", "step": "Code"} in shown[0]["executors"]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("first the code, then the tests", TypeMismatch, "no list of steps"),
        (json.dumps({"steps": 3}), TypeMismatch, "no list of steps"),
        (written(STEPS[1], STEPS[0]), TypeMismatch, "reads code, which nothing before it gives"),
        (written(STEPS[0]), TypeMismatch, "no stage gives test-results"),
        (written(STEPS[0], STEPS[0], STEPS[1]), TypeMismatch, "made twice"),
        (written({"gives": "poem", "reads": ["task"]}, *STEPS), UnassignableTask, "no executor gives poem"),
        (written(*STEPS * 40), TypeMismatch, "80 steps"),
        (written(), TypeMismatch, "0 stages"),
    ],
)
def test_what_a_model_gets_wrong_is_a_named_error(text, error, words):
    with pytest.raises(error, match=words):
        read(text, CODE, LIBRARY)


@pytest.mark.parametrize("name", JOBS)
def test_the_stages_in_words_make_the_same_graph_by_types(name):
    job = JOBS[name]
    graph = make(job.inputs, job.goal, LIBRARY, job.tasks)
    again = make(job.inputs, job.goal, LIBRARY, hints(graph))
    assert {(stage.id, stage.reads) for stage in again.stages} == {(stage.id, stage.reads) for stage in graph.stages}

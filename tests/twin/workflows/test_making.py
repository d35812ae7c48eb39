"""Graphs made by types, their checks, and the packaged jobs."""

from dataclasses import replace

import pytest

from twin.workflows.executors import Executor
from twin.workflows.graph import Graph
from twin.workflows.jobs import JOBS, graph_of
from twin.workflows.library import library
from twin.workflows.making import TypeMismatch, UnassignableTask, candidates, check, make
from twin.workflows.settings import Workflow

PACKAGED = library("packaged")


def test_the_video_job_has_the_paper_s_stages() -> None:
    graph = graph_of(Workflow(id="video", job="video-understanding"), PACKAGED)
    assert set(graph.ids) == {"scenes", "transcript", "objects", "summary", "embedding", "index", "answer"}
    stages = {stage.id: stage for stage in graph.stages}
    assert stages["transcript"].after == stages["objects"].after == ("scenes",)
    assert set(stages["summary"].after) == {"scenes", "transcript", "objects"}
    assert (stages["answer"].per, stages["index"].per) == ("job", "item")


@pytest.mark.parametrize("job", JOBS.values(), ids=lambda job: job.id)
def test_every_packaged_job_holds_together(job: object) -> None:
    graph = make(job.inputs, job.goal, PACKAGED, job.tasks)  # type: ignore[attr-defined]
    assert check(graph, PACKAGED) is graph
    assert all(candidates(stage, PACKAGED) for stage in graph.stages)
    made = set(graph.inputs)
    for stage in graph.stages:
        assert made.issuperset(stage.reads)
        made.add(stage.gives)


def test_hints_add_what_the_goal_alone_does_not_need() -> None:
    plain = make(("video",), "transcript", PACKAGED)
    hinted = make(("video",), "transcript", PACKAGED, ("Detect objects in the frames",))
    assert set(hinted.ids) - set(plain.ids) == {"objects"}


def test_of_two_ways_the_hinted_one_is_taken() -> None:
    direct = replace(PACKAGED[1], id="direct", reads=("video",), gives=("transcript",))
    both = (direct, *PACKAGED)
    assert make(("video",), "transcript", both).ids == ("transcript",)
    assert make(("video",), "transcript", both, ("Extract the frames",)).ids == ("scenes", "transcript")


def test_a_way_that_leads_nowhere_is_left_for_another() -> None:
    broken: Executor = replace(PACKAGED[1], id="broken", reads=("hologram",), gives=("transcript",))
    assert make(("video",), "transcript", (broken, *PACKAGED)).ids == ("scenes", "transcript")


@pytest.mark.parametrize(
    ("inputs", "goal", "tasks", "message"),
    [
        (("video",), "poem", (), "no executor gives poem; add one"),
        (("text",), "answer", (), "no executor gives video, needed for scenes"),
        (("video",), "answer", ("fly to the moon",), "task 'fly to the moon': no executor does it"),
    ],
)
def test_what_nobody_can_do_is_named(inputs: tuple[str, ...], goal: str, tasks: tuple[str, ...], message: str) -> None:
    with pytest.raises(UnassignableTask, match=message) as caught:
        make(inputs, goal, PACKAGED, tasks)
    assert "\n" not in str(caught.value)


def test_data_needed_to_make_itself_is_named() -> None:
    one = replace(PACKAGED[0], id="one", reads=("b",), gives=("a",))
    two = replace(PACKAGED[0], id="two", reads=("a",), gives=("b",))
    with pytest.raises(TypeMismatch, match="a is needed to make itself"):
        make(("video",), "a", (one, two))


def test_graphs_that_do_not_hold_together_are_refused() -> None:
    good = make(("video",), "transcript", PACKAGED)
    scenes, transcript = good.stages
    cases = [
        ((transcript, scenes), "reads scenes, which nothing before it gives"),
        ((scenes, replace(transcript, after=())), "does not come from scenes"),
        ((scenes,), "no stage gives transcript"),
        ((scenes, replace(scenes, id="again")), "scenes is made twice"),
        ((), "a job has 0 stages"),
    ]
    for stages, message in cases:
        with pytest.raises(TypeMismatch, match=message):
            check(Graph(stages, good.inputs, good.goal), PACKAGED)
    with pytest.raises(UnassignableTask, match="no executor gives scenes from video"):
        check(good, PACKAGED[1:])


def test_a_workflow_is_named_where_its_graph_fails() -> None:
    own = Workflow(id="own", description="Something", inputs=("video",), goal="poem")
    with pytest.raises(UnassignableTask, match="workflow own: no executor gives poem"):
        graph_of(own, PACKAGED)
    with pytest.raises(ValueError, match="'nothing' is no packaged job; there are: video-understanding"):
        graph_of(Workflow(id="w", job="nothing"), PACKAGED)


def test_a_goal_that_is_there_already_is_named() -> None:
    with pytest.raises(TypeMismatch, match="the goal video is among the inputs"):
        make(("video",), "video", library("packaged"))

"""Jobs as their owners declare them: what is wanted, of what, in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from twin.workflows.executors import Executor
from twin.workflows.graph import Graph
from twin.workflows.making import make
from twin.workflows.settings import Workflow


@dataclass(frozen=True, slots=True)
class Job:
    """A declaration: no model, vendor or hardware in it. ``inputs`` and ``goal`` are types of data, ``tasks`` hints in words."""

    id: str
    title: str
    description: str
    inputs: tuple[str, ...]
    goal: str
    tasks: tuple[str, ...] = ()
    item: str = "item"


_DECLARED: Final = (
    Job(
        "video-understanding",
        "Video understanding",
        "List objects shown or mentioned in the videos",
        ("video",),
        "answer",
        ("Extract frames from each video", "Run speech-to-text on all scenes", "Detect objects in the frames"),
        "scene",
    ),
    Job("video-qa", "Video questions", "Answer a question on a video", ("video", "question"), "video-answer", (), "question"),
    Job("code-generation", "Code generation", "Write code for a task and run its tests", ("task",), "test-results", (), "file"),
    Job("math-qa", "Maths questions", "Solve a question and check the solution", ("question",), "checked-solution", (), "question"),
    Job("report", "Report", "Write a report on a topic from what is found about it", ("topic",), "report", (), "source"),
)
JOBS: Final[Mapping[str, Job]] = {job.id: job for job in _DECLARED}


def declared(workflow: Workflow) -> Job:
    """Return what a workflow of a scenario declares; ValueError, one line, for a packaged job that is not there."""
    if workflow.job:
        if workflow.job not in JOBS:
            raise ValueError(f"workflow {workflow.id}: {workflow.job!r} is no packaged job; there are: {', '.join(JOBS)}")
        return JOBS[workflow.job]
    return Job(workflow.id, workflow.id, workflow.description, workflow.inputs, workflow.goal, workflow.tasks)


def graph_of(workflow: Workflow, library: Sequence[Executor]) -> Graph:
    """Return the graph of a workflow's jobs; ValueError names the workflow and what cannot be done."""
    job = declared(workflow)
    try:
        return make(job.inputs, job.goal, library, job.tasks)
    except ValueError as error:
        raise type(error)(f"workflow {workflow.id}: {error}") from None

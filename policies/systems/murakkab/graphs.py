"""The task graph of a job, drawn by a language model where one is there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policies import llm
from twin.workflows.executors import Executor
from twin.workflows.graph import Graph, Stage
from twin.workflows.jobs import Job
from twin.workflows.library import data_type
from twin.workflows.making import TypeMismatch, check, make

_MOST_STAGES: Final = 60
_TASK: Final = (
    "You plan jobs. Write the steps that turn the inputs of a job into its goal. Each step gives one type of data and reads one or more; "
    "what a step reads is an input of the job or is given by an earlier step, and who does it must be in the list of executors: a step "
    "reads exactly what that executor reads. Leave out steps that the goal does not need. Answer in JSON only."
)
SCHEMA: Final[Mapping[str, Any]] = {
    "title": "steps",
    "type": "object",
    "properties": {
        "steps": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"gives": {"type": "string"}, "reads": {"type": "array", "items": {"type": "string"}}},
                "required": ["gives", "reads"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["steps"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A graph that holds together, who drew it (``types`` or a model's name), and the record of the call, empty without one."""

    graph: Graph
    by: str
    record: Mapping[str, Any]


def drawn(job: Job, library: Sequence[Executor], model: str | None = None) -> Drawn:
    """Return the graph of a job: by the language model that is named, else by the one that is configured, else by types.

    Whoever draws it, it is checked by the same rules. ValueError (``UnassignableTask``, ``TypeMismatch``), one line, for a graph that
    does not hold together; ``llm.ModelError`` where the model cannot be asked.
    """
    chosen = model or llm.available()
    if chosen is None:
        return Drawn(make(job.inputs, job.goal, library, job.tasks), "types", {})
    reply = llm.complete(_messages(job, library), SCHEMA, model=chosen)
    return Drawn(read(reply.text, job, library), reply.model, reply.record())


def read(text: str, job: Job, library: Sequence[Executor]) -> Graph:
    """Return the graph that a model wrote, checked. ValueError, one line, where it cannot be read or does not hold together."""
    try:
        steps = [(str(step["gives"]), tuple(dict.fromkeys(str(name) for name in step["reads"]))) for step in json.loads(text)["steps"]]
    except (ValueError, TypeError, KeyError):
        raise TypeMismatch("the model's answer is no list of steps that read and give; ask again, or leave the graph to types") from None
    if len(steps) > _MOST_STAGES:
        raise TypeMismatch(f"the model wrote {len(steps)} steps; at most {_MOST_STAGES} are read, ask for fewer")
    return check(Graph(tuple(_stage(gives, reads, job.inputs) for gives, reads in steps), job.inputs, job.goal), library)


def _stage(gives: str, reads: tuple[str, ...], inputs: Sequence[str]) -> Stage:
    kind = data_type(gives)
    after = tuple(name for name in reads if name not in inputs)
    return Stage(gives, kind.title, reads, gives, after, kind.per, sum(data_type(name).transfer_bytes for name in after))


def hints(graph: Graph) -> tuple[str, ...]:
    """Return a graph's stages in words, as the ``tasks`` of a scenario's workflow: by types they make the same graph again."""
    return tuple(f"{stage.title}: {', '.join(data_type(stage.gives).words)}"[:200] for stage in graph.stages)


def _messages(job: Job, library: Sequence[Executor]) -> list[Mapping[str, str]]:
    known = sorted({(tuple(each.reads), gives) for each in library for gives in each.gives})
    executors = [{"reads": list(reads), "gives": gives, "step": data_type(gives).title} for reads, gives in known]
    asked = {"job": job.description, "inputs": list(job.inputs), "goal": job.goal, "wished": list(job.tasks), "executors": executors}
    return [{"role": "system", "content": _TASK}, {"role": "user", "content": json.dumps(asked)}]

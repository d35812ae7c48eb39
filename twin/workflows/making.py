"""Task graphs from types: backward from what is wanted to what is there."""

import re
from collections.abc import Sequence
from typing import Final

from twin.workflows.executors import Executor
from twin.workflows.graph import Graph, Stage
from twin.workflows.library import data_type

_MOST_STAGES: Final = 60


class UnassignableTask(ValueError):
    """No executor of the library does a task."""


class TypeMismatch(ValueError):
    """Data flows from a stage to one that does not take it, or is needed and never made."""


def make(inputs: Sequence[str], goal: str, library: Sequence[Executor], tasks: Sequence[str] = ()) -> Graph:
    """Return the graph that turns the inputs into the goal, searched backward over what executors read and give.

    ``tasks`` are hints in words: what they name is done even where the goal does not need it, and of two ways the one that they name
    is taken. ``UnassignableTask`` or ``TypeMismatch``, one line, where there is no way.
    """
    if goal in inputs and not tasks:
        raise TypeMismatch(f"the goal {goal} is among the inputs: nothing is to be done; name what is to be made of them")
    hinted = [_meant(task, library, inputs) for task in tasks]
    ways: dict[str, tuple[str, ...]] = {}
    for wanted in (*hinted, goal):
        _search(wanted, inputs, library, frozenset(hinted), ways, ())
    return check(_ordered(ways, tuple(inputs), goal), library)


def candidates(stage: Stage, library: Sequence[Executor]) -> tuple[Executor, ...]:
    """Return the executors that give what a stage gives out of just what it reads, in the library's order."""
    return tuple(each for each in library if stage.gives in each.gives and set(each.reads) == set(stage.reads) and each.profiles)


def check(graph: Graph, library: Sequence[Executor]) -> Graph:
    """Return a graph that holds together: each stage comes after all that it reads from, and somebody can do it."""
    made = dict.fromkeys(graph.inputs, "")
    if not graph.stages or len(graph.stages) > _MOST_STAGES:
        raise TypeMismatch(f"a job has {len(graph.stages)} stages; write 1 to {_MOST_STAGES}")
    for stage in graph.stages:
        if missing := [name for name in stage.reads if name not in made]:
            raise TypeMismatch(f"stage {stage.id} reads {missing[0]}, which nothing before it gives; add a stage or an input that does")
        sources = {made[name] for name in stage.reads if made[name]}
        if sources != set(stage.after):
            odd = sorted(sources ^ set(stage.after))[0]
            raise TypeMismatch(f"stage {stage.id}: what it reads does not come from {odd} as its edges say; make both agree")
        if stage.id in made.values() or stage.gives in made:
            raise TypeMismatch(f"{stage.gives} is made twice, again by stage {stage.id}; keep one of them")
        if not candidates(stage, library):
            reads = ", ".join(stage.reads) or "nothing"
            raise UnassignableTask(f"no executor gives {stage.gives} from {reads}; add one to the library (intentwin import executors)")
        made[stage.gives] = stage.id
    if graph.goal not in made:
        raise TypeMismatch(f"no stage gives {graph.goal}, which the job is for; add one that does")
    return graph


def _meant(task: str, library: Sequence[Executor], inputs: Sequence[str]) -> str:
    """Return the type of data that a task in words is about: the one most of whose words it has; of several the first."""
    said = set(re.findall(r"[a-z0-9]+", task.lower()))
    types = list(dict.fromkeys(name for executor in library for name in executor.gives if name not in inputs))
    # Words that speak of what a task works on also occur; the verb in front weighs more.
    first = next(iter(re.findall(r"[a-z0-9]+", task.lower())), "")
    scores = [sum(word in said for word in data_type(name).words) + 0.5 * (first in data_type(name).words) for name in types]
    best = max(scores, default=0.0)
    if best <= 0.0:
        known = ", ".join(sorted({data_type(name).title.lower() for name in types}))[:200]
        raise UnassignableTask(f"task {task[:60]!r}: no executor does it; there are {known or 'none'}")
    return types[scores.index(best)]


def _search(
    wanted: str, inputs: Sequence[str], library: Sequence[Executor], hinted: frozenset[str],
    ways: dict[str, tuple[str, ...]], path: tuple[str, ...],
) -> None:  # fmt: skip
    """Add to ``ways`` what is read to make a type, and all that is needed for that."""
    if wanted in ways or wanted in inputs:
        return
    if wanted in path:
        raise TypeMismatch(f"{wanted} is needed to make itself ({' from '.join((*path, wanted))}); add an input or an executor")
    found = list(dict.fromkeys(each.reads for each in library if wanted in each.gives and each.profiles))
    if not found:
        there = f", needed for {path[-1]}" if path else ""
        raise UnassignableTask(f"no executor gives {wanted}{there}; add one to the library (intentwin import executors)")
    failed: ValueError | None = None
    for reads in sorted(found, key=lambda names: -len(hinted & set(names))):
        tried = dict(ways)
        try:
            for name in reads:
                _search(name, inputs, library, hinted, tried, (*path, wanted))
        except (UnassignableTask, TypeMismatch) as error:
            failed = failed or error
            continue
        ways.update(tried)
        ways[wanted] = reads
        return
    assert failed is not None
    raise failed


def _ordered(ways: dict[str, tuple[str, ...]], inputs: tuple[str, ...], goal: str) -> Graph:
    stages: list[Stage] = []
    made = set(inputs)
    left = dict(ways)
    while left:
        ready = next(name for name, reads in left.items() if made.issuperset(reads))
        reads = left.pop(ready)
        kind = data_type(ready)
        after = tuple(name for name in reads if name not in inputs)
        carried = sum(data_type(name).transfer_bytes for name in after)
        stages.append(Stage(ready, kind.title, reads, ready, after, kind.per, carried))
        made.add(ready)
    return Graph(tuple(stages), inputs, goal)

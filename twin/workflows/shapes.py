"""Jobs under way: which of a job's tasks wait for which others."""

from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from twin.stack import State
from twin.workflows.graph import Graph
from twin.workflows.timing import transfer_s

Place = tuple[int, int]


@dataclass(frozen=True)
class Shape:
    """A workflow's graph by number, for jobs of so many items. ``order`` is how a job goes that does one thing after the other."""

    graph: Graph
    items: int
    widths: tuple[int, ...]
    after: tuple[tuple[int, ...], ...]
    then: tuple[tuple[int, ...], ...]
    transfer_s: tuple[float, ...]
    order: tuple[Place, ...]

    @classmethod
    def of(cls, graph: Graph, items: int, network_bytes_per_s: float) -> "Shape":
        """Return the shape of a graph's jobs."""
        number = {name: index for index, name in enumerate(graph.ids)}
        after = tuple(tuple(number[name] for name in stage.after) for stage in graph.stages)
        then = tuple(tuple(index for index, before in enumerate(after) if stage in before) for stage in range(len(after)))
        # -1 stands for the job as a whole.
        widths = tuple(items if stage.per == "item" else -1 for stage in graph.stages)
        order: list[Place] = []
        for each_item, stages in groupby(range(len(widths)), key=lambda stage: widths[stage] > 0):
            run = list(stages)
            order += [(stage, item) for item in range(items) for stage in run] if each_item else [(stage, -1) for stage in run]
        times = tuple(transfer_s(stage, network_bytes_per_s) for stage in graph.stages)
        return cls(graph, items, widths, after, then, times, tuple(order))

    def unmet(self) -> list[list[int]]:
        """Return of how many other tasks each task needs the result, by stage and item."""
        needed = []
        for stage, width in enumerate(self.widths):
            each = sum(self.items if width < 0 < self.widths[before] else 1 for before in self.after[stage])
            needed.append([each] * max(width, 1))
        return needed

    @property
    def tasks(self) -> int:
        """How many tasks a job has."""
        return len(self.order)


@dataclass(slots=True)
class JobState:
    """One job: what of it is left, and what it has drawn and cost so far.

    ``path_s`` is by task the longest way to its beginning, each item alone and nothing waiting. ``held_j`` and ``held_usd`` are where
    its workflow's part of what is held stood when it began.
    """

    number: int
    workflow: int
    submit_s: float
    one_by_one: bool
    left: int
    unmet: list[list[int]]
    path_s: list[list[float]]
    start_s: float = float("nan")
    energy_j: float = 0.0
    cost_usd: float = 0.0
    held_j: float = 0.0
    held_usd: float = 0.0
    quality_share: float = 1.0
    critical_path_s: float = 0.0
    next: int = 0

    @classmethod
    def of(cls, shape: Shape, number: int, workflow: int, submit_s: float, one_by_one: bool) -> "JobState":
        """Return a job that has not begun."""
        unmet = shape.unmet()
        return cls(number, workflow, submit_s, one_by_one, shape.tasks, unmet, [[0.0] * len(row) for row in unmet])

    def first(self, shape: Shape) -> list[Place]:
        """Return the tasks that need nothing."""
        if self.one_by_one:
            self.next = 1
            return [shape.order[0]]
        return [(stage, item) for stage, row in enumerate(self.unmet) for item in _items(shape, stage) if row[max(item, 0)] == 0]

    def finish(self, shape: Shape, stage: int, item: int, took_s: float) -> list[Place]:
        """Take note of a task that is done, of ``took_s`` alone; returns the tasks that can go on now."""
        self.left -= 1
        end_s = self.path_s[stage][max(item, 0)] + took_s
        self.critical_path_s = max(self.critical_path_s, end_s)
        free: list[Place] = []
        for later in shape.then[stage]:
            begin_s, row, paths = end_s + shape.transfer_s[later], self.unmet[later], self.path_s[later]
            # One item's result goes to the same item, else to all there are.
            to = [item] if item >= 0 and shape.widths[later] > 0 else _items(shape, later)
            for each in to:
                at = max(each, 0)
                row[at] -= 1
                paths[at] = max(paths[at], begin_s)
                if not row[at]:
                    free.append((later, each))
        if not self.one_by_one:
            return free
        if self.next >= shape.tasks:
            return []
        self.next += 1
        return [shape.order[self.next - 1]]

    def snapshot(self) -> State:
        """Return the state."""
        return {name: getattr(self, name) if name not in _ROWS else [list(row) for row in getattr(self, name)] for name in self.__slots__}

    @classmethod
    def restored(cls, state: State) -> "JobState":
        """Return the job of a snapshot."""
        rows = {name: [list(row) for row in state[name]] for name in _ROWS}
        return cls(**{**state, **rows})


_ROWS = ("unmet", "path_s")


def _items(shape: Shape, stage: int) -> list[int]:
    width = shape.widths[stage]
    return list(range(width)) if width > 0 else [-1]


@dataclass(slots=True)
class Doing:
    """How a workflow's jobs are done now: by stage the pool's key (empty: asked from outside), time alone, executor and profile by number.

    ``open`` is whether new jobs are taken, ``why`` what stands in the way.
    """

    open: bool = False
    why: str = "no plan"
    one_by_one: bool = False
    pools: list[str] = field(default_factory=list)
    item_s: list[float] = field(default_factory=list)
    executors: list[int] = field(default_factory=list)
    profiles: list[int] = field(default_factory=list)

    def snapshot(self) -> State:
        """Return the state."""
        return {name: list(value) if isinstance(value := getattr(self, name), list) else value for name in self.__slots__}

    @classmethod
    def restored(cls, state: State) -> "Doing":
        """Return what a snapshot holds."""
        fields: dict[str, Any] = {name: list(value) if isinstance(value, list) else value for name, value in state.items()}
        return cls(**fields)

"""What happened to tasks, jobs and instances since it was written down."""

from dataclasses import dataclass, field
from typing import NamedTuple

from twin.workflows.shapes import JobState


class TaskRow(NamedTuple):
    """Items that an instance did together."""

    t_s: float
    ready_s: float
    start_s: float
    workflow: int
    job: int
    stage: int
    first_item: int
    items: int
    executor: str
    instance: str
    gpus: int
    cores: int


@dataclass(slots=True)
class Told:
    """What happened since it was last written down."""

    tasks: list[TaskRow] = field(default_factory=list)
    jobs: list[tuple[float, JobState, str, str]] = field(default_factory=list)
    events: list[tuple[float, str, str, float]] = field(default_factory=list)

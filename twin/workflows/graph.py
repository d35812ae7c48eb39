"""The task graph of a job: stages, the data between them, and its checks."""

from dataclasses import dataclass
from typing import Literal

Per = Literal["item", "job"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a job: what data it needs, what it gives, and whether it is done once an item or once a job.

    ``capability`` is the data type that its executor must give. ``after`` are the stages whose output it reads. ``transfer_bytes`` go
    along for each item.
    """

    id: str
    title: str
    reads: tuple[str, ...]
    gives: str
    after: tuple[str, ...]
    per: Per = "item"
    transfer_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class Graph:
    """Stages in an order in which each comes after all that it reads from. ``inputs`` are the types that the job brings along."""

    stages: tuple[Stage, ...]
    inputs: tuple[str, ...]
    goal: str

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the stages' ids."""
        return tuple(stage.id for stage in self.stages)

"""Instances that do items together, and the pools that they stand in."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from twin.workflows.timing import slowdown

HOUR_S: Final = 3600.0
# Work that differs by less is done at the same time.
SAME_S: Final = 1e-7


class Task(NamedTuple):
    """One stage of one item (-1: of the job as a whole) that waits for an instance."""

    ready_s: float
    number: int
    job: int
    stage: int
    item: int


class Running(NamedTuple):
    """A task at an instance: done when the instance has given each of its items ``end_work_s``; the rest is what it began with."""

    end_work_s: float
    number: int
    job: int
    stage: int
    item: int
    ready_s: float
    start_s: float
    from_j: float
    from_usd: float
    alone_s: float
    executor: int


@dataclass(slots=True)
class Instance:
    """One instance. All of its items go on at the same pace, so that it counts its work once (``work_s``, of an item alone).

    ``given_j`` and ``given_usd`` are what an item would have drawn and cost that has been there from the beginning. ``place`` is the
    server, or of one on cores alone the host while it works (-1 else).
    """

    number: int
    name: str
    place: int
    warm_s: float
    at_s: float
    speed: float = 1.0
    work_s: float = 0.0
    given_j: float = 0.0
    given_usd: float = 0.0
    version: int = 0
    draining: bool = False
    warm: bool = False
    items: list[Running] = field(default_factory=list)


@dataclass(slots=True)
class Pool:
    """Instances of one model or tool on one profile, for all workflows that share them (``users``, by number).

    ``active_w`` and ``active_usd_per_h`` go with an instance at work, ``idle_w`` and ``held_usd_per_h`` with one that is held.
    ``owner`` is the workflow of a dedicated pool, -1 where it is shared. ``wanted`` is how many instances the plans ask for, in all.
    """

    key: str
    name: str
    hardware: str
    gpus: int
    cores: int
    spot: bool
    owner: int
    start_s: float
    active_w: float
    idle_w: float
    active_usd_per_h: float
    held_usd_per_h: float
    batch: int = 1
    batch_slowdown: float = 0.0
    wanted: int = 0
    hold: bool = False
    users: list[int] = field(default_factory=list)
    queue: deque[Task] = field(default_factory=deque)
    instances: list[Instance] = field(default_factory=list)

    @property
    def staying(self) -> int:
        """How many instances take new items."""
        return sum(not instance.draining for instance in self.instances)

    def settle(self, instance: Instance, t_s: float) -> float:
        """Let an instance work until a time; returns for how long it worked (s)."""
        span_s, count = t_s - instance.at_s, len(instance.items)
        instance.at_s = t_s
        if not count or span_s <= 0.0:
            return 0.0
        instance.work_s += span_s * instance.speed / slowdown(count, self.batch_slowdown)
        instance.given_j += span_s * self.active_w / count
        instance.given_usd += span_s * self.active_usd_per_h / HOUR_S / count
        return span_s

    def end_s(self, instance: Instance, t_s: float) -> float:
        """Return when the first of an instance's items will be done, as it stands; infinite where it does not get on."""
        if not instance.items or instance.speed <= 0.0:
            return float("inf")
        left_s = max(instance.items[0].end_work_s - instance.work_s, 0.0)
        return t_s + left_s * slowdown(len(instance.items), self.batch_slowdown) / instance.speed

    def pick(self) -> Instance | None:
        """Return the instance that takes the next item: the warm one with the fewest, of several the first; None where all are full."""
        best, fewest = None, self.batch
        for instance in self.instances:
            count = len(instance.items)
            if count < fewest and instance.warm and not instance.draining:
                best, fewest = instance, count
                if not count:
                    break
        return best

"""Choices written as text, so that knobs can pin a plan."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from policies.baselines.instances import pool_of
from twin.workflows.executors import Executor
from twin.workflows.levers import Choice, Plan

_FORM: Final = re.compile(
    r"(?P<workflow>[a-z0-9-]+)\.(?P<stage>[^=\s]+)=(?P<executor>[^@\s]+)@(?P<where>[a-z0-9]+)(?P<spot>\+spot)?"
    r"\*(?P<instances>[1-9]\d{0,5})/(?P<batch>[1-9]\d{0,3})"
)
_HOLD: Final = re.compile(r"(?P<workflow>[a-z0-9-]+)\.\*=(?P<hold>held|started)")
HELD: Final = "held"
STARTED: Final = "started"


@dataclass(frozen=True, slots=True)
class Pin:
    """Which executor does a stage of a workflow, where, on how many instances, with how many items at once.

    Stage ``*`` says of all instances of a workflow whether they are held between jobs or started for each (``executor``).
    """

    workflow: str
    stage: str
    executor: str
    where: str
    spot: bool
    instances: int
    batch: int


def parse(text: str) -> Pin:
    """Return a pinned choice; ValueError, one line, for text of another form.

    >>> parse("video.transcript=whisper@cpu4*16/1").where
    'cpu4'
    """
    kept = _HOLD.fullmatch(text)
    if kept is not None:
        return Pin(kept["workflow"], "*", kept["hold"], "", False, 0, 0)
    found = _FORM.fullmatch(text)
    if found is None:
        form = "WORKFLOW.STAGE=EXECUTOR@HARDWARE*INSTANCES/BATCH, or WORKFLOW.*=held or started"
        raise ValueError(f"murakkab.plan: {text[:80]!r} is no choice; write {form}")
    part = found.groupdict()
    whole = int(part["instances"]), int(part["batch"])
    return Pin(part["workflow"], part["stage"], part["executor"], part["where"], bool(part["spot"]), *whole)


def written(workflow: str, plan: Plan, library: Mapping[str, Executor]) -> tuple[str, ...]:
    """Return a plan's choices as text."""
    stages = tuple(f"{workflow}.{stage}={_choice(choice, library[choice.executor])}" for stage, choice in plan.stages.items())
    return (*stages, f"{workflow}.*={HELD if plan.hold else STARTED}")


def of(workflow: str, pins: Sequence[str]) -> dict[str, Pin]:
    """Return the pinned choices of a workflow by stage."""
    return {pin.stage: pin for pin in map(parse, pins) if pin.workflow == workflow}


def where(executor: Executor, profile: int) -> str:
    """Return on what a profile stands, as pins write it: ``a100x8``, ``cpu4``."""
    return pool_of(executor, executor.profiles[profile]).rpartition("@")[2]


def _choice(choice: Choice, executor: Executor) -> str:
    place = where(executor, choice.profile)
    return f"{executor.id}@{place}{'+spot' if choice.spot else ''}*{choice.instances}/{choice.batch}"

"""Classes of workloads: what each needs, hints and how it answers."""

from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from twin.sources import calibration, imported, imported_table

KIND: Final = "workload-classes"
SURVEY: Final = "survey"
Agent = Literal["batch", "microservices", "functions", "endpoint", "silent"]
AGENTS: Final[tuple[Agent, ...]] = ("batch", "microservices", "functions", "endpoint", "silent")
# The highest level of each need; the order is that of columns.
HIGHEST: Final[Mapping[str, int]] = MappingProxyType(
    {"stateless": 2, "deploy": 1, "availability": 2, "preemption": 2, "delay": 1, "region": 2}
)
_Third = Annotated[int, Field(ge=0, le=2)]
_Yes = Annotated[int, Field(ge=0, le=1)]


class Levels(BaseModel):
    """What a class lets the platform do, from 0 (nothing) up.

    ``stateless``, ``preemption`` and ``region``: 0 none, 1 part of its VMs, 2 all. ``availability``: 0 needs four nines or more, 1 three,
    2 two or less. ``deploy`` 1: a new VM may take over five minutes; 0: one at most. ``delay`` 1: its work may be done later.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stateless: _Third = 0
    deploy: _Yes = 0
    availability: _Third = 0
    preemption: _Third = 0
    delay: _Yes = 0
    region: _Third = 0


class WorkloadClass(BaseModel):
    """One class of workloads. ``share`` is of all workloads, ``agent`` who answers notices for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)]
    title: Annotated[str, Field(min_length=1, max_length=120)]
    share: Annotated[float, Field(ge=0, le=1)]
    levels: Levels = Levels()
    agent: Agent = "silent"


Classes = Mapping[str, WorkloadClass]


def import_name(setting: str) -> str | None:
    """Return the name of the imported table that a setting stands for, None for the packaged one.

    >>> import_name("import:our-survey"), import_name("survey")
    ('our-survey', None)
    """
    return setting.removeprefix("import:") if setting.startswith("import:") else None


def named(setting: str) -> Classes:
    """Return the classes of a table by their ids; ValueError, one line, for one that is not there or damaged."""
    own = import_name(setting)
    if own is not None:
        return _imported(own)
    if setting != SURVEY:
        raise ValueError(f"classes: {setting!r} is no table of classes; write {SURVEY} or import:NAME")
    return _survey()


def marginals(classes: Iterable[WorkloadClass]) -> dict[str, float]:
    """Return the share of workloads that have each need at level 1 or higher, over the sum of their shares.

    >>> {name: round(share, 3) for name, share in marginals(named("survey").values()).items() if name != "deploy"}
    {'stateless': 0.629, 'availability': 0.628, 'preemption': 0.606, 'delay': 0.25, 'region': 0.614}
    """
    every = tuple(classes)
    whole = sum(each.share for each in every)
    if not whole:
        raise ValueError("classes: no workload has a share; write shares that add up to 1")
    return {name: sum(each.share for each in every if getattr(each.levels, name)) / whole for name in HIGHEST}


@cache
def _survey() -> Classes:
    """Return the twelve of ``data/calibration/negotiation.toml``, whose marginals are the five that the survey publishes."""
    entries: Mapping[str, Mapping[str, Any]] = calibration("negotiation")["class"]
    return MappingProxyType(
        {
            name: WorkloadClass(
                id=name, title=entry["title"], share=entry["share"]["value"], levels=Levels(**entry["levels"]), agent=entry["agent"]
            )
            for name, entry in entries.items()
        }
    )


def _imported(own: str) -> Classes:
    rows = imported_table(imported(KIND, own)).to_dicts()
    return MappingProxyType(
        {
            row["id"]: WorkloadClass(
                id=row["id"],
                title=row["title"],
                share=row["share"],
                levels=Levels(**{name: row[name] for name in HIGHEST}),
                agent=row["agent"],
            )
            for row in rows
        }
    )

"""A case: what may be known of one incident, and by when."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

Severity = Literal["critical", "major", "minor"]
State = Literal["open", "confirmed", "wrong", "inconclusive"]

# What a case consists of, whoever wrote it: a run, a file, a public data set. Every table with a time has ``time``, seconds since the
# start of the run (a data set: since its first reading), the moment at which the row became known.
TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    # A reading: entity (id as the fleet or the data set writes it), metric, value, unit.
    "telemetry": ("time", "entity", "metric", "value", "unit"),
    # What hangs on what: ``source`` suffers when ``target`` does. kind: calls, runs on, made of, in, cooled by, fed by, stores in.
    "topology": ("source", "target", "kind"),
    # What each entity is.
    "entities": ("entity", "kind"),
    # Deployments, settings, switches of policy, maintenance; most are innocent.
    "changes": ("time", "entity", "kind", "actor", "words"),
    "events": ("time", "entity", "kind", "value", "words"),
    "logs": ("time", "entity", "level", "template", "count", "words"),
    "alerts": ("time", "until", "entity", "metric", "value", "bound", "severity", "words"),
}
TIMELESS: Final = frozenset({"topology", "entities"})
# Incidents of earlier days. ``resolved`` decides who may see them: only who began later. Times are seconds since 1970.
HISTORY: Final = (
    "incident_id", "began", "resolved", "site", "title", "text", "entity_kind", "metric", "severity", "cause", "mechanism", "checked",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Incident:
    """What is known of an incident when it is opened: no cause.

    ``onset_s`` is when the symptom began, as its alert says; ``detected_s`` when the incident was opened. ``began`` is its onset in
    seconds since 1970: history resolved later is not seen.
    """

    incident_id: str
    title: str
    text: str
    severity: Severity
    entity_kind: str
    entity_id: str
    metric: str
    onset_s: float
    detected_s: float
    began: float
    affected: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """Everything that tools may read of an incident. The ground truth is not part of it.

    ``frames`` holds the tables of ``TABLES`` that there are, ``history`` the resolved incidents (columns ``HISTORY``),
    ``runbooks`` texts by name. ``source`` says where it came from: a run_id, a data set and issue, an import.
    """

    source: str
    incident: Incident
    frames: Mapping[str, pl.LazyFrame]
    history: pl.DataFrame
    runbooks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Truth:
    """What was injected: who is to blame and for what, whether the data can prove it, and the chain from it to the symptom.

    ``entity_id`` empty and ``cause`` "none" where nothing was: an alert without a fault. It lies where no tool reaches.
    """

    entity_id: str
    cause: str
    onset_s: float
    provable: bool
    path: tuple[str, ...] = ()
    also_right: tuple[str, ...] = ()

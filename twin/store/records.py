"""Records of the ledger, and how each one is laid down in its table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar

from twin.store.files import canonical

Record = TypeVar("Record", "IntentVersion", "Evidence", "Approval", "AuditEntry", "LoggedRun", "Verdict")
Decision = Literal["approved", "rejected", "rolled_back"]


@dataclass(frozen=True, slots=True)
class IntentVersion:
    """One version of an intent: what was written, how it was understood, what it became.

    ``parent`` is the version of the same intent that this one revises. Times are aware.
    """

    intent_id: str
    version: int
    text: str
    intent: Mapping[str, Any]
    findings: list[Any]
    policy: Mapping[str, Any] | None
    policy_id: str | None
    state: str
    created_at: datetime
    actor: str
    parent: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the twin showed for one version: runs under today's policy and the candidate, metrics, verdicts."""

    intent_id: str
    version: int
    at: datetime
    today_run_ids: tuple[str, ...]
    candidate_run_ids: tuple[str, ...]
    metrics: Mapping[str, Any]
    verdicts: list[Any]


@dataclass(frozen=True, slots=True)
class Approval:
    """One decision of one person about one version and exactly one policy."""

    intent_id: str
    version: int
    actor: str
    role: str
    decision: Decision
    note: str
    policy_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit trail; ``hash`` covers all the others, ``previous_hash`` chains it to the line before."""

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """When and at what price a run was computed: what must not be in the run itself."""

    run_id: str
    started_at: datetime
    ended_at: datetime
    cpu_s: float
    label: str
    policy_name: str
    seed: int
    scenario: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What somebody said of a named cause: right, or what it was instead (``cause`` empty where only known to be wrong).

    ``run_id`` is where the incident comes from, as its case says; ``predictor`` named ``predicted_cause`` of ``predicted_entity_id`` and
    was ``confidence`` sure (None: did not say). ``known`` is when the cause was known by the incident's own clock (seconds since 1970): a
    label of a simulated July serves what begins later in that July. ``at`` is when it was said here.
    """

    incident_id: str
    run_id: str
    predictor: str
    predicted_cause: str
    predicted_entity_id: str
    confidence: float | None
    right: bool
    cause: str
    entity_id: str
    note: str
    known: float
    actor: str
    at: datetime


# Each entry takes the ledger one schema version further; entries are only ever added. Times are UTC.
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE intents (
            intent_id VARCHAR NOT NULL, version INTEGER NOT NULL, text VARCHAR NOT NULL, intent JSON NOT NULL, findings JSON NOT NULL,
            policy JSON, policy_id VARCHAR, state VARCHAR NOT NULL, created_at TIMESTAMP NOT NULL, actor VARCHAR NOT NULL, parent INTEGER,
            PRIMARY KEY (intent_id, version))""",
        """CREATE TABLE evidence (
            intent_id VARCHAR NOT NULL, version INTEGER NOT NULL, "at" TIMESTAMP NOT NULL, today_run_ids VARCHAR[] NOT NULL,
            candidate_run_ids VARCHAR[] NOT NULL, metrics JSON NOT NULL, verdicts JSON NOT NULL)""",
        """CREATE TABLE approvals (
            intent_id VARCHAR NOT NULL, version INTEGER NOT NULL, actor VARCHAR NOT NULL, role VARCHAR NOT NULL, decision VARCHAR NOT NULL,
            note VARCHAR NOT NULL, policy_id VARCHAR NOT NULL, "at" TIMESTAMP NOT NULL)""",
        """CREATE TABLE audit (
            seq BIGINT PRIMARY KEY, "at" TIMESTAMP NOT NULL, actor VARCHAR NOT NULL, action VARCHAR NOT NULL, subject VARCHAR NOT NULL,
            detail JSON NOT NULL, previous_hash VARCHAR NOT NULL, hash VARCHAR NOT NULL)""",
        """CREATE TABLE run_log (
            run_id VARCHAR NOT NULL, started_at TIMESTAMP NOT NULL, ended_at TIMESTAMP NOT NULL, cpu_s DOUBLE NOT NULL,
            label VARCHAR NOT NULL, policy_name VARCHAR NOT NULL, seed BIGINT NOT NULL, scenario VARCHAR NOT NULL)""",
    ),
    (
        """CREATE TABLE verdicts (
            incident_id VARCHAR NOT NULL, run_id VARCHAR NOT NULL, predictor VARCHAR NOT NULL, predicted_cause VARCHAR NOT NULL,
            predicted_entity_id VARCHAR NOT NULL, confidence DOUBLE, "right" BOOLEAN NOT NULL, cause VARCHAR NOT NULL,
            entity_id VARCHAR NOT NULL, note VARCHAR NOT NULL, known DOUBLE NOT NULL, actor VARCHAR NOT NULL, "at" TIMESTAMP NOT NULL)""",
    ),
)

_JSON: Final = frozenset({"intent", "findings", "policy", "metrics", "verdicts", "detail"})


def utc(at: datetime) -> datetime:
    """Return an aware time in UTC; a time without a zone is refused, because nobody could tell what it means."""
    if at.tzinfo is None:
        raise ValueError(f"time {at.isoformat()} has no zone; pass an aware time such as datetime.now(UTC)")
    return at.astimezone(UTC)


def names(kind: type[Any]) -> tuple[str, ...]:
    """Return the columns of a record, in order."""
    return tuple(field.name for field in fields(kind))


def row_of(record: Any) -> list[Any]:
    """Return a record as the values of its row: JSON as text, times as UTC without a zone."""
    return [_laid_down(name, getattr(record, name)) for name in names(type(record))]


def _laid_down(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _JSON:
        return canonical(dict(value) if isinstance(value, Mapping) else value)
    if isinstance(value, datetime):
        return utc(value).replace(tzinfo=None)
    return list(value) if isinstance(value, tuple) else value


def record_of(kind: type[Record], row: Sequence[Any]) -> Record:
    """Return the record that a row holds."""
    return kind(**{name: _taken_up(name, value) for name, value in zip(names(kind), row, strict=True)})


def _taken_up(name: str, value: Any) -> Any:
    if name in _JSON and value is not None:
        return json.loads(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    return tuple(value) if isinstance(value, list) else value

"""What a report is made from: stored runs, the intent, who decided what."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cases import Found, gathered
from app.report.judgement import Bound, Judged, Reader, bounds_of, judge
from app.report.pairing import Held, Worlds, world_of
from app.report.pod import design_of
from app.shelf import StoredRun, load
from twin.clock import Window
from twin.metrics import Scope
from twin.store import runs

if TYPE_CHECKING:
    from policies.intent.model import Intent
    from twin.store.records import Approval, AuditEntry, IntentVersion

_INTENT_ID = re.compile(r"^I-\d{2,6}$")


@dataclass(frozen=True)
class Asked:
    """One version of an intent with the decisions on it."""

    version: "IntentVersion"
    intent: "Intent"
    approvals: "tuple[Approval, ...]"
    trail: "tuple[AuditEntry, ...]"


@dataclass(frozen=True)
class Evidence:
    """Today's policy and, where there is one, a candidate in the same worlds, with what was asked of it."""

    world: Worlds
    candidate: Held | None
    judged: Judged | None
    asked: tuple[Asked, ...]
    today_run: StoredRun | None
    candidate_run: StoredRun | None
    design: Mapping[str, Any] | None = None
    incidents: Mapping[str, Sequence[Found]] = field(default_factory=dict)

    @property
    def shown_run(self) -> StoredRun:
        """Return the run that stands for the report: the candidate's, else today's."""
        run = self.candidate_run or self.today_run
        assert run is not None
        return run

    @property
    def runs(self) -> tuple[StoredRun, ...]:
        """Return the runs whose day is drawn, today's first."""
        return tuple(run for run in (self.today_run, self.candidate_run) if run is not None)


def gather(home: Path, key: str) -> Evidence:
    """Return the evidence behind a run id (or its beginning) or an intent's id.

    Raises ValueError, one line, where there is none.
    """
    if _INTENT_ID.match(key):
        run_id, version = _tried(home, key)
        return _about(home, run_id, [item for item in _versions(home) if (item.version.intent_id, item.version.version) == (key, version)])
    run_id = runs.resolve(key, home)
    return _about(home, run_id, None)


def reader(home: Path) -> Reader:
    """Return what reads a metric of a stored run over a scope and a window."""
    opened: dict[str, StoredRun] = {}

    def read(run_id: str, metric: str, scope: tuple[Scope, ...], window: Window | None) -> float | None:
        if run_id not in opened:
            opened[run_id] = load(home, run_id)
        return opened[run_id].metric(metric, scope, window)

    return read


def asked_of(home: Path, world: Worlds, candidate: Held) -> tuple[Asked, ...]:
    """Return the latest intents that this candidate's runs were tried for."""
    mine = set(candidate.run_ids.values())
    tried = {(entry.intent_id, entry.version) for entry in _evidence(home) if mine & set(entry.candidate_run_ids)}
    latest: dict[str, Asked] = {}
    for item in _versions(home):
        if (item.version.intent_id, item.version.version) in tried:
            latest[item.version.intent_id] = item
    return tuple(latest[name] for name in sorted(latest))


def bounds(asked: Sequence[Asked], run: StoredRun) -> list[tuple[str, Bound]]:
    """Return everything that some intents ask in a run's world, metric and bound."""
    return [pair for item in asked for pair in bounds_of(item.version.intent_id, item.intent, run.manifest["scenario"])]


def _about(home: Path, run_id: str, given: list[Asked] | None) -> Evidence:
    world = world_of(run_id, home)
    run = load(home, run_id)
    held = next(item for item in (world.today, *world.candidates) if item is not None and run_id in item.run_ids.values())
    if held.is_today:
        return Evidence(world, None, None, tuple(given or ()), run, None, incidents={"today": gathered(home, run_id)})
    asked = tuple(given) if given is not None else asked_of(home, world, held)
    judged = judge(world, held, bounds(asked, run), reader(home))
    today_id = world.today.run_ids.get(run.brief.seed) if world.today else None
    today = load(home, today_id) if today_id else None
    both = {"today": today_id, "candidate": run_id}
    found = {role: gathered(home, each) for role, each in both.items() if each is not None}
    return Evidence(world, held, judged, asked, today, run, design_of(held, run, home), found)


def _tried(home: Path, intent_id: str) -> tuple[str, int]:
    """Return the run that an intent was last tried with, and the version of the intent that was tried."""
    if intent_id not in {item.version.intent_id for item in _versions(home)}:
        raise ValueError(f"intent {intent_id} is unknown; see `intentwin intents`")
    for entry in reversed([entry for entry in _evidence(home) if entry.intent_id == intent_id]):
        for run_id in entry.candidate_run_ids:
            if runs.exists(run_id, home):
                return run_id, entry.version
    raise ValueError(f"intent {intent_id} has not been tried on the twin yet; press Try it on the twin in the console")


def _ledger_of(home: Path) -> Any:
    from twin.store.ledger import Ledger

    ledger = Ledger(home)
    return ledger if ledger.path.exists() else None


def _evidence(home: Path) -> list[Any]:
    ledger = _ledger_of(home)
    if ledger is None:
        return []
    with ledger.transaction() as transaction:
        return list(transaction.evidence())


def _versions(home: Path) -> list[Asked]:
    from policies.intent.model import Intent
    from twin.store.audit import subject_of

    ledger = _ledger_of(home)
    if ledger is None:
        return []
    with ledger.transaction() as transaction:
        found, decisions, trail = transaction.intents(), transaction.approvals(), transaction.audit_trail()
    return [
        Asked(
            version,
            Intent.model_validate(dict(version.intent)),
            tuple(item for item in decisions if (item.intent_id, item.version) == (version.intent_id, version.version)),
            tuple(entry for entry in trail if entry.subject == subject_of(version.intent_id, version.version)),
        )
        for version in found
    ]

"""From words to an approved policy: every step of an intent, with who and when."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from policies import catalogue, study
from policies.intent import explore as exploring
from policies.intent.assure import Assurance, assure, state_of
from policies.intent.check import check
from policies.intent.compile import compile_intent
from policies.intent.interpret.answers import answered
from policies.intent.interpret.reader import Site
from policies.intent.interpret.understand import Understood, understand
from policies.intent.judge import Row, meets
from policies.intent.model import Finding, Intent, WindowSpec, read_back
from policies.intent.trial import Trial, judged, run_trial
from policies.policy import PolicySet
from twin import run as twin_run
from twin.run import Progress
from twin.scenario import Scenario, load
from twin.store import runs
from twin.store.ledger import Ledger, Transaction
from twin.store.records import Approval, Decision, IntentVersion
from twin.store.records import Evidence as StoredEvidence

IntentRecord = IntentVersion
Evidence = Trial
LIVE: Final = ("approved", "active", "met", "at_risk", "broken")
_DECIDED: Final = (*LIVE, "rejected", "retired", "revised")
Report = Callable[[Progress], None]
Cancel = Callable[[], bool]

__all__ = ["LIVE", "Actor", "Evidence", "IntentRecord", "Row", "site_of"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and in which role."""

    name: str
    role: str

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.role.strip():
            raise ValueError("an actor has a name and a role; say who acts and as what")

    @property
    def signature(self) -> str:
        """How the ledger writes the actor down."""
        return f"{self.name} ({self.role})"


def site_of(scenario: Scenario) -> Site:
    """Return what readers and checks may know of a scenario's site."""
    fleet = scenario.fleet
    limits = {f"{row}/plant.row_power_peak_w": float(watts) for row, watts in zip(fleet.row_ids, fleet.row_power_budgets_w, strict=True)}
    limits["/plant.site_power_peak_w"] = float(fleet.site_power_budget_w)
    return Site(scenario.entities(), limits=limits)


def read(text: str, scenario: Scenario | str | Path, model: str | None = None) -> Understood:
    """Return what was understood of a text; nothing is written."""
    return understand(text, site_of(_scenario(scenario)), model)


def capture(
    home: Path, text: str, *, scenario: Scenario | str | Path, actor: Actor, at: datetime, model: str | None = None
) -> IntentRecord:
    """Take down a request: read, checked and compiled. Raises ValueError, with nothing written, for what is no request at all."""
    place = _scenario(scenario)
    if not text.strip():
        raise ValueError("the request is empty; say what the datacenter should do")
    understood = understand(text, site_of(place), model)
    if len(text) > len(understood.intent.text):
        raise ValueError(understood.findings[0].text)
    said = scenario.name if isinstance(scenario, Scenario) else str(scenario)
    with Ledger(home).transaction() as ledger:
        version = _version(ledger, ledger.next_intent_id(), 1, text, understood.intent, understood.findings, place, actor, at)
        ledger.add_intent(version)
        readings = [{"reader": item.reader, "raw": item.raw, "intent": item.intent.json_dict()} for item in understood.readings]
        detail = {"scenario": said, "text": text, "agreement": understood.agreement, "readings": readings}
        ledger.audit(at, actor.signature, "intent.capture", _subject(version), detail)
    return version


def edit(home: Path, intent_id: str, intent: Intent, *, actor: Actor, at: datetime) -> IntentRecord:
    """Keep a reading that the operator changed as a new version; questions that it still carries stay open."""
    with Ledger(home).transaction() as ledger:
        before = ledger.intent(intent_id)
        place = _scenario(_scenario_name(ledger, intent_id))
        asked = tuple(Finding(severity="question", about=item.about, text=item.text) for item in intent.questions)
        kept = intent.model_copy(update={"text": before.text[: len(intent.text) or None] if not intent.text else intent.text})
        return _revise(ledger, before, before.text, kept, asked, place, actor, at)


def answer(home: Path, intent_id: str, about: str, text: str, *, actor: Actor, at: datetime) -> IntentRecord:
    """Answer an open question in words; the answer refines the same intent as a new version."""
    with Ledger(home).transaction() as ledger:
        before = ledger.intent(intent_id)
        place = _scenario(_scenario_name(ledger, intent_id))
        reading = answered(Intent.model_validate(dict(before.intent)), about, text, site_of(place))
        version = _revise(ledger, before, reading.intent.text, reading.intent, reading.findings, place, actor, at)
        ledger.audit(at, actor.signature, "intent.answer", _subject(version), {"about": about, "answer": text[:600]})
        return version


def adopt(home: Path, intent_id: str, policy: PolicySet, *, actor: Actor, at: datetime) -> IntentRecord:
    """Put a policy set that was explored in the place of the compiled one, as a new version."""
    with Ledger(home).transaction() as ledger:
        before = ledger.intent(intent_id)
        place = _scenario(_scenario_name(ledger, intent_id))
        catalogue.check(policy, place.entities())
        intent = Intent.model_validate(dict(before.intent))
        asked = tuple(Finding.model_validate(item) for item in before.findings)
        return _revise(ledger, before, before.text, intent, asked, place, actor, at, policy)


def try_on_twin(
    home: Path,
    intent_id: str,
    version: int | None = None,
    *,
    seeds: Sequence[int] | None = None,
    progress: Report | None = None,
    cancel: Cancel | None = None,
    actor: Actor,
    at: datetime,
) -> Trial:  # fmt: skip
    """Run today's policy and the candidate in the same worlds and keep what they show as evidence."""
    with Ledger(home).transaction() as ledger:
        record_ = ledger.intent(intent_id, version)
        place = _scenario(_scenario_name(ledger, intent_id))
    policy = _policy(record_)
    trial = run_trial(home, place, Intent.model_validate(dict(record_.intent)), policy, seeds or (place.seed,), progress, cancel)
    with Ledger(home).transaction() as ledger:
        kept = StoredEvidence(
            intent_id, record_.version, at, trial.today_run_ids, trial.candidate_run_ids, trial.metrics, [row.json_dict() for row in trial.rows]
        )
        ledger.add_evidence(kept)
        if ledger.intent(intent_id, record_.version).state not in _DECIDED:
            ledger.set_state(intent_id, record_.version, "simulated", at, actor.signature)
        detail = {"today": list(trial.today_run_ids), "candidate": list(trial.candidate_run_ids), "policy_id": policy.policy_id}
        ledger.audit(at, actor.signature, "intent.trial", _subject(record_), detail)
    return trial


def explore(
    home: Path,
    intent_id: str,
    version: int | None = None,
    *,
    seed: int | None = None,
    candidates: int = exploring.CANDIDATES,
    workers: int = 1,
    progress: Report | None = None,
    cancel: Cancel | None = None,
) -> exploring.Exploration:  # fmt: skip
    """Try candidates around an intent's policy set; nothing but runs is written."""
    with Ledger(home).transaction() as ledger:
        record_ = ledger.intent(intent_id, version)
        place = _scenario(_scenario_name(ledger, intent_id))
    intent = Intent.model_validate(dict(record_.intent))
    return exploring.explore(
        home, place, intent, _policy(record_), seed=seed, candidates=candidates, workers=workers, progress=progress, cancel=cancel
    )


def approve(
    home: Path, intent_id: str, version: int | None = None, *, actor: Actor, at: datetime, note: str = "", read_back_as: str | None = None
) -> IntentRecord:
    """Put a version in force.

    Refused (ValueError, one line) while a question is open or a finding blocks, without evidence from runs of this very
    policy set, against an intent in force, and where the evidence shows a broken *must* and no note says why.
    ``read_back_as`` is the sentence that the approver was shown; it must be that of this version.
    """
    with Ledger(home).transaction() as ledger:
        record_ = ledger.intent(intent_id, version)
        intent = Intent.model_validate(dict(record_.intent))
        place = _scenario(_scenario_name(ledger, intent_id))
        sentence = read_back(intent)
        if read_back_as is not None and read_back_as.strip() != sentence:
            raise ValueError(f"{intent_id} version {record_.version} reads: {sentence} Read it again before approving")
        _approvable(ledger, record_, intent, place, note)
        shown = _evidence(ledger, home, record_)
        rows = [Row(**row) for row in shown.verdicts]
        if not meets(rows) and not note.strip():
            missed = next(row.metric for row in rows if row.strength == "must" and not row.met)
            raise ValueError(f"{intent_id}: the evidence does not show that {missed} holds; approve it with a note that says why, or revise it")
        _decide(ledger, record_, "approved", actor, at, note)
        ledger.audit(at, actor.signature, "intent.read_back", _subject(record_), {"sentence": sentence})
        for other in ledger.intents(intent_id):
            if other.version != record_.version and other.state in LIVE:
                ledger.set_state(intent_id, other.version, "revised", at, actor.signature)
        ledger.set_state(intent_id, record_.version, "approved", at, actor.signature)
        ledger.set_state(intent_id, record_.version, "active", at, actor.signature)
        return ledger.intent(intent_id, record_.version)


def reject(home: Path, intent_id: str, version: int | None = None, *, actor: Actor, at: datetime, note: str = "") -> IntentRecord:
    """Decide against a version."""
    with Ledger(home).transaction() as ledger:
        record_ = ledger.intent(intent_id, version)
        if record_.state in _DECIDED:
            raise ValueError(f"{intent_id} version {record_.version} is {record_.state} already")
        _decide(ledger, record_, "rejected", actor, at, note)
        return _moved(ledger, record_, "rejected", actor, at)


def rollback(home: Path, intent_id: str, version: int | None = None, *, actor: Actor, at: datetime, note: str = "") -> IntentRecord:
    """Take the version in force back and re-activate the approved one before it, where there is one."""
    with Ledger(home).transaction() as ledger:
        record_ = _live(ledger, intent_id, version)
        _decide(ledger, record_, "rolled_back", actor, at, note)
        approved = {item.version for item in ledger.approvals(intent_id) if item.decision == "approved"}
        taken = {item.version for item in ledger.approvals(intent_id) if item.decision == "rolled_back"}
        before = [item for item in ledger.intents(intent_id) if item.version < record_.version and item.version in approved - taken]
        back = _moved(ledger, record_, "retired", actor, at)
        return _moved(ledger, before[-1], "active", actor, at) if before else back


def retire(home: Path, intent_id: str, version: int | None = None, *, actor: Actor, at: datetime, note: str = "") -> IntentRecord:
    """Let an intent end; what it was stays on record."""
    with Ledger(home).transaction() as ledger:
        record_ = ledger.intent(intent_id, version)
        if record_.state == "retired":
            raise ValueError(f"{intent_id} version {record_.version} is retired already")
        ledger.audit(at, actor.signature, "intent.retire", _subject(record_), {"note": note[:400]})
        return _moved(ledger, record_, "retired", actor, at)


def hold_against(home: Path, run_id: str, today_run_id: str, *, actor: Actor, at: datetime) -> list[Assurance]:
    """Hold a run against the intents in force and keep how each stands as its state; changes are against ``today_run_id``."""
    with Ledger(home).transaction() as ledger:
        live = [item for item in ledger.intents() if item.state in LIVE]
    asked = [(item.intent_id, item.version, Intent.model_validate(dict(item.intent))) for item in live]
    found = assure(asked, exploring.values_of(today_run_id, home), exploring.values_of(run_id, home))
    with Ledger(home).transaction() as ledger:
        for item in found:
            state = state_of(item.standing)
            if state is not None and ledger.intent(item.intent_id, item.version).state != state:
                ledger.set_state(item.intent_id, item.version, state, at, actor.signature)
    return found


def records(home: Path) -> list[IntentRecord]:
    """Return the latest version of every intent."""
    with Ledger(home).transaction() as ledger:
        return list({item.intent_id: item for item in ledger.intents()}.values())


def record(home: Path, intent_id: str, version: int | None = None) -> IntentRecord:
    """Return one version of an intent, the latest by default."""
    with Ledger(home).transaction() as ledger:
        return ledger.intent(intent_id, version)


def evidence(home: Path, intent_id: str, version: int | None = None) -> list[StoredEvidence]:
    """Return what the twin showed for a version, oldest first."""
    with Ledger(home).transaction() as ledger:
        return ledger.evidence(intent_id, ledger.intent(intent_id, version).version)


def active(home: Path) -> list[IntentRecord]:
    """Return the versions in force."""
    with Ledger(home).transaction() as ledger:
        return [item for item in ledger.intents() if item.state in LIVE]


def _scenario(scenario: Scenario | str | Path) -> Scenario:
    return scenario if isinstance(scenario, Scenario) else load(scenario)


def _subject(version: IntentVersion) -> str:
    return f"{version.intent_id}/{version.version}"


def _scenario_name(ledger: Transaction, intent_id: str) -> str:
    for entry in ledger.audit_trail(f"{intent_id}/1"):
        if entry.action == "intent.capture":
            return str(entry.detail["scenario"])
    raise ValueError(f"intent {intent_id} does not say which scenario it was written for; write it again")


def _version(  # noqa: PLR0913 - a version has this many parts
    ledger: Transaction, intent_id: str, number: int, text: str, intent: Intent, said: Sequence[Finding], place: Scenario, actor: Actor,
    at: datetime, policy: PolicySet | None = None, parent: int | None = None,
) -> IntentVersion:  # fmt: skip
    """Return a version with its findings, its policy set and the state that follows from both."""
    others = [(item.intent_id, Intent.model_validate(dict(item.intent))) for item in ledger.intents() if item.state in LIVE]
    others = [(name, other) for name, other in others if name != intent_id]
    compiled = compile_intent(intent, name=f"{intent_id} v{number}")
    findings = [*said, *check(intent, site_of(place), others, measurable=frozenset(twin_run.READINGS), covers=_covers(place)), *compiled.findings]
    findings = list(dict.fromkeys(findings))
    waits = any(item.severity != "info" for item in findings)
    chosen = policy if policy is not None else compiled.policy
    state = "questioned" if waits else "checked"
    dumped = chosen.model_dump(mode="json") if not intent.empty() else None
    return IntentVersion(
        intent_id, number, text, intent.json_dict(), [item.model_dump(mode="json") for item in findings], dumped,
        None if dumped is None else chosen.policy_id, state, at, actor.signature, parent,
    )  # fmt: skip


def _covers(place: Scenario) -> Callable[[WindowSpec], bool]:
    import numpy as np

    times = np.arange(0.0, place.horizon_s, 300.0)
    return lambda spec: bool(place.clock.inside(times, spec.window()).any())


def _revise(  # noqa: PLR0913 - a version has this many parts
    ledger: Transaction, before: IntentVersion, text: str, intent: Intent, said: Sequence[Finding], place: Scenario, actor: Actor,
    at: datetime, policy: PolicySet | None = None,
) -> IntentVersion:  # fmt: skip
    version = _version(ledger, before.intent_id, before.version + 1, text, intent, said, place, actor, at, policy, before.version)
    ledger.add_intent(version)
    # A version in force stays so until the new one is approved.
    if before.state not in _DECIDED:
        ledger.set_state(before.intent_id, before.version, "revised", at, actor.signature)
    return version


def _policy(record_: IntentVersion) -> PolicySet:
    if record_.policy is None:
        raise ValueError(f"{record_.intent_id} version {record_.version} asks for nothing that can be tried; answer its question or edit it")
    if any(item.get("severity") == "block" for item in record_.findings):
        raise ValueError(f"{record_.intent_id} version {record_.version} is refused as it is written; edit it")
    return PolicySet.model_validate(dict(record_.policy))


def _approvable(ledger: Transaction, record_: IntentVersion, intent: Intent, place: Scenario, note: str) -> None:
    name = f"{record_.intent_id} version {record_.version}"
    if record_.state in _DECIDED:
        raise ValueError(f"{name} is {record_.state}; only a version that waits can be approved")
    others = [(item.intent_id, Intent.model_validate(dict(item.intent))) for item in ledger.intents() if item.state in LIVE]
    fresh = check(intent, site_of(place), [(other, asked) for other, asked in others if other != record_.intent_id])
    findings = [*(Finding.model_validate(item) for item in record_.findings), *fresh]
    for item in findings:
        if item.severity == "block":
            raise ValueError(f"{name} is refused: {item.text}")
    if intent.questions or any(item.severity == "question" for item in findings):
        text = intent.questions[0].text if intent.questions else next(item.text for item in findings if item.severity == "question")
        raise ValueError(f"{name} has an open question: {text}")
    if record_.policy_id is None:
        raise ValueError(f"{name} carries no policy set; say what it should do")


def _evidence(ledger: Transaction, home: Path, record_: IntentVersion) -> StoredEvidence:
    """Return the newest evidence whose candidate runs are of this very policy set."""
    policy = _policy(record_)
    wanted = catalogue.complete(policy).canonical()
    for shown in reversed(ledger.evidence(record_.intent_id, record_.version)):
        if shown.candidate_run_ids and all(_ran(run_id, home, wanted) for run_id in shown.candidate_run_ids):
            return shown
    raise ValueError(f"{record_.intent_id} version {record_.version} has no evidence from a run of policy {policy.policy_id}; try it on the twin first")


def _ran(run_id: str, home: Path, wanted: dict[str, Any]) -> bool:
    if not runs.exists(run_id, home):
        return False
    schedule = runs.manifest_of(run_id, home)["schedule"]
    return len(schedule) == 1 and schedule[0]["policy"] == wanted


def _decide(ledger: Transaction, record_: IntentVersion, decision: Decision, actor: Actor, at: datetime, note: str) -> None:
    ledger.add_approval(
        Approval(record_.intent_id, record_.version, actor.name, actor.role, decision, note[:400], record_.policy_id or "", at)
    )


def _moved(ledger: Transaction, record_: IntentVersion, state: str, actor: Actor, at: datetime) -> IntentVersion:
    ledger.set_state(record_.intent_id, record_.version, state, at, actor.signature)
    return ledger.intent(record_.intent_id, record_.version)


def _live(ledger: Transaction, intent_id: str, version: int | None) -> IntentVersion:
    live = [item for item in ledger.intents(intent_id) if item.state in LIVE and version in {None, item.version}]
    if not live:
        raise ValueError(f"intent {intent_id}{'' if version is None else f' version {version}'} is not in force; there is nothing to roll back")
    return live[-1]

"""From words to an approved policy: every step, with who and when."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from policies import catalogue
from policies.intent import explore as exploring
from policies.intent import planned
from policies.intent.assure import Assurance, assure, state_of
from policies.intent.designed import designed
from policies.intent.interpret.answers import answered, rebounded
from policies.intent.interpret.understand import Understood, understand
from policies.intent.judge import Row, meets
from policies.intent.model import Finding, Intent, read_back
from policies.intent.pinning import LEVER, taking, without_design
from policies.intent.references import references
from policies.intent.trial import Trial, run_trial
from policies.intent.versions import (
    DECIDED,
    LIVE,
    Actor,
    decide,
    evidence_for,
    live,
    moved,
    must_be_approvable,
    must_be_free,
    policy_of,
    revise,
    scenario_name,
    scenario_of,
    settle,
    site_of,
    subject,
    version_of,
)
from policies.policy import PolicySet
from twin.run import Progress
from twin.scenario import Scenario
from twin.store import runs
from twin.store.ledger import Ledger
from twin.store.records import Evidence as StoredEvidence
from twin.store.records import IntentVersion

IntentRecord = IntentVersion
Evidence = Trial
Report = Callable[[Progress], None]
Cancel = Callable[[], bool]

__all__ = ["LIVE", "Actor", "Evidence", "IntentRecord", "Row", "site_of"]


def read(text: str, scenario: Scenario | str | Path, model: str | None = None) -> Understood:
    """Return what was understood of a text; nothing is written."""
    return understand(text, site_of(scenario_of(scenario)), model)


def capture(
    home: Path, text: str, *, scenario: Scenario | str | Path, actor: Actor, at: datetime, model: str | None = None
) -> IntentRecord:
    """Take down a request: read, checked and compiled. Raises ValueError, with nothing written, for what is no request at all."""
    place = scenario_of(scenario)
    if not text.strip():
        raise ValueError("the request is empty; say what the datacenter should do")
    understood = understand(text, site_of(place), model)
    if len(text) > len(understood.intent.text):
        raise ValueError(understood.findings[0].text)
    said = scenario.name if isinstance(scenario, Scenario) else str(scenario)
    if Path(said).suffix == ".toml" and not isinstance(scenario, Scenario):
        # Read again at each later step, from wherever that is taken.
        said = str(Path(said).absolute())
    with Ledger(home).transaction() as ledger:
        version = version_of(ledger, ledger.next_intent_id(), 1, text, understood.intent, understood.findings, place, actor, at)
        ledger.add_intent(version)
        readings = [{"reader": item.reader, "raw": item.raw, "intent": item.intent.json_dict()} for item in understood.readings]
        detail = {"scenario": said, "text": text, "agreement": understood.agreement, "readings": readings}
        ledger.audit(at, actor.signature, "intent.capture", subject(version), detail)
    return version


def edit(home: Path, intent_id: str, intent: Intent, *, actor: Actor, at: datetime) -> IntentRecord:
    """Keep a reading that the operator changed as a new version; questions that it still carries stay open."""
    with Ledger(home).transaction() as ledger:
        before = ledger.intent(intent_id)
        place = scenario_of(scenario_name(ledger, intent_id))
        asked = tuple(Finding(severity="question", about=item.about, text=item.text) for item in intent.questions)
        kept = intent.model_copy(update={"text": before.text[: len(intent.text) or None] if not intent.text else intent.text})
        return revise(ledger, before, before.text, kept, asked, place, actor, at)


def answer(home: Path, intent_id: str, about: str, text: str, *, actor: Actor, at: datetime) -> IntentRecord:
    """Answer an open question in words; the answer refines the same intent as a new version."""
    with Ledger(home).transaction() as ledger:
        before = ledger.intent(intent_id)
        place = scenario_of(scenario_name(ledger, intent_id))
        intent = Intent.model_validate(dict(before.intent))
        if about == LEVER and not any(item.about == about for item in intent.questions):
            # No question of the words: no pod keeps what they ask for, and another bound is the answer.
            reading = rebounded(intent, text, site_of(place))
        else:
            reading = answered(intent, about, text, site_of(place))
        version = revise(ledger, before, reading.intent.text, reading.intent, reading.findings, place, actor, at)
        ledger.audit(at, actor.signature, "intent.answer", subject(version), {"about": about, "answer": text[:600]})
        return version


def adopt(home: Path, intent_id: str, policy: PolicySet, *, actor: Actor, at: datetime) -> IntentRecord:
    """Put a policy set that was explored in the place of the compiled one, as a new version."""
    with Ledger(home).transaction() as ledger:
        before = ledger.intent(intent_id)
        place = scenario_of(scenario_name(ledger, intent_id))
        catalogue.check(policy, place.entities())
        intent = Intent.model_validate(dict(before.intent))
        asked = without_design([Finding.model_validate(item) for item in before.findings])
        return revise(ledger, before, before.text, intent, asked, place, actor, at, policy)


def build(home: Path, intent_id: str, name: str, *, actor: Actor, at: datetime) -> IntentRecord:
    """Take another of the pods that answer a request, by its name, as a new version; it takes the place of the one that was chosen."""
    record_ = record(home, intent_id)
    found = design(home, intent_id, record_.version) or {"front": (), "nearest": None}
    options = {option["name"]: option for option in (*found["front"], *([found["nearest"]] if found["nearest"] else []))}
    if name not in options:
        able = ", ".join(options) or "none"
        raise ValueError(f"{intent_id}: {name} is not among the pods that answer it; these are: {able}")
    return adopt(home, intent_id, taking(policy_of(record_), options[name]), actor=actor, at=at)


def try_on_twin(  # noqa: PLR0913 - what is tried, and how it is watched
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
    design(home, intent_id, version, actor=actor, at=at)
    planned.kept(home, intent_id, version, actor=actor.signature, at=at)
    with Ledger(home).transaction() as ledger:
        record_ = ledger.intent(intent_id, version)
        place = scenario_of(scenario_name(ledger, intent_id))
    policy = policy_of(record_)
    trial = run_trial(home, place, Intent.model_validate(dict(record_.intent)), policy, seeds or (place.seed,), progress, cancel)
    with Ledger(home).transaction() as ledger:
        kept = StoredEvidence(
            intent_id,
            record_.version,
            at,
            trial.today_run_ids,
            trial.candidate_run_ids,
            trial.metrics,
            [row.json_dict() for row in trial.rows],
        )
        ledger.add_evidence(kept)
        if ledger.intent(intent_id, record_.version).state not in DECIDED:
            ledger.set_state(intent_id, record_.version, "simulated", at, actor.signature)
        detail = {"today": list(trial.today_run_ids), "candidate": list(trial.candidate_run_ids), "policy_id": policy.policy_id}
        ledger.audit(at, actor.signature, "intent.trial", subject(record_), detail)
    return trial


def design(
    home: Path, intent_id: str, version: int | None = None, *, actor: Actor | None = None, at: datetime | None = None
) -> dict[str, Any] | None:
    """Return the design that an intent is answered with, or why there is none; None where it asks for nothing to be built.

    The pod that is chosen, on the past of the scenario's own seed, is written into the version's policy set while nobody has decided
    on it: it is the one that is run on every seed, approved and exported. Where none is, a question says so and keeps it from approval.
    """
    with Ledger(home).transaction() as ledger:
        record_ = ledger.intent(intent_id, version)
        place = scenario_of(scenario_name(ledger, intent_id))
    found = designed(place, policy_of(record_), place.seed, home)
    with Ledger(home).transaction() as ledger:
        now = ledger.intent(intent_id, record_.version)
        if found is not None and now == record_ and now.state not in DECIDED:
            settle(ledger, now, found, at or now.created_at, now.actor if actor is None else actor.signature)
    return found


def plans(home: Path, intent_id: str, version: int | None = None, *, at: datetime | None = None) -> list[dict[str, Any]]:
    """Return the plans of jobs that an intent is answered with, workflow by workflow; empty where it asks for none.

    Where no plan keeps every bound, a question says which one binds.
    """
    with Ledger(home).transaction() as ledger:
        record_ = ledger.intent(intent_id, version)
    return planned.kept(home, intent_id, record_.version, actor=record_.actor, at=at or record_.created_at)


def explore(  # noqa: PLR0913 - what is tried, and how it is watched
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
        place = scenario_of(scenario_name(ledger, intent_id))
    intent = Intent.model_validate(dict(record_.intent))
    return exploring.explore(
        home, place, intent, policy_of(record_), seed=seed, candidates=candidates, workers=workers, progress=progress, cancel=cancel
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
        place = scenario_of(scenario_name(ledger, intent_id))
        sentence = read_back(intent, site_of(place).references)
        if read_back_as is not None and read_back_as.strip() not in {sentence, read_back(intent)}:
            raise ValueError(f"{intent_id} version {record_.version} reads: {sentence} Read it again before approving")
        must_be_approvable(ledger, record_, intent, place, note)
        shown = evidence_for(ledger, home, record_, place)
        rows = [Row(**row) for row in shown.verdicts]
        if not meets(rows) and not note.strip():
            missed = next(row.metric for row in rows if row.strength == "must" and not row.met)
            raise ValueError(
                f"{intent_id}: the evidence does not show that {missed} holds; approve it with a note that says why, or revise it"
            )
        decide(ledger, record_, "approved", actor, at, note)
        ledger.audit(at, actor.signature, "intent.read_back", subject(record_), {"sentence": sentence})
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
        if record_.state in DECIDED:
            raise ValueError(f"{intent_id} version {record_.version} is {record_.state} already")
        decide(ledger, record_, "rejected", actor, at, note)
        return moved(ledger, record_, "rejected", actor, at)


def rollback(home: Path, intent_id: str, version: int | None = None, *, actor: Actor, at: datetime, note: str = "") -> IntentRecord:
    """Take the version in force back and re-activate the approved one before it, where there is one."""
    with Ledger(home).transaction() as ledger:
        record_ = live(ledger, intent_id, version)
        decide(ledger, record_, "rolled_back", actor, at, note)
        approved = {item.version for item in ledger.approvals(intent_id) if item.decision == "approved"}
        # One that was retired or taken back itself has ended for good.
        before = [item for item in ledger.intents(intent_id) if item.version in approved and item.state == "revised"]
        back = moved(ledger, record_, "retired", actor, at)
        if not before:
            return back
        must_be_free(ledger, before[-1])
        return moved(ledger, before[-1], "active", actor, at)


def retire(home: Path, intent_id: str, version: int | None = None, *, actor: Actor, at: datetime, note: str = "") -> IntentRecord:
    """Let an intent end; what it was stays on record."""
    with Ledger(home).transaction() as ledger:
        record_ = ledger.intent(intent_id, version)
        if record_.state == "retired":
            raise ValueError(f"{intent_id} version {record_.version} is retired already")
        ledger.audit(at, actor.signature, "intent.retire", subject(record_), {"note": note[:400]})
        return moved(ledger, record_, "retired", actor, at)


def hold_against(home: Path, run_id: str, today_run_id: str, *, actor: Actor, at: datetime) -> list[Assurance]:
    """Hold a run against the intents in force and keep how each stands as its state; changes are against ``today_run_id``."""
    with Ledger(home).transaction() as ledger:
        live = [item for item in ledger.intents() if item.state in LIVE]
    asked = [(item.intent_id, item.version, Intent.model_validate(dict(item.intent))) for item in live]
    look = references(runs.manifest_of(run_id, home)["scenario"].get("memory"))
    found = assure(asked, exploring.values_of(today_run_id, home), exploring.values_of(run_id, home), look)
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

"""Versions of an intent: made, moved, and what an approval asks of one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from policies.intent.check import check, conflicts
from policies.intent.compile import compile_intent
from policies.intent.interpret.reader import Site
from policies.intent.model import Finding, Intent, WindowSpec
from policies.intent.pinning import findings_of, pinned, without_design
from policies.policy import PolicySet, Schedule
from policies.study import phases
from twin import run as twin_run
from twin.memory.settings import Settings as MemorySettings
from twin.scenario import Scenario, load
from twin.stack import Phase
from twin.store import runs
from twin.store.ledger import Transaction
from twin.store.records import Approval, Decision, IntentVersion
from twin.store.records import Evidence as StoredEvidence

LIVE: Final = ("approved", "active", "met", "at_risk", "broken")


DECIDED: Final = (*LIVE, "rejected", "retired", "revised")


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
    reading = tuple(endpoint.id for endpoint in scenario.spec.serving.endpoints if endpoint.vision is not None)
    memory = getattr(scenario.spec, "memory", None) or MemorySettings()
    tenants = tuple(tenant.id for tenant in scenario.spec.workloads.negotiation.tenants)
    return Site(scenario.entities(), limits=limits, image_endpoints=reading, memory=memory, tenants=tenants)


def scenario_of(scenario: Scenario | str | Path) -> Scenario:
    """Return a scenario, read where only its name or file is given."""
    return scenario if isinstance(scenario, Scenario) else load(scenario)


def subject(version: IntentVersion) -> str:
    """Return how the trail names a version."""
    return f"{version.intent_id}/{version.version}"


def scenario_name(ledger: Transaction, intent_id: str) -> str:
    """Return the scenario that an intent was written for."""
    for entry in ledger.audit_trail(f"{intent_id}/1"):
        if entry.action == "intent.capture":
            return str(entry.detail["scenario"])
    raise ValueError(f"intent {intent_id} does not say which scenario it was written for; write it again")


def version_of(  # noqa: PLR0913 - a version has this many parts
    ledger: Transaction, intent_id: str, number: int, text: str, intent: Intent, said: Sequence[Finding], place: Scenario, actor: Actor,
    at: datetime, policy: PolicySet | None = None, parent: int | None = None,
) -> IntentVersion:  # fmt: skip
    """Return a version with its findings, its policy set and the state that follows from both."""
    others = [(item.intent_id, Intent.model_validate(dict(item.intent))) for item in ledger.intents() if item.state in LIVE]
    others = [(name, other) for name, other in others if name != intent_id]
    site = site_of(place)
    compiled = compile_intent(intent, site, name=f"{intent_id} v{number}")
    findings = [
        *said,
        *check(intent, site, others, measurable=frozenset(twin_run.READINGS), covers=covers(place)),
        *compiled.findings,
    ]
    findings = list(dict.fromkeys(findings))
    waits = any(item.severity != "info" for item in findings)
    chosen = policy if policy is not None else compiled.policy
    state = "questioned" if waits else "checked"
    dumped = chosen.model_dump(mode="json") if not intent.empty() else None
    return IntentVersion(
        intent_id, number, text, intent.json_dict(), [item.model_dump(mode="json") for item in findings], dumped,
        None if dumped is None else chosen.policy_id, state, at, actor.signature, parent,
    )  # fmt: skip


def covers(place: Scenario) -> Callable[[WindowSpec], bool]:
    """Return whether a scenario's run has any time inside a window."""
    times = np.arange(0.0, place.horizon_s, 300.0)
    return lambda spec: bool(place.clock.inside(times, spec.window()).any())


def revise(  # noqa: PLR0913 - a version has this many parts
    ledger: Transaction, before: IntentVersion, text: str, intent: Intent, said: Sequence[Finding], place: Scenario, actor: Actor,
    at: datetime, policy: PolicySet | None = None,
) -> IntentVersion:  # fmt: skip
    """Add a version that takes the place of one that nobody decided on."""
    version = version_of(ledger, before.intent_id, before.version + 1, text, intent, said, place, actor, at, policy, before.version)
    ledger.add_intent(version)
    # A version in force stays so until the new one is approved.
    if before.state not in DECIDED:
        ledger.set_state(before.intent_id, before.version, "revised", at, actor.signature)
    return version


def settle(ledger: Transaction, record_: IntentVersion, design: Mapping[str, Any], at: datetime, actor: str) -> None:
    """Write the pod that answers a version into its policy set, or the question that none does; nobody has decided on it."""
    policy = pinned(policy_of(record_), design)
    findings = [*without_design([Finding.model_validate(item) for item in record_.findings]), *findings_of(design)]
    waits = any(item.severity != "info" for item in findings)
    state = "questioned" if waits else "checked" if record_.state == "questioned" else record_.state
    dumped, told = policy.model_dump(mode="json"), [item.model_dump(mode="json") for item in findings]
    settled = replace(record_, findings=told, policy=dumped, policy_id=policy.policy_id, state=state)
    if settled != record_:
        ledger.replace_intent(settled)
        chosen = design["chosen"]
        detail = {"chosen": None if chosen is None else {"name": chosen["name"], **chosen["knobs"]}, "was": record_.policy_id}
        ledger.audit(at, actor, "intent.pin", subject(record_), {**detail, "policy_id": policy.policy_id})


def policy_of(record_: IntentVersion) -> PolicySet:
    """Return the policy set of a version; ValueError where there is nothing that can be tried."""
    if record_.policy is None:
        raise ValueError(
            f"{record_.intent_id} version {record_.version} asks for nothing that can be tried; answer its question or edit it"
        )
    if any(item.get("severity") == "block" for item in record_.findings):
        raise ValueError(f"{record_.intent_id} version {record_.version} is refused as it is written; edit it")
    return PolicySet.model_validate(dict(record_.policy))


def must_be_approvable(ledger: Transaction, record_: IntentVersion, intent: Intent, place: Scenario, note: str) -> None:
    """Raise ValueError, one line, where a version cannot be approved as it stands."""
    name = f"{record_.intent_id} version {record_.version}"
    if record_.state in DECIDED:
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


def must_be_free(ledger: Transaction, record_: IntentVersion) -> None:
    """Raise ValueError, one line, where another intent that came into force since excludes a version."""
    others = [(item.intent_id, Intent.model_validate(dict(item.intent))) for item in ledger.intents() if item.state in LIVE]
    found = conflicts(Intent.model_validate(dict(record_.intent)), [item for item in others if item[0] != record_.intent_id])
    if found:
        raise ValueError(
            f"{record_.intent_id} version {record_.version} would come back into force, but {found[0].text} Or retire {record_.intent_id}"
        )


def evidence_for(ledger: Transaction, home: Path, record_: IntentVersion, place: Scenario) -> StoredEvidence:
    """Return the newest evidence that running this very policy set on the scenario, as both and the code are now, would give."""
    policy = policy_of(record_)
    decided = phases(Schedule.of(policy), place)
    for shown in reversed(ledger.evidence(record_.intent_id, record_.version)):
        if shown.candidate_run_ids and all(ran(run_id, home, place, decided) for run_id in shown.candidate_run_ids):
            return shown
    raise ValueError(
        f"{record_.intent_id} version {record_.version} has no evidence from a run of policy {policy.policy_id} on scenario {place.name} "
        "as they are now; try it on the twin first"
    )


def ran(run_id: str, home: Path, place: Scenario, decided: Sequence[Phase]) -> bool:
    """Return whether a stored run answers the question that a policy set and a scenario pose now: same inputs, same code, whole span."""
    if not runs.exists(run_id, home):
        return False
    return twin_run.run_id_of(place, decided, int(runs.manifest_of(run_id, home)["seed"])) == run_id


def decide(ledger: Transaction, record_: IntentVersion, decision: Decision, actor: Actor, at: datetime, note: str) -> None:
    """Keep one decision."""
    ledger.add_approval(
        Approval(record_.intent_id, record_.version, actor.name, actor.role, decision, note[:400], record_.policy_id or "", at)
    )


def moved(ledger: Transaction, record_: IntentVersion, state: str, actor: Actor, at: datetime) -> IntentVersion:
    """Move a version to another state and return it."""
    ledger.set_state(record_.intent_id, record_.version, state, at, actor.signature)
    return ledger.intent(record_.intent_id, record_.version)


def live(ledger: Transaction, intent_id: str, version: int | None) -> IntentVersion:
    """Return the version in force; ValueError where none is."""
    live = [item for item in ledger.intents(intent_id) if item.state in LIVE and version in {None, item.version}]
    if not live:
        raise ValueError(
            f"intent {intent_id}{'' if version is None else f' version {version}'} is not in force; there is nothing to roll back"
        )
    return live[-1]

"""The plans that answer a request about jobs: the front, and the best."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from policies import catalogue
from policies.intent import versions
from policies.intent.model import Finding
from policies.intent.plans import PLAN
from policies.policy import Held, PolicySet
from policies.system import Knobs
from twin.scenario import Scenario
from twin.store.ledger import Ledger, Transaction
from twin.store.records import IntentVersion
from twin.workflows.levers import PlanObservation
from twin.workflows.model import Model
from twin.working import site_of

# What an option is compared by, in the order in which it is told.
COMPARED: Final = (
    "workflows.makespan_p50_s",
    "workflows.energy_j_per_job",
    "workflows.cost_usd_per_job",
    "workflows.quality_min_share",
)
_NONE: Final = "No plan keeps every bound for "


def asks_for_plan(policy: PolicySet) -> bool:
    """Return whether somebody who can tell plans beforehand plans the jobs of a policy set."""
    return any(catalogue.card(held.system).answer is not None for held in policy.levers.get(PLAN, ()))


def planned(scenario: Scenario, policy: PolicySet) -> list[dict[str, Any]]:
    """Return for each workflow that is planned the plans that none beats in its busiest epoch, as plain values.

    Each has ``workflow``, ``system``, ``t_s`` (when that epoch begins) and what ``Answer.told`` says. ``chosen`` is None where no plan
    keeps every bound: ``why`` names the one that binds. Plans are made alone on an idle site; a run plans anew each epoch.
    """
    if not asks_for_plan(policy) or not scenario.spec.workflows.workflows:
        return []
    catalogue.check(policy, scenario.entities())
    knobs = catalogue.knobs_of(policy)
    found, taken = [], set()
    for held in policy.levers[PLAN]:
        mine = [name for name in _of(held, scenario) if name not in taken]
        taken |= set(mine)
        answer = catalogue.card(held.system).answer
        if answer is None:
            continue
        for name in mine:
            seen = busiest(scenario, name)
            told = answer(_for(knobs[held.system], name), seen).told()
            found.append({"lever": PLAN, "system": held.system, "workflow": name, "t_s": seen.t_s, **told})
    return found


def busiest(scenario: Scenario, workflow: str) -> PlanObservation:
    """Return what a planner sees in the epoch in which most jobs of a workflow are expected, on an idle site."""
    settings = scenario.spec.workflows
    functions = tuple(each.id for each in scenario.spec.functions.functions)
    model = Model(settings, site_of(scenario, functions), scenario.clock, scenario.horizon_s, scenario.seed)
    seen = []
    for t_s in np.arange(0.0, scenario.horizon_s, settings.epoch_s):
        model.t_s = float(t_s)
        seen.append(model.observe())
    return max(seen, key=lambda each: next(one.rate_per_h for one in each.demanded if one.workflow == workflow))


def findings_of(plans: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Return a question for each workflow of which no plan keeps every bound."""
    return [
        Finding(severity="question", about=PLAN, text=f"{_NONE}{each['workflow']}: {each['why'][:300]}. Which bound gives way?")
        for each in plans
        if each["chosen"] is None
    ]


def without_plans(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings less those of ``findings_of``."""
    return [item for item in findings if item.about != PLAN or not item.text.startswith(_NONE)]


def _of(held: Held, scenario: Scenario) -> tuple[str, ...]:
    """Return the workflows that a holder plans."""
    return tuple(spec.id for spec in held.scope) or scenario.entities()["workflow"]


def _for(knobs: Knobs, workflow: str) -> Knobs:
    """Return knobs that ask for one workflow's plans under all its bounds: those of some hours, too."""
    always = tuple(target.model_copy(update={"from_hour": None, "to_hour": None, "days": ()}) for target in knobs.targets)
    return knobs.model_copy(update={"targets": always, "workflow": workflow})


def kept(home: Path, intent_id: str, version: int | None, *, actor: str, at: datetime) -> list[dict[str, Any]]:
    """Return the plans that answer an intent; that none keeps every bound is written into its findings, and keeps it from approval."""
    with Ledger(home).transaction() as ledger:
        record = ledger.intent(intent_id, version)
        place = versions.scenario_of(versions.scenario_name(ledger, intent_id))
    found = planned(place, versions.policy_of(record))
    with Ledger(home).transaction() as ledger:
        now = ledger.intent(intent_id, record.version)
        if now == record and now.state not in versions.DECIDED:
            _ask(ledger, now, findings_of(found), at, actor)
    return found


def _ask(ledger: Transaction, record: IntentVersion, asked: Sequence[Finding], at: datetime, actor: str) -> None:
    """Write questions on plans into a version's findings, in the place of those before."""
    findings = [*without_plans([Finding.model_validate(item) for item in record.findings]), *asked]
    waits = any(item.severity != "info" for item in findings)
    state = "questioned" if waits else "checked" if record.state == "questioned" else record.state
    settled = replace(record, findings=[item.model_dump(mode="json") for item in findings], state=state)
    if settled != record:
        ledger.replace_intent(settled)
        detail = {"asked": [item.text for item in asked]}
        ledger.audit(at, actor, "intent.plan", versions.subject(record), detail)

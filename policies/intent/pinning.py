"""The one pod that a policy set builds, written into its knobs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from policies import catalogue
from policies.intent.model import Finding, Intent
from policies.policy import PolicySet
from twin.units import show

LEVER: Final = "pod_topology"
_NONE: Final = "No pod "
_PINNED: Final = " is written into the policy set"
# Knobs that say which pod is taken and how large its devices are: they turn nothing once both are written down.
_OF_CHOICE: Final = ("prefer", "headroom_share")


def asks_for_design(policy: PolicySet | Mapping[str, Any]) -> bool:
    """Return whether a policy set builds something that can be told before it is run: a pod, by whomever it is designed."""
    if isinstance(policy, PolicySet):
        names = [held.system for held in policy.levers.get(LEVER, ())]
    else:
        names = [str(held["system"]) for held in policy.get("levers", {}).get(LEVER, ())]
    return bool(names) and names != [catalogue.levers()[LEVER].baseline]


def pinned(policy: PolicySet, design: Mapping[str, Any] | None) -> PolicySet:
    """Return a policy set with the chosen pod and the size of its devices in its knobs: every seed and run builds that one.

    It is left as it is where nothing was chosen.
    """
    return policy if design is None or design["chosen"] is None else taking(policy, design["chosen"])


def taking(policy: PolicySet, option: Mapping[str, Any]) -> PolicySet:
    """Return a policy set with one option of a design written into its knobs, in the place of any other."""
    return _with(policy, option["knobs"])


def loosened(policy: PolicySet, intent: Intent | None = None) -> PolicySet:
    """Return a policy set whose holder chooses the pod anew; what the intent itself names stays."""
    named = {} if intent is None else intent.settings.get(LEVER, {})
    return _with(policy, {knob: value for knob, value in named.items() if knob != "system"}) if asks_for_design(policy) else policy


def pins(policy: PolicySet) -> bool:
    """Return whether a policy set says which pod is built and how large its devices are, so that every run builds the same."""
    if not asks_for_design(policy):
        return False
    card = catalogue.card(policy.levers[LEVER][0].system)
    knobs, default = catalogue.knobs_of(policy)[card.id], card.knobs()
    return bool(card.pins) and all(getattr(knobs, knob) != getattr(default, knob) for knob in card.pins)


def as_built(policy: PolicySet) -> str:
    """Return what decides behaviour as text, less the knobs that turn nothing because the pod is written down."""
    levers = policy.canonical()
    if pins(policy):
        system = policy.levers[LEVER][0].system
        for held in (held for stack in levers.values() for held in stack if held["system"] == system):
            held["knobs"] = {knob: value for knob, value in held["knobs"].items() if knob not in _OF_CHOICE}
    return json.dumps(levers, sort_keys=True)


def findings_of(design: Mapping[str, Any] | None) -> list[Finding]:
    """Return what an operator must know of a design: what the policy set now holds, or that there is none, which is a question."""
    if design is None:
        return []
    chosen = design["chosen"]
    if chosen is None:
        near = bool(design["nearest"])
        text = f"{_NONE}{'keeps every bound, so none is built' if near else 'is built'}: {design['why']}"
        return [
            Finding(severity="question", about=LEVER, text=f"{text[:360]}. {'Which bound gives way?' if near else 'Which else is meant?'}")
        ]
    each = sorted(chosen["knobs"].get("device_bytes", ()))
    sizes = " to ".join(dict.fromkeys(show(size, "x_bytes") for size in (*each[:1], *each[-1:])))
    text = f"{chosen['name']} with devices of {sizes}{_PINNED}: every seed and run builds this one."
    return [Finding(severity="info", about=LEVER, text=text)]


def without_design(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings less those of ``findings_of``."""
    return [item for item in findings if item.about != LEVER or not (_PINNED in item.text or _asks(item))]


def _asks(finding: Finding) -> bool:
    return finding.severity == "question" and finding.text.startswith(_NONE)


def _with(policy: PolicySet, knobs: Mapping[str, Any]) -> PolicySet:
    """Return a policy set whose designer of pods has these knobs in the place of those that pin a design."""
    system = policy.levers[LEVER][0].system
    gone, told = catalogue.card(system).pins, policy.model_dump()
    for lever, stack in told["levers"].items():
        for held in (held for held in stack if held["system"] == system):
            kept = {knob: value for knob, value in held["knobs"].items() if knob not in gone}
            held["knobs"] = {**kept, **(knobs if lever == LEVER else {})}
    return PolicySet.model_validate(told)

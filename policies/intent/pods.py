"""An intent that asks for a pod: who designs it, what it may cost."""

from collections.abc import Sequence
from typing import Final

from policies import catalogue
from policies.intent.interpret.reader import Site
from policies.intent.model import Finding, Intent
from policies.intent.readback import bound_words
from policies.intent.references import AGAINST, unpriced
from policies.policy import Held, PolicySet
from policies.system import System
from twin.metrics import METRICS
from twin.units import show

_TOPOLOGY: Final = "pod_topology"
_ALLOCATION: Final = "pool_allocation"
# Objective -> what a designer of pods prefers among the designs that keep every bound.
_PREFERRED: Final = {
    ("memory.cost_usd_per_host", "minimize"): "cost",
    ("memory.dram_saving_share", "maximize"): "saving",
    ("memory.pod_hosts", "maximize"): "hosts",
}


def designing(card: System, served: Sequence[str]) -> bool:
    """Return whether a card is asked to design something: it answers with a design, and a metric of what it builds is wanted."""
    return card.answer is not None and any(metric in card.enforces for metric in served)


def preferring(policy: PolicySet, intent: Intent) -> PolicySet:
    """Tell who designs a pod which of those that keep the bounds is wanted: the objective, where it is one of a pod."""
    wanted = None if intent.objective is None else _PREFERRED.get((intent.objective.metric, intent.objective.sense))
    stack = policy.levers.get(_TOPOLOGY, ())
    chosen = tuple(
        held.model_copy(update={"knobs": {"prefer": wanted, **held.knobs}})
        if wanted is not None and "prefer" in catalogue.card(held.system).knobs.model_fields
        else held
        for held in stack
    )
    return policy if chosen == stack else policy.model_copy(update={"levers": {**policy.levers, _TOPOLOGY: chosen}})


def other_pods(policy: PolicySet, intent: Intent) -> list[PolicySet]:
    """Return a policy set with its pod designed by each of the others who can, unless somebody was chosen by name.

    The plain pods stand beside the one that was searched for: what a search is worth is what they do not reach.
    """
    stack = policy.levers.get(_TOPOLOGY, ())
    default = catalogue.levers()[_TOPOLOGY].baseline
    if not stack or _TOPOLOGY in intent.settings or [held.system for held in stack] == [default]:
        return []
    mine = {held.system for held in stack}
    found = []
    for card in catalogue.holders_of(_TOPOLOGY):
        if card.id in mine or card.id == default:
            continue
        # Knobs belong to the system and stand on the first lever that it holds: they go along to the next one.
        levers = {lever: _with_knobs(holders, stack) for lever, holders in policy.levers.items()} | {_TOPOLOGY: (Held(system=card.id),)}
        found.append(PolicySet(name=f"{policy.name[:50]}: {card.name}"[:80], levers=levers))
    return found


def _with_knobs(stack: Sequence[Held], former: Sequence[Held]) -> tuple[Held, ...]:
    """Return holders with the knobs that they had on the lever that others take over, less those that name a pod."""
    known = {
        held.system: {knob: value for knob, value in held.knobs.items() if knob not in catalogue.card(held.system).pins} for held in former
    }
    return tuple(held.model_copy(update={"knobs": {**known.get(held.system, {}), **held.knobs}}) for held in stack)


def held_against(intent: Intent, site: Site) -> list[Finding]:
    """Tell what a change is held against where that is not today's policy, with its value and the bound that follows."""
    found = []
    for wish in intent.expectations:
        if not wish.relative or wish.metric not in AGAINST:
            continue
        reference = site.references(wish.metric)
        if reference is None:
            text = f"{METRICS[wish.metric].label} cannot be held against {AGAINST[wish.metric]}: {unpriced(site.memory)}"
            found.append(Finding(severity="question", about=wish.metric, text=text[:400]))
            continue
        bound = bound_words(wish.model_copy(update={"value": reference.value * (1.0 + wish.value), "relative": False}))
        text = f"At the prices of {site.memory.prices} {reference.words} costs {show(reference.value, wish.metric)} per host: {bound} here."
        found.append(Finding(severity="info", about=wish.metric, text=text))
    return found


def filling(levers: dict[str, list[Held]], reasons: dict[str, str]) -> None:
    """Let who was named to design the pod fill it, too, or tell them that another does: what they predict hangs on it."""
    if not levers.get(_TOPOLOGY):
        return
    named = levers[_TOPOLOGY][0]
    card = catalogue.card(named.system)
    if card.answer is None or _ALLOCATION not in card.levers:
        return
    if _ALLOCATION not in levers:
        levers[_ALLOCATION] = [Held(system=card.id)]
        reasons[_ALLOCATION] = f"{card.name} fills the pod that it designs"
    elif "migrate" in card.knobs.model_fields and levers[_ALLOCATION][0].system != card.id:
        levers[_TOPOLOGY] = [named.model_copy(update={"knobs": {"migrate": False, **named.knobs}})]


def nothing_pooled(policy: PolicySet) -> list[Finding]:
    """Tell where somebody is to fill a pool that nobody builds."""
    if "pool_allocation" not in policy.levers or any(held.system != "none" for held in policy.levers.get(_TOPOLOGY, ())):
        return []
    text = "No pod stands today and none is asked for: there is nothing to allocate on until the request says what to build."
    return [Finding(severity="info", about=_TOPOLOGY, text=text)]

"""Policy sets worth trying: other holders, and their knobs nearby."""

from collections.abc import Sequence
from itertools import product
from math import ceil
from typing import Any, Final

from policies import catalogue
from policies.intent.compile import composed
from policies.intent.holders import Given, able, concerned, everywhere, suits, wanted
from policies.intent.interpret.reader import Site
from policies.intent.model import Intent
from policies.intent.pods import other_pods
from policies.policy import PolicySet
from policies.system import System

# What is tried around a policy set beside what stands there: system -> knob -> values, the most telling first.
GRID: Final[dict[str, dict[str, tuple[Any, ...]]]] = {
    "reactive": {"floor_share": (0.25, 0.5, 0.7), "release_order": ("hottest", "slowest", "last"), "outstanding_target": (24.0, 16.0)},
    "aladdin": {"peak_factor": (1.3, 1.8), "gamma": (0.8, 0.6), "cool_down_s": (600.0, 1800.0)},
    "modserve": {"headroom_share": (0.5, 1.5), "cool_down_s": (600.0, 1800.0), "split_decode": (False, True)},
    "prefill_decode": {"prefill_share": (0.5, 0.3, 0.7)},
    "octopus": {"prefer": ("saving", "cost", "hosts"), "headroom_share": (0.02, 0.1), "migrate": (False,)},
    "fully_connected": {"headroom_share": (0.02, 0.1)},
    "switch": {"headroom_share": (0.02, 0.1)},
    "tapas": {"temperature_margin_c": (1.5, 3.0), "routing_margin_c": (2.5, 5.0), "lowest_clock_share": (0.55, 0.4)},
}
# Knobs of whoever designs the pod: they turn nothing where somebody else does.
_OF_TOPOLOGY: Final = ("prefer",)
# The share of the tries that goes to who holds the levers; the rest goes to the knobs of those that did best.
_KINDS_SHARE: Final = 0.6


def contenders(intent: Intent, policy: PolicySet, site: Site, tries: int) -> list[PolicySet]:
    """Return a policy set and the same one with other holders, one of each kind, those made for their endpoints first.

    Guards and what was chosen by name stay. Endpoints of text and endpoints of images are dealt to all who serve a metric
    that the intent wants better there, text and images each on their own.
    """
    most = max(1, ceil(_KINDS_SHARE * tries))
    base = _without_holders(policy, intent)
    pools = [_pool(intent, site, images) for images in (False, True)]
    out = [policy, *other_pods(policy, intent)][:most]
    if not any(pools):
        return out
    seen = {kind_words(item) for item in out}
    sides: list[list[System | None]] = [[*pool] or [None] for pool in pools]
    places = sorted(product(*(range(len(side)) for side in sides)), key=lambda place: (sum(place), place[::-1]))
    for place in places:
        cards = [side[index] for side, index in zip(sides, place, strict=True)]
        chosen = _dealt(intent, site, cards)
        tried = composed(intent, chosen, base)
        words = kind_words(tried)
        if words not in seen and len(out) < most:
            seen.add(words)
            out.append(tried.model_copy(update={"name": _named(policy.name, kind_words(tried, site))}))
    return out


def kind_words(policy: PolicySet, site: Site | None = None) -> str:
    """Return who decides over endpoints, and where; the guards where nobody but them holds anything.

    Where a ``site`` is given, all of its endpoints of text and all of its images are called so.

    >>> from policies.policy import Held
    >>> kind_words(PolicySet(levers={"instance_scaling": (Held(system="reactive"),)}))
    'reactive scaling'
    """
    places: dict[str, set[tuple[str, ...]]] = {}
    for lever, stack in policy.levers.items():
        for held in stack:
            if catalogue.card(held.system).levers[lever] == "holder":
                places.setdefault(held.system, set()).add(tuple(spec.id for spec in held.scope))
    if not places:
        return " + ".join(dict.fromkeys(catalogue.card(held.system).name for stack in policy.levers.values() for held in stack)) or "today"
    return ", ".join(_place_words(system, found, site) for system, found in sorted(places.items()))


def neighbours(best: Sequence[PolicySet], tried: Sequence[PolicySet], count: int) -> list[PolicySet]:
    """Return so many neighbours of the best policy sets, in turn and none twice, the best one's first."""
    seen = {item.policy_id for item in tried}
    near = [[item for item in variants(policy, count + 1)[1:] if item.policy_id not in seen] for policy in best]
    out: list[PolicySet] = []
    for step in range(count):
        for side in near:
            if step < len(side) and len(out) < count and side[step].policy_id not in {item.policy_id for item in out}:
                out.append(side[step])
    return out


def variants(policy: PolicySet, count: int) -> list[PolicySet]:
    """Return the policy set itself and its neighbours on the knob grid, the fewest changes first."""
    axes = [
        (system, knob, _values(policy, system, knob, values))
        for system, knobs in GRID.items()
        if any(held.system == system for stack in policy.levers.values() for held in stack)
        for knob, values in knobs.items()
        if knob not in _OF_TOPOLOGY or any(held.system == system for held in policy.levers.get("pod_topology", ()))
    ]
    places = sorted(product(*(range(len(values)) for _, _, values in axes)), key=lambda place: (sum(p > 0 for p in place), place[::-1]))
    out = [policy]
    for place in places[1:count]:
        changed = {(system, knob): values[step] for (system, knob, values), step in zip(axes, place, strict=True) if step}
        out.append(_with(policy, changed))
    return out


def _pool(intent: Intent, site: Site, images: bool) -> list[System]:
    """Return who could be given the endpoints of images, or of text: systems before baselines, those made for them first."""
    found: dict[str, System] = {}
    for metric in wanted(intent):
        there = [name for name in concerned(intent, metric, site) if (name in site.image_endpoints) == images]
        found |= {card.id: card for card in able(metric) if any(suits(card, name, site) for name in there)}
    stages = {card.id: "stage_layout" in card.levers for card in found.values()}
    return sorted(found.values(), key=lambda card: (card.paper is None, stages[card.id] != images, card.id))


def _dealt(intent: Intent, site: Site, cards: Sequence[System | None]) -> list[Given]:
    """Return the cards with their endpoints: the first is for text, the second for images."""
    metrics = wanted(intent)
    mine: dict[str, set[str]] = {}
    for images, card in enumerate(cards):
        for metric in metrics if card is not None else ():
            if card is not None and metric in card.serves:
                there = {name for name in concerned(intent, metric, site) if (name in site.image_endpoints) == bool(images)}
                mine.setdefault(card.id, set()).update(there)
    return [
        Given(catalogue.card(name), tuple(metric for metric in metrics if metric in catalogue.card(name).serves), everywhere(there, site))
        for name, there in sorted(mine.items(), key=lambda item: not everywhere(item[1], site))
        if there
    ]


def _without_holders(policy: PolicySet, intent: Intent) -> PolicySet:
    """Return a policy set with its guards, its emergency holders and what was chosen by name."""
    levers = {
        lever: tuple(held for held in stack if catalogue.card(held.system).levers[lever] == "guard" or not _by_window(lever))
        if lever not in intent.settings
        else stack
        for lever, stack in policy.levers.items()
    }
    return policy.model_copy(update={"levers": {lever: stack for lever, stack in levers.items() if stack}})


def _by_window(lever: str) -> bool:
    return catalogue.levers()[lever].domain == "serving"


def _place_words(system: str, places: set[tuple[str, ...]], site: Site | None) -> str:
    name = catalogue.card(system).name
    where = tuple(dict.fromkeys(endpoint for place in sorted(places) for endpoint in place))
    images = () if site is None else site.image_endpoints
    text = () if site is None else tuple(endpoint for endpoint in site.entities.get("endpoint", ()) if endpoint not in images)
    known = {frozenset(images): "images", frozenset(text): "text"}
    return name if () in places else f"{name} on {known.get(frozenset(where), ', '.join(where))}"


def _values(policy: PolicySet, system: str, knob: str, values: Sequence[Any]) -> tuple[Any, ...]:
    now = next(
        (item.knobs[knob] for stack in policy.levers.values() for item in stack if item.system == system and knob in item.knobs), None
    )
    # A knob that is not written stands at its default.
    first = getattr(catalogue.card(system).knobs(), knob) if now is None else now
    return (first, *(value for value in values if value != first))


def _with(policy: PolicySet, changed: dict[tuple[str, str], Any]) -> PolicySet:
    """Return a policy set with knobs changed; a system's knobs are written on the first lever that it holds."""
    levers, written = {}, set()
    words = ", ".join(f"{knob.replace('_', ' ')} {value}" for (_, knob), value in changed.items())
    for lever, stack in policy.levers.items():
        new = []
        for held in stack:
            knobs = {knob: changed.get((held.system, knob), value) for knob, value in held.knobs.items()}
            if held.system not in written:
                knobs |= {knob: value for (system, knob), value in changed.items() if system == held.system}
                written.add(held.system)
            new.append(held.model_copy(update={"knobs": knobs}))
        levers[lever] = tuple(new)
    return PolicySet(name=_named(policy.name, words), levers=levers)


def _named(name: str, words: str) -> str:
    """Return a name of at most 80 characters that keeps what was changed."""
    return f"{name[: max(1, 78 - len(words))]}: {words}"[:80]

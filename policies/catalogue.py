"""Finds the systems and baselines, and holds policy sets against them."""

import pkgutil
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, NoReturn

from pydantic import ValidationError

from policies.policy import Held, PolicySet
from policies.system import Knobs, System
from twin.metrics import METRICS
from twin.stack import AFTERWARDS, Lever

Entities = Mapping[str, tuple[str, ...]]
# What the world can tell apart when it asks the holders of a domain's levers; a scope of another kind would decide nowhere.
_SCOPES_OF: Final = {
    "plant": ("row", "rack", "server"),
    "serving": ("endpoint", "row", "rack", "server"),
    "workloads": ("workload", "endpoint"),
    "workflows": ("workflow",),
}
_SCOPES_OF_LEVER: Final = {"capacity": ("row",)}


@cache
def levers() -> Mapping[str, Lever]:
    """Return every lever that the twin declares, by name, in the order of its domains."""
    found: dict[str, Lever] = {}
    for domain in _domains():
        found |= {lever.name: lever for lever in import_module(f"twin.{domain}.levers").LEVERS}
    return found


@cache
def systems() -> Mapping[str, System]:
    """Return the card of every folder under ``policies/systems``, by id."""
    package = import_module("policies.systems")
    names = sorted(item.name for item in pkgutil.iter_modules(package.__path__) if item.ispkg)
    cards = [import_module(f"policies.systems.{name}").SYSTEM for name in names]
    return {card.id: card for card in cards}


@cache
def baselines() -> Mapping[str, System]:
    """Return the plain holders, one module per domain of the twin, by id."""
    found: dict[str, System] = {}
    for domain in _domains():
        if find_spec(f"policies.baselines.{domain}") is not None:
            found |= {card.id: card for card in import_module(f"policies.baselines.{domain}").BASELINES}
    return found


def cards() -> Mapping[str, System]:
    """Return systems and baselines together, by id."""
    return {**systems(), **baselines()}


def card(system_id: str) -> System:
    """Return the card of a system or baseline; raises ValueError with the nearest name."""
    known = cards()
    if system_id not in known:
        raise ValueError(f"system {system_id!r} is unknown; {_nearest(system_id, known)}")
    return known[system_id]


def holders_of(lever: str) -> tuple[System, ...]:
    """Return the systems and baselines that can hold a lever, the default baseline first."""
    default = _lever(lever).baseline
    able = [item for item in cards().values() if lever in item.levers]
    return tuple(sorted(able, key=lambda item: (item.id != default, item.paper is None, item.id)))


def knobs_of(policy_set: PolicySet) -> dict[str, Knobs]:
    """Return the knobs of each system in a policy set; one object of a system decides wherever it holds a lever.

    Raises ValueError for an unknown knob, a value out of bounds, or two values for one knob.
    """
    given: dict[str, dict[str, Any]] = {}
    places: dict[tuple[str, str], str] = {}
    for lever, stack in policy_set.levers.items():
        for held in stack:
            mine = given.setdefault(held.system, {})
            for knob, value in held.knobs.items():
                if knob in mine and mine[knob] != value:
                    first = places[held.system, knob]
                    raise ValueError(
                        f"policy {policy_set.name!r}: {held.system}.{knob} is {mine[knob]!r} in {first} and {value!r} in {lever}; "
                        "a system has one set of knobs per policy set, give it one value"
                    )
                mine[knob] = value
                places.setdefault((held.system, knob), lever)
    return {system: _knobs(policy_set.name, card(system), values) for system, values in given.items()}


def scopes_of(lever: str, system: str) -> tuple[str, ...]:
    """Return the kinds of scope that a system can be held to on a lever.

    A compiled holder is chosen per endpoint, so a place would widen silently to every endpoint that has an instance there;
    its guards work instance by instance and may be held to a place. Pods are one design for the whole site: no scope at all.
    """
    known = levers()[lever]
    if known.domain in _SCOPES_OF and known.kind == "compiled" and card(system).levers[lever] == "holder":
        return ("endpoint",)
    return _SCOPES_OF_LEVER.get(lever, _SCOPES_OF.get(known.domain, ()))


def check(policy_set: PolicySet, entities: Entities) -> None:
    """Raise ValueError, one line with place and remedy, unless the twin can run this policy set.

    ``entities`` gives the known ids of each scope kind, as ``Scenario.entities()`` does.
    """
    for lever, stack in policy_set.levers.items():
        if lever not in levers():
            raise ValueError(f"policy {policy_set.name!r}: lever {lever!r} is unknown; {_nearest(lever, levers())}")
        for held in stack:
            place = f"policy {policy_set.name!r}: {lever}"
            if held.system not in cards():
                raise ValueError(f"{place}: system {held.system!r} is unknown; {_nearest(held.system, cards())}")
            if lever not in card(held.system).levers:
                able = ", ".join(item.id for item in holders_of(lever))
                raise ValueError(f"{place}: {held.system} cannot hold {lever}; it is held by one of {able}")
            for spec in held.scope:
                _known_entity(place, spec.kind, spec.id, entities)
                kinds = scopes_of(lever, held.system)
                if spec.kind not in kinds:
                    remedy = f"a scope here is {', '.join(kinds)}" if kinds else "this lever is held everywhere, leave the scope out"
                    raise ValueError(f"{place}: {held.system} cannot be held to {spec.kind} {spec.id}; {remedy}")
    _check_rest(policy_set)
    for system, knobs in knobs_of(policy_set).items():
        for target in knobs.targets:
            place = f"policy {policy_set.name!r}: {system}.targets"
            if target.metric not in METRICS:
                raise ValueError(f"{place}: metric {target.metric!r} is unknown; {_nearest(target.metric, METRICS)}")
            for spec in target.scope:
                _known_entity(place, spec.kind, spec.id, entities)


def _check_rest(policy_set: PolicySet) -> None:
    """Refuse a scoped holder whose knobs would reach beyond its scope, because the rest falls to the same system."""
    knobs = knobs_of(policy_set)
    for lever, stack in policy_set.levers.items():
        everywhere = [held.system for held in stack if not held.scope and card(held.system).levers[lever] == "holder"]
        rest = everywhere[0] if everywhere else levers()[lever].baseline
        scoped = next((held for held in stack if held.scope and held.system == rest), None)
        if scoped is not None and knobs[rest].model_copy(update={"targets": ()}) != card(rest).knobs():
            where = ", ".join(spec.id for spec in scoped.scope)
            raise ValueError(
                f"policy {policy_set.name!r}: {lever}: {rest} also holds what lies outside {where}, and a system has one set of knobs; "
                "leave the scope or the knobs out, or let another system hold the rest"
            )


def complete(policy_set: PolicySet) -> PolicySet:
    """Return the policy set with every lever of the twin held everywhere and every knob written out.

    A stack without an unscoped deciding holder (one of guards only, or of scoped holders) ends in the lever's baseline.
    """
    whole: dict[str, tuple[Held, ...]] = {}
    for name, lever in levers().items():
        stack = policy_set.levers.get(name, ())
        if not any(card(held.system).levers.get(name) == "holder" and not held.scope for held in stack):
            stack = (*stack, Held(system=lever.baseline))
        whole[name] = stack
    finished = PolicySet(name=policy_set.name, levers=whole)
    knobs = knobs_of(finished)
    return PolicySet(
        name=policy_set.name,
        levers={
            name: tuple(Held(system=held.system, scope=held.scope, knobs=knobs[held.system].model_dump(mode="json")) for held in stack)
            for name, stack in whole.items()
        },
    )


def as_run(policy_set: PolicySet) -> PolicySet:
    """Return the complete policy set as a run has it and its manifest writes it: who looks into it afterwards is no part of a run."""
    whole = complete(policy_set)
    return PolicySet(name=whole.name, levers={name: stack for name, stack in whole.levers.items() if levers()[name].kind != AFTERWARDS})


def describe(policy_set: PolicySet, against: PolicySet) -> list[str]:
    """Return how a policy set differs from another one in words, one line per changed lever."""
    mine, other = complete(policy_set), complete(against)
    return [
        f"{levers()[name].meaning}: {_stack_words(name, policy_set, new)}, instead of {_stack_words(name, against, old)}"
        for name, (new, old) in mine.difference(other).items()
    ]


def _stack_words(lever: str, policy_set: PolicySet, stack: tuple[Held, ...]) -> str:
    merged: dict[str, dict[str, Any]] = {}
    for held in (held for held_stack in policy_set.levers.values() for held in held_stack):
        merged.setdefault(held.system, {}).update(held.knobs)
    return ", then ".join(_held_words(lever, held, merged.get(held.system, {})) for held in stack)


def _held_words(lever: str, held: Held, chosen: Mapping[str, Any]) -> str:
    system = card(held.system)
    text = system.name
    if system.levers[lever] == "guard":
        text += " as guard"
    if held.scope:
        text += " for " + ", ".join(spec.id for spec in held.scope)
    words = [f"{name} {_value_words(value, name)}" for name, value in sorted(chosen.items()) if name != "targets"]
    words += [target_words(target.model_dump(mode="json")) for target in system.knobs.model_validate(dict(chosen)).targets]
    return f"{text} ({'; '.join(words)})" if words else text


def target_words(target: Mapping[str, Any]) -> str:
    """Return a typed target as a phrase.

    >>> target_words({"metric": "plant.gpu_temp_max_c", "op": "<=", "bound": 80.0, "scope": [], "from_hour": 12.0, "to_hour": 18.0})
    'keeps hottest GPU at most 80.0\\xa0°C from 12:00 to 18:00'
    """
    from twin.units import show

    label = METRICS[target["metric"]].label if target["metric"] in METRICS else target["metric"]
    text = f"keeps {label} {'at most' if target['op'] == '<=' else 'at least'} {show(target['bound'], target['metric'])}"
    if target.get("scope"):
        text += " in " + ", ".join(spec["id"] for spec in target["scope"])
    hours = [target.get("from_hour"), target.get("to_hour")]
    if hours != [None, None]:
        begin, end = (0.0 if hours[0] is None else hours[0]), (24.0 if hours[1] is None else hours[1])
        text += f" from {_clock_words(begin)} to {_clock_words(end)}"
    return text


def _clock_words(hour: float) -> str:
    minutes = round(hour * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _value_words(value: object, name: str) -> str:
    if isinstance(value, tuple | list):
        # One size for each of many pods: from which to which.
        ends = sorted(value) if len(value) > 4 else value
        shown = [ends[0], ends[-1]] if len(value) > 4 else ends
        return (" to " if len(value) > 4 else ", ").join(dict.fromkeys(_value_words(each, name) for each in shown)) or "none"
    if name.endswith("_bytes") and isinstance(value, int):
        from twin.units import show

        return show(value, name)
    return f"{value:g}" if isinstance(value, float) else str(value)


@cache
def _domains() -> tuple[str, ...]:
    twin = import_module("twin")
    names = sorted(item.name for item in pkgutil.iter_modules(twin.__path__) if item.ispkg)
    return tuple(name for name in names if find_spec(f"twin.{name}.levers") is not None)


def _lever(name: str) -> Lever:
    if name not in levers():
        raise ValueError(f"lever {name!r} is unknown; {_nearest(name, levers())}")
    return levers()[name]


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"it is one of {', '.join(names[:12])}"


def _known_entity(place: str, kind: str, entity_id: str, entities: Entities) -> None:
    ids = entities.get(kind, ())
    if entity_id not in ids:
        remedy = _nearest(entity_id, ids) if ids else f"the scenario has no {kind}"
        raise ValueError(f"{place}: {kind} {entity_id!r} is unknown; {remedy}")


def _knobs(policy_name: str, system: System, values: Mapping[str, Any]) -> Knobs:
    for name in values:
        if name not in system.knobs.model_fields:
            _refuse(policy_name, system.id, f"knob {name!r} is unknown; {_nearest(name, system.knobs.model_fields)}")
    try:
        return system.knobs.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        # What a system says of its own knobs stands as it was written.
        said = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"].lower()
        _refuse(policy_name, system.id, f"{where} = {first['input']!r}: {said}")


def _refuse(policy_name: str, system_id: str, what: str) -> NoReturn:
    raise ValueError(f"policy {policy_name!r}: {system_id}: {what}")

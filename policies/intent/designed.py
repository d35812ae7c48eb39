"""The design that answers a request: worked out once, kept in the store."""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from policies import catalogue, study
from policies.intent.pinning import LEVER, asks_for_design, loosened
from policies.intent.references import POD_COST
from policies.policy import PolicySet
from policies.system import Answer, Option
from twin.memory import figures
from twin.scenario import Scenario
from twin.sources import code_hash

_HOSTS: Final = "memory.pod_hosts"
_LATENCY: Final = "memory.access_latency_s"
# What an option is compared by, in the order in which it is told.
COMPARED: Final = (_HOSTS, POD_COST, "memory.dram_saving_share", _LATENCY, "memory.migrated_bytes")


def designed(scenario: Scenario, policy: PolicySet, seed: int, home: Path | None = None) -> dict[str, Any] | None:
    """Return what a policy set would build on a scenario's site, as plain values; None where it builds nothing.

    ``chosen`` is None where nothing keeps every bound: ``why`` says which one binds and ``nearest`` what comes closest. With a
    ``home`` the answer is kept there, under the hash of its question.
    """
    if not asks_for_design(policy):
        return None
    place = None if home is None else home / "designs" / f"{_key(scenario, policy, seed)}.json"
    if place is not None and place.is_file():
        # One that was cut off is worked out anew.
        with suppress(ValueError):
            return dict(json.loads(place.read_text(encoding="utf-8")))
    told = _answer(policy, scenario, seed).told()
    found = {"lever": LEVER, "system": policy.levers[LEVER][0].system, "prices": scenario.spec.memory.prices}
    found |= {"saving_against": scenario.spec.memory.saving_against, **told}
    # As JSON writes it, so that one that is read back is the same.
    written = json.dumps(found, sort_keys=True)
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = place.with_suffix(f".{os.getpid()}.tmp")
        aside.write_text(written, encoding="utf-8")
        aside.replace(place)
    return dict(json.loads(written))


def _answer(policy: PolicySet, scenario: Scenario, seed: int) -> Answer:
    """Return what a policy set would build; beside one that is named, those that could be built instead."""
    catalogue.check(policy, scenario.entities())
    free = loosened(policy)
    try:
        named = study.design(policy, scenario, seed)
        if named is None:
            return plain(policy, scenario, seed)
    except ValueError as error:
        # A pod by name that has no price here, or whose cables are too long: that is the answer.
        return Answer((), None, str(error).rstrip("."))
    if free == policy or named.chosen is None:
        return named
    found = study.design(free, scenario, seed)
    return named if found is None else beside(named.chosen, named.why, found)


def beside(chosen: Option, why: str, free: Answer) -> Answer:
    """Return the answer that is one pod by name, with the options that were there; the words of the search where it chose the same."""
    front = tuple(chosen if each.name == chosen.name else each for each in free.front)
    same = free.chosen is not None and free.chosen.knobs == chosen.knobs
    words = free.why if same else f"{why}; {_instead(chosen, free)}"
    return replace(free, front=front, chosen=chosen, why=words, nearest=None)


def _instead(chosen: Option, free: Answer) -> str:
    if free.chosen is None:
        return f"none of {free.considered} designs keeps every bound on this past demand"
    if free.chosen.name == chosen.name:
        return f"on this past demand it would be chosen of {free.considered} designs too, with devices sized by that demand"
    return f"on this past demand {free.chosen.name} would be chosen of {free.considered} designs"


def plain(policy: PolicySet, scenario: Scenario, seed: int) -> Answer:
    """Return the answer of a holder that chooses among nothing: the one pod that it builds, priced; a run shows what it saves."""
    action = study.pod(policy, scenario, seed)
    if action.pod is None:
        return Answer((), None, action.why or "no pod is built")
    # Devices of all pods where each pod has its own size: the mean.
    size_bytes = fmean(action.pod_bytes(len(scenario.fleet.host_ids) // action.pod.hosts))
    found = figures.figures_of(action.pod, round(size_bytes), scenario.spec.memory)
    metrics = {_HOSTS: float(action.pod.hosts), POD_COST: found.cost_usd_per_host, _LATENCY: found.access_latency_s}
    details = {"devices": float(action.pod.devices), "device_bytes": size_bytes, "longest_cable_m": found.longest_cable_m}
    title = f"{action.pod.kind.replace('_', ' ')}, {action.pod.hosts} hosts and {action.pod.devices} devices"
    sizes = action.device_bytes if isinstance(action.device_bytes, tuple) else (action.device_bytes,)
    option = Option(action.pod.name, title, metrics, details, knobs={"device_bytes": sizes})
    return Answer((option,), option, action.why or "asked for by name: nothing else was looked at", None, 1)


def _key(scenario: Scenario, policy: PolicySet, seed: int) -> str:
    asked = {
        "scenario": scenario.canonical(),
        "topology": catalogue.complete(policy).model_dump(mode="json")["levers"][LEVER],
        "seed": seed,
        "code": code_hash(),
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]

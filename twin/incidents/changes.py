"""The change log: deployments, settings, maintenance; most are innocent."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from twin.chance import stream
from twin.clock import DAY_S


class Change(NamedTuple):
    """One entry of the change log."""

    t_s: float
    entity_kind: str
    entity_id: str
    kind: str
    actor: str
    words: str


# What is changed on an ordinary day, by kind of entity: kind of change, who makes it, words, how often against the others of its kind of
# entity. None of it does anything to a model.
_INNOCENT: Final[Mapping[str, tuple[tuple[str, str, str, float], ...]]] = {
    "service": (
        ("deployment", "release pipeline", "{id} {new} rolled out, was {old}", 5.0),
        ("setting", "service owner", "feature flag of {id} on for {n} % of users", 2.0),
        ("setting", "service owner", "log level of {id} set to warning", 1.0),
        ("certificate", "certificate manager", "certificate of {id} renewed, valid for 90 days", 1.0),
    ),
    "host": (
        ("maintenance", "fleet operations", "security updates on {id}, without a restart", 2.0),
        ("setting", "fleet operations", "monitoring agent of {id} set to sample every {n} s", 1.0),
    ),
    "endpoint": (("setting", "model team", "prompt template of {id} replaced", 1.0),),
    "function": (("deployment", "release pipeline", "{id} {new} rolled out, was {old}", 1.0),),
}


def versions(drawn: np.random.Generator) -> tuple[str, str]:
    """Return a version and the one after it."""
    major, minor, patch = (int(drawn.integers(1, high)) for high in (6, 40, 9))
    return f"{major}.{minor}.{patch}", f"{major}.{minor + 1}.0"


def innocent(per_day: float, ids: Mapping[str, Sequence[str]], horizon_s: float, seed: int) -> list[Change]:
    """Return innocent changes of a run in order of time, entities drawn alike; ``ids`` are those that there are, by kind."""
    entities = [(kind, name) for kind in _INNOCENT for name in ids.get(kind, ())]
    drawn = stream(seed, "incidents", "changes")
    found: list[Change] = []
    if not entities or per_day <= 0.0:
        return found
    t_s = drawn.exponential(DAY_S / per_day)
    while t_s < horizon_s:
        kind, name = entities[int(drawn.integers(len(entities)))]
        weights = np.array([entry[3] for entry in _INNOCENT[kind]])
        what, actor, words, _ = _INNOCENT[kind][int(drawn.choice(len(weights), p=weights / weights.sum()))]
        old, new = versions(drawn)
        told = words.format(id=name, old=old, new=new, n=int(drawn.integers(1, 12)) * 5)
        found.append(Change(float(t_s), kind, name, what, actor, told))
        t_s += drawn.exponential(DAY_S / per_day)
    return found

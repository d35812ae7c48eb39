"""Resolved incidents by the thousand, as engineers would have filed them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from twin.chance import stream
from twin.clock import DAY_S, HOUR_S
from twin.incidents.case import HISTORY, Incident
from twin.incidents.causes import CAUSES
from twin.incidents.effects import EFFECTS, Effect
from twin.incidents.phrases import ALSO, ASIDES, ENDINGS, OPENINGS, SAID, TITLES
from twin.incidents.places import SITES, entity_id, kind_of

Floats = NDArray[np.float64]
# Postmortems are now and then wrong, and those who file incidents are now and then short of words. Both shares are proposed.
WRONG_SHARE: Final = 0.06
_TERSE_SHARE: Final = 0.1
_ASIDE_SHARE: Final = 0.35
_BLIND_ALLEY_SHARE: Final = 0.4
_CHECKED_SHARE: Final = 0.85
# Sites differ in what breaks there, and durations in how long they took: spreads of natural logarithms.
_SITE_SPREAD: Final = 0.5
_DURATION_SPREAD: Final = 0.8
_SPAN_S: Final = 730.0 * DAY_S
_DRAWS: Final = 64
_TYPES: Final = pl.Schema({name: pl.Float64 if name in ("began", "resolved") else pl.String for name in HISTORY})
_TRUTH: Final = {"incident_id": pl.String, "cause": pl.String, "entity_kind": pl.String, "entity_id": pl.String, "wrong": pl.Boolean}


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Classes of causes and sites that a history is not to have seen, so that incidents of these are out of its distribution."""

    causes: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()

    def covers(self, cause: str, site: str) -> bool:
        """Return whether an incident is of what was held out."""
        return cause in self.causes or site in self.sites


@dataclass(frozen=True)
class Drawn:
    """Incidents as filed (columns ``HISTORY``, in order of their beginning), and what was really wrong (``truth``, in the same order).

    ``truth`` has incident_id, cause, entity_kind, entity_id and whether the record is ``wrong``; it is for judges alone.
    """

    incidents: pl.DataFrame
    truth: pl.DataFrame


def held_out(seed: int, kinds: int = 5, sites: int = 3, of_sites: Sequence[str] = SITES) -> HeldOut:
    """Return so many whole classes of causes and sites, drawn. What is no fault is never held out.

    ValueError where fewer than two of either would be left.
    """
    names = [name for name in EFFECTS if name != "none"]
    if kinds > len(names) - 2 or sites > len(of_sites) - 2 or min(kinds, sites) < 0:
        raise ValueError(f"held out: at most {len(names) - 2} causes and {len(of_sites) - 2} sites, so that a history is left")
    drawn = stream(seed, "incidents", "history", "held out")
    causes = drawn.permutation(len(names))[:kinds]
    places = drawn.permutation(len(of_sites))[:sites]
    return HeldOut(frozenset(names[at] for at in causes), frozenset(of_sites[at] for at in places))


def draw(
    count: int, until: float, seed: int, held: HeldOut | None = None, wrong_share: float = WRONG_SHARE, sites: Sequence[str] = SITES
) -> Drawn:
    """Return ``count`` incidents of two years, all resolved before ``until`` (seconds since 1970).

    Causes come by the frequencies of ``twin.incidents.effects``, tilted from site to site; symptoms are those that a cause brings about.
    Of ``held`` no incident is drawn and none is recorded. The record is wrong for ``wrong_share``. Same arguments, same incidents.
    """
    held = HeldOut() if held is None else held
    names = [name for name in EFFECTS if name not in held.causes]
    places = [site for site in sites if site not in held.sites]
    if count < 0 or not 0.0 <= wrong_share <= 1.0 or not places or not names:
        raise ValueError("history: give a count of 0 or more, a share of wrong records within 0 and 1, and leave a site and a cause")
    drawn = stream(seed, "incidents", "history", "draw")
    tilt = _tilts(seed, names, places)
    at_site = drawn.integers(len(places), size=count)
    cause = (drawn.random(count)[:, None] > tilt[at_site]).sum(axis=1)
    hours = np.array([EFFECTS[name].hours for name in names])[cause]
    resolved = until - _SPAN_S * (1.0 - drawn.random(count))
    began = resolved - HOUR_S * hours * np.exp(_DURATION_SPREAD * drawn.standard_normal(count))
    luck = drawn.random((count, _DRAWS))
    rows, truths = [], []
    for number, row in enumerate(np.argsort(began, kind="stable").tolist(), start=1):
        writer = _Writer(luck[row].tolist(), places[at_site[row]], names[cause[row]])
        told, truth = writer.file(f"H-{number:05d}", float(began[row]), held.causes, wrong_share)
        rows.append({**told, "resolved": float(resolved[row])})
        truths.append(truth)
    return Drawn(pl.DataFrame(rows, schema=_TYPES), pl.DataFrame(truths, schema=_TRUTH))


def resolved_incident(incident: Incident, site: str, resolved: float, cause: str, mechanism: str = "", checked: str = "") -> pl.DataFrame:
    """Return one incident whose cause became known at ``resolved`` as a row of a history (columns ``HISTORY``).

    ValueError where it would have been resolved before it began.
    """
    if not resolved > incident.began:
        raise ValueError(f"incident {incident.incident_id}: resolved before it began; give the time at which its cause was known")
    told = {
        "incident_id": incident.incident_id, "began": incident.began, "resolved": resolved, "site": site, "title": incident.title,
        "text": incident.text, "entity_kind": incident.entity_kind, "metric": incident.metric, "severity": incident.severity,
        "cause": cause, "mechanism": mechanism, "checked": checked,
    }  # fmt: skip
    return pl.DataFrame([told], schema=_TYPES)


def joined(history: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """Return a history with more incidents; where both have an id, what ``more`` says holds. In order of beginning, then id."""
    kept = history.select(HISTORY).filter(~pl.col("incident_id").is_in(more["incident_id"].to_list()))
    return pl.concat([kept.cast(_TYPES), more.select(HISTORY).cast(_TYPES)]).sort("began", "incident_id")


def _tilts(seed: int, names: Sequence[str], places: Sequence[str]) -> Floats:
    """Return cumulative frequencies of causes for each site, shape (sites, causes); the last is left out, it takes what remains."""
    usual = np.array([EFFECTS[name].frequency for name in names])
    # A stream for each site and cause: what is held out moves nothing else.
    spread = [[stream(seed, "incidents", "history", "site", site, name).standard_normal() for name in names] for site in places]
    weight = usual * np.exp(_SITE_SPREAD * np.array(spread))
    whole: Floats = np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True)
    return whole[:, :-1]


class _Writer:
    """Writes one incident from numbers that were drawn for it."""

    def __init__(self, luck: Sequence[float], site: str, cause: str) -> None:
        self._luck = iter(luck)
        self._site, self._cause = site, cause
        self._ids: dict[str, str] = {}

    def file(self, incident_id: str, began: float, held: frozenset[str], wrong_share: float) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what was filed, without its end, and the truth."""
        effect = EFFECTS[self._cause]
        symptom = self._symptom(effect)
        at_kind = CAUSES[self._cause].entity_kind or symptom[0]
        if symptom[0] == "unit":  # it reports of itself
            self._ids["unit"] = self._id(at_kind)
        of = self._id(symptom[0])
        at, hour = self._id(at_kind), f"{int(began // 3600) % 24:02d}:{int(began // 60) % 60:02d}"
        severity = "critical" if self._next() < effect.critical else "major" if self._next() < 0.6 else "minor"
        words = {"e": of, "site": self._site, "severity": severity, "hour": hour, "metric": symptom[1]}
        title = self._pick(TITLES).format(what=self._pick(SAID[symptom[1:]]).format(e=of), **words)
        wrong = self._next() < wrong_share
        others = tuple(name for name in effect.taken_for if name not in held)
        wrong = wrong and bool(others)
        recorded = self._pick(others) if wrong else self._cause
        culprit = self._id(CAUSES[recorded].entity_kind or symptom[0])
        told = {
            "incident_id": incident_id,
            "began": began,
            "site": self._site,
            "title": _capital(title),
            "text": self._text(effect, symptom, words),
            "entity_kind": symptom[0],
            "metric": symptom[1],
            "severity": severity,
            "cause": recorded,
            "mechanism": self._pick(EFFECTS[recorded].mechanism).format(at=culprit, of=of),
            "checked": self._checked(EFFECTS[recorded], culprit, of),
        }
        truth = {"incident_id": incident_id, "cause": self._cause, "entity_kind": at_kind, "entity_id": at, "wrong": wrong}
        return told, truth

    def _text(self, effect: Effect, symptom: tuple[str, str, int], words: Mapping[str, str]) -> str:
        what = self._pick(SAID[symptom[1:]]).format(e=words["e"])
        parts = [_capital(self._pick(OPENINGS).format(what=what, **words))]
        if self._next() < _TERSE_SHARE:
            return parts[0]
        also = [
            self._pick(SAID[metric, way]).format(e=self._id(kind_of(metric)))
            for metric, way, share in effect.seen
            if (metric, way) != symptom[1:] and self._next() < share
        ]
        if self._next() < _ASIDE_SHARE:
            also.append(self._pick(ASIDES))
        if also:
            parts.append(self._pick(ALSO).format(also=", ".join(also)))
        return " ".join([*parts, self._pick(ENDINGS)]).strip()

    def _checked(self, effect: Effect, at: str, of: str) -> str:
        steps = [step for step in effect.checked if self._next() < _CHECKED_SHARE]
        if self._next() < _BLIND_ALLEY_SHARE:
            steps.insert(int(self._next() * (len(steps) + 1)), "the same hour of other days, nothing like it")
        steps.insert(0, "alerts and topology of {of}")
        return "; ".join(f"{number}. {step.format(at=at, of=of)}" for number, step in enumerate(steps, start=1))

    def _symptom(self, effect: Effect) -> tuple[str, str, int]:
        left = self._next() * sum(share for _, share in effect.opened_by)
        for symptom, share in effect.opened_by:
            left -= share
            if left < 0.0:
                return symptom
        return effect.opened_by[-1][0]

    def _id(self, kind: str) -> str:
        """Return the entity of a kind that this incident is about, always the same one."""
        if kind not in self._ids:
            self._ids[kind] = entity_id(kind, self._site, self._next())
        return self._ids[kind]

    def _pick(self, of: Sequence[Any]) -> Any:
        return of[int(self._next() * len(of))]

    def _next(self) -> float:
        return next(self._luck)


def _capital(text: str) -> str:
    """Return a sentence with a capital, unless it begins with an id or a metric's name."""
    first = text.partition(" ")[0]
    return text if "-" in first or "." in first else text[:1].upper() + text[1:]

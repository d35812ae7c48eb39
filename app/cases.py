"""Incidents of a run: what was found of each, what people said of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from app.charts.marks import State
from twin.incidents.case import Incident
from twin.incidents.causes import CAUSES
from twin.incidents.trajectory import Hypothesis
from twin.store import investigations
from twin.store.case_of_run import incidents_of
from twin.store.investigations import Investigated, Moment
from twin.store.ledger import Ledger
from twin.store.records import Verdict


@dataclass(frozen=True)
class Found:
    """An incident, the newest investigation of it, and the last word on it."""

    incident: Incident
    investigated: Investigated | None
    said: Verdict | None


def gathered(home: Path, run_id: str) -> tuple[Found, ...]:
    """Return a run's incidents, the first first, with what is known of them."""
    every = incidents(str(home), run_id)
    if not every:
        return ()
    found = newest(str(home), tuple(investigations.of_run(run_id, home)))
    said = last_words(verdicts(home), run_id)
    return tuple(Found(each, found.get(each.incident_id), said.get(each.incident_id)) for each in reversed(every))


@lru_cache(maxsize=32)
def incidents(home: str, run_id: str) -> tuple[Incident, ...]:
    """Return the incidents of a run, the newest first."""
    return tuple(sorted(incidents_of(run_id, Path(home)), key=lambda each: (-each.detected_s, each.incident_id)))


@lru_cache(maxsize=32)
def newest(home: str, ids: tuple[str, ...]) -> Mapping[str, Investigated]:
    """Return the newest investigation of each incident of a run. One that cannot be read is as if it were not there."""
    found: dict[str, Investigated] = {}
    for name in ids:
        try:
            each = stored(home, name)
        except ValueError:
            continue
        found[each.incident.incident_id] = each
    return found


@lru_cache(maxsize=256)
def stored(home: str, investigation_id: str) -> Investigated:
    """Return an investigation, read once."""
    return investigations.load(investigation_id, Path(home))


def verdicts(home: Path) -> tuple[Verdict, ...]:
    """Return all that was said of named causes, oldest first."""
    ledger = home / "ledger.duckdb"
    return _verdicts(str(home), ledger.stat().st_mtime_ns) if ledger.is_file() else ()


@lru_cache(maxsize=8)
def _verdicts(home: str, stamp: int) -> tuple[Verdict, ...]:
    del stamp
    with Ledger(Path(home)).transaction() as ledger:
        return tuple(ledger.verdicts())


def last_words(said: Iterable[Verdict], run_id: str) -> dict[str, Verdict]:
    """Return the last word on each incident of a run."""
    return {each.incident_id: each for each in said if each.run_id == run_id}


def standing(said: Verdict | None) -> tuple[State, str]:
    """Return the state of an incident by the last word on it, as mark and words.

    >>> standing(None)
    ('broken', 'open')
    """
    if said is None:
        return "broken", "open"
    if said.right:
        return "met", "confirmed"
    if said.cause:
        return "at risk", f"wrong: {titled(said.cause)}"
    return ("at risk", "wrong") if said.predicted_cause else ("waiting", "inconclusive")


def key_of(hypothesis: Hypothesis) -> str:
    """Return by what a cause is known from moment to moment: its class and whom it strikes."""
    return f"{hypothesis.cause}@{hypothesis.entity_id}"


def sure(moment: Moment) -> dict[str, float]:
    """Return how sure one may be of each cause of a moment; the investigator's own score where nobody was asked about it."""
    told = dict(enumerate(moment.confidence))
    return {
        key_of(each): told[place].confidence if place in told else each.score if each.confidence is None else each.confidence
        for place, each in enumerate(moment.investigation.hypotheses)
    }


def titled(cause: str) -> str:
    """Return a class of cause in words; what is no class of ours as it stands."""
    return CAUSES[cause].title if cause in CAUSES else cause.replace("_", " ") or "a cause of no known class"


def named(hypothesis: Hypothesis) -> str:
    """Return a cause in words: what, and where."""
    title = titled(hypothesis.cause)
    return f"{title}, {hypothesis.entity_id}" if hypothesis.entity_id else title


def percent(share: float) -> str:
    """Return a confidence as it is read; nobody is sure to a tenth of a percent."""
    return f"{100 * share:.0f}\u00a0%"

"""What the page looks at: an incident of the run, what was found of it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from app import cases, state
from twin.clock import Clock
from twin.incidents.case import Incident
from twin.incidents.trajectory import Hypothesis
from twin.store import investigations
from twin.store.investigations import Evidence, Investigated, Moment
from twin.store.records import Verdict

SEVERITIES: Final = ("critical", "major", "minor")
# Below so many labels a confidence is not calibrated.
FEWEST: Final = 30
# How investigators write moments of a run; readings in their texts have no unit.
_MOMENT: Final = re.compile(r"\b((?:at|since|before|against)\s|last «[^»]*» of «[^»]*» at |, )(\d{3,7}(?:\.\d+)?) s\b")
_SPAN: Final = re.compile(r"\bfrom (\d{3,7}(?:\.\d+)?) to (\d{3,7}(?:\.\d+)?) s\b")


@dataclass(frozen=True)
class Looking:
    """What is looked at. ``found`` are the newest investigations of the run by incident, ``said`` the last verdicts.

    ``moment`` is the newest of the shown investigation that is not later than the cursor; its last one where the cursor stands before.
    """

    now: state.Context
    run_id: str
    incidents: tuple[Incident, ...]
    incident: Incident
    found: Mapping[str, Investigated]
    shown: Investigated | None
    moment: Moment | None
    said: Mapping[str, Verdict]

    @property
    def blamed(self) -> Hypothesis | None:
        """Return the cause that is looked at: the one that was picked where this moment names it, else the first."""
        if self.moment is None:
            return None
        named = self.moment.investigation.hypotheses
        wanted = state.case().get("blamed", "")
        return next((each for each in named if cases.key_of(each) == wanted), named[0] if named else None)


def has_any(run_id: str) -> bool:
    """Return whether a run opened incidents."""
    return bool(run_id) and bool(cases.incidents(str(state.home()), run_id))


def looking() -> Looking:
    """Return what the URL asks to look at: of the incidents that nobody has answered the worst where it names none."""
    now, home = state.context(), state.home()
    run_id = now.run_id or ""
    every, said = cases.incidents(str(home), run_id), cases.last_words(cases.verdicts(home), run_id)
    asked = state.case().get("incident", "")
    incident = next((each for each in every if each.incident_id == asked), None) or first(every, said)
    found = cases.newest(str(home), investigations.of_run(run_id, home))
    shown = found.get(incident.incident_id)
    return Looking(now, run_id, every, incident, found, shown, moment_at(shown, now.t_s), said)


def first(every: Iterable[Incident], said: Mapping[str, Verdict]) -> Incident:
    """Return which incident the page opens on: one that nobody has answered, the worst, the newest."""
    return min(every, key=lambda each: (each.incident_id in said, SEVERITIES.index(each.severity), -each.detected_s, each.incident_id))


def moment_at(shown: Investigated | None, t_s: float) -> Moment | None:
    """Return the newest moment up to ``t_s``, the last one where there is none so early."""
    if shown is None or not shown.moments:
        return None
    before = [each for each in shown.moments if each.as_of_s <= t_s + 0.5]
    return before[-1] if before else shown.moments[-1]


def timed(text: str, clock: Clock) -> str:
    """Return a text in which moments of the run stand as the site's clock has them: from ten minutes on, where they can be told.

    >>> from datetime import UTC, datetime
    >>> timed("at 3660 s it rose from 0.3 to 20; from 1860 to 7380 s", Clock(datetime(2026, 1, 1, tzinfo=UTC)))
    'at 01:01:00 it rose from 0.3 to 20; from 00:31:00 to 02:03:00'
    """

    def at(t_s: str) -> str:
        return f"{clock.at(float(t_s)):%H:%M:%S}"

    text = _SPAN.sub(lambda found: f"from {at(found[1])} to {at(found[2])}", text)
    return _MOMENT.sub(lambda found: f"{found[1]}{at(found[2])}", text)


def cited(moment: Moment, evidence_id: str) -> Evidence | None:
    """Return what a tool answered under an id at a moment."""
    return next((each for each in moment.evidence if each.evidence_id == evidence_id), None)


def rows_of(evidence: Evidence) -> pl.DataFrame:
    """Return the rows of an answer; a column of mixed values as text."""
    data: dict[str, list[Any]] = {name: [row[place] for row in evidence.rows] for place, name in enumerate(evidence.columns)}
    try:
        return pl.DataFrame(data, infer_schema_length=None)
    except (TypeError, pl.exceptions.PolarsError):
        return pl.DataFrame({name: [None if value is None else str(value) for value in values] for name, values in data.items()})

"""Panel of the run's incidents: when, what, how bad, how it stands."""

import html
from typing import Final

import polars as pl
import streamlit as st

from app import cases, parts, state
from app.charts.case_list import Card, case_list_svg
from app.charts.statements import count
from app.views.incidents import reading
from app.views.incidents.reading import Looking
from app.views.memory.controls import select
from app.widgets.talk import talk
from twin.incidents.case import Incident
from twin.store import investigations

_SHOWN: Final = 8
_LINES: Final = 6
_SQL: Final = (
    "SELECT t_s, incident_id, severity, title, entity_kind, entity_id, metric, onset_s FROM incidents\n"
    "WHERE run_id = '{run_id}' ORDER BY t_s"
)


def listed(look: Looking) -> None:
    """List the incidents, the newest first; a click looks at one."""
    words = title(look)
    with parts.panel(words, "incidents-listed", data=lambda: table(look), sql=_SQL.format(run_id=look.run_id)):
        ids = [each.incident_id for each in look.incidents]
        if len(ids) > _SHOWN:
            by_id = {each.incident_id: each for each in look.incidents}
            label = lambda name: f"{_when(look, by_id[name])} {by_id[name].title}"  # noqa: E731 - what a select shows
            select("Incident", ids, look.incident.incident_id, "incidents-pick", open_incident, words=label)
        cards = [card(look, each) for each in near(look)]
        talk(case_list_svg(cards, state.colours(), words, chosen=look.incident.incident_id), key="incidents-cards", on_pick=open_incident)


def near(look: Looking) -> list[Incident]:
    """Return the incidents that are shown: the one that is looked at among its neighbours."""
    at = look.incidents.index(look.incident)
    begin = max(min(at - _SHOWN // 2, len(look.incidents) - _SHOWN), 0)
    return list(look.incidents[begin : begin + _SHOWN])


def open_incident(incident_id: str) -> None:
    """Look at another incident, as of the last moment that is known of it."""
    if incident_id == state.case().get("incident"):
        return
    state.set_case(incident=incident_id, blamed=None, evidence=None)
    found = cases.newest(str(state.home()), _ids())
    if incident_id in found:
        state.set_t(found[incident_id].moments[-1].as_of_s)


def _ids() -> tuple[str, ...]:
    return investigations.of_run(state.context().run_id or "", state.home())


def title(look: Looking) -> str:
    """Return how many incidents there are and how many nobody has answered."""
    left = sum(each.incident_id not in look.said for each in look.incidents)
    words = count(len(look.incidents), "incident")
    return f"{words[:1].upper()}{words[1:]}, {left or 'none'} open"


def card(look: Looking, incident: Incident) -> Card:
    """Return an incident as a card."""
    found = look.found.get(incident.incident_id)
    moment = None if found is None else found.moments[-1]
    shares = {} if moment is None else cases.sure(moment)
    mark, words = cases.standing(look.said.get(incident.incident_id))
    if mark == "broken":
        found_words = {"confirmed": "evidence confirms", "likely": "likely", "inconclusive": "inconclusive"}
        words = f"{words} · {found_words[moment.investigation.status] if moment else 'not looked into'}"
    sure = cases.percent(next(iter(shares.values()))) if shares else ""
    small = f"{_when(look, incident)} · {incident.severity} · {incident.incident_id}"
    return Card(incident.incident_id, small, incident.title, mark, words, sure)


def _when(look: Looking, incident: Incident) -> str:
    at = look.now.clock.at(incident.detected_s)
    return f"{at:%H:%M}" if look.now.horizon_s <= state.DAY_S + 60.0 else f"{at:%d %b %H:%M}"


def table(look: Looking) -> pl.DataFrame:
    """Return what *Data* shows."""
    return pl.DataFrame(
        [
            {
                "incident_id": each.incident_id, "detected_s": each.detected_s, "onset_s": each.onset_s, "severity": each.severity,
                "title": each.title, "text": each.text, "entity": each.entity_id, "metric": each.metric,
                "affected": ", ".join(each.affected), "state": cases.standing(look.said.get(each.incident_id))[1],
            }
            for each in look.incidents
        ]
    )  # fmt: skip


def opened(look: Looking) -> None:
    """Say what was noticed: the incident's own words, whom it names."""
    incident = look.incident
    said = [line for line in (incident.text or incident.title).splitlines() if line.strip()]
    words = "<br>".join(html.escape(reading.timed(line, look.now.clock)) for line in said[:_LINES])
    more = f"<br>and {len(said) - _LINES} more" if len(said) > _LINES else ""
    st.html(f'<p class="iw-note">{words}{more}</p>')

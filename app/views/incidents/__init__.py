"""What broke, why, and how sure are we?"""

from typing import Final

import streamlit as st

from app import cases, jobs, parts, state
from app.views.incidents import alike, answering, asking, believed, causes, certainty, listed, path, proposing, reading, steps
from app.views.incidents.reading import Looking

DRILL: Final = "retry-storm"


def show() -> None:
    """Show the page: incidents; of one how sure one may be of each cause, how it was found, and what could be done."""
    if not parts.no_run("incidents"):
        _live()


@st.fragment
def _live() -> None:
    now = state.context()
    if not reading.has_any(now.run_id or ""):
        _none(now)
        return
    look = reading.looking()
    parts.page_title(title(look), under(look), legend=False)
    left, middle, right = st.columns([272, 560, 336], gap="small")
    with left:
        listed.listed(look)
    with middle:
        _opened(look)
        certainty.certainty(look)
        causes.causes(look)
    with right:
        path.path(look)
        answering.answering(look)
        believed.believed(look)
    if look.moment is not None:
        steps.steps(look)
        left, right = st.columns([760, 416], gap="small")
        with left:
            alike.alike(look)
        with right:
            proposing.proposing(look)


def _opened(look: Looking) -> None:
    with parts.panel(look.incident.title, "incidents-opened"):
        listed.opened(look)
        asking.ask(look)


def _none(now: state.Context) -> None:
    parts.page_title("No incident was opened in this run", f"{now.scenario} · seed {now.seed}", legend=False)
    job = next((each for each in jobs.list_jobs(state.home()) if each.kind == "run" and each.spec.get("scenario") == DRILL), None)
    if job is not None and not job.over:
        parts.empty("The drill is on its way", "A burst of orders, and retries that outlive it.", key="incidents-none")
        parts.progress(job.job_id, key="incidents-drill")
        return
    stored = any(brief.scenario == DRILL for brief in state.stored())
    parts.empty(
        "Nothing was noticed that would be an incident",
        "Incidents, how sure one may be of each cause and how it was found would stand here. They are opened by alerts on what the run’s "
        "scenario sets as bounds. The packaged scenario retry-storm has one: a burst of orders whose retries outlive it. It takes seconds.",
        key="incidents-none",
        action="Open the drill" if stored else "Run the drill",
        on_click=_open_drill if stored else _run_drill,
    )


def _run_drill() -> None:
    jobs.submit("run", {"scenario": DRILL}, state.home())


def _open_drill() -> None:
    state.set_scenario(DRILL)


def title(look: Looking) -> str:
    """Return what is to blame and how sure one may be, or that nobody has looked."""
    incident, chosen, moment = look.incident, look.blamed, look.moment
    if moment is None:
        return f"{incident.incident_id}: {incident.title}; nobody has looked into it"
    if chosen is None:
        return f"{incident.incident_id}: {incident.title}; inconclusive, no cause is borne out"
    first = cases.percent(cases.sure(moment)[cases.key_of(chosen)])
    hedge = "inconclusive, perhaps " if moment.investigation.status == "inconclusive" else ""
    return f"{incident.incident_id}: {hedge}{cases.named(chosen)}, {first} sure; {incident.title}"


def under(look: Looking) -> str:
    """Return one line of context: when it was opened, who looked into it, by what was known when."""
    clock, incident = look.now.clock, look.incident
    words = [f"{incident.severity}, opened {clock.at(incident.detected_s):%H:%M}, began {clock.at(incident.onset_s):%H:%M}"]
    if look.moment is not None:
        words += [asking.asked(look), f"as of {clock.at(look.moment.as_of_s):%H:%M:%S}"]
    return " · ".join(words)

"""Who is asked: investigator, confidence; asked, followed, cancelled."""

import html
from collections.abc import Mapping
from typing import Any, Final, Literal

import streamlit as st

from app import jobs, parts, state
from app.views.incidents import knobs
from app.views.incidents.reading import Looking
from app.views.memory.controls import select
from app.views.workloads.lanes import note

KIND: Final = "investigate"
FIRST: Final[Mapping[str, str]] = {"investigation": "react_rca", "confidence": "pace"}
_IN_URL: Final[Mapping[str, str]] = {"investigation": "asks", "confidence": "sure"}
_LABELS: Final[Mapping[str, str]] = {"investigation": "Investigator", "confidence": "How sure"}
DRIVERS: Final[Mapping[str, str]] = {"embedded": "embedded, no language model", "model": "language model"}


def chosen() -> dict[str, str]:
    """Return who is to hold each of the two levers, as the URL says."""
    asked = state.case()
    found = {}
    for lever, key in _IN_URL.items():
        able = _able(lever)
        found[lever] = asked[key] if asked.get(key) in able else FIRST[lever]
    return found


def policy() -> dict[str, Any]:
    """Return the policy set that asks them, as JSON has one."""
    levers = {}
    for lever, system in chosen().items():
        told = knobs.changed(system)
        if system == FIRST["investigation"] and driver_of() == "model":
            told["driver"] = "model"
        levers[lever] = [{"system": system, "scope": [], "knobs": told}]
    return {"name": "investigation", "levers": levers}


def driver_of() -> str:
    """Return by which driver the investigator works; a language model only where one is named."""
    from policies.llm import available

    wanted = state.case().get("driver", "")
    return wanted if wanted in DRIVERS and (wanted != "model" or available()) else "embedded"


def _able(lever: str) -> dict[str, str]:
    from policies import catalogue

    return {item.id: item.name for item in catalogue.holders_of(lever)}


def ask(look: Looking) -> None:
    """Let both holders be chosen and asked; follow them while they work."""
    from policies.llm import available

    held = chosen()
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="incidents-asking"):
        for lever, key in _IN_URL.items():
            able = _able(lever)
            change = lambda one, key=key, lever=lever: state.set_case(**{key: None if one == FIRST[lever] else one})  # noqa: E731
            select(_LABELS[lever], list(able), held[lever], f"incidents-{key}", change, words=able.get, width=170)
        if held["investigation"] == "react_rca" and available():
            change = lambda one: state.set_case(driver=None if one == "embedded" else one)  # noqa: E731
            select("Driver", list(DRIVERS), driver_of(), "incidents-driver", change, words=DRIVERS.get, width=170)
        knobs.knobs(held)
        job = _job(look)
        busy = job is not None and not job.over
        words = "Investigate" if look.shown is None else "Investigate again"
        kind: Literal["primary", "secondary"] = "primary" if look.shown is None else "secondary"
        st.button(words, key="incidents-go", type=kind, disabled=busy, on_click=_submit, args=(look,))
    if look.shown is None and not busy:
        note("It is looked into as of seven moments, from its opening to an hour later, each with no more than was known then.")
    if job is None:
        return
    if busy:
        parts.progress(job.job_id, key="incidents")
    elif job.state in {"failed", "cancelled"}:
        words = parts.mark("broken", "failed") if job.state == "failed" else "cancelled"
        st.html(f'<p class="iw-note">{words} {html.escape(job.error or "")}</p>')


def _submit(look: Looking) -> None:
    # What is asked is read when it is asked: a setting that was changed meanwhile counts.
    jobs.submit(KIND, spec(look), state.home())


def spec(look: Looking) -> dict[str, Any]:
    """Return what the job is asked."""
    return {"run_id": look.run_id, "incident_id": look.incident.incident_id, "policy": policy()}


def _job(look: Looking) -> jobs.Job | None:
    return jobs.latest(state.home(), KIND, run_id=look.run_id, incident_id=look.incident.incident_id)


def asked(look: Looking) -> str:
    """Return in words who found what is shown, and what they knew."""
    shown, moment = look.shown, look.moment
    if shown is None or moment is None:
        return ""
    found = moment.investigation
    who = _name("investigation", shown.policy, found.holder)
    how = f"{who}, {DRIVERS.get(found.driver, found.driver)}" if found.driver else who
    return " · ".join(filter(None, (how, _name("confidence", shown.policy, ""))))


def _name(lever: str, told: Mapping[str, Any], otherwise: str) -> str:
    stack = dict(told.get("levers", told)).get(lever) or ()
    system = str(stack[0].get("system", "")) if stack else ""
    return _able(lever).get(system, otherwise)

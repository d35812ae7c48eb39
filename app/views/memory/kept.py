"""What a job works out for this page once: asked for, followed, kept."""

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

import streamlit as st

from app import jobs, parts, state
from app.jobs import Job
from app.pods import Draft
from twin.memory import prices
from twin.sources import code_hash

# What says which run an answer was asked from, and changes nothing about it.
_FREE: Final = frozenset({"run_id"})


def spec(now: state.Context, draft: Draft, **more: object) -> dict[str, Any]:
    """Return what a job is asked: hosts and demand of the shown run's world, the designer's settings, and whatever they rest on.

    Runs of one scenario and seed share their answers, whatever policy they followed.
    """
    settings = {"pooled_share": draft.pooled_share, "prices": draft.prices, "cable_slack_m": draft.slack_m}
    known = {"run_id": now.run_id or "", "scenario": now.scenario, "seed": now.seed, "world": _world(now.run_id or "")}
    return {**known, "settings": settings, "rests_on": _digest([code_hash(), _priced(draft.prices)]), **more}


@lru_cache(maxsize=64)
def _world(run_id: str) -> str:
    return _digest(state.run(run_id).manifest["scenario"]) if run_id else ""


def _priced(name: str) -> str:
    try:
        return repr(prices.table(name))
    except ValueError:
        return ""


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known: the answer (None without one), whether it is to just this question, its settings, and the job at hand."""

    answer: Mapping[str, Any] | None
    exact: bool
    settings: Mapping[str, Any]
    job: Job | None


def look(kind: str, asked: Mapping[str, Any]) -> Kept:
    """Return the answer to a question, or the newest one to the same question with other settings."""
    mine = [job for job in jobs.list_jobs(state.home()) if job.kind == kind and _alike(job, asked, "settings")]
    here = [job for job in mine if _alike(job, asked)]
    for exact, found in ((True, here), (False, mine)):
        job = next((one for one in found if one.state == "done" and one.result), None)
        if job is not None:
            return Kept(job.result, exact, job.spec["settings"], here[0] if here else None)
    return Kept(None, False, {}, here[0] if here else None)


def _alike(job: Job, asked: Mapping[str, Any], but: str = "") -> bool:
    return all(job.spec.get(key) == value for key, value in asked.items() if key not in _FREE and key != but)


def offer(kind: str, asked: Mapping[str, Any], found: Kept, words: str) -> None:
    """Show the job that works the answer out, or the button that starts it; nothing where the answer is there."""
    if found.answer is not None and not found.exact:
        st.html(f'<p class="iw-note">{parts.mark("at risk", "")} {html.escape(_told(found.settings, asked["settings"]))}</p>')
    if found.job is not None and not found.job.over:
        parts.progress(found.job.job_id, key=f"memory-{kind}")
    elif not found.exact:
        if found.job is not None and found.job.state == "failed":
            st.html(f'<p class="iw-note">{parts.mark("broken", "")} {html.escape(found.job.error or "it failed")}</p>')
        st.button(words, key=f"memory-{kind}-go", on_click=jobs.submit, args=(kind, dict(asked), state.home()))


def _told(had: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return by which settings an answer was worked out that are not the designer's now."""
    words = {
        "pooled_share": lambda x: f"{100 * x:.0f}\u00a0% pooled",
        "prices": lambda x: f"prices {x}",
        "cable_slack_m": lambda x: f"{x:g} m of slack",
    }
    old = [say(had[name]) for name, say in words.items() if had.get(name) != wanted[name]]
    return f"Worked out with {', '.join(old)}; the designer says otherwise now."

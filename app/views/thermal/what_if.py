"""What-if buttons: something is lost at the cursor, and what comes of it."""

import html
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

import numpy as np
import streamlit as st

from app import floors, jobs, parts, state
from app.charts.day import MINUTE_S, Day
from app.charts.statements import count, plainly
from app.overlays import Overlay
from app.views.thermal import reading
from twin.fleet import Fleet
from twin.units import show as shown
from twin.units import show_change

NEAR_C: Final = 3.0
NEAR_SHARE: Final = 0.05
MOST_AISLES: Final = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """One button: what happens, where, and in words."""

    kind: str
    target: str
    words: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: the hottest GPU in C with its change, throttle events with those without it, the state with its reason."""

    hottest_c: float
    change_c: float | None
    throttles: int | None
    throttles_before: int | None
    state: str
    why: str


@cache
def _kinds() -> frozenset[str]:
    from twin.plant.outages import FAULT_KINDS

    return frozenset(FAULT_KINDS)


def buttons(fleet: Fleet, kinds: frozenset[str], out: Collection[str] = ()) -> list[Asked]:
    """Return what can be asked of a site: an air handler of each aisle that has GPUs, a UPS that is not ``out``, a chiller, 5 C more."""
    cooled = {int(fleet.row_aisles[row]) for row in np.unique(fleet.server_rows)}
    aisles = [fleet.aisle_ids[index] for index in sorted(cooled)][:MOST_AISLES]
    found = [Asked("ahu_loss", aisle, f"Lose an AHU, {aisle}") for aisle in aisles]
    found += [Asked("ups_loss", unit, f"Lose {plainly(unit)}") for unit in [one for one in fleet.ups_ids if one not in out][:1]]
    found.append(Asked("chiller_loss", "site", "Lose a chiller"))
    return [*(item for item in found if item.kind in kinds), Asked("outside", "", "+5\u00a0°C outside")]


def what_if(home: str, run_id: str, now: state.Context, asks: Sequence[Overlay]) -> None:
    """Offer the questions at the cursor, follow those that run, show what came of the others."""
    mine = [job for job in jobs.list_jobs(state.home()) if job.kind == "what_if" and job.spec.get("run_id") == run_id]
    with parts.panel(f"What if something fails at {now.clock_text}?", "what-if"):
        policy = "today’s policy" if now.shown == "today" else state.name_of(run_id)
        words = f"The hour from then under {policy}, all else as it was. Hottest GPU, its change against that hour, throttling."
        st.html(f'<p class="iw-note">{html.escape(words)}</p>')
        out = {unit for unit, (_, _, live) in reading.feeds_at(run_id, now.t_s).items() if not live}
        for asked in buttons(floors.fleet_in(home, run_id), _kinds(), out):
            key = f"{asked.kind}-{asked.target or 'site'}"
            job = next((one for one in mine if (one.spec["kind"], one.spec["target"]) == (asked.kind, asked.target)), None)
            with st.container(key=f"decision-what-if-{key}", gap="small"):
                _line(home, run_id, now, asked, job, key, tuple(asks))


def _line(home: str, run_id: str, now: state.Context, asked: Asked, job: jobs.Job | None, key: str, asks: tuple[Overlay, ...]) -> None:
    stored = {brief.run_id for brief in state.stored()}
    answer = str(job.result["run_id"]) if job and job.state == "done" and job.result and job.result["run_id"] in stored else None
    same = answer is not None and job is not None and job.spec["t_s"] == _moment(now)
    running = job is not None and not job.over
    found = outcome(home, answer, run_id, asks) if answer is not None else None
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        spec = {"run_id": run_id, "kind": asked.kind, "target": asked.target, "t_s": _moment(now), "name": _name(run_id, now, asked)}
        st.button(
            asked.words,
            key=f"what-if-{key}",
            width=140,
            disabled=running or same,
            help=_why_not(running, same),
            on_click=jobs.submit,
            args=("what_if", spec, state.home()),
        )
        if found is not None:
            st.html(parts.mark(found.state), width="content")
            if st.button("Open", key=f"what-if-open-{key}", type="tertiary"):
                show(str(answer))
                st.rerun()
        elif not running:
            st.html(f'<span class="iw-note">{_not_run(job)}</span>', width="content")
    if running and job is not None:
        parts.progress(job.job_id, key=f"what-if-{key}")
    elif found is not None and job is not None:
        st.html(_told(found, job, now))
    elif job is not None and job.state == "failed":
        st.html(f'<p class="iw-note">{html.escape(job.error or "it failed")}</p>')


def _why_not(running: bool, same: bool) -> str | None:
    """Return why a question cannot be asked now; None where it can."""
    if running:
        return "It is being asked; wait for its answer or cancel it."
    return "This moment has its answer; move the cursor to ask about another." if same else None


def _not_run(job: jobs.Job | None) -> str:
    if job is not None and job.state == "failed":
        return parts.mark("broken", "failed")
    return "cancelled" if job is not None and job.state == "cancelled" else "not run"


def _moment(now: state.Context) -> float:
    return now.t_s // MINUTE_S * MINUTE_S


def _name(run_id: str, now: state.Context, asked: Asked) -> str:
    name = "today" if now.shown == "today" else state.name_of(run_id)
    return f"{name}: {asked.words[:1].lower()}{asked.words[1:]} at {now.clock_text}"[:80]


def _told(found: Outcome, job: jobs.Job, now: state.Context) -> str:
    change = "" if found.change_c is None else f' <span class="iw-note">{show_change(found.change_c, "x_c")}</span>'
    slowed = "throttling not known" if found.throttles is None else count(found.throttles, "throttle event")
    if found.throttles_before:
        slowed += ", as without it" if found.throttles == found.throttles_before else f", {found.throttles_before:,} without it"
    at = now.clock.at(float(job.spec["t_s"])).strftime("%H:%M")
    took = float((job.result or {}).get("took_s", 0.0))
    under = " · ".join(filter(None, (slowed, "" if job.spec["t_s"] == _moment(now) else f"at {at}", f"{max(1, round(took))}\u00a0s")))
    why = f'<p class="iw-note">{html.escape(found.why)}</p>' if found.why else ""
    hottest = f'<p class="iw-said"><b>{shown(found.hottest_c, "x_c")}</b>{change}</p>'
    return f'<div class="iw-line">{hottest}<p class="iw-note">{under}</p></div>{why}'


@lru_cache(maxsize=64)
def outcome(home: str, answer: str, run_id: str, asks: tuple[Overlay, ...]) -> Outcome:
    """Return what came of a question, against the same hour of the run that it was asked of."""
    day, before, limits_c = floors.day_in(home, answer), floors.day_in(home, run_id), floors.limits_in(home, answer)
    temps = day.values["gpu_temp_c"]
    hottest = float(np.nanmax(temps)) if np.isfinite(temps).any() else float("nan")
    old = _same_hour(before, day)
    change = hottest - float(np.nanmax(old)) if np.isfinite(old).any() else None
    end_s = day.begin_s + day.minutes * MINUTE_S
    throttles, without = (reading.throttles(run, day.begin_s, end_s) for run in (answer, run_id))
    late = [item.intent_id for item in asks if floors.past(home, answer, item).any()]
    word, why = standing(day, float(np.nanmin(limits_c - temps, initial=np.inf)), throttles, late)
    return Outcome(hottest, change, throttles, without, word, why)


def _same_hour(before: Day, day: Day) -> Any:
    first = int((day.begin_s - before.begin_s) // MINUTE_S)
    return before.values["gpu_temp_c"][max(first, 0) : max(first, 0) + day.minutes]


def standing(day: Day, margin_c: float, throttles: int | None, late: Sequence[str]) -> tuple[str, str]:
    """Return met, at risk or broken, and what makes it so: limits, throttling, power budgets, bounds of intents."""
    free = (day.row_budget_w - day.row_power_w) / day.row_budget_w
    least = float(np.nanmin(free, initial=np.inf))
    if margin_c < 0:
        return "broken", f"a GPU is {shown(-margin_c, 'x_c')} over its limit"
    if late:
        return "broken", f"past what {late[0]} asks"
    over = int(np.max(np.sum(free < 0, axis=0), initial=0))
    if over > 1:
        return "broken", f"a row is over its budget for {over} minutes"
    if throttles:
        return "broken", "GPUs or rows are slowed down"
    if margin_c < NEAR_C:
        return "at risk", f"{shown(margin_c, 'x_c')} below the limit"
    # The minute in which something is lost holds the seconds before loads give way.
    if over:
        return "at risk", "a row passes its budget for a moment"
    if least < NEAR_SHARE:
        return "at risk", f"a row has {100 * least:.0f}\u00a0% of its budget left"
    return "met", ""


def show(run_id: str) -> None:
    """Open a stored run on this page, beside today's policy where that was asked the same."""
    brief = state.run(run_id).brief
    state.set_today(run_id if brief.is_today else None)
    state.set_candidate(None if brief.is_today else run_id)
    if brief.is_today:
        state.set_shown("today")
    state.set_t(brief.begin_s + 600.0 if brief.end_s - brief.begin_s > 900.0 else brief.begin_s)


def back(run_id: str) -> None:
    """Say that a part of a day is shown and lead back to the run that it was asked of."""
    brief = state.run(run_id).brief
    if brief.whole:
        return
    job = next((one for one in jobs.list_jobs(state.home()) if one.kind == "what_if" and (one.result or {}).get("run_id") == run_id), None)
    from_words, to_words = (brief.clock.at(t).strftime("%H:%M") for t in (brief.begin_s, brief.end_s))
    asked = str(job.spec["name"]) if job else "a part of the day"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="thermal-back"):
        st.html(f'<span class="iw-said">What if · {html.escape(asked)}, {from_words} to {to_words}</span>', width="content")
        if st.button("Back to the whole run", key="what-if-back"):
            if job and any(one.run_id == job.spec["run_id"] for one in state.stored()):
                t_s = float(job.spec["t_s"])
                show(str(job.spec["run_id"]))
                state.set_t(t_s)
            else:
                state.set_today(None)
                state.set_candidate(None)
            st.rerun()

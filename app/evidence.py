"""What the twin showed for an intent: the table, candidates, decisions."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
import streamlit as st

from app import asked, desk, jobs, parts, state
from app.charts.pareto import pareto
from app.headlines import change_words
from app.report.judgement import Line, bounds_of
from app.widgets.rows import Head, rows
from policies.intent.judge import bound_of
from policies.intent.model import Intent
from policies.intent.references import settled_for
from twin.metrics import METRICS
from twin.units import show

# Beside what was asked, what an approver looks at first.
ALSO: Final = (
    "plant.gpu_temp_max_c",
    "plant.thermal_throttle_events",
    "plant.row_power_peak_w",
    "serving.ttft_p99_s",
    "serving.slo_attainment_share",
    "serving.cost_usd_per_h",
    "serving.quality_mean_share",
    "plant.energy_cost_usd",
)


def judged(intent_id: str, intent: Intent, evidence: Any) -> list[Line]:
    """Return every line of the evidence: what was asked first, then what an approver looks at."""
    pairs = bounds_of(intent_id, intent, asked.world_of(evidence.candidate_run_ids[0]) if evidence.candidate_run_ids else None)
    plain = {metric for metric, bound in pairs if not bound.place_words}
    found = []
    for metric, bound in [*pairs, *((metric, None) for metric in ALSO if metric not in plain)]:
        # What is not there today (hosts in a pod that is yet to be built) may be bounded, a change of it may not.
        new = bound is not None and not bound.relative
        scope, window = (bound.scope, bound.window) if bound else ((), None)
        before = [state.metric(run_id, metric, scope, window) for run_id in evidence.today_run_ids]
        after = [state.metric(run_id, metric, scope, window) for run_id in evidence.candidate_run_ids]
        if before and len(before) == len(after) and (new or None not in before) and None not in after:
            shown = tuple(math.nan if value is None else float(value) for value in before)
            found.append(Line(metric, shown, tuple(map(float, after)), bound))  # type: ignore[arg-type]
    return found


def verdict(lines: Sequence[Line]) -> str:
    """Return in one sentence whether what was asked holds."""
    mine = [line for line in lines if line.bound is not None]
    seeds = len(mine[0].after) if mine else 0
    on = f"on {seeds} seeds" if seeds > 1 else "on one seed"
    broken = [line for line in mine if line.state == "broken"]
    if not mine:
        return "Nothing was bounded; the differences stand for themselves"
    if not broken:
        return f"{'The bound holds' if len(mine) == 1 else f'All {len(mine)} bounds hold'} on the twin, {on}"
    return f"{len(broken)} of {len(mine)} bounds {'is' if len(broken) == 1 else 'are'} broken on the twin, {on}"


def table(lines: Sequence[Line], key: str) -> None:
    """Show the evidence: today, candidate, change with its interval, bound, state."""
    frame = pl.DataFrame(
        [(x.label, x.metric, x.difference.a, x.difference.b, x.difference.difference, _bound_words(x), x.state) for x in lines],
        schema=["label", "metric", "today", "candidate", "change", "bound", "state"],
        orient="row",
    )
    columns = [
        Head("metric", "Metric", "strong", "26%"),
        Head("today", "Today", "number", "13%", narrow=False),
        Head("candidate", "Candidate", "value", "13%"),
        Head("change", "Change", "change", "16%", narrow=False),
        Head("interval", "To bound", "interval", "12%", narrow=False),
        Head("bound", "Bound", "number", "10%"),
        Head("state", "State", "state", "10%"),
    ]
    with parts.panel(verdict(lines), f"evidence-{key}", data=frame):
        rows(columns, [_cells(line) for line in lines], state.colours(), key=f"evidence-rows-{key}")


def _bound_words(line: Line) -> str:
    return line.bound.words(line.metric) if line.bound else ""


def _cells(line: Line) -> dict[str, Any]:
    d = line.difference
    change, sense = change_words(line.metric, d.a, d.b) if line.there_today else ("", "")
    place = line.bound.place_words.removeprefix("from ").replace(", from ", ", ").replace(" to ", "–") if line.bound else ""
    label = metric_words(line.metric) + (f", {place}" if place else "")
    low, high = (d.low, d.high) if d.low is not None and d.high is not None else (d.difference, d.difference)
    bound = line.bound.change(d.a) if line.bound is not None else None
    interval = {"low": low, "mid": d.difference, "high": high, "bound": bound}
    return {
        "metric": label,
        "today": show(d.a, line.metric),
        "candidate": show(d.b, line.metric),
        "change": {"text": change, "sense": sense if line.better is not None else ""},
        "interval": interval if line.there_today and (sense or bound) else None,
        "bound": _bound_words(line),
        "state": line.state,
    }


def running(job: jobs.Job, key: str) -> None:
    """Show how far the trial is, in words and as a share."""
    with parts.panel("The twin runs today’s policy and the candidate in the same world", f"running-{key}"):
        parts.progress(job.job_id, key=key)


def candidates(found: Mapping[str, Any], record: Any, intent: Intent, key: str) -> None:
    """Show the candidates that were explored on the two metrics that were asked about first; any of them can be shown on every page."""
    names = list(dict.fromkeys([*(wish.metric for wish in intent.expectations), "serving.cost_usd_per_h", "plant.gpu_temp_max_c"]))[:2]
    today = str(found["today_run_id"])
    intent = settled_for(intent, asked.world_of(today))
    points = [(item["policy_set"].get("name", "candidate"), item["run_id"], all(item["meets"]), False) for item in found["candidates"]]
    points.append(("today", today, True, True))
    measured = [(*point, *(_measured(intent, name, point[1]) for name in names)) for point in points]
    frame = pl.DataFrame(
        [point for point in measured if None not in point], schema=["name", "run_id", "meets", "is_today", *names], orient="row"
    )
    good = sum(point[2] for point in points if not point[3])
    bounds = {wish.metric: bound_of(wish, _measured(intent, wish.metric, today)) for wish in intent.expectations if wish.metric in names}
    title = f"{good} of {len(points) - 1} candidates {'meets' if good == 1 else 'meet'} every bound"
    with parts.panel(title, f"pareto-{key}", data=frame, png=True):
        lines = {name: bound for name, bound in bounds.items() if bound is not None}
        parts.plot(pareto(frame, names[1], names[0], state.colours(), bounds=lines, height_px=280), f"pareto-{key}", alt=title)
        if any(item["reach"] != "whole day" for item in found["candidates"]):
            st.html('<p class="iw-note">Screened candidates ran only the hours that are asked about; the best ran the whole day.</p>')
        listed = {_candidate_words(item): item for item in found["candidates"]}
        chosen = listed.get(st.selectbox("Candidate", list(listed), key=f"pick-{key}") or "")
        if chosen is not None:
            with st.container(horizontal=True, gap="small"):
                st.button("Show it on every page", key=f"show-{key}", on_click=desk.see, args=(today, chosen["run_id"]))
                st.button("Take this one", key=f"adopt-{key}", on_click=desk.adopt, args=(record, chosen["policy_set"]))


def _candidate_words(item: Mapping[str, Any]) -> str:
    stands = "meets every bound" if all(item["meets"]) else f"breaks {sum(not met for met in item['meets'])}"
    return f"{item['policy_set'].get('name', 'candidate')} · {stands} · {item['reach']}"


def _measured(intent: Intent, metric: str, run_id: str) -> float | None:
    """Return a metric over the scope and window that the intent gives it."""
    wish = next((wish for wish in intent.expectations if wish.metric == metric), None)
    if wish is None:
        return state.metric(run_id, metric)
    spec = intent.window_of(wish)
    return state.metric(run_id, metric, intent.scope_of(wish), None if spec is None else spec.window())


def approval(record: Any, lines: Sequence[Line], *, primary: bool, key: str) -> None:
    """Show who decided what, and let the person at the console decide in their role."""
    made = [item for item in desk.decisions(record.intent_id) if item.version == record.version]
    live = record.state in desk.LIVE
    title = "In force" if live else "Decided against" if record.state == "rejected" else "One decision is missing: yours"
    with parts.panel(title, f"approval-{key}"):
        for item in made:
            word = {"approved": "met", "rejected": "broken"}.get(item.decision, "waiting")
            note = f" · {item.note}" if item.note else ""
            when = item.at.strftime("%-d %b %H:%M")
            words = f"{html.escape(item.actor)} <small>{html.escape(item.role)}, {when} UTC{html.escape(note)}</small>"
            st.html(f'<div class="iw-line"><span class="iw-said">{words}</span>{parts.mark(word, item.decision.replace("_", " "))}</div>')
        st.html(f'<p class="iw-note">You decide as {html.escape(desk.name())}, {html.escape(desk.role())}; change it in the rail.</p>')
        note = st.text_input(
            "Note for the record",
            key=f"note-{key}-{record.state}",
            max_chars=400,
            placeholder="Note for the record",
            label_visibility="collapsed",
        )
        if live:
            with st.container(horizontal=True, gap="small"):
                st.button("Roll back", key=f"rollback-{key}", on_click=desk.decide, args=("rollback", record, note))
                st.button("Retire", key=f"retire-{key}", on_click=desk.decide, args=("retire", record, note))
            return
        broken = any(line.state == "broken" for line in lines if line.bound is not None and line.bound.must)
        if broken:
            st.html('<p class="iw-note">A bound that must hold is broken: approving it needs a note that says why.</p>')
        st.button(
            "Approve and roll out", key=f"approve-{key}", type="primary" if primary else "secondary", width="stretch",
            disabled=not lines, on_click=desk.decide, args=("approve", record, note),
        )  # fmt: skip
        st.button("Reject", key=f"reject-{key}", width="stretch", on_click=desk.decide, args=("reject", record, note))


def assurance(record: Any) -> list[asked.Line]:
    """Return how the run that is shown stands in what an intent asks."""
    now = state.context()
    return asked.lines(record, now.today, now.run_id)


def metric_words(name: str) -> str:
    """Return a metric's label with a capital."""
    return METRICS[name].label[0].upper() + METRICS[name].label[1:]

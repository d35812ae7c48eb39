"""Is my datacenter all right, and what did the last change do?"""

import html

import polars as pl
import streamlit as st

from app import asked, desk, headlines, jobs, parts, state, verdict
from app.charts.events import Mark, gathered
from app.headlines import Headline
from app.overlays import Overlay, of
from app.site import Limits, limits
from app.widgets.day import day
from app.widgets.rows import Head, rows
from app.widgets.tiles import tiles
from twin import units
from twin.metrics import METRICS

_CURVE_SQL = "SELECT run_id, t_s, max(gpu_temp_max_c) AS gpu_temp_max_c FROM rows WHERE NOT isnan(gpu_temp_max_c) GROUP BY ALL ORDER BY t_s"
_STEP_S = 300.0
_OPEN = ("captured", "understood", "questioned", "checked", "simulated", "broken")


def show() -> None:
    """Show the page."""
    now = state.context()
    if now.run_id is None:
        _fresh(now.scenario)
        return
    bounds = limits(state.run(now.run_id).manifest)
    found = headlines.headlines(now.run_id, bounds)
    parts.page_title(verdict.title(now, found), verdict.under(now))
    begin_s = state.run(now.run_id).brief.begin_s
    span = (begin_s, now.horizon_s, now.t_s)
    asks = asked.overlays(now)
    with st.container(key="overview"):
        with st.container(key="overview-tiles"):
            shown = [headlines.tile(item, now.today, now.candidate, now.run_id, span, asks) for item in found]
            tiles(shown, state.colours(), key="tiles")
        wide, side = st.columns([784, 384], gap="small")
    with wide:
        _intents(now)
        _timeline(now, bounds, asks)
        _worked(now)
    with side:
        _decisions()
        _worst(now, bounds)
        _negotiation(now)


def _intents(now: state.Context) -> None:
    found = asked.standing(now)
    if not found:
        parts.hint(
            "Nothing is asked of this datacenter yet",
            (
                "Look at the day: every number above is read from the run, the curve below shows when it was worst.",
                "Say what you want in the bar at the foot of the page, in your own words.",
                "Try it on the twin: today’s policy and the candidate run in the same world, side by side.",
            ),
            key="three-steps",
        )
        return
    order = {"broken": 0, "at risk": 1, "waiting": 2, "met": 3}
    found = sorted(found, key=lambda line: (order[line.state], line.intent_id))[:8]
    compared = now.candidate is not None and now.run_id == now.candidate
    frame = pl.DataFrame(
        [(x.intent_id, x.metric, x.bound.place_words, x.bound.words(x.metric), x.today, x.value, x.state) for x in found],
        schema=["intent_id", "metric", "where_and_when", "bound", "today", "value", "state"],
        orient="row",
    )
    with parts.panel(_count_words(found), "expectations", data=frame):
        columns = [
            Head("intent", "Intent", "strong", "34%"),
            Head("state", "State", "state", "13%"),
            Head("now", "Now", "value", "13%"),
            Head("bound", "Bound", "number", "14%"),
            Head("share", "Of the bound", "bullet", "12%", narrow=False),
            Head("change", "Against today", "change", "14%", narrow=False),
        ]
        cells = [asked.cells(line, compared) for line in found]
        rows(columns, cells, state.colours(), key="expectation-rows", on_pick=_open)


def _open(intent_id: str) -> None:
    state.set_intent(intent_id)
    state.go("intents")


def _count_words(found: list[asked.Line]) -> str:
    counts = {name: sum(line.state == name for line in found) for name in ("broken", "at risk", "met", "waiting")}
    words = [f"{count} {name}" for name, count in counts.items() if count]
    noun = "expectation" if len(found) == 1 else "expectations"
    return f"{len(found)} {noun}: {', '.join(words)}"


def _timeline(now: state.Context, bounds: Limits, asks: list[Overlay]) -> None:
    run_id = now.run_id or ""
    start, title = now.clock.start, _timeline_title(now)
    drawn = {
        "title": title,
        "begin_s": state.run(run_id).brief.begin_s,
        "end_s": now.horizon_s,
        "start_s": start.hour * 3600 + start.minute * 60 + start.second,
        "step_s": _STEP_S,
        "today": _hottest(now.today),
        "candidate": _hottest(now.candidate),
        "limit": bounds.gpu_c.get(headlines.hottest_row(run_id) or ""),
        "bounds": [{"value": item.value, "words": item.words, "spans": item.spans} for item in of(asks, "plant.gpu_temp_max_c")],
        "t_s": now.t_s,
        "unit": "\u00a0°C",
        "digits": 1,
    }

    def data() -> pl.DataFrame:
        return state.query(_CURVE_SQL, [one for one in (now.today, now.candidate) if one])

    with parts.panel(title, "hottest-gpu", data=data, sql=_CURVE_SQL, png=True):
        marks = [*_policy_marks(now, asks), *gathered(state.table(run_id, "events"), now.horizon_s)]
        day(drawn, marks, state.colours(), state.set_t, key="day")


def _hottest(run_id: str | None) -> list[float | None] | None:
    """Return the hottest GPU of every two minutes; None without a run."""
    if run_id is None:
        return None
    brief = state.run(run_id).brief
    parts_ = max(2, round((brief.end_s - brief.begin_s) / _STEP_S))
    item = Headline("", "plant.gpu_temp_max_c", curve=("rows", "gpu_temp_max_c", "max"))
    return headlines.curve(run_id, item, brief.begin_s, brief.end_s, parts_)


def _timeline_title(now: state.Context) -> str:
    run_id = now.run_id or ""
    peak = state.metric(run_id, "plant.gpu_temp_max_c")
    if peak is None:
        return "Hottest GPU over the day"
    at = now.clock.at(state.default_t_s(run_id)).strftime("%H:%M")
    words = f"Hottest GPU: {units.show(peak, 'x_c')} at {at}"
    if now.candidate and now.today and run_id == now.candidate:
        change, sense = headlines.change_words("plant.gpu_temp_max_c", state.metric(now.today, "plant.gpu_temp_max_c"), peak)
        words += f", {change} {sense} than under today’s policy" if sense else ", as under today’s policy"
    return words


def _policy_marks(now: state.Context, asks: list[Overlay]) -> list[Mark]:
    """Return the hours of the intents as intervals of the policy lane; what holds always has no place in it."""
    begin_s = state.run(now.run_id or "").brief.begin_s
    hours = dict.fromkeys((item.intent_id, span) for item in asks for span in item.spans if span != (begin_s, now.horizon_s))

    def clock(t_s: float) -> str:
        return now.clock.at(t_s).strftime("%H:%M")

    return [Mark("policy", a, b, f"{intent_id}: {clock(a)}–{clock(b)}") for intent_id, (a, b) in hours]


def _decisions() -> None:
    waiting = [record for record in desk.intents() if record.state in _OPEN][:4]
    if not waiting:
        with parts.panel("Nothing needs a decision", "no-decisions"):
            st.html('<p class="iw-note">Open questions, candidates that wait for approval and broken intents are listed here.</p>')
        return
    noun = "thing needs" if len(waiting) == 1 else "things need"
    with parts.panel(f"{len(waiting)} {noun} a decision", "decisions"):
        for index, record in enumerate(waiting):
            with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="small", key=f"decision-{index}"):
                words = f"<b>{html.escape(record.intent_id)}: {html.escape(_question(record.state))}</b>"
                st.html(f'<p class="iw-said">{words}</p><p class="iw-note">{html.escape(_short(record.text))}</p>', width="stretch")
                st.button(
                    _verb(record.state),
                    key=f"decide-{record.intent_id}",
                    type="primary" if index == 0 else "secondary",
                    on_click=_open,
                    args=(record.intent_id,),
                )


def _question(word: str) -> str:
    asks = {"questioned": "a question is open", "simulated": "roll it out?", "broken": "it does not hold", "checked": "not tried yet"}
    return asks.get(word, "not checked yet")


def _verb(word: str) -> str:
    return {"questioned": "Answer", "simulated": "Review", "checked": "Try it"}.get(word, "Open")


def _short(text: str) -> str:
    return text if len(text) <= 90 else text[:88].rstrip() + " …"


def _worst(now: state.Context, bounds: Limits) -> None:
    found = headlines.worst(now.run_id or "", bounds)
    frame = pl.DataFrame([(where, metric, value) for where, metric, _, value in found], schema=["where", "metric", "value"], orient="row")
    with parts.panel("The worst of each kind over the day", "worst", data=frame):
        compared = now.candidate is not None and now.run_id == now.candidate
        cells = []
        for where, metric, scope, value in found:
            before = state.metric(now.today, metric, scope) if compared else None
            change, sense = headlines.change_words(metric, before, value)
            cell = {"where": where, "what": METRICS[metric].label, "value": units.show(value, metric)}
            cells.append({**cell, "change": {"text": change, "sense": sense} if change else None})
        columns = [
            Head("where", "Where", "strong", "21%"),
            Head("what", "What", "muted", "27%"),
            Head("value", "Worst", "value", "18%"),
            Head("change", "Against today", "change", "34%"),
        ]
        rows(columns if compared else columns[:3], cells, state.colours(), key="worst-rows")


def _negotiation(now: state.Context) -> None:
    """Show what workloads and platform agreed on, where they negotiate."""
    run_id = now.run_id or ""
    compared = now.candidate is not None and run_id == now.candidate
    found = headlines.negotiated(run_id, now.today if compared else None)
    if not found:
        return
    cut = state.metric(run_id, "workloads.price_cut_share") or 0.0
    title = f"Workloads that negotiate pay {units.show(cut, 'x_share')} less" if cut > 0.0 else "Workloads pay the regular price"
    with parts.panel(title, "negotiation", data=pl.DataFrame([{"metric": row["id"], "value": row["value"]} for row in found])):
        columns = [
            Head("what", "What", "muted", "40%"),
            Head("value", "Now", "value", "26%"),
            Head("change", "Against today", "change", "34%"),
        ]
        rows(columns if compared else columns[:2], found, state.colours(), key="negotiation-rows", on_pick=lambda _: state.go("workloads"))


def _worked(now: state.Context) -> None:
    """Show what functions and jobs come to, where a run has any; a row opens their page."""
    run_id = now.run_id or ""
    compared = now.candidate is not None and run_id == now.candidate
    found = headlines.worked(run_id, now.today if compared else None)
    if not found:
        return
    named = ("functions.latency_p99_s", "workflows.makespan_p50_s", "workflows.makespan_p99_s")
    p99_s, makespan_s, late_s = (state.metric(run_id, name) for name in named)
    words = [] if p99_s is None else [f"99 of 100 calls of functions are answered within {units.show(p99_s, 'x_s')}"]
    late = "" if late_s is None else f", 99 of 100 within {units.show(late_s, 'x_s')}"
    words += [] if makespan_s is None else [f"half of all jobs are done within {units.show(makespan_s, 'x_s')}{late}"]
    title = "; ".join(words) or "What functions and jobs come to"
    data = pl.DataFrame([{"metric": row["id"], "value": row["value"]} for row in found])
    with parts.panel(title[0].upper() + title[1:], "worked", data=data):
        columns = [
            Head("what", "What", "muted", "40%"),
            Head("value", "Now", "value", "26%"),
            Head("change", "Against today", "change", "34%"),
        ]
        opened = {row["id"]: row["id"].partition(".")[0] for row in found}
        rows(columns if compared else columns[:2], found, state.colours(), key="worked-rows", on_pick=lambda name: state.go(opened[name]))


def _fresh(scenario: str) -> None:
    """Say what a fresh install is waiting for, and show how far it is."""
    parts.page_title("Welcome: the example day is on its way", "A finished run opens here by itself.", legend=False)
    home = state.home()
    job = jobs.latest(home, "example")
    if job is None or (job.over and job.state != "done"):
        with parts.panel("No run is stored yet", "fresh"):
            if job is not None and job.error:
                st.html(f'<p class="iw-note">The last attempt stopped: {html.escape(job.error)}</p>')
            st.html('<p class="iw-said">The example is one hot day of 1,280 GPUs under today’s policy; it takes about half a minute.</p>')
            st.button("Run the example day", key="run-example", type="primary", on_click=jobs.submit, args=("example", {}, home))
    else:
        with parts.panel("The twin runs the example day under today’s policy", "fresh"):
            parts.progress(job.job_id, key="example")
    parts.hint(
        f"Three steps with {scenario}",
        (
            "The example day opens here: eight numbers, when it was worst, and where.",
            "Say what you want in the bar at the foot of the page, in your own words.",
            "Try it on the twin, compare with today’s policy, approve, and take the report away.",
        ),
        key="three-steps",
    )

"""Which policy should I roll out?"""

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
import streamlit as st

from app import asked, desk, jobs, parts, state
from app.charts.difference import Row, table
from app.charts.grid import Cell, grid, word
from app.charts.marks import state as mark
from app.report.effects import rows_of
from app.report.judgement import NOTICEABLE_SHARE, Bound, Judged, bounds_of, changes_words, judge, recommendation
from app.report.pairing import Held, Worlds, worlds
from app.widgets.sheet import sheet
from twin.metrics import METRICS, Scope
from twin.units import show as shown

MOST: Final = 3
MORE_SEEDS: Final = 3


def show() -> None:
    """Show the page."""
    if parts.no_run("compare"):
        return
    now = state.context()
    world = _world(now)
    if world is None or not world.candidates:
        parts.page_title("There is no candidate to compare with today’s policy yet", f"Scenario {now.scenario}", legend=False)
        parts.hint(
            "A comparison needs a candidate",
            (
                "Say what you want in the bar at the foot of the page; it becomes a policy set.",
                "Press Try it on the twin: today’s policy and the candidate run in the same world.",
                "Come back here: every metric side by side, and which candidate to roll out.",
            ),
            key="compare-empty",
        )
        return
    candidates = _chosen(world, now)
    judged = [judge(world, held, _asked(world), _read) for held in candidates]
    best, why = recommendation(judged)
    parts.page_title(_title(judged, best), _under(world, judged), legend=True)
    wide, side = st.columns([844, 324], gap="small")
    with wide:
        _differences(judged, best)
    with side:
        _holds(judged, best)
        _recommended(world, judged, best, why)


def _world(now: state.Context) -> Worlds | None:
    """Return the worlds that the context's runs belong to; those with candidates first, then those of whole days."""
    mine = [world for world in worlds(state.home()) if world.scenario == now.scenario and world.today is not None]
    named = [world for world in mine if any(now.candidate in held.run_ids.values() for held in world.candidates)]
    return next(iter(named or sorted(mine, key=lambda world: (not world.candidates, not world.whole))), None)


def _chosen(world: Worlds, now: state.Context) -> list[Held]:
    """Return at most three candidates, the one of the context first; more are picked by name."""
    able = [held for held in world.candidates if world.seeds(held)] or list(world.candidates)
    able.sort(key=lambda held: now.candidate not in held.run_ids.values())
    if len(able) <= MOST:
        return able
    labels = {held.policy_id: held.name for held in able}
    picked = st.multiselect(
        "Candidates",
        list(labels),
        default=list(labels)[:MOST],
        format_func=lambda policy_id: f"{labels[policy_id]} ({policy_id[:6]})",
        max_selections=MOST,
        key="compare-candidates",
        label_visibility="collapsed",
        persist_state="session",
    )
    return [held for held in able if held.policy_id in picked] or able[:1]


def _asked(world: Worlds) -> list[tuple[str, Bound]]:
    live = [record for record in desk.intents() if record.state not in {"retired", "rejected", "rolled_back"}]
    return [pair for record in reversed(live) for pair in bounds_of(record.intent_id, asked.understood(record), _scenario(world))]


def _scenario(world: Worlds) -> Mapping[str, Any]:
    return asked.world_of(next(iter(world.today.run_ids.values()), None) if world.today else None)


def _read(run_id: str, metric: str, scope: tuple[Scope, ...], window: object) -> float | None:
    return state.metric(run_id, metric, scope, window)  # type: ignore[arg-type]


def _title(judged: Sequence[Judged], best: Judged | None) -> str:
    if best is not None:
        only = "Only " if len(judged) > 1 and sum(item.meets for item in judged) == 1 else ""
        return f"{only}{best.candidate.name} keeps every bound: {changes_words(best.asked[:2])}"
    if not any(item.asked or item.missing for item in judged):
        return f"{len(judged)} {'candidate' if len(judged) == 1 else 'candidates'} against today’s policy; no intent says what is wanted"
    return "No candidate keeps every bound"


def _under(world: Worlds, judged: Sequence[Judged]) -> str:
    seeds = sorted({seed for item in judged for seed in item.seeds})
    names = "One candidate" if len(judged) == 1 else f"{len(judged)} candidates"
    same = f"the same weather, load and faults under seed {_seed_words(seeds)}"
    return f"{names} against today’s policy · {world.scenario} · {same}" + (
        " · blue is recommended, hollow the others" if len(judged) > 1 else ""
    )


def _seed_words(seeds: Sequence[int]) -> str:
    return ", ".join(str(seed) for seed in seeds) if len(seeds) < 6 else f"{seeds[0]} to {seeds[-1]}"


def _differences(judged: Sequence[Judged], best: Judged | None) -> None:
    rows = rows_of(judged)
    moved = [row for row in rows if row.bound_words or _noticeable(row)]
    counts = {len(item.seeds) for item in judged}
    over = f"over {max(counts)} paired seeds: mean, 95 % interval" if max(counts) > 1 else "under one seed"
    with parts.panel(f"Change against today {over}", "differences", data=_frame(judged)):
        few = 0 < len(moved) < len(rows) and st.toggle("Only what changes or is bounded", key="compare-few", persist_state="session")
        place = judged.index(best) if best is not None else None
        names = names_of(judged)
        sheet(table(moved if few else rows, names, place, state.colours()), key="difference-table")
        if few:
            words = f"{len(rows) - len(moved)} more metrics change by less than {shown(NOTICEABLE_SHARE, 'x_share')} of today’s value."
            st.html(f'<p class="iw-note">{html.escape(words)}</p>')


def _noticeable(row: Row) -> bool:
    size = abs(row.today or 0.0)
    return any(change is not None and abs(change.value) > NOTICEABLE_SHARE * size for change in row.changes)


def _frame(judged: Sequence[Judged]) -> pl.DataFrame:
    """Return every number of the table, in the metrics' own units."""
    lines = [
        (
            name,
            line.metric,
            line.bound.place_words if line.bound else "",
            line.difference.a,
            line.difference.b,
            line.difference.difference,
            line.difference.low,
            line.difference.high,
            line.difference.n,
            line.bound.words(line.metric) if line.bound else "",
            line.state,
            line.seeds_met if line.bound else None,
        )
        for name, item in zip(names_of(judged), judged, strict=True)
        if item.seeds
        for line in item.lines
    ]
    columns = (
        "candidate",
        "metric",
        "where_and_when",
        "today",
        "value",
        "difference",
        "low",
        "high",
        "seeds",
        "bound",
        "state",
        "seeds_met",
    )
    return pl.DataFrame(lines, schema=list(columns), orient="row", infer_schema_length=None)


def _holds(judged: Sequence[Judged], best: Judged | None) -> None:
    """Show each bound of each intent under each candidate: mark and count of the seeds that keep it."""
    pairs = list(dict.fromkeys((line.metric, line.bound) for item in judged for line in item.asked))
    if not pairs:
        return
    tokens, most = state.colours(), max(len(item.seeds) for item in judged)
    on = ["on" if item is best else "" for item in judged]
    heads = [word("Bound"), *(word(_short(name), weak) for name, weak in zip(names_of(judged), on, strict=True))]
    body = []
    for metric, bound in pairs:
        assert bound is not None
        place = f", {bound.place_words}" if bound.place_words else ""
        words = f"{bound.intent_id}: {METRICS[metric].label} {bound.words(metric)}{place}"
        found = [next((line for line in item.asked if (line.metric, line.bound) == (metric, bound)), None) for item in judged]
        told = [mark(line.state, tokens, str(line.seeds_met)) if line else mark("waiting", tokens, "no evidence") for line in found]
        body.append([word(words, "wrap"), *(Cell(drawn, weak) for drawn, weak in zip(told, on, strict=True))])
    sums = [sum(line.state in {"met", "at risk"} for line in item.asked) for item in judged]
    body.append(
        [word(f"Met or at risk, of {len(pairs)}", "b"), *(word(count, f"b {weak}".strip()) for count, weak in zip(sums, on, strict=True))]
    )
    with parts.panel(f"Which intents hold, of {most} seed{'s' if most > 1 else ''}", "holds"):
        sheet(grid(heads, body, [len(body) - 1]), key="holds-table")


def names_of(judged: Sequence[Judged]) -> list[str]:
    """Return what each candidate is called; those that share a name are told apart by the beginning of their policy's id."""
    names = [item.candidate.name for item in judged]
    same = {name for name in names if names.count(name) > 1}
    return [f"{item.candidate.policy_id[:6]} {name}" if name in same else name for name, item in zip(names, judged, strict=True)]


def _short(name: str) -> str:
    return name if len(name) <= 14 else name[:12].rstrip() + "…"


def _recommended(world: Worlds, judged: Sequence[Judged], best: Judged | None, why: str) -> None:
    title = f"Recommended: {best.candidate.name}" if best else "Nothing is recommended yet"
    with parts.panel(title, "recommended"):
        st.html(f'<p class="iw-said">{html.escape(why)}</p>')
        shown_one = best or judged[0]
        if shown_one.seeds:
            st.button(
                "Take it to the change board", type="primary", key="compare-report", on_click=_report, args=(shown_one,), width="stretch"
            )
        _more_seeds(world, judged)


def _report(item: Judged) -> None:
    state.set_candidate(item.candidate.run_ids[item.seeds[0]])
    state.go("reports")


def _more_seeds(world: Worlds, judged: Sequence[Judged]) -> None:
    """Offer to run more seeds in the background, or follow those that are running."""
    running = [job for job in jobs.list_jobs(state.home()) if job.kind == "run" and not job.over and job.spec.get("label") == "more seeds"]
    if running:
        st.html(f'<p class="iw-note">{len(running)} more {"run" if len(running) == 1 else "runs"} to come</p>')
        parts.progress(running[-1].job_id, key="more-seeds")
        return
    if not world.whole or any(len(item.candidate.schedule.steps) > 1 for item in judged):
        return
    st.button(
        f"Run {MORE_SEEDS} more seeds",
        key="compare-more",
        on_click=_submit_seeds,
        args=(world, [item.candidate for item in judged]),
        width="stretch",
        help="Today’s policy and the candidates, each in the same new worlds; intervals grow narrower.",
    )


def _submit_seeds(world: Worlds, candidates: Sequence[Held]) -> None:
    taken = {seed for held in (world.today, *candidates) if held is not None for seed in held.run_ids}
    first = max(taken, default=0) + 1
    for seed in range(first, first + MORE_SEEDS):
        for held in (world.today, *candidates):
            if held is not None:
                policy = held.schedule.steps[0].policy.model_copy(update={"name": held.name}).model_dump(mode="json")
                spec = {"scenario": world.scenario, "policy": policy, "seed": seed, "label": "more seeds"}
                jobs.submit("run", spec, state.home())

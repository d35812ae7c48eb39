"""Panel of the plans that none beats: time, energy, cost, quality."""

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
import streamlit as st

from app import parts, state
from app.charts.statements import count
from app.charts.trade import AXES, COST, ENERGY, QUALITY, TIME, Planned, figures, spread, trade
from app.fronts import in_words
from app.later import Answer
from app.views.memory.controls import select
from app.views.workflows import reading, tries
from app.views.workflows.reading import Looking
from app.views.workloads.lanes import note
from app.widgets.rows import Head, rows
from policies.systems.murakkab.pins import Pin, parse, where

_FIRST: Final = next(iter(AXES))
_OF_LIMIT: Final[Mapping[str, str]] = {"makespan_s": TIME, "energy_j": ENERGY, "cost_usd": COST, "quality_share": QUALITY}
_HEADS: Final = (
    Head("stage", "Stage", "strong", "26%"),
    Head("now", "In this run", "muted", "37%", narrow=False),
    Head("then", "In the plan", "text", "37%"),
)


def tradeoff(look: Looking) -> Answer:
    """Draw the plans that none beats; a click shows one, and it can be tried on the twin. Return what is waited for."""
    answer = reading.front(look)
    told = answer.value
    offered = () if told is None else (*told.front, *([told.nearest] if told.nearest is not None and not told.front else []))
    found = [*points(offered), *measured(look)]
    taken = state.flow().get("take", "")
    here = next((one for one in offered if one.name == taken), None)
    with parts.panel(title(answer, found), "workflows-trade", data=table(found, offered), png=True):
        if not answer.ready:
            note("Every way to do each stage is weighed; this takes a moment once.")
        elif answer.why:
            note(f"No plans: {answer.why}")
        if not found:
            return answer
        pair = state.flow().get("trade", _FIRST)
        pair = pair if pair in AXES else _FIRST
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="workflows-trade-bar"):
            select("Axes", list(AXES), pair, "workflows-axes", lambda one: state.set_flow(trade=None if one == _FIRST else one), width=170)
            if offered:
                _picker(offered, here)
        chosen = told.chosen.name if told is not None and told.chosen is not None else ""
        fig = trade(found, AXES[pair], state.colours(), here=here.name if here else "", chosen=chosen, bounds=bounds(look))
        parts.plot(fig, "workflows-trade", alt=title(answer, found), on_pick=_pick)
        if told is not None:
            note(under(told, surplus=any(row.get("spot") for row in reading.plan_at(look.run_id, look.workflow.id, look.now.t_s).values())))
        if here is not None:
            _option(look, here)
        tries.told(look)
    return answer


def _pick(name: str) -> None:
    state.set_flow(take=name or None)


def title(answer: Answer, found: Sequence[Planned]) -> str:
    """Return between which ends the trade-off runs, or why there is none."""
    if not answer.ready:
        return "Plans that none beats are being worked out"
    words = spread(found)
    if words:
        front = [plan for plan in found if plan.kind == "front"]
        several = f": {count(len(front), 'plan')} that none beats" if len(front) > 1 else ""
        return f"{words}{several}"
    return "No plan keeps what was asked" if not answer.why else "There is no trade-off to show"


def under(told: Any, *, surplus: bool = False) -> str:
    """Return what was weighed and which plan the planner would take, or which limit stands in the way.

    ``surplus`` says whether the run's own plan stands on what nobody else has, which is not weighed here.
    """
    if told.chosen is None:
        return f"Refused, {told.why}. The point is the plan that misses by the least." if told.nearest else f"Refused, {told.why}."
    beyond = "This run’s plan stands on surplus in part, which costs less and is not always there: no plan here does. " if surplus else ""
    return (
        f"Predicted for the demand of this epoch, this workflow alone on the site at regular prices; {told.considered} plans weighed. "
        f"{beyond}Paler is lower quality. Diamonds are what the runs measured, with all workflows on the site."
    )


def points(offered: Sequence[Any]) -> list[Planned]:
    """Return options as points of the front."""
    return [Planned(one.name, one.title, dict(one.metrics), misses="; ".join(map(in_words, one.misses))) for one in offered]


def measured(look: Looking) -> list[Planned]:
    """Return what jobs came to in the runs: median time, mean energy and cost, worst quality."""
    found = []
    for role, run_id in look.runs.items():
        jobs = reading.jobs(run_id, look.workflow.id)
        done = jobs if jobs.is_empty() else jobs.filter(pl.col("outcome") == "done")
        if done.is_empty():
            continue
        row = done.select(
            pl.col("makespan_s").median().alias(TIME), pl.col("energy_j").mean().alias(ENERGY), pl.col("cost_usd").mean().alias(COST),
            pl.col("quality_share").min().alias(QUALITY),
        ).row(0, named=True)  # fmt: skip
        found.append(
            Planned(f"measured {role}", "this run" if role == "candidate" else "today", row, "measured" if role == "candidate" else "today")
        )
    return found


def bounds(look: Looking) -> dict[str, float]:
    """Return what the workflow itself must keep, by metric."""
    limits = look.workflow.limits.model_dump()
    return {metric: float(limits[name]) for name, metric in _OF_LIMIT.items() if limits.get(name) is not None}


def table(found: Sequence[Planned], offered: Sequence[Any]) -> pl.DataFrame:
    """Return what *Data* shows: every plan with its figures and the choices that pin it."""
    pinned = {one.name: " ".join(one.knobs.get("plan", ())) for one in offered}
    each = [
        {"plan": plan.name, "kind": plan.kind, **plan.metrics, "misses": plan.misses, "choices": pinned.get(plan.name, "")}
        for plan in found
    ]
    return pl.DataFrame(each, infer_schema_length=None)


def _picker(offered: Sequence[Any], here: Any) -> None:
    """Let any plan be chosen without a pointer."""
    names = ["", *(one.name for one in offered)]
    words = {one.name: figures(one.metrics) for one in offered} | {"": "Show one of these plans"}
    select("Plan", names, here.name if here else "", "workflows-plan-pick", _pick, words=lambda name: words[name])


def _option(look: Looking, option: Any) -> None:
    """Show what a plan would change, and offer to run it."""
    pins = [parse(each) for each in option.knobs.get("plan", ())]
    now = reading.plan_at(look.run_id, look.workflow.id, look.now.t_s)
    found = [_row(look, pin, now.get(pin.stage)) for pin in pins if pin.workflow == look.workflow.id and pin.stage != "*"]
    changed = [row for row in found if row["now"] != row["then"]]
    st.html(f'<p class="iw-said">{html.escape(option.title)}</p>')
    if changed:
        rows(_HEADS, changed, state.colours(), key="workflows-plan-rows", on_pick=lambda stage: state.set_flow(stage=stage))
        if len(changed) < len(found):
            note(f"{count(len(found) - len(changed), 'stage').capitalize()} stay as they are.")
    else:
        note("It is how this run does it in this epoch.")
    tries.offer(look, option.name, option.knobs)


def _row(look: Looking, pin: Pin, now: Mapping[str, Any] | None) -> dict[str, Any]:
    title = next((stage.title for stage in look.graph.stages if stage.id == pin.stage), pin.stage)
    was = "–" if now is None else f"{reading.titled(look, now['executor_id'])}, {_on(now)}"
    return {"id": pin.stage, "stage": title, "now": was, "then": f"{reading.titled(look, pin.executor)}, {_pinned(look, pin)}"}


def _on(row: Mapping[str, Any]) -> str:
    instances = max(row["instances"], 1)
    return _words(
        reading.where(row["hardware"], row["gpus"] // instances, row["cores"] // instances, row["spot"]), row["instances"], row["batch"]
    )


def _pinned(look: Looking, pin: Pin) -> str:
    """Return on what a pinned choice stands, in the words of the plan's table."""
    executor = reading.executors(look).get(pin.executor)
    profiles = () if executor is None else executor.profiles
    mine = next((profile for index, profile in enumerate(profiles) if executor is not None and where(executor, index) == pin.where), None)
    place = pin.where if mine is None else reading.where(mine.hardware, mine.gpus, mine.cores, pin.spot)
    return _words(place, pin.instances, pin.batch)


def _words(place: str, instances: int, batch: int) -> str:
    many = f"{instances} × {place}" if instances > 1 else place
    return f"{many}{f' · batch {batch}' if batch > 1 else ''}"

"""Panel of one stage: who could do it, at what time, power and quality."""

from typing import Any, Final

import polars as pl

from app import parts, state
from app.views.workflows import reading
from app.views.workflows.reading import Looking
from app.views.workloads.lanes import note
from app.widgets.rows import Head, rows
from twin.units import show, split
from twin.workflows.executors import Executor, Profile
from twin.workflows.library import terms
from twin.workflows.making import candidates

_HEADS: Final = (
    Head("who", "Executor", "strong", "31%"),
    Head("where", "One instance", "text", "20%"),
    Head("item", "An item", "number", "12%"),
    Head("energy", "Energy", "number", "12%", narrow=False),
    Head("cost", "Cost, USD", "number", "13%"),
    Head("quality", "Quality, %", "value", "12%", narrow=False),
)


def stage(look: Looking) -> None:
    """List who could do the chosen stage, the one that does it marked, with what an item takes on one instance of each."""
    plan = reading.plan_at(look.run_id, look.workflow.id, look.now.t_s)
    row = plan.get(look.stage.id)
    able = candidates(look.stage, look.there.executors)
    frame = choices(look, able)
    with parts.panel(stage_title(look, row, able), "workflows-stage", data=frame):
        found = [_row(executor, index, row) for executor in able for index in range(len(executor.profiles))]
        rows(_HEADS, found, state.colours(), key="workflows-stage-rows", chosen=next((each["id"] for each in found if each["mine"]), None))
        what = "each item" if look.stage.per == "item" else "the job as a whole"
        batched = any(profile.batch_at_most > 1 for executor in able for profile in executor.profiles)
        words = (
            "Of an item alone on one instance at the regular price, what it holds meanwhile included; items done together share that."
            if batched
            else ""
        )
        note(f"{look.stage.title} is done once for {what}. {words or 'Of an item on one instance, at the regular price.'}")


def stage_title(look: Looking, row: dict[str, Any] | None, able: tuple[Executor, ...]) -> str:
    """Return who does the stage and how many others could."""
    name = look.stage.title
    if row is None:
        return f"{name}: nobody does it in this epoch"
    ways = sum(len(executor.profiles) for executor in able)
    others = "nobody else could" if ways <= 1 else f"one of {ways} ways"
    return f"{name} by {reading.titled(look, row['executor_id'])} on {reading.HARDWARE.get(row['hardware'], row['hardware'])}; {others}"


def alone(profile: Profile) -> tuple[float, float]:
    """Return the energy (J) and the cost (USD) of one item that has one instance to itself; nothing for endpoints and functions."""
    given, kind = terms(), profile.hardware
    idle_w = profile.gpus * (profile.idle_w or given.idle_w.get(kind, 0.0))
    energy_j = profile.item_s * (idle_w + profile.gpus * profile.active_w + profile.cores * profile.core_w)
    held = profile.gpus * given.gpu_usd_per_h.get(kind, 0.0) + (0.0 if profile.gpus else profile.cores * given.core_usd_per_h)
    return energy_j, profile.item_s * (profile.usd_per_h or held) / 3600.0


def _row(executor: Executor, index: int, row: dict[str, Any] | None) -> dict[str, Any]:
    profile = executor.profiles[index]
    energy_j, cost_usd = alone(profile)
    mine = row is not None and row["executor_id"] == executor.id and _on(profile, row)
    outside = executor.kind in {"endpoint", "function"}
    return {
        "id": f"{executor.id}/{index}",
        "who": {"text": executor.title, "lead": "✓" if mine else " "},
        "where": reading.of_profile(profile),
        "item": show(profile.item_s, "x_s"),
        "energy": "–" if outside else show(energy_j, "x_j"),
        "cost": "–" if outside else split(cost_usd, "x_usd")[0],
        "quality": f"{100 * executor.quality_share:.3g}",
        "mine": mine,
    }


def _on(profile: Profile, row: dict[str, Any]) -> bool:
    instances = max(row["instances"], 1)
    return profile.hardware == row["hardware"] and (profile.gpus, profile.cores) == (row["gpus"] // instances, row["cores"] // instances)


def choices(look: Looking, able: tuple[Executor, ...]) -> pl.DataFrame:
    """Return what *Data* shows: every way to do the stage with all numbers of its profile and their sources."""
    found = [
        {
            "stage": look.stage.id, "executor": executor.id, "title": executor.title, "quality_share": executor.quality_share,
            **profile_row(profile), "item_alone_j": alone(profile)[0], "item_alone_usd": alone(profile)[1],
        }
        for executor in able
        for profile in executor.profiles
    ]  # fmt: skip
    return pl.DataFrame(found)


def profile_row(profile: Profile) -> dict[str, Any]:
    """Return the numbers of a profile by name."""
    return {name: getattr(profile, name) for name in profile.__slots__}

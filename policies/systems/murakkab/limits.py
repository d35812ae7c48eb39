"""What a workflow must keep, and which limit stands in the way of a plan."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf, isfinite
from typing import Final

from policies.system import Target
from policies.systems.murakkab.candidates import AIMS, Candidate, Search, best, chosen
from policies.systems.murakkab.program import Aim, Bounds
from policies.systems.murakkab.ways import Ground, Work
from twin.clock import Clock
from twin.units import show
from twin.workflows.levers import Demanded
from twin.workflows.making import candidates

_OF_METRIC: Final[Mapping[str, str]] = {
    "workflows.makespan_p50_s": "makespan_s",
    "workflows.makespan_p99_s": "makespan_s",
    "workflows.energy_j_per_job": "energy_j",
    "workflows.cost_usd_per_job": "cost_usd",
    "workflows.quality_min_share": "quality_share",
}
ENFORCED: Final = tuple(_OF_METRIC)
_CALLED: Final = {
    "makespan_s": "makespan",
    "energy_j": "energy of a job",
    "cost_usd": "cost of a job",
    "gpus": "GPUs",
    "quality_share": "quality",
}
_UPPER: Final[tuple[Aim, ...]] = ("makespan_s", "energy_j", "cost_usd", "gpus")


def bounds_of(demanded: Demanded, targets: Sequence[Target], clock: Clock, t_s: float, epoch_s: float) -> Bounds:
    """Return the tightest of a workflow's own limits and of the targets that hold for it in this epoch."""
    kept: dict[str, float] = {name: float(demanded.limits.get(name, inf)) for name in _UPPER}
    quality = float(demanded.limits.get("quality_share", 0.0))
    for target in targets:
        name = _OF_METRIC.get(target.metric)
        named = {spec.id for spec in target.scope if spec.kind == "workflow"}
        if name is None or (named and demanded.workflow not in named) or not target.in_force(clock, t_s, epoch_s):
            continue
        if name == "quality_share":
            quality = max(quality, target.bound) if target.op == ">=" else quality
        elif target.op == "<=":
            kept[name] = min(kept[name], target.bound)
    return Bounds(**kept, quality_share=quality)


def words(name: str, value: float) -> str:
    """Return a figure of a job in words.

    >>> words("makespan_s", 23.1), words("gpus", 8.0)
    ('23.1\\xa0s', '8')
    """
    return f"{value:g}" if name == "gpus" else show(value, f"job_{name}")


def refusal(work: Work, ground: Ground, bounds: Bounds, points: int) -> str:
    """Return why no plan keeps the bounds: what there is no room for, or which limit binds and what the least is without it."""
    search = Search(work, ground)
    if search.missing:
        return _no_room(search.missing, work, ground)
    finite = [name for name in _UPPER if isfinite(getattr(bounds, name))] + (["quality_share"] if bounds.quality_share > 0.0 else [])
    binding = [told for name in finite if (told := _without(name, work, ground, bounds, points))]
    if binding:
        return f"{'; or '.join(binding)}{'' if len(finite) == 1 else ' (with all else kept)'}"
    if chosen(work, ground, "MIN_COST", Bounds(), points)[0] is None:
        free = ", ".join(f"{count} {kind}" for kind, count in ground.gpus if count) or "none"
        return f"gpus: its models need more than what is left for it ({free}); give workflows more servers, or other workflows fewer"
    asked = ", ".join(_asked(name, bounds) for name in finite)
    return f"more than one limit binds: {asked}; no plan keeps all but one of them"


def _without(name: str, work: Work, ground: Ground, bounds: Bounds, points: int) -> str:
    """Return in words that a limit binds, and what could be had of it with all else kept; empty where it does not bind alone."""
    free = replace(bounds, **{name: 0.0 if name == "quality_share" else inf})
    found = _extreme(name, work, ground, free, points)
    if found is None:
        return ""
    most = "the most" if name == "quality_share" else "the least"
    return f"{_CALLED[name]}: {_asked(name, bounds)} is asked, {most} here is {words(name, getattr(found.figures, name))}"


def _extreme(name: str, work: Work, ground: Ground, bounds: Bounds, points: int) -> Candidate | None:
    """Return the plan that has the least of a figure (of quality the most)."""
    if name == "gpus":
        return fewest_gpus(work, ground, bounds)
    objective = "MAX_QUALITY" if name == "quality_share" else next(each for each, aim in AIMS.items() if aim == name)
    return chosen(work, ground, objective, bounds, points)[0]


def fewest_gpus(work: Work, ground: Ground, bounds: Bounds) -> Candidate | None:
    """Return the plan on the fewest GPUs within the bounds, None where there is none."""
    search = Search(work, ground)
    warm = search.warm_one("gpus", bounds) if work.holds else None
    found = [warm] if warm is not None else search.cold_ones("gpus", bounds, 2)
    return min(found, key=lambda each: each.figures.gpus, default=None) or best(found, "MIN_COST")


def _asked(name: str, bounds: Bounds) -> str:
    return f"{'at least' if name == 'quality_share' else 'at most'} {words(name, getattr(bounds, name))}"


def _no_room(stage: str, work: Work, ground: Ground) -> str:
    """Return what a stage lacks: an executor, or GPUs or cores for any of them."""
    able = candidates(next(each for each in work.graph.stages if each.id == stage), work.library)
    if not able:
        return f"no executor does stage {stage}; add one to the library"
    if work.pins:
        return f"stage {stage}: no executor fits the pinned choice here; leave it out or choose another"
    profile = min((each for executor in able for each in executor.profiles), key=lambda each: (each.gpus, each.cores))
    if profile.gpus:
        there = dict(ground.gpus).get(profile.hardware, 0)
        return f"gpus: stage {stage} needs {profile.gpus} {profile.hardware} and more for its load, {there} are left"
    return f"cores: stage {stage} needs {profile.cores} cores and more for its load, {ground.cores:g} are left"

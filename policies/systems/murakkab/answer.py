"""The trade-off front of one workflow, as the answer to a request."""

from dataclasses import replace

from policies.system import Answer, Option, Surroundings
from policies.systems.murakkab import pins
from policies.systems.murakkab.asking import Asked, asked, site_of
from policies.systems.murakkab.candidates import Candidate, best
from policies.systems.murakkab.front import front
from policies.systems.murakkab.knobs import MurakkabKnobs
from policies.systems.murakkab.limits import refusal, words
from policies.systems.murakkab.program import Bounds
from twin.workflows.levers import Demanded, PlanObservation

_NOWHERE = Surroundings((), (), (), (), (), (), 0, 0.0)


def answer(knobs: MurakkabKnobs, seen: PlanObservation) -> Answer:
    """Return the plans of a workflow that none beats in makespan, energy, cost and quality within its limits, and the one to take.

    The workflow is the one that the knobs name, else the one that the targets are about, else the first; it is planned alone on the
    whole site, for the demand of this epoch. Each option's knobs pin its plan. ValueError where there is no such workflow.
    """
    free = knobs.model_copy(update={"plan": ()})
    each = asked(_demanded(knobs, seen), seen, free, _NOWHERE, 0.0)
    ground = site_of(seen, knobs)
    found, looked = front(each.work, ground, each.bounds, knobs.front_points)
    if found:
        chosen = best(found, each.objective)
        assert chosen is not None
        options = [option(each, one, number) for number, one in enumerate(found, 1)]
        taken = options[found.index(chosen)]
        why = f"{taken.name} ({taken.title}) is the best of {looked} plans for {each.objective}; none beats the {len(found)} of the front"
        return Answer(tuple(options), taken, why, None, looked)
    near, looked = front(each.work, ground, Bounds(), knobs.front_points)
    told = refusal(each.work, ground, each.bounds, knobs.front_points)
    nearest = min(near, key=lambda one: (len(one.figures.misses(each.bounds)), one.figures.cost_usd), default=None)
    return Answer((), None, told, None if nearest is None else _missing(each, nearest), looked, {each.demanded.workflow: told})


def _demanded(knobs: MurakkabKnobs, seen: PlanObservation) -> Demanded:
    named = [spec.id for target in knobs.targets for spec in target.scope if spec.kind == "workflow"]
    wanted = knobs.workflow or next(iter(named), "")
    if not wanted and seen.demanded:
        return seen.demanded[0]
    for each in seen.demanded:
        if each.workflow == wanted:
            return each
    there = ", ".join(each.workflow for each in seen.demanded) or "none"
    raise ValueError(f"murakkab.workflow: there is no workflow {wanted!r}; there are: {there}")


def option(each: Asked, found: Candidate, number: int) -> Option:
    """Return a plan as an option: what a job comes to, and what it would alone on warm instances."""
    figures, alone = found.figures, found.alone
    library = {executor.id: executor for executor in each.work.library}
    title = ", ".join(words(name, getattr(figures, name)) for name in ("makespan_s", "energy_j", "cost_usd"))
    kept = "held between jobs" if found.plan.hold else "started for each job"
    return Option(
        name=f"{each.demanded.workflow}-{number}",
        title=f"{title} a job, {kept}",
        metrics={
            "workflows.makespan_p50_s": figures.makespan_s,
            "workflows.energy_j_per_job": figures.energy_j,
            "workflows.cost_usd_per_job": figures.cost_usd,
            "workflows.quality_min_share": figures.quality_share,
        },
        details={
            "gpus": figures.gpus,
            "cores": figures.cores,
            "held": float(found.plan.hold),
            "alone_makespan_s": alone.makespan_s,
            "alone_energy_j": alone.energy_j,
            "alone_cost_usd": alone.cost_usd,
            "critical_path_s": alone.critical_path_s,
        },
        knobs={"plan": pins.written(each.demanded.workflow, found.plan, library)},
    )


def _missing(each: Asked, found: Candidate) -> Option:
    missed = found.figures.misses(each.bounds)
    said = tuple(f"{name}: {words(name, getattr(found.figures, name))}, asked is {words(name, bound)}" for name, bound in missed.items())
    return replace(option(each, found, 1), misses=said)

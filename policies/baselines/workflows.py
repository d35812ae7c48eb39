"""The plain holder of workflows: one step at a time, as it was written."""

from collections.abc import Mapping
from typing import Final

from policies.baselines.instances import busy, items_of, needed, pool_of
from policies.system import Knobs, Surroundings, System
from twin.workflows.executors import Executor
from twin.workflows.graph import Stage
from twin.workflows.levers import Choice, Demanded, Plan, PlanAction, PlanObservation
from twin.workflows.library import terms
from twin.workflows.making import candidates


class Sequential:
    """Does each job's items one after the other, each stage by the best executor there is, on the hardware that it lists first.

    Each workflow has machines of its own, as many as its owner expects to need at the busiest time, and holds them whatever comes:
    that is how such a job is written today, with its models and machines named.
    """

    def __init__(self, knobs: Knobs, surroundings: Surroundings) -> None:
        del knobs, surroundings

    def plan(self, seen: PlanObservation) -> PlanAction:
        """Return the same plan in every epoch."""
        plans: dict[str, Plan] = {}
        refused: dict[str, str] = {}
        for each in seen.demanded:
            chosen = {stage.id: best(stage, seen.library) for stage in each.graph.stages}
            missing = [name for name, executor in chosen.items() if executor is None]
            if missing:
                refused[each.workflow] = f"no executor does stage {missing[0]}"
            else:
                plans[each.workflow] = as_written(each, {name: found for name, found in chosen.items() if found is not None})
        return PlanAction(plans, refused)


def best(stage: Stage, library: tuple[Executor, ...]) -> Executor | None:
    """Return the executor of the highest quality that can do a stage, the first of equals."""
    return max(candidates(stage, library), key=lambda each: each.quality_share, default=None)


def as_written(demanded: Demanded, chosen: Mapping[str, Executor]) -> Plan:
    """Return the plan in which these executors do their stages, sized for the busiest time."""
    rate_per_h = max(demanded.peak_rate_per_h, demanded.rate_per_h)
    pools: dict[str, float] = {}
    for stage in demanded.graph.stages:
        executor = chosen[stage.id]
        profile = executor.profiles[0]
        name = pool_of(executor, profile)
        pools[name] = pools.get(name, 0.0) + busy(profile, profile.batch_at_most, items_of(stage, demanded.items), rate_per_h)
    full = terms().peak_utilisation_share
    stages = {
        name: Choice(executor.id, 0, needed(pools[pool_of(executor, executor.profiles[0])], full), executor.profiles[0].batch_at_most)
        for name, executor in chosen.items()
    }
    why = f"{demanded.workflow} as it was written: the best of each, one after the other, on machines of its own for the busiest time"
    return Plan(stages, one_by_one=True, hold=True, dedicated=True, why=why)


BASELINES: Final = (
    System(
        id="sequential",
        name="one step at a time",
        question="What if each step of a job waits for the one before it, on models and machines named in its code?",
        levers={"workflow_plan": "holder"},
        serves=(),
        costs=(),
        knobs=Knobs,
        build=Sequential,
    ),
)

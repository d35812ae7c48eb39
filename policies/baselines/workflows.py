"""The plain holder of workflows: one step at a time, as it was written."""

from typing import Final

from policies.system import Knobs, Surroundings, System
from twin.workflows.executors import Executor
from twin.workflows.graph import Stage
from twin.workflows.levers import Choice, Demanded, Plan, PlanAction, PlanObservation


class Sequential:
    """Does each job's items one after the other, each stage by the best executor there is, on the hardware that it lists first.

    It holds what it once started, whatever comes: that is how such a job is written today, with its models and machines named.
    """

    def __init__(self, knobs: Knobs, surroundings: Surroundings) -> None:
        del knobs, surroundings

    def plan(self, seen: PlanObservation) -> PlanAction:
        """Return the same plan in every epoch."""
        plans, refused = {}, {}
        for each in seen.demanded:
            chosen = {stage.id: _best(stage, seen.library) for stage in each.graph.stages}
            missing = [name for name, executor in chosen.items() if executor is None]
            if missing:
                refused[each.workflow] = f"no executor does stage {missing[0]}"
            else:
                plans[each.workflow] = _plan(each, {name: found for name, found in chosen.items() if found is not None})
        return PlanAction(plans, refused)


def _best(stage: Stage, library: tuple[Executor, ...]) -> Executor | None:
    """Return the executor of the highest quality that can do a stage, the first of equals."""
    able = [each for each in library if stage.gives in each.gives and set(each.reads) == set(stage.reads) and each.profiles]
    return max(able, key=lambda each: each.quality_share, default=None)


def _plan(demanded: Demanded, chosen: dict[str, Executor]) -> Plan:
    stages = {name: Choice(executor.id, 0) for name, executor in chosen.items()}
    return Plan(stages, one_by_one=True, hold=True, why=f"{demanded.workflow} as it was written: the best of each, one after the other")


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

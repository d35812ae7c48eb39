"""What one job of a plan comes to on instances of its own, without a run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from twin.workflows.execution import Execution
from twin.workflows.executors import Executor
from twin.workflows.graph import Graph
from twin.workflows.levers import Plan
from twin.workflows.library import Terms
from twin.workflows.pools import Pool
from twin.workflows.shapes import Shape
from twin.workflows.site import Site
from twin.workflows.staffing import OUTSIDE, Staffing, doing

_ONE_HOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A job alone: how long it takes, what its work draws and costs, and by pool what is held for it.

    ``worked_j`` and ``worked_usd`` are of the work; ``held_w`` and ``held_usd_per_h`` go on for as long as the instances are held.
    """

    makespan_s: float
    worked_j: float
    worked_usd: float
    held_w: Mapping[str, float]
    held_usd_per_h: Mapping[str, float]
    gpus: Mapping[str, int]


def alone(graph: Graph, items: int, plan: Plan, library: Mapping[str, Executor], terms: Terms, cores: int, warm: bool) -> Foreseen:
    """Return what a job of so many items comes to under a plan, on ``cores`` of one host and GPUs as many as the plan says.

    Event by event as in a run. Without ``warm`` its instances are started when it comes. What others answer takes its profile's time.
    """
    inside = {name: _answering(executor) for name, executor in library.items()}
    kept = replace(plan, dedicated=False, stages={name: _many(choice, library, items) for name, choice in plan.stages.items()})
    kinds = sorted({library[each.executor].profiles[each.profile].hardware for each in plan.stages.values()})
    site = Site(np.full(len(kinds), _ONE_HOST), tuple(kinds), np.array([max(cores, 1)]))
    execution = Execution([Shape.of(graph, items, terms.network_bytes_per_s)], list(inside.values()), site, terms)
    # Surplus is as much as is asked for.
    execution.places.surplus.spot_gpus[:] = _ONE_HOST
    execution.places.surplus.harvest_cores[:] = max(cores, 1)
    execution.how[0] = doing(graph, kept, inside, 0, True)
    Staffing(inside, terms).apply({0: kept}, [graph], execution.how, execution.pools)
    begin_s = 0.0 if warm else 1.0
    execution.run(begin_s)
    execution.submit(0, 0)
    pools = [pool for pool in execution.pools.values() if pool.gpus]
    held = {pool.key: _held(pool) for pool in pools}
    while execution.jobs and execution.events:
        execution.run(execution.events[0][0])
    ended_s, _, outcome, why = execution.told.jobs[-1] if execution.told.jobs else (0.0, None, "stuck", "nobody does it")
    if outcome != "done":
        raise ValueError(f"workflow_plan: a job alone is not done under this plan ({why}); give its stages instances that fit")
    return Foreseen(
        makespan_s=ended_s - begin_s,
        worked_j=execution.worked_j,
        worked_usd=execution.worked_usd,
        held_w={key: drawn for key, (_, drawn, _) in held.items()},
        held_usd_per_h={key: paid for key, (_, _, paid) in held.items()},
        gpus={key: gpus for key, (gpus, _, _) in held.items()},
    )


def _held(pool: Pool) -> tuple[int, float, float]:
    count = len(pool.instances)
    return count * pool.gpus, count * pool.idle_w, count * pool.held_usd_per_h


def _answering(executor: Executor) -> Executor:
    """Return an endpoint or a function as a tool that holds nothing here."""
    if executor.kind not in OUTSIDE:
        return executor
    return replace(executor, kind="tool", profiles=tuple(replace(each, gpus=0, cores=0) for each in executor.profiles))


def _many[C](choice: C, library: Mapping[str, Executor], items: int) -> C:
    """Return a choice with as many instances as items where others answer: they take all at once."""
    outside = library[choice.executor].kind in OUTSIDE  # type: ignore[attr-defined]
    return replace(choice, instances=items, batch=1) if outside else choice  # type: ignore[type-var]

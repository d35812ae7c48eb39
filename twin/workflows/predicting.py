"""What one job would take under a plan, alone on warm instances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

import numpy as np

from twin.workflows import library as libraries
from twin.workflows import staffing
from twin.workflows.execution import Execution
from twin.workflows.executors import Executor
from twin.workflows.graph import Graph
from twin.workflows.levers import Plan
from twin.workflows.shapes import Shape
from twin.workflows.site import Site, Surplus
from twin.workflows.timing import executors_of

# GPUs of a server and cores of a host where the planner does not know them one by one.
_SERVER_GPUS: Final = 8
_HOST_CORES: Final = 64


@dataclass(frozen=True, slots=True)
class Predicted:
    """One job under a plan: how long, what it draws and costs, what it holds, how good its weakest stage is; ``refused`` says why not."""

    makespan_s: float
    energy_j: float
    cost_usd: float
    gpus: int
    cores: int
    quality_share: float
    critical_path_s: float
    refused: str = ""

    def as_mapping(self) -> dict[str, float]:
        """Return what ``Plan.predicted`` holds."""
        names = ("makespan_s", "energy_j", "cost_usd", "gpus", "cores", "quality_share")
        return {name: float(getattr(self, name)) for name in names}


def predict(
    graph: Graph,
    plan: Plan,
    executors: Sequence[Executor],
    items: int,
    gpus: int,
    cores: int,
    endpoint_s: Mapping[str, float] | None = None,
) -> Predicted:
    """Return what one job takes that runs alone, by the same events as in a run.

    There are ``gpus`` of each kind in servers of eight, ``cores`` in hosts of 64, and as much surplus beside. A request to an endpoint
    or function takes what ``endpoint_s`` says of its target, else its profile. ValueError where the plan does not fit the graph.
    """
    by_id = {each.id: each for each in executors}
    chosen = executors_of(graph, plan, by_id)
    terms = libraries.terms()
    site = _site({profile.hardware for _, profile, _ in chosen.values() if profile.gpus}, gpus, cores)
    execution = Execution([Shape.of(graph, items, terms.network_bytes_per_s)], executors, site, terms)
    ones = np.ones(len(site.server_gpus)), np.ones(len(site.host_cores))
    execution.places.surplus = Surplus(site.server_gpus, site.host_cores, *ones)
    execution.how[0] = staffing.doing(graph, plan, by_id, 0, shared=True)
    staffing.Staffing(by_id, terms).apply({0: plan}, [graph], execution.how, execution.pools)
    execution.reroute()
    execution.submit(0, 0)
    _run(execution, endpoint_s or {})
    _, job, outcome, why = execution.told.jobs[0] if execution.told.jobs else (0.0, None, "refused", "it never ends: a stage has no room")
    # What all of a pool's instances hold; stages that share one hold it once.
    held = execution.places.held
    at_work = sum(pool.cores * pool.wanted for pool in execution.pools.values() if not pool.gpus)
    if job is None or outcome != "done":
        return Predicted(float("inf"), float("inf"), float("inf"), int(held.sum()), at_work, 0.0, 0.0, why)
    gpus_held = int(held.sum() + execution.places.spot_used.sum()) if plan.hold else _most(execution)
    return Predicted(execution.t_s, job.energy_j, job.cost_usd, gpus_held, at_work, job.quality_share, job.critical_path_s)


def _most(execution: Execution) -> int:
    return sum(pool.gpus * pool.wanted for pool in execution.pools.values())


def _site(kinds: set[str], gpus: int, cores: int) -> Site:
    each = [_SERVER_GPUS] * (gpus // _SERVER_GPUS) + ([gpus % _SERVER_GPUS] if gpus % _SERVER_GPUS else [])
    hardware = tuple(kind for kind in sorted(kinds) for _ in each)
    hosts = [_HOST_CORES] * (cores // _HOST_CORES) + ([cores % _HOST_CORES] if cores % _HOST_CORES else [])
    return Site(np.array(each * len(kinds), dtype=np.int64), hardware, np.array(hosts, dtype=np.int64))


def _run(execution: Execution, endpoint_s: Mapping[str, float]) -> None:
    """Let a job go on until it ends or nothing is left that could happen; others' answers take what they are said to take."""
    answers: list[tuple[float, int]] = []
    while not execution.told.jobs:
        for number in execution.unasked:
            _, _, _, who, profile, ready_s = execution.asked[number]
            executor = execution.library[who]
            told_s = endpoint_s.get(executor.target, float("nan"))
            heappush(answers, (ready_s + (told_s if told_s == told_s else executor.profiles[profile].item_s), number))
        execution.unasked = []
        coming = [each[0][0] for each in (execution.events, answers) if each]
        if not coming:
            return
        execution.run(min(coming))
        while answers and answers[0][0] <= execution.t_s:
            end_s, number = heappop(answers)
            execution.answer(number, end_s)

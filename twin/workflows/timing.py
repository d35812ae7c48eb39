"""How long items take on instances: batching, full speed, longest way."""

from collections.abc import Mapping

from twin.workflows.executors import Executor, Profile
from twin.workflows.graph import Graph, Stage
from twin.workflows.levers import Choice, Plan


def slowdown(batch: int, batch_slowdown: float) -> float:
    """Return by how much each of so many items at once takes longer than one alone: ``1 + a (b - 1)``.

    >>> round(slowdown(4, 0.108), 3)
    1.324
    """
    return 1.0 + batch_slowdown * (max(batch, 1) - 1)


def batch_of(profile: Profile, batch: int) -> int:
    """Return how many items an instance does at once where a plan says ``batch``."""
    return max(1, min(batch, profile.batch_at_most))


def items_per_s(profile: Profile, batch: int, instances: int = 1) -> float:
    """Return how many items a second so many instances do when they are full."""
    full = batch_of(profile, batch)
    return instances * full / (profile.item_s * slowdown(full, profile.batch_slowdown))


def transfer_s(stage: Stage, network_bytes_per_s: float) -> float:
    """Return how long it takes to hand an item's data on to a stage; 0 where it reads what the job brings along."""
    return stage.transfer_bytes / network_bytes_per_s if stage.after else 0.0


def executors_of(graph: Graph, plan: Plan, library: Mapping[str, Executor]) -> dict[str, tuple[Executor, Profile, Choice]]:
    """Return who does each stage, on which profile; ValueError, one line, for a stage without one or one that cannot do it."""
    chosen = {}
    for stage in graph.stages:
        choice = plan.stages.get(stage.id)
        if choice is None:
            raise ValueError(f"workflow_plan: nobody does stage {stage.id}; choose an executor for it")
        executor = library.get(choice.executor)
        if executor is None or not 0 <= choice.profile < len(executor.profiles):
            raise ValueError(f"workflow_plan: stage {stage.id}: there is no executor {choice.executor} with profile {choice.profile}")
        if stage.gives not in executor.gives or set(executor.reads) != set(stage.reads):
            raise ValueError(f"workflow_plan: {choice.executor} reads or gives other data than stage {stage.id} has")
        chosen[stage.id] = (executor, executor.profiles[choice.profile], choice)
    return chosen


def critical_path_s(graph: Graph, plan: Plan, library: Mapping[str, Executor], network_bytes_per_s: float) -> float:
    """Return the longest way through a job's stages, each item alone and nothing waiting: no plan's makespan is below it."""
    end: dict[str, float] = {}
    chosen = executors_of(graph, plan, library)
    for stage in graph.stages:
        begin = max((end[name] for name in stage.after), default=0.0)
        end[stage.id] = begin + transfer_s(stage, network_bytes_per_s) + chosen[stage.id][1].item_s
    return max(end.values(), default=0.0)


def work_over_capacity_s(graph: Graph, plan: Plan, library: Mapping[str, Executor], items: int) -> float:
    """Return how long the busiest pool of instances works for one job at full batches: no makespan is below it either."""
    work: dict[tuple[str, int, bool], float] = {}
    chosen = executors_of(graph, plan, library)
    for stage in graph.stages:
        executor, profile, choice = chosen[stage.id]
        if executor.kind in {"endpoint", "function"}:
            continue
        pool = (executor.model or executor.id, choice.profile, choice.spot)
        count = items if stage.per == "item" else 1
        work[pool] = work.get(pool, 0.0) + count / items_per_s(profile, profile.batch_at_most, max(choice.instances, 1))
    return max(work.values(), default=0.0)

"""Runtimes of functions and plans of jobs as files that systems take."""

from typing import Any, Final

from policies import study
from policies.policy import PolicySet
from twin.fleet import expand
from twin.functions.levers import Runtime, RuntimeObservation
from twin.scenario import Scenario
from twin.stack import Holding
from twin.workflows.executors import Executor
from twin.workflows.levers import Plan

FUNCTION_HEADS: Final = (
    "function",
    "runtime",
    "hosts",
    "cores_per_host",
    "polling_cores_per_host",
    "keep_alive_s",
    "instances_at_most_per_host",
    "memory_bytes",
    "language",
    "metadata_cache",
)
Rows = list[tuple[object, ...]]


def functions(policy: PolicySet, scenario: Scenario) -> Rows:
    """Return how each function is run, rows as FUNCTION_HEADS; generated ones, which have no name before a run, in one row."""
    settings = scenario.spec.functions
    hosts = expand(settings.hosts)
    if not hosts:
        return []
    runtime = _runtime(policy, scenario, len(hosts))
    each = f" and {runtime.polling_cores_each:g} for each warm instance" if runtime.polling_cores_each else ""
    spinning, cached = f"{runtime.polling_cores:g}{each}", "on" if runtime.cached else "off"
    shared = (runtime.name, " ".join(hosts), settings.cores, spinning, f"{settings.keep_alive_s:g}", settings.instances_at_most)
    rows: Rows = [(one.id, *shared, one.memory_bytes, one.language, cached) for one in settings.functions]
    return [*rows, (f"{settings.generated} generated", *shared, "", "", cached)] if settings.generated else rows


def _runtime(policy: PolicySet, scenario: Scenario, hosts: int) -> Runtime:
    holder = next(each for each in study.holdings(policy, scenario) if each.lever == "function_runtime").holder
    runtime: Runtime = holder.choose(RuntimeObservation(scenario.spec.functions, hosts)).runtime
    return runtime


def plans(policy: PolicySet, scenario: Scenario) -> list[dict[str, Any]]:
    """Return for each workflow the plan of its busiest epoch, beside the plans of the others there; or why it is refused."""
    if not scenario.spec.workflows.workflows:
        return []
    # Imported here: in most scenarios no job is planned.
    from policies.intent.planned import busiest

    stack = [each for each in study.holdings(policy, scenario) if each.lever == "workflow_plan"]
    found = []
    for name in scenario.entities()["workflow"]:
        holding = next(each for each in stack if _holds(each, name))
        seen = busiest(scenario, name)
        action = holding.holder.plan(seen)
        at = scenario.clock.at(seen.t_s).strftime("%H:%M")
        head = {"workflow": name, "held_by": holding.system, "planned_for": at, "epoch_s": seen.epoch_s}
        plan = action.plans.get(name)
        if plan is None:
            found.append({**head, "refused": action.refused.get(name, "no plan")})
        else:
            library = {executor.id: executor for executor in seen.library}
            found.append({**head, **_written(plan, library, scenario.spec.workflows.asks)})
    return found


def _holds(holding: Holding, workflow: str) -> bool:
    return not holding.scope or any(scope.kind == "workflow" and scope.id == workflow for scope in holding.scope)


def _written(plan: Plan, library: dict[str, Executor], asks: dict[str, str]) -> dict[str, Any]:
    """Return a plan as plain values: what each stage is done by, on what, and what a job is expected to take."""
    stages = {}
    for stage, choice in plan.stages.items():
        executor = library[choice.executor]
        profile = executor.profiles[choice.profile]
        stages[stage] = {
            "executor": executor.id,
            "model": executor.model or None,
            "asks": asks.get(executor.target, executor.target) or None,
            "hardware": profile.hardware,
            "gpus_each": profile.gpus,
            "cores_each": profile.cores,
            "instances": choice.instances,
            "batch": choice.batch,
            "surplus": choice.spot,
        }
    return {
        "stages": stages,
        "items": "one by one" if plan.one_by_one else "together",
        "instances_between_jobs": "held" if plan.hold else "given back",
        "dedicated": plan.dedicated,
        "predicted": {name: round(float(value), 6) for name, value in plan.predicted.items()},
        "why": plan.why,
    }

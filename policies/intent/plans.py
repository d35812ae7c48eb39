"""An intent about functions or jobs: what to plan for, and whose."""

from typing import Final

from policies import catalogue
from policies.intent.interpret.reader import Site
from policies.intent.model import Finding, Intent
from policies.policy import PolicySet

PLAN: Final = "workflow_plan"
# Objective -> what a planner plans for among the plans that keep every bound.
_AIMS: Final = {
    ("workflows.cost_usd_per_job", "minimize"): "MIN_COST",
    ("workflows.energy_j_per_job", "minimize"): "MIN_ENERGY",
    ("workflows.makespan_p50_s", "minimize"): "MIN_LATENCY",
    ("workflows.makespan_p99_s", "minimize"): "MIN_LATENCY",
    ("workflows.quality_min_share", "maximize"): "MAX_QUALITY",
}
# Lever -> what it moves, and what a scenario writes to have it.
_OF: Final = {"function_runtime": ("function", "[functions]"), PLAN: ("workflow", "[workflows]")}


def aiming(policy: PolicySet, intent: Intent) -> PolicySet:
    """Tell who plans jobs what is wanted of the plans that keep the bounds: the objective, where it is one of a job.

    What each workflow declares stays where the intent has no objective of a job, or names another one in its settings.
    """
    wanted = None if intent.objective is None else _AIMS.get((intent.objective.metric, intent.objective.sense))
    stack = policy.levers.get(PLAN, ())
    chosen = tuple(
        held.model_copy(update={"knobs": {"objective": wanted, **held.knobs}})
        if wanted is not None and "objective" in catalogue.card(held.system).knobs.model_fields
        else held
        for held in stack
    )
    return policy if chosen == stack else policy.model_copy(update={"levers": {**policy.levers, PLAN: chosen}})


def nothing_runs(policy: PolicySet, site: Site) -> list[Finding]:
    """Tell where a runtime of functions or plans of jobs are chosen at a site that has neither: there they change nothing."""
    found = []
    for lever, (kind, section) in _OF.items():
        changed = any(held.system != catalogue.levers()[lever].baseline for held in policy.levers.get(lever, ()))
        if changed and site.entities.get(kind) == ():
            text = f"This scenario names no {kind}, so that there is little for it to change; name some in the scenario, under {section}."
            found.append(Finding(severity="info", about=lever, text=text))
    return found

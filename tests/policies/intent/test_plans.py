"""Functions and jobs in words: a runtime, plans with their bounds, and the plans that answer beside what binds."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from policies import catalogue
from policies.intent import lifecycle
from policies.intent.compile import Compiled, compile_intent
from policies.intent.interpret.embedded import EmbeddedReader
from policies.intent.interpret.reader import Site
from policies.intent.planned import COMPARED, asks_for_plan, planned
from policies.intent.versions import Actor
from policies.policy import PolicySet
from twin.scenario import load

WORKING = Path(__file__).parents[2] / "working.toml"


@pytest.fixture(scope="module")
def site(site: Site) -> Site:
    return replace(site, entities={**site.entities, "workflow": ("video-understanding", "report"), "function": ("resize-image",)})


def done(text: str, site: Site) -> Compiled:
    found = compile_intent(EmbeddedReader().read(text, site).intent, site)
    catalogue.check(found.policy, site.entities)
    return found


def held(policy: PolicySet) -> dict[str, list[tuple[str, set[str]]]]:
    return {lever: [(each.system, {spec.id for spec in each.scope}) for each in stack] for lever, stack in policy.levers.items()}


@pytest.mark.parametrize(
    ("text", "system"),
    [("run functions on junction", "junctiond"), ("back to containerd", "containerd"), ("cut function latency by half", "junctiond")],
)
def test_a_runtime_is_chosen_by_name_or_because_it_makes_functions_faster(text: str, system: str, site: Site) -> None:
    assert held(done(text, site).policy) == {"function_runtime": [(system, set())]}


def test_a_bound_on_functions_is_judged_on_the_twin_and_that_is_said(site: Site) -> None:
    found = done("keep function latency p99 under 2 ms", site)
    said = next(item.text for item in found.findings if item.about == "functions.latency_p99_s")
    assert "not kept by the policy itself; junctiond only moves it that way" in said
    assert not catalogue.knobs_of(found.policy)["junctiond"].targets


def test_bounds_on_a_job_reach_its_planner_for_that_workflow_alone(site: Site) -> None:
    found = done("video jobs under 100 s at no more than 1 USD", site)
    assert held(found.policy) == {"workflow_plan": [("murakkab", {"video-understanding"})]}
    targets = {(each.metric, each.op, each.bound) for each in catalogue.knobs_of(found.policy)["murakkab"].targets}
    assert targets == {("workflows.makespan_p99_s", "<=", 100.0), ("workflows.cost_usd_per_job", "<=", 1.0)}


@pytest.mark.parametrize(
    ("text", "objective"),
    [
        ("the cheapest plan for the video job under 90 s", "MIN_COST"),
        ("plan the video job with the least energy, quality at least 90%", "MIN_ENERGY"),
        ("plan workflows with murakkab", "declared"),
    ],
)
def test_what_is_wanted_of_a_job_is_what_is_planned_for(text: str, objective: str, site: Site) -> None:
    knobs = catalogue.knobs_of(done(text, site).policy)["murakkab"]
    assert knobs.model_dump()["objective"] == objective


def test_a_site_without_functions_is_told_that_a_runtime_changes_little(site: Site) -> None:
    bare = replace(site, entities={**site.entities, "function": ()})
    assert [item.about for item in done("run functions on junction", bare).findings] == ["function_runtime"]
    assert not done("run functions on junction", site).findings
    assert not done("back to containerd", bare).findings


def test_an_intent_on_one_workflow_is_answered_with_the_plans_that_none_beats(site: Site) -> None:
    policy = done("the cheapest plan for the video job under 90 s", site).policy
    (found,) = planned(load("example"), policy)
    assert (found["workflow"], found["system"]) == ("video-understanding", "murakkab")
    makespans = [each["metrics"][COMPARED[0]] for each in found["front"]]
    costs = {each["name"]: each["metrics"]["workflows.cost_usd_per_job"] for each in found["front"]}
    assert max(makespans) <= 90.0
    assert costs[found["chosen"]["name"]] == min(costs.values())
    assert planned(load("example"), policy) == [found]


def test_nothing_is_planned_beforehand_where_nobody_plans(site: Site) -> None:
    policy = done("run functions on junction", site).policy
    assert not asks_for_plan(policy)
    assert planned(load("example"), policy) == []


def test_a_bound_that_no_plan_keeps_is_a_question_that_holds_an_approval_up(ana: Actor, noon: datetime, tmp_path: Path) -> None:
    record = lifecycle.capture(tmp_path, "video jobs under 2 s", scenario=WORKING, actor=ana, at=noon)
    (front,) = lifecycle.plans(tmp_path, record.intent_id)
    assert front["chosen"] is None
    assert "makespan" in front["why"]
    now = lifecycle.record(tmp_path, record.intent_id)
    assert now.state == "questioned"
    assert [item["about"] for item in now.findings if item["severity"] == "question"] == ["workflow_plan"]
    lifecycle.plans(tmp_path, record.intent_id)
    assert lifecycle.record(tmp_path, record.intent_id) == now
    with pytest.raises(ValueError, match=record.intent_id):
        lifecycle.approve(tmp_path, record.intent_id, actor=ana, at=noon)

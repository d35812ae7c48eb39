"""From intent to policy set, its reasons, its neighbours, and what stands against it."""

import pytest

from policies import catalogue
from policies.intent.assure import assure, state_of
from policies.intent.check import check
from policies.intent.compile import compile_intent, diff_words
from policies.intent.contenders import variants
from policies.intent.holders import improves
from policies.intent.interpret.embedded import EmbeddedReader
from policies.intent.interpret.reader import Site
from policies.intent.judge import binding, judge, meets, shortfall
from policies.intent.model import Expectation, Intent

MAIN = "keep every GPU under 80 C this afternoon and cut serving cost 10 %, p99 time to first token no worse"


def intent_of(text: str, site: Site) -> Intent:
    return EmbeddedReader().read(text, site).intent


def test_the_main_sentence_becomes_guards_with_a_target_and_reactive_scaling(site: Site) -> None:
    compiled = compile_intent(intent_of(MAIN, site), site)
    held = {lever: [item.system for item in stack] for lever, stack in compiled.policy.levers.items()}
    assert held == {"request_routing": ["tapas"], "instance_config": ["tapas"], "instance_scaling": ["reactive"]}
    (target,) = catalogue.knobs_of(compiled.policy)["tapas"].targets
    assert (target.metric, target.bound, target.from_hour, target.to_hour) == ("plant.gpu_temp_max_c", 80.0, 12.0, 18.0)
    catalogue.check(compiled.policy, site.entities)
    assert len(compiled.reason_words()) == len(diff_words(compiled.policy)) == 3


def test_explicit_choices_come_first_and_hold_where_they_were_asked(site: Site) -> None:
    policy = compile_intent(intent_of("round robin routing on chat-8b and GPUs under 80 C", site), site).policy
    assert [item.system for item in policy.levers["request_routing"]] == ["tapas", "round_robin"]
    assert [spec.id for spec in policy.levers["request_routing"][1].scope] == ["chat-8b"]


def test_a_choice_that_cannot_be_held_to_its_place_is_asked_about_and_never_widened(site: Site) -> None:
    for text, about in (
        ("use round robin routing in row 3", "request_routing"),
        ("use uniform cap for emergencies on chat-8b", "emergency"),
    ):
        intent = intent_of(text, site)
        assert list(intent.settings) == [about], intent
        compiled = compile_intent(intent, site)
        assert not compiled.policy.levers
        assert [(item.severity, item.about) for item in compiled.findings] == [("question", about)]


@pytest.mark.parametrize("text", ["keep 12 instances in row 3", "on chat-70b keep 12 instances"])
def test_knobs_that_would_reach_beyond_their_place_are_asked_about(text: str, site: Site) -> None:
    compiled = compile_intent(intent_of(text, site), site)
    catalogue.check(compiled.policy, site.entities)
    assert [(item.severity, item.about) for item in compiled.findings] == [("question", "instance_scaling")]


def test_what_is_not_installed_is_asked_about(site: Site) -> None:
    compiled = compile_intent(intent_of("run functions on junction", site), site)
    assert compiled.policy.levers == {} or "function_runtime" in compiled.policy.levers
    if "function_runtime" not in catalogue.levers():
        assert [item.about for item in compiled.findings if item.severity == "question"] == ["function_runtime"]


def test_a_hold_alone_changes_nothing(site: Site) -> None:
    intent = intent_of("p99 TTFT no worse", site)
    assert not any(improves(wish) for wish in intent.expectations)
    assert compile_intent(intent, site).policy.levers == {}


def test_how_good_answers_must_be_decides_which_model_is_held(site: Site) -> None:
    asked = "keep answer quality of chat-70b at least 0.8 and cut serving cost by 20%"
    policy = compile_intent(intent_of(asked, site), site).policy
    (held,) = policy.levers["instance_config"]
    assert held.system == "model_choice"
    assert [(target["metric"], target["bound"]) for target in held.knobs["targets"]] == [("serving.quality_mean_share", 0.8)]
    assert [spec.id for spec in held.scope] == ["chat-70b"]
    assert [held.system for held in policy.levers["instance_scaling"]] == ["reactive"]


def test_a_change_reaches_a_system_as_an_absolute_target_where_today_is_known(site: Site) -> None:
    intent = intent_of("lower row 2 peak power by 10 %", site)
    compiled = compile_intent(intent, site, today=lambda metric, scope, window: 300_000.0)
    (target,) = catalogue.knobs_of(compiled.policy)["tapas"].targets
    assert target.bound == pytest.approx(270_000.0)
    assert [spec.id for spec in target.scope] == ["row-2"]


def test_neighbours_differ_and_can_all_be_run(site: Site) -> None:
    policy = compile_intent(intent_of(MAIN, site), site).policy
    tried = variants(policy, 8)
    assert len({item.policy_id for item in tried}) == len(tried) == 8
    assert tried[0] == policy
    for item in tried:
        catalogue.check(item, site.entities)


def test_a_contradiction_with_an_intent_in_force_refuses(site: Site) -> None:
    mine, theirs = intent_of("inlets in row 1 below 20 C", site), intent_of("inlets of row 1 above 22 C", site)
    found = check(mine, site, [("I-01", theirs)])
    assert [item.severity for item in found] == ["block"]
    assert check(mine, site, [("I-01", intent_of("inlets of row 2 above 22 C", site))]) == []


def test_two_holders_for_one_lever_are_asked_about(site: Site) -> None:
    found = check(intent_of("round robin routing", site), site, [("I-01", intent_of("switch routing to power of two", site))])
    assert [(item.severity, item.about) for item in found] == [("question", "request_routing")]


def test_a_bound_above_the_limit_of_a_row_is_told(site: Site) -> None:
    found = check(intent_of("row 3 under 300 kW", site), site)
    assert [item.severity for item in found] == ["info"]
    assert "208" in found[0].text


def test_rows_say_today_candidate_bound_and_what_binds(site: Site) -> None:
    intent = intent_of(MAIN, site)
    today = {"plant.gpu_temp_max_c": 81.0, "serving.cost_usd_per_h": 1000.0, "serving.ttft_p99_s": 0.5}
    candidate = {"plant.gpu_temp_max_c": 79.5, "serving.cost_usd_per_h": 950.0, "serving.ttft_p99_s": 0.5}
    rows = judge(intent, lambda metric, scope, window: today[metric], lambda metric, scope, window: candidate[metric])
    assert [row.met for row in rows] == [True, False, True]
    assert [row.standing for row in rows] == ["at risk", "broken", "met"]
    assert rows[1].bound == 900.0
    assert not meets(rows)
    missed = binding(rows)
    assert missed is not None
    assert missed.metric == "serving.cost_usd_per_h"
    assert shortfall(rows) == pytest.approx(50 / 900)


def test_what_was_not_measured_is_not_met(site: Site) -> None:
    rows = judge(intent_of("PUE below 1.2", site), lambda *asked: None, lambda *asked: None)
    assert rows[0].met is None
    assert not meets(rows)


def test_a_should_that_is_missed_is_at_risk_and_no_breach(site: Site) -> None:
    intent = intent_of("PUE below 1.2 if possible", site)
    (found,) = assure([("I-01", 1, intent)], lambda *asked: 1.3, lambda *asked: 1.3)
    assert found.standing == "at risk"
    assert state_of(found.standing) == "at_risk"


def test_a_share_near_its_bound_is_judged_by_its_misses() -> None:
    wish = Expectation(metric="serving.slo_attainment_share", op=">=", value=0.99)
    from policies.intent.judge import standing

    assert standing(wish, 0.9901, 0.99) == "at risk"
    assert standing(wish, 0.995, 0.99) == "met"
    assert standing(wish, 0.98, 0.99) == "broken"

"""Plans of Murakkab: who does what, on how much, and why not."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.policy import ScopeSpec
from policies.system import Target
from policies.systems.murakkab.knobs import MurakkabKnobs
from policies.systems.murakkab.pins import parse
from policies.systems.murakkab.policy import Murakkab
from twin.workflows.settings import Limits
from twin.workflows.site import Site, Surplus


def plan(lab: Any, *workflows: Any, knobs: Any = None, **more: Any) -> Any:
    action = lab.murakkab(**(knobs or {})).plan(lab.seen(*workflows, **more))
    assert not action.refused
    return action.plans


def test_speech_becomes_text_on_cores_where_cost_or_energy_counts_and_on_gpus_where_time_does(lab):
    # Murakkab (arXiv:2501.16634): speech-to-text on CPU for MIN_COST, on GPU for the lowest latency; from memory.
    for constraint, profile in (("MIN_COST", 1), ("MIN_ENERGY", 1), ("MIN_LATENCY", 0)):
        chosen = plan(lab, lab.video(constraint=constraint))["video"].stages["transcript"]
        assert (chosen.executor, chosen.profile) == ("whisper", profile), constraint


def test_the_fastest_plan_of_the_video_job_takes_76_s_on_warm_instances(lab):
    # The paper's table says 77 s with speech-to-text on GPUs.
    found = plan(lab, lab.video(constraint="MIN_LATENCY"))["video"]
    assert found.hold
    assert found.predicted["makespan_s"] == pytest.approx(77.0, rel=0.02)


def test_a_lower_quality_makes_it_cheaper_and_a_higher_one_is_kept(lab):
    whole = plan(lab, lab.video())["video"].predicted
    less = plan(lab, lab.video(limits=Limits(quality_share=0.9)))["video"].predicted
    assert whole["quality_share"] >= 0.99 > less["quality_share"] >= 0.9
    assert less["cost_usd"] < 0.5 * whole["cost_usd"]
    assert less["energy_j"] < 0.5 * whole["energy_j"]
    best = plan(lab, lab.video(constraint="MAX_QUALITY", limits=Limits()))["video"]
    assert best.predicted["quality_share"] == 1.0


def test_jobs_that_are_rare_start_their_instances_and_frequent_ones_hold_them(lab):
    assert not plan(lab, lab.video(rate_per_h=1.0))["video"].hold
    assert plan(lab, lab.video(rate_per_h=60.0))["video"].hold
    # Nobody is expected: nothing is held for the fastest either.
    assert not plan(lab, lab.video(rate_per_h=0.0, constraint="MIN_LATENCY"))["video"].hold


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"makespan_s": 5.0}, ["makespan", "at most 5.00", "the least here is"]),
        ({"energy_j": 1000.0}, ["energy of a job", "at most 1.00", "the least here is"]),
        ({"cost_usd": 0.01}, ["cost of a job", "the least here is"]),
        ({"gpus": 1}, ["GPUs: at most 1 is asked, the least here is 3"]),
        ({"gpus": 9, "quality_share": 0.95}, ["GPUs: at most 9", "or quality: at least 95.0"]),
        ({"makespan_s": 13.0, "cost_usd": 0.1, "quality_share": 0.99}, ["more than one limit binds"]),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_limit_that_binds(lab, limits, words):
    action = lab.murakkab().plan(lab.seen(lab.video(limits=Limits(**limits))))
    assert not action.plans
    for word in words:
        assert word in action.refused["video"].replace("\xa0", " ")


def test_what_there_is_no_room_for_is_refused_with_what_is_missing(lab):
    small = Site(np.array([1]), ("a100",), np.array([64]))
    action = lab.murakkab().plan(lab.seen(lab.video(limits=Limits()), site=small))
    assert action.refused["video"].startswith("gpus: stage embedding needs 2 a100")


def test_a_target_of_the_operator_is_a_limit_for_the_workflows_that_it_names(lab):
    energy = Target(metric="workflows.energy_j_per_job", op="<=", bound=40_000.0, scope=(ScopeSpec(kind="workflow", id="video"),))
    holder = Murakkab(MurakkabKnobs(targets=(energy,)), lab.around)
    action = holder.plan(lab.seen(lab.video(limits=Limits(), constraint="MAX_QUALITY"), lab.code(rate_per_h=60.0, limits=Limits())))
    assert action.plans["video"].predicted["energy_j"] <= 40_000.0
    assert "code" in action.plans
    assert "energy of a job" in holder.plan(lab.seen(lab.video())).refused["video"]


def test_a_limit_on_time_holds_in_the_run_too(lab):
    workflow = lab.video(limits=Limits(makespan_s=100.0, quality_share=0.99), rate_per_h=10.0)
    tables = lab.done(lab.murakkab(), workflow)
    assert np.median(tables["jobs"]["makespan_s"].drop_nans()) <= 100.0


def test_workflows_on_one_model_share_its_instances(lab):
    site = Site(np.array([8] * 8), ("a100",) * 8, np.array([64, 64]))
    both = plan(lab, lab.code(), lab.maths(), site=site)
    assert both["code"].stages["code"].instances == both["math"].stages["solution"].instances
    assert "shared with math" in both["code"].why
    apart = [plan(lab, each, site=site) for each in (lab.code(), lab.maths())]
    counts = [found[name].stages[stage].instances for found, name, stage in zip(apart, ("code", "math"), ("code", "solution"), strict=True)]
    assert both["code"].stages["code"].instances <= sum(counts)
    own = plan(lab, lab.code(), lab.maths(), site=site, shared=False)
    assert "shared" not in own["code"].why


def test_where_there_is_too_little_for_all_those_first_in_the_scenario_are_served_and_the_rest_hears_why(lab):
    one = Site(np.array([8]), ("a100",), np.array([64, 64]))
    many = lab.video(limits=Limits()).model_copy(update={"id": "second"})
    action = lab.murakkab().plan(lab.seen(lab.video(limits=Limits()), many, lab.code(limits=Limits()), site=one))
    assert "video" in action.plans
    held = {}
    for found in action.plans.values():
        for choice in found.stages.values():
            held[choice.executor, choice.profile] = choice
    assert all("gpus" in why or "cores" in why for why in action.refused.values())


def test_surplus_is_used_where_it_is_cheaper_and_never_under_a_limit_on_time(lab):
    run = lab.model(lab.video())
    spare = Surplus(np.array([8, 8]), np.array([64, 64, 64]), np.ones(2), np.ones(3))
    run.advance(60.0, spare)
    seen = run.observe()
    cheap = lab.murakkab(surplus_share=1.0).plan(seen).plans["video"]
    assert any(choice.spot for choice in cheap.stages.values())
    assert cheap.predicted["cost_usd"] < lab.murakkab(surplus=False).plan(seen).plans["video"].predicted["cost_usd"]
    urgent = lab.model(lab.video(limits=Limits(makespan_s=200.0)))
    urgent.advance(60.0, spare)
    assert not any(choice.spot for choice in lab.murakkab().plan(urgent.observe()).plans["video"].stages.values())
    # No surplus GPU stands where the rows' budgets leave no power.
    dark = lab.murakkab(surplus_share=1.0).plan(run.observe(power_room_w=100.0)).plans["video"]
    profiles = {executor.id: executor.profiles for executor in seen.library}
    assert not any(choice.spot and profiles[choice.executor][choice.profile].gpus for choice in dark.stages.values())


def test_the_cluster_hears_what_is_coming(lab):
    action = lab.murakkab().plan(lab.seen(lab.video(rate_per_h=60.0)))
    upcoming = action.upcoming
    assert upcoming["gpus"] == action.plans["video"].predicted["gpus"]
    assert upcoming["cores"] > 0.0
    assert upcoming["power_w"] > 0.0


@settings(max_examples=8, deadline=None)
@given(
    constraint=st.sampled_from(("MIN_COST", "MIN_ENERGY", "MIN_LATENCY", "MAX_QUALITY")),
    rate=st.sampled_from((1.0, 6.0, 25.0)),
    items=st.sampled_from((1, 5, 16)),
    quality=st.sampled_from((0.0, 0.99)),
)
def test_a_plan_is_never_worse_than_the_baseline_on_its_own_objective(lab, constraint, rate, items, quality):
    workflow = lab.video(constraint=constraint, rate_per_h=rate, swing_share=0.0, items=items, limits=Limits(quality_share=quality))
    column = {"MIN_COST": "cost_usd", "MIN_ENERGY": "energy_j", "MIN_LATENCY": "makespan_s", "MAX_QUALITY": "quality_share"}[constraint]
    ours, theirs = (lab.done(holder, workflow, horizon_s=10_800.0) for holder in (lab.murakkab(), lab.sequential()))
    mine, its = (lab.mean(tables, column) for tables in (ours, theirs))
    assert mine >= its - 1e-9 if constraint == "MAX_QUALITY" else mine <= its * (1.0 + 1e-9)


@settings(max_examples=10, deadline=None)
@given(
    rates=st.tuples(*[st.sampled_from((0.0, 2.0, 40.0, 900.0))] * 3),
    servers=st.integers(1, 4),
    cores=st.sampled_from((4, 16, 64)),
)
def test_plans_together_never_need_more_than_the_site_has(lab, rates, servers, cores):
    site = Site(np.array([8] * servers), ("a100",) * servers, np.array([cores]))
    workflows = [make(rate_per_h=rate, limits=Limits()) for make, rate in zip((lab.video, lab.code, lab.maths), rates, strict=True)]
    seen = lab.seen(*workflows, site=site)
    action = lab.murakkab().plan(seen)
    assert set(action.plans) | set(action.refused) == {"video", "code", "math"}
    pools: dict[tuple[str, int], int] = {}
    library = {executor.id: executor for executor in seen.library}
    for found in action.plans.values():
        for choice in found.stages.values():
            executor = library[choice.executor]
            key = (executor.model or executor.id, executor.profiles[choice.profile].gpus)
            pools[key] = max(pools.get(key, 0), choice.instances)
    assert sum(count * gpus for (_, gpus), count in pools.items()) <= 8 * servers


@pytest.mark.parametrize(
    "text", ["", "video.transcript", "video.transcript=whisper", "video.transcript=whisper@cpu4*0/1", "video.*=sometimes", "x" * 200]
)
def test_a_pin_of_another_form_is_refused(text):
    with pytest.raises(ValueError, match=r"murakkab\.plan: .* is no choice"):
        parse(text)


def test_a_pinned_choice_is_taken_and_the_rest_stays_free(lab):
    pins = ("video.transcript=whisper@a100x1*4/1", "video.*=held")
    found = plan(lab, lab.video(), knobs={"plan": pins})["video"]
    assert found.stages["transcript"].profile == 0
    assert found.stages["transcript"].instances == 4
    assert found.hold
    assert "1 stages pinned" in found.why or "1 stage" in found.why


def test_a_pin_that_fits_nothing_is_said(lab):
    action = lab.murakkab(plan=("video.transcript=whisper@h100x1*4/1",)).plan(lab.seen(lab.video()))
    assert "stage transcript: no executor fits the pinned choice" in action.refused["video"]

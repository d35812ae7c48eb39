"""Workflows as the world meets them: plans, refusals, sharing, answers from outside, slow hardware."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.metrics import Asked, Scope
from twin.workflows.levers import Plan, PlanAction
from twin.workflows.library import terms
from twin.workflows.readings import READINGS
from twin.workflows.settings import Settings, Workflow
from twin.workflows.site import Site, Surplus
from twin.workflows.timing import executors_of, transfer_s


def code(name: str = "code", **more: Any) -> Workflow:
    return Workflow(id=name, **{"job": "code-generation", "items": 4, "at_s": (0.0,), **more})


def test_a_scenario_without_workflows_writes_nothing_and_asks_for_no_plan(lab: Any) -> None:
    model = lab.built()
    assert not model.opens_epoch
    assert lab.done(model, 600.0, {}) == {}


def test_who_has_no_plan_is_refused_and_told_why(lab: Any) -> None:
    model = lab.built(code())
    model.plan(PlanAction({}, {"code": "quality_share: none reaches 0.99"}))
    sink = lab.sink_of(model)
    model.advance(60.0)
    model.close(sink)
    (job,) = sink.frames()["jobs"].to_dicts()
    assert (job["outcome"], job["why"]) == ("refused", "quality_share: none reaches 0.99")
    (plan,) = sink.frames()["workflow_plans"].to_dicts()
    assert (plan["stage_id"], plan["why"]) == ("", "quality_share: none reaches 0.99")


def test_a_model_that_no_server_has_room_for_is_refused_in_words(lab: Any) -> None:
    model = lab.built(code(), site=Site(np.array([2]), ("a100",), np.array([64])))
    (job,) = lab.done(model, 60.0, {"code": lab.code_plan("code-32b")})["jobs"].to_dicts()
    assert job["outcome"] == "refused"
    assert job["why"] == "gpus: llm-32b needs 4 a100 at one server, at most 2 are free"


def test_a_plan_that_does_not_fit_is_refused_in_one_line(lab: Any) -> None:
    model = lab.built(code())
    with pytest.raises(ValueError, match="nobody does stage test-results"):
        model.plan(PlanAction({"code": Plan({"code": lab.choose("code-8b")})}))
    with pytest.raises(ValueError, match="there is no workflow other"):
        model.plan(PlanAction({"other": lab.code_plan("code-8b")}))
    with pytest.raises(ValueError, match="math-8b reads or gives other data"):
        model.plan(PlanAction({"code": lab.code_plan("math-8b")}))


def test_workflows_with_one_model_share_its_instances_unless_told_otherwise(lab: Any) -> None:
    maths = Workflow(id="maths", job="math-qa", items=4, at_s=(0.0,))
    plans = {
        "code": lab.code_plan("code-8b"),
        "maths": Plan({"solution": lab.choose("math-8b", 0, 1, 8), "checked-solution": lab.choose("symbolic-check")}),
    }
    held = {}
    for shared in (True, False):
        use = lab.done(lab.built(code(), maths, shared=shared), 60.0, plans)["workflow_use"]
        held[shared] = use["held_gpus"].to_list()
    assert held == {True: [1.0], False: [2.0]}


def test_a_dedicated_plan_holds_its_servers_whole_and_leaves_others_alone(lab: Any) -> None:
    plans = {"one": lab.code_plan("code-8b", dedicated=True), "two": lab.code_plan("code-8b", dedicated=True)}
    model = lab.built(code("one"), code("two"))
    use = lab.done(model, 120.0, plans)["workflow_use"]
    assert use["held_gpus"].to_list() == [16.0, 16.0]
    assert model.execution.places.owner.tolist() == [0, 1]
    third = lab.built(code("one"), code("two"), code("three"))
    jobs = lab.done(third, 60.0, {**plans, "three": lab.code_plan("code-8b")})["jobs"]
    assert jobs.filter(pl.col("outcome") == "refused")["workflow_id"].to_list() == ["three"]


def test_without_holding_a_job_waits_for_the_start_and_gpus_are_free_between_jobs(lab: Any) -> None:
    at_s = (100.0, 1000.0)
    warm, cold = (lab.done(lab.built(code(at_s=at_s)), 1800.0, {"code": lab.code_plan("code-8b", hold=hold)}) for hold in (True, False))
    (start_s,) = {25.0}
    late = cold["jobs"]["makespan_s"] - warm["jobs"]["makespan_s"]
    assert late.to_list() == pytest.approx([start_s] * 2)
    assert warm["workflow_use"]["held_gpus"].min() == 1.0
    assert cold["workflow_use"]["held_gpus"].min() == 0.0
    assert cold["jobs"]["energy_j"].sum() < warm["jobs"]["energy_j"].sum()


def test_a_new_plan_moves_what_waits_and_lets_what_is_under_way_end(lab: Any) -> None:
    model = lab.built(code(items=12, at_s=(0.0,)), epoch_s=300.0)
    sink = lab.sink_of(model)
    model.plan(PlanAction({"code": lab.code_plan("code-8b", batch=1)}))
    model.advance(20.0)
    model.plan(PlanAction({"code": lab.code_plan("code-32b", 2)}))
    model.advance(600.0)
    model.close(sink)
    tables = sink.frames()
    coded = tables["workflow_tasks"].filter(pl.col("stage_id") == "code")
    assert set(coded["executor_id"]) == {"code-8b", "code-32b"}
    assert coded["items"].sum() == 12
    (job,) = tables["jobs"].to_dicts()
    assert job["outcome"] == "done"
    assert job["quality_share"] == 0.72
    assert model.held_gpus.sum() == 8


def test_a_refused_workflow_ends_what_it_has_begun(lab: Any) -> None:
    model = lab.built(code(items=8, at_s=(0.0, 350.0)), epoch_s=300.0)
    sink = lab.sink_of(model)
    model.plan(PlanAction({"code": lab.code_plan("code-8b", batch=1, hold=False)}))
    model.advance(60.0)
    model.plan(PlanAction({}, {"code": "makespan_s"}))
    model.advance(900.0)
    model.close(sink)
    assert sink.frames()["jobs"]["outcome"].to_list() == ["done", "refused"]
    assert model.held_gpus.sum() == 0


def report_site() -> Site:
    return Site(np.array([8]), ("a100",), np.array([16]), endpoints=("chat",), functions=("search-index",))


def test_stages_ask_endpoints_and_functions_and_go_on_with_their_answers(lab: Any) -> None:
    workflow = Workflow(id="report", job="report", items=3, at_s=(0.0,))
    stages = {
        "queries": lab.choose("query-planner-chat"),
        "passages": lab.choose("retriever-function"),
        "notes": lab.choose("reader-8b", 0, 1, 8),
        "report": lab.choose("writer-chat"),
    }
    model = lab.built(workflow, site=report_site())
    sink = lab.sink_of(model)
    model.plan(PlanAction({"report": Plan(stages)}))
    asked = []
    for step in range(1, 40):
        model.advance(step * 2.0)
        for request in model.wanted():
            asked.append((request.kind, request.target, request.prompt_tokens, request.output_tokens))
            # The first answer is lost on the way.
            lost = len(asked) == 1
            model.done(np.array([request.id]), np.array([np.nan if lost else model.t_s - 0.5]))
        model.record(sink)
    model.close(sink)
    assert asked == [("endpoint", "chat", 600, 120)] * 2 + [("function", "search-index", 0, 0)] * 3 + [("endpoint", "chat", 6000, 900)]
    (job,) = sink.frames()["jobs"].to_dicts()
    assert job["outcome"] == "done"
    assert job["makespan_s"] >= job["critical_path_s"]


def test_executors_that_the_site_cannot_run_are_not_offered(lab: Any) -> None:
    model = lab.built(Workflow(id="report", job="report", rate_per_h=1.0))
    offered = {each.id for each in model.observe().library}
    assert "writer-32b" in offered
    assert not {"writer-chat", "retriever-function", "code-70b"} & offered


def test_slow_servers_make_jobs_late_in_proportion(lab: Any) -> None:
    half = Surplus(np.zeros(2, dtype=np.int64), np.zeros(3, dtype=np.int64), np.full(2, 0.5), np.ones(3))
    plans = {"code": lab.code_plan("code-8b")}
    full, slow = (
        lab.done(lab.built(code()), 300.0, plans, surplus=surplus)["workflow_tasks"].filter(pl.col("stage_id") == "code")
        for surplus in (None, lambda _: half)
    )
    took = [(each["t_s"] - each["start_s"])[0] for each in (full, slow)]
    assert took[1] == pytest.approx(2.0 * took[0])


def test_the_observation_holds_demand_and_what_there_is(lab: Any) -> None:
    workflow = code(at_s=(), rate_per_h=10.0, peak_hour=0.0, swing_share=0.5, limits={"makespan_s": 60.0})
    model = lab.built(workflow, epoch_s=300.0)
    seen = model.observe(power_room_w=1e4, endpoint_s={"chat": 2.0})
    (demanded,) = seen.demanded
    assert demanded.rate_per_h == pytest.approx(15.0, rel=1e-3)
    assert demanded.peak_rate_per_h == pytest.approx(15.0)
    assert demanded.limits == {"makespan_s": 60.0}
    assert (seen.available.gpus, seen.available.cores, seen.available.idle_gpus) == (16, 192, 16)
    assert seen.available.gpu_usd_per_h == terms().gpu_usd_per_h["a100"]


def test_a_daily_wave_asks_as_often_as_it_says(lab: Any) -> None:
    workflow = code(at_s=(), rate_per_h=400.0, peak_hour=14.0, swing_share=0.6)
    model = lab.built(workflow, horizon_s=86_400.0)
    hours = np.bincount((model._arrivals.t_s / 3600.0).astype(int), minlength=24)
    assert hours.sum() == pytest.approx(9600, rel=0.05)
    assert hours[13:15].mean() == pytest.approx(640, rel=0.15)
    assert hours[1:3].mean() == pytest.approx(160, rel=0.2)


def test_metrics_are_read_off_the_tables(lab: Any) -> None:
    model = lab.built(code("one", at_s=(0.0, 300.0)), code("two", at_s=(0.0,)))
    plans = {"one": lab.code_plan("code-32b"), "two": lab.code_plan("code-8b")}
    frames = {name: frame.lazy() for name, frame in lab.done(model, 600.0, plans).items()}
    everything = Asked(frames, model._clock, 600.0)
    one = Asked(frames, model._clock, 600.0, (Scope("workflow", "one"),))
    assert READINGS["workflows.quality_min_share"](everything) == 0.72
    assert READINGS["workflows.quality_min_share"](one) == 0.85
    jobs = frames["jobs"].filter(pl.col("workflow_id") == "one").collect()
    assert READINGS["workflows.energy_j_per_job"](one) == pytest.approx(jobs["energy_j"].mean())
    assert READINGS["workflows.makespan_p50_s"](one) == pytest.approx(jobs["makespan_s"].median())
    assert READINGS["workflows.cost_usd_per_job"](Asked({}, model._clock, 600.0)) is None


def test_jobs_that_need_the_same_gpus_wait_for_each_other_and_never_block_each_other(lab: Any) -> None:
    """Each needs two models, and the server holds only one pair at a time."""
    stages = {"queries": lab.choose("query-planner"), "passages": lab.choose("retriever"), "notes": lab.choose("reader-8b")}
    plan = Plan({**stages, "report": lab.choose("writer-32b")}, hold=False)
    names = ("one", "two", "three")
    workflows = [Workflow(id=name, job="report", items=2, at_s=(10.0, 11.0, 400.0)) for name in names]
    model = lab.built(*workflows, site=Site(np.array([5]), ("a100",), np.array([8])), shared=False)
    tables = lab.done(model, 7200.0, dict.fromkeys(names, plan))
    assert tables["jobs"]["outcome"].to_list() == ["done"] * 9
    assert tables["workflow_use"]["held_gpus"].max() <= 5.0 + 1e-9
    first = tables["jobs"].group_by("workflow_id").agg(pl.col("start_s").min()).sort("start_s")
    assert first["start_s"].n_unique() == 3


def test_plans_are_made_anew_each_epoch_for_what_is_expected_then_on_any_grid_of_ticks(lab: Any) -> None:
    """An epoch of 601 s never ends with a tick of 10 s: the next one that begins after it opens the epoch."""
    for epoch_s, begins in ((600.0, [0.0, 600.0, 1200.0]), (601.0, [0.0, 610.0, 1210.0])):
        model = lab.built(code(at_s=(0.0, 700.0, 800.0)), epoch_s=epoch_s)
        sink, seen = lab.sink_of(model), []
        while model.t_s < 1500.0:
            if model.opens_epoch:
                seen.append((model.t_s, model.observe().demanded[0].rate_per_h * epoch_s / 3600.0))
                model.plan(PlanAction({"code": lab.code_plan("code-8b")}))
            model.advance(model.t_s + 10.0)
            model.record(sink)
        assert [t_s for t_s, _ in seen] == begins
        assert [jobs for _, jobs in seen] == pytest.approx([1.0, 2.0, 0.0])
        assert sink.frames()["workflow_plans"]["t_s"].unique().sort().to_list() == begins


def test_an_executor_that_reads_more_than_its_stage_has_is_no_choice(lab: Any) -> None:
    library = lab.built(code()).library
    summary = next(each for each in library if each.id == "nvlm-72b-summary")
    greedy = replace(next(each for each in library if each.id == "code-8b"), id="greedy", reads=("task", *summary.reads))
    graph = lab.built(code()).graphs[0]
    plan = Plan({"code": lab.choose("greedy"), "test-results": lab.choose("test-runner")})
    with pytest.raises(ValueError, match="greedy reads or gives other data than stage code has"):
        executors_of(graph, plan, {each.id: each for each in (*library, greedy)})


def test_a_dedicated_plan_takes_no_server_that_others_stand_on(lab: Any) -> None:
    model = lab.built(code("one"), code("two"), site=Site(np.array([8]), ("a100",), np.array([64])))
    plans = {"one": lab.code_plan("code-8b"), "two": lab.code_plan("code-8b", dedicated=True)}
    model.plan(PlanAction({"one": plans["one"]}))
    model.advance(300.0)
    model.plan(PlanAction(plans))
    assert model.execution.places.owner.tolist() == [-1]
    assert model.held_gpus.tolist() == [1]


def test_data_that_is_handed_on_takes_its_time(lab: Any) -> None:
    # 20 kB of code at 25 Gb/s; the paper's 8 MB of frames take 2.56 ms.
    graph = lab.built(Workflow(id="video", job="video-understanding", at_s=(0.0,))).graphs[0]
    model = lab.built(code(items=1), horizon_s=600.0)
    (job,) = lab.done(model, 300.0, {"code": lab.code_plan("code-8b")})["jobs"].to_dicts()
    assert job["makespan_s"] == pytest.approx(13.667 + 6.0 + 2e4 / 3.125e9, abs=1e-9)
    transcript = next(stage for stage in graph.stages if stage.id == "transcript")
    assert transfer_s(transcript, 3.125e9) == pytest.approx(2.56e-3)


def test_surplus_costs_its_part_of_the_price_and_work_that_is_taken_away_is_paid_for(lab: Any) -> None:
    regular, spot = lab.code_plan("code-8b"), lab.code_plan("code-8b")
    spot = Plan({name: lab.choose(each.executor, 0, each.instances, each.batch, spot=True) for name, each in spot.stages.items()})
    plenty = Surplus(np.array([8, 8]), np.array([64, 64, 64]), np.ones(2), np.ones(3))
    runs = [lab.done(lab.built(code()), 300.0, {"code": plan}, surplus=lambda _: plenty)["jobs"] for plan in (regular, spot)]
    costs = [jobs["cost_usd"][0] for jobs in runs]
    told = terms()
    # 13.667 s of four items at once on one GPU, and 24 s of two cores; what is held while the tests run, too.
    held_h = (13.667 * 1.324 + 6.0) / 3600.0
    cores_h = 4 * 6.0 * 2 / 3600.0
    assert costs[0] == pytest.approx(held_h * told.gpu_usd_per_h["a100"] + cores_h * told.core_usd_per_h, rel=1e-4)
    surplus_usd = held_h * told.gpu_usd_per_h["a100"] * told.spot_price_share
    assert costs[1] == pytest.approx(surplus_usd + cores_h * told.core_usd_per_h * told.harvest_price_share, rel=1e-4)
    none = Surplus(np.zeros(2, dtype=np.int64), np.array([64, 64, 64]), np.ones(2), np.ones(3))
    lost = lab.done(lab.built(code()), 300.0, {"code": spot}, surplus=lambda t_s: none if t_s == 10.0 else plenty)["jobs"]
    # Ten seconds at work of the one GPU are drawn in vain.
    assert lost["energy_j"][0] - runs[1]["energy_j"][0] > 10.0 * 210.0


def test_what_cannot_run_in_reasonable_time_is_refused_in_one_line(lab: Any) -> None:
    with pytest.raises(ValueError, match=r"tasks in this run, .* of them of code; the limit is 20,000,000") as refused:
        lab.built(code(at_s=(), rate_per_h=5000.0, items=10_000))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"workflows": [{"id": "a", "job": "report"}] * 2}, "workflows: a is there twice"),
        ({"servers": ["server-1", "server-1"]}, "servers: server-1 is there twice"),
        ({"workflows": [{"id": "a", "job": "report", "goal": "answer"}]}, "a: job report says its goal already"),
        ({"workflows": [{"id": "a", "description": "d"}]}, "a: write job, or description, inputs and goal"),
    ],
)
def test_settings_that_say_two_things_are_refused(told: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings.model_validate(told)

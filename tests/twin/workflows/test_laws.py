"""Laws of jobs on shared instances, whatever is asked and planned."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twin.store.states import pack, unpack
from twin.workflows.levers import Plan, PlanAction
from twin.workflows.settings import Workflow
from twin.workflows.site import Site, Surplus
from twin.workflows.timing import critical_path_s, work_over_capacity_s

FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CASES = st.fixed_dictionaries(
    {
        "items": st.integers(1, 9),
        "jobs": st.lists(st.floats(0, 900), min_size=1, max_size=5),
        "on_gpus": st.booleans(),
        "speech": st.integers(1, 4),
        "batch": st.integers(1, 4),
        "workers": st.integers(1, 6),
        "as_written": st.booleans(),
        "hold": st.booleans(),
    }
)


def case(lab: Any, told: dict[str, Any]) -> tuple[Workflow, Plan]:
    workflow = Workflow(id="video", job="video-understanding", items=told["items"], at_s=tuple(told["jobs"]))
    speech = lab.choose("whisper", 0 if told["on_gpus"] else 1, told["speech"])
    more = {"one_by_one": told["as_written"], "dedicated": told["as_written"], "hold": told["hold"]}
    return workflow, lab.video_plan(speech, told["workers"], told["batch"], **more)


def overlap(tasks: pl.DataFrame, column: str) -> float:
    """Return the most of a resource that tasks had at one time; what ends as another begins is not there with it."""
    once = tasks.group_by("instance_id", "start_s", "t_s").agg(pl.col(column).max())
    # One instance at work on several items has its resource once.
    spans = [_merged(each) for _, each in once.group_by("instance_id")]
    edges = sorted(edge for rows in spans for begin, end, size in rows for edge in ((begin, size), (end, -size)))
    edges.sort(key=lambda edge: (round(edge[0], 6), edge[1]))
    return float(np.max(np.cumsum([size for _, size in edges]), initial=0.0))


def _merged(rows: pl.DataFrame) -> list[tuple[float, float, float]]:
    merged: list[tuple[float, float, float]] = []
    for begin, end, size in rows.sort("start_s").select("start_s", "t_s", rows.columns[-1]).rows():
        if merged and begin < merged[-1][1] - 1e-6:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end), size)
        else:
            merged.append((begin, end, size))
    return merged


@FEW
@given(told=CASES)
def test_no_job_is_faster_than_its_longest_way_or_than_the_work_over_the_instances(lab: Any, told: dict[str, Any]) -> None:
    workflow, plan = case(lab, told)
    model = lab.built(workflow)
    jobs = lab.done(model, 7200.0, {"video": plan})["jobs"]
    library = {each.id: each for each in model.library}
    longest_s = critical_path_s(model.graphs[0], plan, library, model.terms.network_bytes_per_s)
    work_s = work_over_capacity_s(model.graphs[0], plan, library, told["items"])
    assert set(jobs["outcome"]) == {"done"}
    assert jobs["critical_path_s"].to_list() == pytest.approx([longest_s] * jobs.height)
    assert (jobs["makespan_s"] >= jobs["critical_path_s"] - 1e-6).all()
    assert (jobs["makespan_s"] >= work_s - 1e-6).all()


@FEW
@given(told=CASES)
def test_nothing_is_done_twice_or_left_out_and_no_resource_is_given_twice(lab: Any, told: dict[str, Any]) -> None:
    workflow, plan = case(lab, told)
    site = Site(np.array([8, 8]), ("a100", "a100"), np.array([5, 7]))
    tables = lab.done(lab.built(workflow, site=site), 7200.0, {"video": plan})
    tasks = tables["workflow_tasks"]
    assert tables["jobs"].filter(pl.col("outcome") == "done").height == len(told["jobs"])
    items = tasks.group_by("job_id", "stage_id").agg(pl.col("items").sum())
    expected = pl.when(pl.col("stage_id") == "answer").then(1).otherwise(told["items"])
    assert (items.select(pl.col("items") == expected).to_series()).all()
    assert items.height == 7 * len(told["jobs"])
    assert overlap(tasks.filter(pl.col("gpus") > 0), "gpus") <= 16
    assert overlap(tasks.filter(pl.col("gpus") == 0), "cores") <= 12
    assert tables["workflow_use"]["held_gpus"].max() <= 16 + 1e-9
    assert (tables["workflow_use"]["busy_gpus"] <= tables["workflow_use"]["held_gpus"] + 1e-9).all()


@FEW
@given(told=CASES)
def test_what_is_drawn_and_paid_is_borne_by_jobs_and_by_nobody_twice(lab: Any, told: dict[str, Any]) -> None:
    workflow, plan = case(lab, told)
    model = lab.built(workflow)
    tables = lab.done(model, 7200.0, {"video": plan})
    use, jobs, left = tables["workflow_use"], tables["jobs"], model.execution.holding
    # The last minutes, after all jobs, nobody has borne yet.
    assert jobs["energy_j"].sum() + left.pot_j.sum() == pytest.approx((use["power_w"] * 60.0).sum())
    assert jobs["cost_usd"].sum() + left.pot_usd.sum() == pytest.approx((use["cost_usd_per_h"] / 60.0).sum())


def test_snapshots_go_on_to_the_same_bytes(lab: Any) -> None:
    workflows = (
        Workflow(id="video", job="video-understanding", items=6, rate_per_h=40),
        Workflow(id="code", job="code-generation", items=3, rate_per_h=120),
    )
    plans = {"video": lab.video_plan(lab.on_cpu, hold=False), "code": lab.code_plan("code-8b", 2)}
    whole = lab.built(*workflows, epoch_s=600.0)
    first, rest, again = lab.sink_of(whole), lab.sink_of(whole), lab.sink_of(whole)
    lab.go(whole, first, 900.0, plans)
    state = unpack(pack(whole.snapshot()))
    lab.go(whole, rest, 3600.0, plans)
    whole.close(rest)
    other = lab.built(*workflows, epoch_s=600.0)
    other.restore(state)
    lab.go(other, again, 3600.0, plans)
    other.close(again)
    assert whole.execution.t_s == 3600.0
    for name, frame in rest.frames().items():
        assert frame.equals(again.frames()[name], null_equal=True), name
    assert pack(whole.snapshot()) == pack(other.snapshot())


def test_the_same_seed_gives_the_same_run_and_another_one_another(lab: Any) -> None:
    workflow = Workflow(id="code", job="code-generation", items=2, rate_per_h=60)
    runs = [lab.done(lab.built(workflow, seed=seed), 3600.0, {"code": lab.code_plan("code-8b")}) for seed in (3, 3, 4)]
    assert all(runs[0][name].equals(runs[1][name], null_equal=True) for name in runs[0])
    assert not runs[0]["jobs"].equals(runs[2]["jobs"], null_equal=True)


def test_how_long_a_tick_is_changes_nothing_without_surplus(lab: Any) -> None:
    workflow = Workflow(id="video", job="video-understanding", items=5, at_s=(3.0, 50.0, 51.5))
    runs = [lab.done(lab.built(workflow), 900.0, {"video": lab.video_plan(lab.on_cpu)}, tick_s=tick_s) for tick_s in (1.0, 10.0, 60.0)]
    for name in ("makespan_s", "energy_j", "cost_usd"):
        assert runs[0]["jobs"][name].to_list() == pytest.approx(runs[1]["jobs"][name].to_list())
        assert runs[0]["jobs"][name].to_list() == pytest.approx(runs[2]["jobs"][name].to_list())


def test_jobs_come_whatever_is_planned(lab: Any) -> None:
    workflow = Workflow(id="code", job="code-generation", items=2, rate_per_h=60)
    few, many = (lab.done(lab.built(workflow), 3600.0, {"code": lab.code_plan("code-8b", count)})["jobs"] for count in (1, 4))
    assert sorted(few["submit_s"]) == sorted(many["submit_s"])
    assert few["makespan_s"].mean() >= many["makespan_s"].mean()


@FEW
@given(spare=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 16)), min_size=30, max_size=30))
def test_surplus_is_never_used_beyond_what_is_there_and_no_work_is_lost(lab: Any, spare: list[tuple[int, int]]) -> None:
    site = Site(np.array([0, 0]), ("a100", "a100"), np.array([0, 2]))
    workflow = Workflow(id="code", job="code-generation", items=4, at_s=(0.0, 5.0, 100.0))
    plan = lab.code_plan("code-8b", 6)
    plan = Plan({name: lab.choose(each.executor, 0, each.instances, each.batch, spot=True) for name, each in plan.stages.items()})
    model = lab.built(workflow, site=site)
    sink = lab.sink_of(model)
    ones = np.ones(2)
    model.plan(PlanAction({"code": plan}))
    for step in range(30):
        gpus, cores = spare[step]
        surplus = Surplus(np.array([gpus, 1]), np.array([cores, 0]), ones, ones)
        model.advance((step + 1) * 20.0, surplus)
        assert (model.spot_gpus <= surplus.spot_gpus).all()
        assert (model.execution.places.harvest_used <= surplus.harvest_cores).all()
        model.record(sink)
    plenty = Surplus(np.array([8, 8]), np.array([64, 0]), ones, ones)
    model.advance(3600.0, plenty)
    model.close(sink)
    tables = sink.frames()
    assert tables["jobs"]["outcome"].to_list() == ["done"] * 3
    assert tables["workflow_tasks"]["items"].sum() == 3 * 2 * 4


def test_plans_that_change_each_epoch_lose_no_energy_and_take_no_gpu_twice(lab: Any) -> None:
    """Three workflows, other executors and sizes every ten minutes, surplus that comes and goes, slower and faster servers."""
    site = Site(np.array([8, 8, 8, 8]), ("a100", "a100", "h100", "h100"), np.array([64, 64]))
    model = lab.built(
        Workflow(id="video", job="video-understanding", items=8, rate_per_h=20),
        Workflow(id="code", job="code-generation", items=2, rate_per_h=200),
        site=site,
        epoch_s=600.0,
    )
    sink, epoch, places = lab.sink_of(model), 0, model.execution.places
    while model.t_s < 7200.0:
        if model.opens_epoch:
            epoch += 1
            code = lab.code_plan(("code-8b", "code-32b", "code-70b")[epoch % 3], 1 + epoch % 2)
            speech = lab.choose("whisper", epoch % 2, 2 + epoch % 5, spot=epoch % 4 == 0)
            plans = {"video": lab.video_plan(speech, hold=epoch % 3 > 0), "code": code}
            model.plan(PlanAction(plans if epoch % 5 else {"video": plans["video"]}, {"code": "cost_usd"}))
        spare = np.full(4, (epoch * 3) % 4)
        model.advance(model.t_s + 10.0, Surplus(spare, np.full(2, 4 * (epoch % 3)), np.full(4, 1.0 - 0.1 * (epoch % 3)), np.ones(2)))
        model.record(sink)
        assert (places.used <= site.server_gpus).all()
        assert (places.cores_used <= site.host_cores).all()
        assert (places.spot_used <= spare).all()
        assert min(places.used.min(), places.cores_used.min(), places.spot_used.min(), places.harvest_used.min()) >= 0
    model.close(sink)
    tables = sink.frames()
    jobs, use, left = tables["jobs"], tables["workflow_use"], model.execution.holding
    done = jobs.filter(pl.col("outcome") == "done")
    assert done.height > 100
    assert jobs["submit_s"].len() == len(model._arrivals.t_s)
    assert (done["makespan_s"] >= done["critical_path_s"] - 1e-6).all()
    assert jobs["energy_j"].sum() + left.pot_j.sum() == pytest.approx((use["power_w"] * 60.0).sum(), rel=1e-9)
    assert jobs["cost_usd"].sum() + left.pot_usd.sum() == pytest.approx((use["cost_usd_per_h"] / 60.0).sum(), rel=1e-9)


def test_a_snapshot_at_any_time_keeps_what_is_asked_answered_late_pending_and_starved(lab: Any) -> None:
    """Reports over an endpoint and a function; jobs that wait for the one GPU; tasks that wait for the one core."""
    site = Site(np.array([1]), ("a100",), np.array([2]), endpoints=("chat",), functions=("search-index",))
    workflows = (
        Workflow(id="report", job="report", items=3, rate_per_h=60),
        Workflow(id="code", job="code-generation", items=3, at_s=(1.0, 2.0, 40.0, 41.0, 130.0)),
        Workflow(id="maths", job="math-qa", items=2, at_s=(3.0, 42.0, 43.0)),
    )
    over = {"queries": "query-planner-chat", "passages": "retriever-function", "notes": "reader-chat", "report": "writer-chat"}
    plans = {
        "report": lab.plan(**over),
        "code": lab.code_plan("code-8b", hold=False),
        "maths": Plan({"solution": lab.choose("math-8b"), "checked-solution": lab.choose("symbolic-check")}, hold=False),
    }
    foreseen = {"reader-chat": 7.5, "writer-chat": 19.0}

    def tick(model: Any, sink: Any, open_asks: list[Any]) -> None:
        if model.opens_epoch:
            model.plan(PlanAction(plans))
        model.advance(model.t_s + 5.0, None, foreseen)
        open_asks += model.wanted()
        ended = [each for each in open_asks if each.t_s + 11.0 <= model.t_s]
        open_asks[:] = [each for each in open_asks if each.t_s + 11.0 > model.t_s]
        model.done(np.array([each.id for each in ended], dtype=np.int64), np.array([each.t_s + 11.0 for each in ended]))
        model.record(sink)

    def after(model: Any, open_asks: list[Any]) -> Any:
        sink = lab.sink_of(model)
        while model.t_s < 400.0:
            tick(model, sink, open_asks)
        model.close(sink)
        return sink.frames()

    met = {"asked": 0, "answers": 0, "pending": 0, "starved": 0, "busy": 0}
    for at_s in (25.0, 45.0, 60.0, 95.0, 150.0):
        whole = lab.built(*workflows, site=site, shared=False)
        open_asks: list[Any] = []
        while whole.t_s < at_s:
            tick(whole, lab.sink_of(whole), open_asks)
        # One request is lost now, and asked again by whoever goes on.
        if open_asks:
            whole.done(np.array([open_asks[0].id]), np.array([np.nan]))
            open_asks.pop(0)
        state = unpack(pack(whole.snapshot()))
        execution = whole.execution
        counts = (execution.asked, whole._answers, execution.pending, execution.starved, whole.busy_cores.nonzero()[0])
        met = {name: met[name] + len(each) for name, each in zip(met, counts, strict=True)}
        other = lab.built(*workflows, site=site, shared=False)
        other.restore(state)
        assert (other.busy_gpus == whole.busy_gpus).all()
        assert (other.busy_cores == whole.busy_cores).all()
        assert pack(other.snapshot()) == pack(whole.snapshot())
        first, second = after(whole, list(open_asks)), after(other, list(open_asks))
        for name, frame in first.items():
            assert frame.equals(second[name], null_equal=True), (at_s, name)
    assert min(met.values()) > 0, met

"""Jobs and calls in the world: whom they ask, what they load, what slows them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from policies import catalogue, study
from policies.policy import Held, PolicySet, Schedule
from twin.run import Run, Start, read, simulate
from twin.scenario import Scenario
from twin.scenario import read as scenario_of
from twin.sources import toml
from twin.workflows.levers import Choice, PlanAction, PlanObservation

RAW = Path(__file__).parents[1] / "working.toml"


def _merged(raw: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(raw)
    for key, value in changed.items():
        out[key] = _merged(out[key], value) if isinstance(value, Mapping) and isinstance(out.get(key), Mapping) else value
    return out


def working(**changed: Any) -> Scenario:
    return scenario_of(_merged(toml(RAW), changed))


def simulate_without(part: str) -> Run:
    scenario = scenario_of(_without(toml(RAW), part))
    return simulate(scenario, study.phases(Schedule.of(PolicySet(name="today")), scenario))


def _run(scenario: Scenario, **levers: str) -> Run:
    policy = PolicySet(name="tried", levers={lever: (Held(system=system),) for lever, system in levers.items()})
    return simulate(scenario, study.phases(Schedule.of(policy), scenario))


@pytest.fixture(scope="module")
def ran() -> Run:
    return _run(working())


def _table(run: Run, name: str) -> pl.DataFrame:
    frame: pl.DataFrame = run.tables[name].collect()
    return frame


def _without(raw: Mapping[str, Any], part: str) -> dict[str, Any]:
    alone = {**raw, part: {**raw[part], part: []}}
    return {**alone, "workflows": {**alone["workflows"], "asks": {"chat": "chat-8b"}}}


def test_every_job_is_done_and_every_call_answered(ran: Run) -> None:
    jobs = _table(ran, "jobs")
    assert jobs["outcome"].to_list() == ["done"] * 8
    assert (jobs["makespan_s"] >= jobs["critical_path_s"]).all()
    functions = _table(ran, "functions")
    assert functions["arrived"].sum() == functions["completed"].sum() + functions.filter(pl.col("t_s") == 1800.0)["waiting"].sum()


def test_stages_are_requests_to_the_endpoint_that_they_ask(ran: Run) -> None:
    alone = simulate_without("workflows")
    # A report asks once for its queries and once for itself, and once for each of its eight items.
    more = len(_table(ran, "requests")) - len(_table(alone, "requests"))
    asked = _table(ran, "workflow_tasks").filter(pl.col("executor_id").str.ends_with("-chat"))
    assert more == asked["items"].sum() > 0


def test_a_slower_endpoint_makes_the_jobs_that_ask_it_later_and_no_others(ran: Run) -> None:
    slowed = _run(working(serving={"endpoints": [{**toml(RAW)["serving"]["endpoints"][0], "model": "70b", "tp": 8}]}))
    before, after = (dict(_table(each, "jobs").group_by("workflow_id").agg(pl.mean("makespan_s")).iter_rows()) for each in (ran, slowed))
    assert after["report"] > 1.2 * before["report"]
    assert after["video"] == pytest.approx(before["video"])


class ByFunction:
    """Plans as the plain holder does, and has passages searched by a function."""

    def plan(self, seen: PlanObservation) -> PlanAction:
        action: PlanAction = catalogue.card("sequential").build(None, None).plan(seen)
        report = action.plans["report"]
        return replace(
            action, plans={**action.plans, "report": replace(report, stages={**report.stages, "passages": Choice("retriever-function", 0)})}
        )


def test_a_stage_that_asks_a_function_is_a_call_of_it_and_takes_what_it_takes(ran: Run) -> None:
    scenario = working()
    (phase,) = study.phases(Schedule.of(PolicySet(name="today")), scenario)
    holdings = tuple(replace(each, holder=ByFunction()) if each.lever == "workflow_plan" else each for each in phase.holdings)
    asked = simulate(scenario, [replace(phase, holdings=holdings, spec={"by": "function"})])
    # Each of four reports searches for each of its eight parts.
    assert _table(asked, "functions")["arrived"].sum() - _table(ran, "functions")["arrived"].sum() == 32
    searched = _table(asked, "workflow_tasks").filter(pl.col("executor_id") == "retriever-function")
    took_s = (searched["t_s"] - searched["start_s"]).sort()
    assert 0.04 < took_s[0] < 1.0


def test_jobs_draw_power_where_they_run_and_heat_their_gpus(ran: Run) -> None:
    alone = simulate_without("workflows")
    columns = ["t_s", "server_id", "power_w"]
    both = _table(ran, "servers").select(columns).join(_table(alone, "servers").select(columns), on=["t_s", "server_id"], suffix="_alone")
    more = both.group_by("server_id").agg((pl.col("power_w") - pl.col("power_w_alone")).mean().alias("w"))
    watts = dict(zip(more["server_id"].cast(pl.String), more["w"], strict=True))
    assert watts["server-3"] + watts["server-4"] > 100.0, "the servers of the jobs"
    assert watts["server-1"] > 0.0, "the endpoint that they ask"
    assert abs(watts["server-2"]) < 5.0, "nobody's"
    assert ran.metrics["plant.energy_j"] > alone.metrics["plant.energy_j"]


def test_calls_draw_power_on_their_host(ran: Run) -> None:
    alone = simulate_without("functions")
    hosts_w = [_table(each, "rows").filter(pl.col("row_id") == "hosts-row")["power_w"].mean() for each in (ran, alone)]
    assert hosts_w[0] > hosts_w[1] + 3.0


def test_a_kernel_bypass_shortens_the_stage_that_calls_a_function_and_every_other_call() -> None:
    plain = _run(working(functions={"cores": 1}))
    bypass = _run(working(functions={"cores": 1}), function_runtime="junctiond")
    assert bypass.metrics["functions.latency_p50_s"] < plain.metrics["functions.latency_p50_s"]
    assert bypass.metrics["functions.throughput_max_per_s"] > plain.metrics["functions.throughput_max_per_s"]


def test_a_planner_lowers_what_jobs_cost_and_never_their_quality_below_the_limit(ran: Run) -> None:
    planned = _run(working(), workflow_plan="murakkab")
    assert _table(planned, "jobs")["outcome"].to_list() == ["done"] * 8
    assert planned.metrics["workflows.cost_usd_per_job"] < ran.metrics["workflows.cost_usd_per_job"]


def test_a_run_that_goes_on_from_a_snapshot_gives_the_same_jobs_and_calls() -> None:
    scenario = working()
    phases = study.phases(Schedule.of(PolicySet(name="today")), scenario)
    whole = simulate(scenario, phases, snapshots_at=[600.0])
    rest = simulate(scenario, study.phases(Schedule.of(PolicySet(name="today")), scenario), start=Start("x", 600.0, whole.snapshots[600]))
    for name in ("jobs", "workflow_tasks", "functions", "function_hosts"):
        expected = _table(whole, name).filter(pl.col("t_s") > 600.0)
        assert _table(rest, name).equals(expected), name


def test_a_workflow_metric_is_read_by_its_scope(ran: Run) -> None:
    from twin.metrics import Scope

    video, report = (read(ran, "workflows.makespan_p50_s", (Scope("workflow", name),)) for name in ("video", "report"))
    both = ran.metrics["workflows.makespan_p50_s"]
    assert video is not None
    assert report is not None
    assert min(video, report) <= both <= max(video, report)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"functions": {"hosts": ["host-1"]}}, "functions: host-1 is filled by no VM of 'serverless'"),
        ({"workflows": {"servers": ["server-2"]}}, "workflows: server-2 is filled by no VM of 'agents'"),
        (
            {"workflows": {"asks": {"chat": "chat-8"}}},
            "workflows.asks: chat: no endpoint or function is called 'chat-8'; did you mean chat-8b?",
        ),
    ],
)
def test_what_stands_nowhere_or_asks_nobody_is_refused_in_one_line(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        working(**changed)
    assert "\n" not in str(refused.value)


def test_a_load_of_its_own_under_jobs_is_refused() -> None:
    raw = toml(RAW)
    raw["workloads"]["vms"][1]["load"] = {"mean_share": 0.5}
    with pytest.raises(ValueError, match="its load is that of workflows"):
        scenario_of(raw)


def test_half_the_tick_moves_makespans_and_latencies_little(ran: Run) -> None:
    fine = _run(working(tick_s=5))
    assert fine.metrics["workflows.makespan_p50_s"] == pytest.approx(ran.metrics["workflows.makespan_p50_s"], rel=0.25)
    assert fine.metrics["functions.latency_p50_s"] == pytest.approx(ran.metrics["functions.latency_p50_s"], rel=0.01)
    assert np.isfinite(fine.metrics["functions.latency_p99_s"])


def test_what_jobs_ask_of_an_endpoint_is_their_plans_doing_and_no_other_world(ran: Run) -> None:
    other = _run(working(), workflow_plan="murakkab")
    asked = [len(_table(run, "requests")) for run in (ran, other)]
    assert asked[0] != asked[1]
    assert other.manifest["exogenous"] == ran.manifest["exogenous"]
    more = {"id": "chat-8b", "model": "8b", "tp": 2, "demand": {"kind": "synthetic", "rate_per_s": 2.1, "peak_hour": 14, "lengths": "conv"}}
    assert _run(working(serving={"endpoints": [more]})).manifest["exogenous"] != ran.manifest["exogenous"]

"""Jobs and the cluster around them: what is idle, what is lost, what power there is, and what the cluster hears."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from policies import study
from policies.policy import Held, PolicySet, Schedule
from twin.run import Run, Start, simulate
from twin.scenario import Scenario, read
from twin.sources import toml
from twin.world import World

RAW = Path(__file__).parents[1] / "working.toml"
DARK = (300.0, 600.0)


def site(servers: tuple[str, ...] = ("server-3",), **changed: Any) -> Scenario:
    """Return the scenario with jobs on server-3 alone: server-4 has the same GPUs and nobody's VM, host-2 has no functions."""
    raw = dict(toml(RAW))
    raw.pop("functions")
    raw["workloads"] = {**raw["workloads"], **vms(servers=servers)}
    raw["workflows"] = {**raw["workflows"], "servers": list(servers), "asks": {"chat": "chat-8b"}}
    for key, value in changed.items():
        raw[key] = {**raw[key], **value} if isinstance(value, Mapping) and key in raw else value
    return read(raw)


def vms(*more: Mapping[str, Any], servers: tuple[str, ...] = ("server-3",)) -> dict[str, Any]:
    chat, agents, _ = toml(RAW)["workloads"]["vms"]
    return {"vms": [chat, {**agents, "servers": [*servers, "host-1"]}, *more]}


def run(scenario: Scenario, system: str = "murakkab", **options: Any) -> Run:
    policy = PolicySet(name="tried", levers={"workflow_plan": (Held(system=system),)})
    return simulate(scenario, study.phases(Schedule.of(policy), scenario), **options)


def table(done: Run, name: str) -> pl.DataFrame:
    frame: pl.DataFrame = done.tables[name].collect()
    return frame


def held(done: Run, column: str) -> float:
    value: float = table(done, "workflow_use")[column].sum()
    return value


def dark(row: str) -> list[dict[str, Any]]:
    return [{"kind": "pdu_loss", "target": f"{row}-pdu-{which}", "from_s": DARK[0], "until_s": DARK[1]} for which in "ab"]


@pytest.fixture(scope="module")
def idle() -> Run:
    return run(site())


def test_gpus_that_no_vm_stands_on_are_used_from_the_first_epoch_on_and_make_jobs_cheaper(idle: Run) -> None:
    assert held(idle, "spot_gpus") > 0.0
    rented = {"workload": "rented", "servers": ["server-2", "server-4"], "load": {"mean_share": 0.3}}
    full = run(site(workloads=vms(rented)))
    assert held(full, "spot_gpus") == 0.0
    assert full.metrics["workflows.cost_usd_per_job"] > 2.0 * idle.metrics["workflows.cost_usd_per_job"]
    kept = run(site(workflows={"surplus": False}))
    assert held(kept, "spot_gpus") == 0.0


def test_jobs_on_idle_gpus_draw_power_there(idle: Run) -> None:
    nobody = run(site(workflows={"workflows": []}), "sequential")
    mean = [table(each, "servers").filter(pl.col("server_id").cast(pl.String) == "server-4")["power_w"].mean() for each in (idle, nobody)]
    assert mean[0] > mean[1] + 2.0


def test_idle_gpus_are_left_alone_where_their_rows_have_no_power_for_them() -> None:
    scenario = site()
    budgets_w = np.where(np.array(scenario.fleet.row_ids) == "row-2", 2_000.0, scenario.fleet.row_power_budgets_w)
    short = run(replace(scenario, fleet=replace(scenario.fleet, row_power_budgets_w=budgets_w)))
    assert held(short, "spot_gpus") == 0.0
    assert held(short, "held_gpus") > 0.0


def test_jobs_wait_for_a_server_without_power_cost_nothing_meanwhile_and_end_after_it() -> None:
    done = run(site(faults=dark("row-2"), workflows={"surplus": False}))
    use = table(done, "workflow_use").filter((pl.col("t_s") > DARK[0] + 60.0) & (pl.col("t_s") <= DARK[1]))
    assert use["busy_gpus"].max() == use["held_gpus"].max() == 0.0
    jobs = table(done, "jobs")
    assert jobs["outcome"].to_list() == ["done"] * jobs.height
    caught = jobs.filter((pl.col("submit_s") >= DARK[0]) & (pl.col("submit_s") < DARK[1]))
    assert (caught["submit_s"] + caught["makespan_s"] > DARK[1]).all()
    tasks = table(done, "workflow_tasks").filter((pl.col("gpus") > 0) & (pl.col("t_s") > DARK[0]) & (pl.col("start_s") < DARK[1]))
    # What was at work as the power went is begun again after it.
    assert (tasks["start_s"] >= DARK[1]).all()


def test_a_host_without_power_does_no_stage() -> None:
    done = run(site(faults=dark("hosts-row")))
    tasks = table(done, "workflow_tasks").filter((pl.col("gpus") == 0) & (pl.col("cores") > 0))
    inside = tasks.filter((pl.col("t_s") > DARK[0] + 10.0) & (pl.col("start_s") < DARK[1]))
    assert inside.height == 0
    assert tasks.filter(pl.col("t_s") > DARK[1]).height > 0
    assert set(table(done, "jobs")["outcome"].cast(pl.String)) == {"done"}


def test_the_cluster_is_told_what_is_coming_and_rows_keep_that_power_free() -> None:
    scenario = site(workflows={"surplus": False})
    told = run(scenario)
    (row,) = table(told, "workflow_coming").to_dicts()
    assert row["gpus"] > 0.0
    assert row["power_w"] >= row["gpu_power_w"] > 0.0
    assert table(told, "workflow_coming").height == 1
    assert "workflow_coming" not in run(scenario, "sequential").tables
    policies = (PolicySet(name="told", levers={"workflow_plan": (Held(system=name),)}) for name in ("murakkab", "sequential"))
    coming = []
    for policy in policies:
        world = World(scenario, study.phases(Schedule.of(policy), scenario), scenario.seed)
        world.working.step(world.phases[0], 0.0, 10.0)
        coming.append(dict(zip(scenario.fleet.row_ids, world.working.row_coming_w().tolist(), strict=True)))
    assert coming[0] == pytest.approx({"row-1": 0.0, "row-2": row["gpu_power_w"], "hosts-row": 0.0})
    assert set(coming[1].values()) == {0.0}


@pytest.mark.parametrize("at_s", [300.0, 900.0])
def test_a_run_goes_on_from_jobs_under_way_to_the_same_bytes(at_s: float) -> None:
    scenario = site(faults=dark("row-2"))
    whole = run(scenario, snapshots_at=[at_s])
    rest = run(scenario, start=Start("x", at_s, whole.snapshots[int(at_s)]))
    for name in ("jobs", "workflow_tasks", "workflow_use", "workflow_plans", "servers"):
        expected = table(whole, name).filter(pl.col("t_s") > at_s) if name != "workflow_plans" else table(whole, name).head(0)
        assert table(rest, name).equals(expected, null_equal=True) if name in rest.tables else expected.height == 0, name


def test_jobs_under_way_end_under_another_policy_too() -> None:
    scenario = site(("server-3", "server-4"))
    first = run(scenario, "sequential", snapshots_at=[900.0])
    rest = run(scenario, "murakkab", start=Start("x", 900.0, first.snapshots[900]))
    jobs = table(rest, "jobs")
    assert jobs["outcome"].to_list() == ["done"] * jobs.height
    begun = {row["job_id"] for row in table(first, "jobs").filter(pl.col("t_s") > 900.0).to_dicts()}
    assert set(jobs["job_id"]) == begun
    # Who plans now plans at once.
    assert table(rest, "workflow_plans")["t_s"].unique().to_list() == [900.0]
    assert table(rest, "workflow_coming")["t_s"].to_list() == [900.0]


def test_cores_that_customers_leave_are_harvested_and_those_that_they_will_ask_for_are_not() -> None:
    def left(asked_share: float) -> Run:
        reserve = {"mean_share": asked_share, "sd_share": 0.0, "swing_share": 0.0}
        tenants = [{"id": "web", "class": "microservices", "deployments": 1}]
        web = {"workload": "web", "servers": ["server-2"], "load": {"mean_share": 0.2}}
        return run(site(workloads={**vms(web), "negotiation": {"tenants": tenants, "reserve": reserve}}))

    plans = [table(left(share), "workflow_plans").filter(pl.col("hardware") == "cpu") for share in (0.0, 1.0)]
    # On harvested cores the host beside takes part: host-2 has no VM.
    assert plans[0]["spot"].any()
    assert not plans[1]["spot"].any()


def test_stages_on_cores_draw_power_on_their_host(idle: Run) -> None:
    nobody = run(site(workflows={"workflows": []}), "sequential")
    rows = [table(each, "rows").filter(pl.col("row_id").cast(pl.String) == "hosts-row")["power_w"].max() for each in (idle, nobody)]
    assert rows[0] > rows[1] + 1.0


def test_planners_hold_the_workflows_that_are_in_their_scope() -> None:
    held_by = (Held(system="murakkab", scope=({"kind": "workflow", "id": "report"},)), Held(system="sequential"))
    scenario = site(("server-3", "server-4"))
    policy = PolicySet(name="two", levers={"workflow_plan": held_by})
    done = simulate(scenario, study.phases(Schedule.of(policy), scenario))
    why = dict(table(done, "workflow_plans").select(pl.col("workflow_id").cast(pl.String), "why").unique().iter_rows())
    assert "as it was written" in why["video"]
    assert "plans" in why["report"]
    assert "as it was written" not in why["report"]


def test_a_planner_sees_how_long_its_endpoints_took() -> None:
    scenario = site(workflows={"epoch_s": 600})
    (phase,) = study.phases(Schedule.of(PolicySet(name="today")), scenario)
    seen: list[Mapping[str, float]] = []

    class Watching:
        def __init__(self, holder: Any) -> None:
            self._holder = holder

        def plan(self, observed: Any) -> Any:
            seen.append(dict(observed.available.endpoint_s))
            return self._holder.plan(observed)

    holdings = tuple(replace(each, holder=Watching(each.holder)) if each.lever == "workflow_plan" else each for each in phase.holdings)
    simulate(scenario, [replace(phase, holdings=holdings)])
    assert len(seen) == 3
    assert seen[0] == {}
    assert 0.1 < seen[2]["chat"] < 60.0

"""Whole runs of the example's morning: a bound on evictions is kept, and what is held for one workload is felt by no other."""

from typing import Any

import polars as pl
import pytest

from policies import study
from policies.policy import Held, PolicySet, Schedule
from twin.run import Run, simulate
from twin.scenario import Scenario, read
from twin.sources import data_dir, toml

BOUND = 240.0


@pytest.fixture(scope="module")
def morning() -> Scenario:
    raw = toml(data_dir() / "scenarios" / "example.toml")
    # Functions and workflows have no part in it.
    raw = {name: value for name, value in raw.items() if name not in {"functions", "workflows", "incidents"}}
    # More customers come than there is room for beside spot and harvest VMs.
    reserve = {"mean_share": 0.42, "sd_share": 0.05, "swing_share": 0.05, "peak_hour": 9.0}
    workloads = {**raw["workloads"], "negotiation": {**raw["workloads"]["negotiation"], "reserve": reserve}}
    begin = {"horizon_s": "2 h", "start": raw["start"].replace(hour=8), "tick_s": 60, "faults": []}
    return read({**raw, **begin, "workloads": workloads})


def run(scenario: Scenario, **held: Any) -> Run:
    policy = PolicySet(name="offered", levers={"offers": (Held(system="workload_intelligence", **held),)})
    return simulate(scenario, study.phases(Schedule.of(policy), scenario))


def evicted(done: Run) -> pl.DataFrame:
    notices = done.tables["notices"].collect().with_columns(pl.col("kind", "outcome", "workload_id").cast(pl.String))
    return notices.filter((pl.col("kind") == "eviction") & (pl.col("outcome") == "done"))


def test_a_bound_on_evictions_is_kept_and_paid_for_by_customers_who_are_turned_away(morning: Scenario) -> None:
    free = run(morning)
    kept = run(morning, knobs={"targets": ({"metric": "workloads.evictions", "op": "<=", "bound": BOUND},)})
    assert free.metrics["workloads.evictions"] > BOUND
    assert 0.0 < kept.metrics["workloads.evictions"] <= BOUND
    assert kept.metrics["workloads.price_cut_share"] > 0.3
    turned = [done.tables["vm_capacity"].collect()["turned_away_cores"].sum() for done in (free, kept)]
    assert turned[1] > turned[0]


def test_what_is_held_for_one_workload_is_felt_by_no_other(morning: Scenario) -> None:
    done = run(morning, scope=({"kind": "workload", "id": "search"},))
    bills = done.tables["bills"].collect().with_columns(pl.col("workload_id").cast(pl.String))
    others = bills.filter(pl.col("workload_id") != "search")
    assert others["regular_usd"].to_list() == pytest.approx(others["billed_usd"].to_list(), rel=1e-12)
    mine = bills.filter(pl.col("workload_id") == "search")
    assert mine["billed_usd"].sum() < 0.8 * mine["regular_usd"].sum()
    assert set(evicted(done)["workload_id"]) == {"search"}
    told = done.tables["notices"].collect().filter(pl.col("kind").cast(pl.String) != "maintenance")
    assert set(told["workload_id"].cast(pl.String)) == {"search"}

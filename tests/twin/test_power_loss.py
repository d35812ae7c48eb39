"""Whole runs in which power fails: on schedule, at random, and for a whole row."""

from typing import Any

import polars as pl

from policies import study
from policies.policy import TODAY, Schedule
from twin import run as runs
from twin.scenario import Scenario, read
from twin.sources import data_dir, toml

RANDOM = {
    "ahu_loss": {"mtbf_h": 1.0, "repair_h": 0.1},
    "ups_loss": {"mtbf_h": 1.0, "repair_h": 0.1},
    "pdu_loss": {"mtbf_h": 2.0, "repair_h": 0.1},
}


def _tiny(**plant: Any) -> Scenario:
    spec = toml(data_dir() / "scenarios" / "tiny.toml")
    faults = plant.pop("faults", [])
    return read({**spec, "plant": {**spec["plant"], **plant}, "faults": faults})


def _simulate(scenario: Scenario, **options: Any) -> runs.Run:
    return runs.simulate(scenario, study.phases(Schedule.of(TODAY), scenario), **options)


def _fault_edges(run: runs.Run) -> pl.DataFrame:
    return run.tables["events"].filter(pl.col("kind").is_in(list(RANDOM))).collect()


def test_random_faults_strike_a_whole_run_alike_and_refine_its_ticks() -> None:
    one, same = (_simulate(_tiny(random_faults=RANDOM), snapshots_at=(900.0,)) for _ in range(2))
    assert all(frame.collect().equals(same.tables[name].collect()) for name, frame in one.tables.items())
    edges = _fault_edges(one)
    assert edges.height > 3
    ticks = one.tables["site"].select("t_s", "tick_s").collect()
    inside = edges.filter(pl.col("t_s") < 1700.0)["t_s"]
    for edge_s in inside:
        after = ticks.filter((pl.col("t_s") > edge_s) & (pl.col("t_s") <= edge_s + 30.0))
        assert after["tick_s"].max() == 1.0
    other = _fault_edges(_simulate(_tiny(random_faults=RANDOM), seed=8))
    assert not edges.equals(other)


def test_going_on_from_a_snapshot_meets_the_same_random_faults() -> None:
    scenario = _tiny(random_faults=RANDOM, throttling={"graded": {}})
    whole = _simulate(scenario, snapshots_at=(900.0,))
    rest = _simulate(scenario, start=runs.Start(whole.run_id, 900.0, whole.snapshots[900]))
    assert _fault_edges(rest).height > 0
    for name in ("site", "rows", "feeds", "racks", "servers", "gpus"):
        expected = whole.tables[name].filter(pl.col("t_s") > 900.0).collect()
        assert rest.tables[name].collect().equals(expected), name


def test_a_row_without_power_serves_nobody_and_comes_back() -> None:
    dark = [{"kind": "pdu_loss", "target": f"row-2-pdu-{which}", "from_s": 300.0, "until_s": 600.0} for which in "ab"]
    run = _simulate(_tiny(faults=dark))
    rows = run.tables["rows"].filter(pl.col("row_id").cast(pl.String) == "row-2").collect()
    out = rows.filter((pl.col("t_s") > 301.0) & (pl.col("t_s") <= 600.0))
    assert out["power_w"].max() == 0.0
    assert out["throttled_gpu_share"].min() == 1.0
    assert rows.filter(pl.col("t_s") > 1200.0)["power_w"].min() > 1000.0  # type: ignore[operator]
    told = run.tables["events"].filter(pl.col("kind") == "row_dark").sort("t_s").collect()
    assert told["entity_id"].to_list() == ["row-2", "row-2"]
    assert told["value"].to_list() == [1.0, 0.0]
    assert run.metrics["plant.throttled_gpu_share"] > 0.1
    assert 1.0 < run.metrics["plant.pue"] < 2.0

"""Whole runs in which cooling fails or sensors drift, and runs on cold plates."""

from typing import Any

import polars as pl
import pytest

from policies import study
from policies.policy import TODAY, Schedule
from twin import run as runs
from twin.scenario import Scenario, read
from twin.sources import data_dir, toml

# Towers that never help: everything hangs on the chillers, which here carry little more than the load.
CHILLED = {"free_margin_c": 60.0}
LOST = [
    {"kind": "ahu_loss", "target": "aisle-1", "from_s": 400.0, "until_s": 1000.0, "severity": 0.4},
    {"kind": "chiller_loss", "target": "site", "from_s": 600.0, "until_s": 840.0},
]


def _tiny(faults: list[dict[str, Any]], tick_s: float = 10.0, **plant: Any) -> Scenario:
    spec = toml(data_dir() / "scenarios" / "tiny.toml")
    return read({**spec, "tick_s": tick_s, "plant": {**spec["plant"], **plant}, "faults": faults})


def _simulate(scenario: Scenario, **options: Any) -> runs.Run:
    return runs.simulate(scenario, study.phases(Schedule.of(TODAY), scenario), **options)


def test_a_lost_chiller_warms_the_whole_site_and_is_told() -> None:
    run, calm = _simulate(_tiny(LOST, cooling=CHILLED)), _simulate(_tiny([], cooling=CHILLED))
    told = run.tables["events"].filter(pl.col("kind") == "chiller_loss").collect()
    assert told["t_s"].to_list() == [600.0, 840.0]
    assert told["entity_id"].to_list() == ["site", "site"]
    supply = [each.tables["site"].filter(pl.col("t_s") == 840.0).collect()["supply_c"][0] for each in (run, calm)]
    assert supply[0] > supply[1] + 3.0
    assert run.metrics["plant.inlet_temp_max_c"] > calm.metrics["plant.inlet_temp_max_c"] + 3.0


def test_half_the_tick_changes_little_in_a_run_that_loses_air_and_chillers() -> None:
    """Highest temperatures within 0.5 C; peaks and sums of power, carbon and water within 0.5 %."""
    coarse, fine = (_simulate(_tiny(LOST, tick_s, cooling=CHILLED)).metrics for tick_s in (10.0, 5.0))
    for name in ("gpu_temp_max_c", "inlet_temp_max_c"):
        assert coarse[f"plant.{name}"] == pytest.approx(fine[f"plant.{name}"], abs=0.5)
    for name in ("row_power_peak_w", "site_power_peak_w", "energy_j", "carbon_kg", "water_l", "pue"):
        assert coarse[f"plant.{name}"] == pytest.approx(fine[f"plant.{name}"], rel=0.005), name


def test_going_on_from_a_snapshot_in_a_warm_room_writes_the_same_tables() -> None:
    drift = {"kind": "sensor_drift", "target": "server-1", "from_s": 100.0}
    scenario = _tiny([*LOST, drift], cooling=CHILLED)
    whole = _simulate(scenario, snapshots_at=(900.0,))
    rest = _simulate(scenario, start=runs.Start(whole.run_id, 900.0, whole.snapshots[900]))
    for name in ("site", "rows", "aisles", "racks", "servers", "gpus"):
        assert rest.tables[name].collect().equals(whole.tables[name].filter(pl.col("t_s") > 900.0).collect()), name


def test_no_table_but_the_sensors_own_column_tells_of_a_drift() -> None:
    """Neither an event nor a finer tick gives away to a holder, or to whoever looks for causes, what a sensor does."""
    drift = {"kind": "sensor_drift", "target": "server-1", "from_s": 303.0, "until_s": 907.0}
    drifted, right = _simulate(_tiny([drift])), _simulate(_tiny([]))
    for name, frame in right.tables.items():
        expected, found = frame.collect(), drifted.tables[name].collect()
        same = [column for column in expected.columns if column != "inlet_sensor_c"]
        assert found.select(same).equals(expected.select(same)), name
    assert not drifted.tables["servers"].collect().equals(right.tables["servers"].collect())

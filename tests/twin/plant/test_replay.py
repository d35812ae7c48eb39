"""Replay: rows draw what was measured, under the weather that was measured."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twin.clock import Clock
from twin.faults import Fault
from twin.fleet import Fleet
from twin.fleet_file import named
from twin.plant.model import GpuLoad, Model, Settings
from twin.plant.replay import Observed
from twin.plant.sensed import Sensed
from twin.plant.weather import Series
from twin.store.importers import import_file
from twin.tables import Sink

Maker = Callable[..., Model]


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, dict[float, float]]], str]:
    """Import series by sensor under the name ``trace``."""
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))

    def bring(series: dict[str, dict[float, float]], name: str = "trace") -> str:
        lines = [f"{t_s},{sensor},{value}" for sensor, readings in series.items() for t_s, value in readings.items()]
        (tmp_path / "t.csv").write_text("time,sensor,value\n" + "\n".join(lines))
        import_file("telemetry", tmp_path / "t.csv", name, tmp_path, {"replace": "yes"})
        return name

    return bring


def test_a_row_draws_what_its_sensor_measured(plant: Maker, load: Callable[..., GpuLoad], run_on: Maker, trace: Any) -> None:
    """Between readings linearly; rows without a sensor go on as they are told."""
    trace({"row-1.power_w": {0: 30_000, 600: 42_000}, "row-3.power_w": {0: 20_000}})
    model, calm = plant(replay="trace"), load(0.0, 0.0)
    run_on(model, calm, 300.0)
    assert model.observe().row_power_w[[0, 2]] == pytest.approx([36_000, 20_000], rel=1e-9)
    assert model.observe().row_power_w[1] == pytest.approx(run_on(plant(), calm, 300.0).observe().row_power_w[1], rel=0.01)
    run_on(model, calm, 1200.0)
    assert model.observe().row_power_w[0] == pytest.approx(42_000, rel=1e-9)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0.0, 0.4), st.floats(0.0, 0.4), st.floats(0.8, 1.0), st.integers(24_000, 34_000))
def test_what_serves_is_left_alone_and_the_rest_makes_up_the_power(
    plant: Maker, load: Callable[..., GpuLoad], run_on: Maker, trace: Any, prefill: float, decode: float, clock: float, power_w: int
) -> None:
    trace({"row-2.power_w": {0: power_w}})
    model, busy = plant(replay="trace"), load(prefill, decode, clock_share=clock)
    run_on(model, busy, 60.0)
    least = run_on(plant(), busy, 60.0).observe().row_power_w[1]
    drawn = model.observe().row_power_w[1]
    assert drawn == pytest.approx(power_w, rel=1e-6) if power_w >= least else drawn == pytest.approx(least, rel=0.01)


def test_below_idle_servers_are_switched_off_and_beyond_reach_is_told(
    plant: Maker, load: Callable[..., GpuLoad], run_on: Maker, trace: Any, fleet: Fleet
) -> None:
    calm = load(0.0, 0.0)
    idle_w = run_on(plant(), calm, 60.0).observe().row_power_w[0]
    trace({"row-1.power_w": {0: idle_w, 300: idle_w, 301: 0.85 * idle_w, 600: 0.85 * idle_w, 601: 1e6}})
    model, sink = plant(replay="trace"), Sink({kind: fleet.ids(kind) for kind in ("row", "rack", "server", "gpu", "aisle", "feed", "host")})
    run_on(model, calm, 600.0, sink=sink)
    assert model.observe().row_power_w[0] == pytest.approx(0.85 * idle_w, rel=1e-6)
    assert (model.observe().gpu_clock_share[:48] == 0.0).any()
    run_on(model, calm, 700.0, sink=sink)
    model.close(sink)
    told = [row for row in sink.frames()["events"].iter_rows(named=True) if row["kind"] == "replay_out_of_reach"]
    assert [(row["entity_id"], row["t_s"]) for row in told] == [("row-1", 610.0)]
    assert told[0]["value"] == pytest.approx(1e6)


def test_what_was_not_measured_is_bridged_and_told(
    plant: Maker, load: Callable[..., GpuLoad], run_on: Maker, trace: Any, fleet: Fleet
) -> None:
    busy_w = run_on(plant(), load(0.5, 0.0), 60.0).observe().row_power_w[0]
    trace({"row-1.power_w": dict.fromkeys((0, 60, 120, 1320, 1380), busy_w), "row-2.power_w": dict.fromkeys(range(0, 7200, 600), 30e3)})
    model, sink = plant(replay="trace"), Sink({kind: fleet.ids(kind) for kind in ("row", "rack", "server", "gpu", "aisle", "feed", "host")})
    run_on(model, load(0.0, 0.0), 3000.0, sink=sink)
    model.close(sink)
    told = [row for row in sink.frames()["events"].iter_rows(named=True) if row["kind"] == "replay_silent"]
    assert [(row["entity_id"], row["t_s"]) for row in told] == [("row-1", 120.0), ("row-1", 1380.0)]
    assert told[0]["value"] == 1200.0
    assert model.observe().row_power_w[0] == pytest.approx(busy_w, rel=1e-6)


def test_a_replay_goes_on_from_a_snapshot_to_the_last_bit(plant: Maker, load: Callable[..., GpuLoad], run_on: Maker, trace: Any) -> None:
    random = np.random.default_rng(4)
    trace({f"row-{row}.power_w": {t: float(random.uniform(15e3, 60e3)) for t in range(0, 1800, 60)} for row in (1, 2, 3)})
    faults = (Fault(kind="ahu_loss", target="aisle-1", from_s=500.0, until_s=900.0, severity=0.5),)
    whole = plant(faults, replay="trace")
    run_on(whole, load(0.1, 0.1), 600.0)
    resumed = plant(faults, replay="trace")
    resumed.restore(whole.snapshot())
    one, other = (run_on(model, load(0.1, 0.1), 1500.0).snapshot() for model in (whole, resumed))
    for name, state in one.items():
        if isinstance(state, dict):
            assert all(np.array_equal(state[field], other[name][field], equal_nan=True) for field in state), name
        else:
            assert np.array_equal(state, other[name]), name


def test_measured_weather_drives_the_plant(plant: Maker, load: Callable[..., GpuLoad], run_on: Maker, trace: Any) -> None:
    trace({"row-1.power_w": {0: 30_000}, "site.outside_c": {0: 10.0, 3600: 30.0}, "site.wet_bulb_c": {0: 8.0}})
    assert run_on(plant(replay="trace"), load(0.0, 0.0), 1800.0).observe().outside_c == pytest.approx(20.0)


@pytest.mark.parametrize(("dry", "wet"), [(None, 8.0), (30.0, None), (30.0, 8.0), (5.0, 8.0), (None, None)])
def test_the_wet_bulb_never_stands_above_the_dry_one(dry: float | None, wet: float | None) -> None:
    said = {name: value for name, value in (("site.outside_c", dry), ("site.wet_bulb_c", wet)) if value is not None}
    sensed = Sensed("t", np.zeros(len(said)), np.array(list(said.values())), {name: slice(k, k + 1) for k, name in enumerate(said)})
    outside_c, wet_bulb_c = Observed(sensed, Series((20.0, 22.0), (12.0, 13.0))).at(1800.0)
    assert outside_c >= wet_bulb_c
    assert outside_c == (dry if dry is not None else 21.0 if wet is None else pytest.approx(21.0 + 8.0 - 12.5))


def test_a_replay_that_cannot_be_is_one_line(plant: Maker, fleet: Fleet, trace: Any) -> None:
    with pytest.raises(ValueError, match="run `intentwin import telemetry FILE --name nothing`"):
        plant(replay="nothing")
    trace({"rack-1.power_w": {0: 1.0}}, "racks")
    with pytest.raises(ValueError, match=r"measures the power of no row of fleet small; .* row-1.power_w"):
        plant(replay="racks")
    trace({"row-1.power_w": {1.7e9: 1.0, 1.7e9 + 60: 1.0}}, "old")
    with pytest.raises(ValueError, match=r"'old' lasts from 2023-11-14T15:13 to 2023-11-14T15:14, outside the run; set start inside it"):
        plant(replay="old")


def test_a_day_of_frontier_comes_out_as_its_cooling_units_measured(
    test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """25 liquid-cooled rows, 24 hours, here in steps of a minute: hourly power within 1 % of the trace, PUE between 1.0 and 1.1."""
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    import_file("telemetry", test_data / "telemetry" / "frontier_cdu_input_04-07-24.csv", "cdu", tmp_path)
    fleet, clock = named("frontier"), Clock.of(datetime(2024, 4, 7), "America/New_York")  # noqa: DTZ001  (Clock.of attaches the zone)
    no_ups = dict.fromkeys(("ups_loss_idle_share", "ups_loss_linear_share", "ups_loss_square_share", "pdu_loss_share"), 0.0)
    model = Model(
        Settings.model_validate({"replay": "cdu", "cooling": {**no_ups, "other_share": 0.005}, "max_step_s": 60.0}),
        fleet,
        clock,
        86_400.0,
        (),
        1,
    )
    gpus = len(fleet.gpu_ids)
    assert gpus == 75_776
    none, one = np.zeros(gpus), np.ones(gpus)
    calm = GpuLoad(none, none, none, none, none > 0.0, one, np.zeros(0))
    drawn, pue = [], []
    while model.t_s < 86_400.0:
        model.advance(model.t_s + 60.0, calm, one)
        drawn.append(model.arrays.rows["power_w"].sum())
        pue.append(model.arrays.site["pue"][0])
    raw = np.genfromtxt(test_data / "telemetry" / "frontier_cdu_input_04-07-24.csv", delimiter=",", skip_header=1)
    measured = np.interp(60.0 * np.arange(1, 1441), raw[:, 0], raw[:, 1:26].sum(axis=1))
    by_hour = np.array(drawn).reshape(24, 60).mean(axis=1) / measured.reshape(24, 60).mean(axis=1)
    assert np.abs(by_hour - 1.0).max() < 0.01
    assert 1.0 < min(pue) <= max(pue) < 1.1

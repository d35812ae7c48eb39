"""A run that begins from imported readings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twin.fleet import Fleet
from twin.plant.model import GpuLoad, Model
from twin.plant.starting import Easing
from twin.plant.weather import Series
from twin.store.importers import import_file

Maker = Callable[..., Model]
Loads = Callable[..., GpuLoad]


@pytest.fixture
def sensed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, float], str], None]:
    """Import readings by sensor, all at one time, under the name ``site``."""
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))

    def bring(readings: dict[str, float], time: str) -> None:
        rows = [f"{time},{sensor},{value}" for sensor, value in readings.items()]
        (tmp_path / "t.csv").write_text("time,sensor,value\n" + "\n".join(rows))
        import_file("telemetry", tmp_path / "t.csv", "site", tmp_path, {"timezone": "America/Phoenix"})

    return bring


def _said(model: Model, fleet: Fleet) -> dict[str, float]:
    """Return what sensors would say of a plant now."""
    seen = model.observe()
    said = {"site.outside_c": seen.outside_c}
    for what, ids, values in (
        ("inlet_c", fleet.server_ids, seen.inlet_c),
        ("fan_share", fleet.server_ids, model.arrays.servers["fan_share"]),
        ("temp_c", fleet.gpu_ids, seen.gpu_temp_c),
        ("power_w", fleet.gpu_ids, seen.gpu_power_w),
    ):
        said |= {f"{name}.{what}": float(value) for name, value in zip(ids, values, strict=True)}
    return said


def test_a_run_begins_where_sensors_saw_the_site(plant: Maker, load: Loads, run_on: Maker, fleet: Fleet, sensed: Any) -> None:
    busy = run_on(plant(), load(0.5, 0.4), 3600.0)
    said = _said(busy, fleet)
    sensed(said, "2026-07-13T23:58")
    model = plant(start_from={"telemetry": "site", "at": "2026-07-14T00:00"})
    seen = model.observe()
    np.testing.assert_allclose(seen.gpu_temp_c, busy.observe().gpu_temp_c, atol=1e-9)
    np.testing.assert_allclose(seen.inlet_c, busy.observe().inlet_c, atol=1e-9)
    np.testing.assert_allclose(seen.gpu_power_w, busy.observe().gpu_power_w, rtol=1e-6)
    np.testing.assert_allclose(model.arrays.servers["fan_share"], busy.arrays.servers["fan_share"], atol=1e-9)
    assert seen.outside_c == pytest.approx(busy.observe().outside_c)
    assert (seen.gpu_temp_c > plant().observe().gpu_temp_c + 10.0).all()


def test_it_goes_on_as_the_site_did(plant: Maker, load: Loads, run_on: Maker, fleet: Fleet, sensed: Any) -> None:
    """The first ten minutes after the start stay near those of the plant that was read; an idle start is far off."""
    busy = load(0.5, 0.4)
    site = run_on(plant(), busy, 3600.0)
    sensed(_said(site, fleet), "2026-07-14T00:00")
    model, idle = plant(start_from={"telemetry": "site"}), plant()
    for step in range(1, 11):
        for each, until_s in ((site, 3600.0 + 10.0 * step), (model, 10.0 * step), (idle, 10.0 * step)):
            run_on(each, busy, until_s)
        near, far = (np.abs(each.observe().gpu_temp_c - site.observe().gpu_temp_c).mean() for each in (model, idle))
        assert near < 1.0
        assert near < far


def test_the_last_readings_before_the_time_count_and_old_ones_do_not(plant: Maker, fleet: Fleet, sensed: Any) -> None:
    for minute, value in (("2026-07-13T22:30", 70.0), ("2026-07-13T23:40", 60.0), ("2026-07-14T00:30", 80.0)):
        sensed({"server-1/gpu-0.temp_c": value, "site.outside_c": 30.0}, minute)
    sensed({"server-1/gpu-1.temp_c": 75.0}, "2026-07-13T22:00")
    start = {"telemetry": "site", "at": "2026-07-14T00:00"}
    seen, plain = plant(start_from=start).observe(), plant().observe()
    assert seen.gpu_temp_c[0] == 60.0
    assert plant(start_from={"telemetry": "site"}).observe().gpu_temp_c[0] == 80.0
    assert abs(seen.gpu_temp_c[1] - plain.gpu_temp_c[1]) < 3.0  # nothing fresh is known of it: it settles as today
    assert seen.outside_c == pytest.approx(30.0)


def test_a_servers_power_alone_is_enough_to_begin_loaded(plant: Maker, fleet: Fleet, sensed: Any) -> None:
    sensed({f"{name}.power_w": 5000.0 for name in fleet.server_ids[:12]}, "0")
    seen = plant(start_from={"telemetry": "site"}).observe()
    np.testing.assert_allclose(seen.server_power_w[:12], 5000.0, rtol=0.05)
    assert (seen.gpu_power_w[:96] > 2.0 * seen.gpu_power_w[96:].mean()).all()


def test_weather_eases_from_what_was_seen_into_the_climate() -> None:
    air = Easing(Series((20.0,) * 49, (12.0,) * 49), 29.0, float("nan"))
    assert air.at(0.0) == pytest.approx((29.0, 21.0))
    assert air.at(6 * 3600.0)[0] == pytest.approx(20.0 + 9.0 * np.exp(-1.0))
    assert air.at(48 * 3600.0)[0] == pytest.approx(20.0, abs=0.01)


def test_telemetry_that_says_nothing_of_the_start_is_refused(plant: Maker, sensed: Any) -> None:
    sensed({"server-1.inlet_c": 20.0}, "2026-07-10T00:00")
    with pytest.raises(
        ValueError, match=r"says nothing about fleet small in the hour before 2026-07-14T00:00; it lasts from 2026-07-10T00:00"
    ):
        plant(start_from={"telemetry": "site", "at": "2026-07-14T00:00"})
    with pytest.raises(ValueError, match="run `intentwin import telemetry FILE --name other`"):
        plant(start_from={"telemetry": "other"})

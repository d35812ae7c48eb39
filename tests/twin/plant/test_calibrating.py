"""A twin fitted to telemetry: the twin's own, with noise, under other offsets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.clock import Clock
from twin.fleet import Fleet
from twin.plant import calibrating
from twin.plant.model import GpuLoad, Model, Settings
from twin.store.importers import import_file

DAY_S = 86_400.0
WEATHER = {"climate": "phoenix", "mean_c": 24.0, "swing_c": 22.0, "day_noise_c": 0.0, "hour_noise_c": 0.0}
Maker = Callable[..., Model]


def _load(gpus: int, hosts: int, t_s: float, seed: int) -> GpuLoad:
    """Every GPU's own load, drawn anew each hour, linear in between."""
    hour, part = divmod(t_s / 3600.0, 1.0)
    before, after = (np.random.default_rng([seed, int(hour) + step]).uniform(0.05, 0.9, gpus) for step in (0, 1))
    none = np.zeros(gpus)
    return GpuLoad(before + part * (after - before), none, none, none, np.ones(gpus, dtype=np.bool_), np.ones(gpus), np.full(hosts, 0.5))


def _run(model: Model, fleet: Fleet, until_s: float, load_seed: int) -> list[tuple[float, float, Any, Any, Any]]:
    """Return time, outside, inlets, GPU temperatures and GPU powers every five minutes."""
    said = []
    while model.t_s < until_s:
        model.advance(model.t_s + 60.0, _load(len(fleet.gpu_ids), len(fleet.host_ids), model.t_s, load_seed), np.ones(len(fleet.gpu_ids)))
        if model.t_s % 300.0 == 0.0:
            seen = model.observe()
            said.append((model.t_s, seen.outside_c, seen.inlet_c.copy(), seen.gpu_temp_c.copy(), seen.gpu_power_w.copy()))
    return said


def _export(said: list[tuple[float, float, Any, Any, Any]], fleet: Fleet, path: Path, noise_c: float, shuffled: bool = False) -> Path:
    random, sensors = np.random.default_rng(8), ["site.outside_c", *(f"{name}.inlet_c" for name in fleet.server_ids)]
    sensors += [f"{name}.{what}" for what in ("temp_c", "power_w") for name in fleet.gpu_ids]
    values = np.array([np.concatenate([[outside], inlet, temp, power]) for _, outside, inlet, temp, power in said])
    warm = 1 + len(fleet.server_ids) + len(fleet.gpu_ids)
    values[:, 1:warm] += random.normal(0.0, noise_c, values[:, 1:warm].shape)
    values[:, warm:] += random.normal(0.0, 2.0, values[:, warm:].shape)
    if shuffled:
        values[:, 1:warm] = random.permuted(values[:, 1:warm], axis=0)
    times = [t_s for t_s, *_ in said]
    frame = pl.DataFrame({"time": np.repeat(times, len(sensors)), "sensor": sensors * len(times), "value": values.ravel()})
    frame.write_csv(path)
    return path


@pytest.fixture(scope="module")
def said(fleet: Fleet, clock: Clock) -> list[tuple[float, float, Any, Any, Any]]:
    return _run(Model(Settings.model_validate({"weather": WEATHER}), fleet, clock, DAY_S, (), 1), fleet, DAY_S, 5)


@pytest.fixture
def fitted(said: Any, fleet: Fleet, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))

    def fit(name: str, noise_c: float = 0.3, shuffled: bool = False) -> Any:
        import_file("telemetry", _export(said, fleet, tmp_path / f"{name}.csv", noise_c, shuffled), name, tmp_path)
        return calibrating.calibrate(Settings.model_validate({"weather": WEATHER}), fleet, clock, name)

    return fit


def _error_c(one: list[Any], other: list[Any], column: int) -> float:
    return float(np.mean([np.abs(a[column] - b[column]).mean() for a, b in zip(one, other, strict=True)]))


def test_a_run_with_other_offsets_comes_within_one_degree_once_it_is_fitted(fitted: Any, fleet: Fleet, clock: Clock) -> None:
    """As TAPAS' regressions do on production telemetry (below 1 C); under another load and another seed."""
    fitted("own")

    def six_hours(seed: int, **settings: Any) -> list[Any]:
        model = Model(Settings.model_validate({"weather": WEATHER, **settings}), fleet, clock, DAY_S, (), seed)
        return _run(model, fleet, 6 * 3600.0, 99)

    truth, drawn, learned = six_hours(1), six_hours(2), six_hours(2, telemetry="own")
    for column in (2, 3):
        assert _error_c(truth, learned, column) < 0.5 * _error_c(truth, drawn, column)
        assert _error_c(truth, learned, column) < 1.0


def test_the_regressions_of_tapas_err_by_less_than_one_degree(fitted: Any, fleet: Fleet) -> None:
    _, report = fitted("own")
    assert (report.servers_fitted, report.gpus_fitted) == (len(fleet.server_ids), len(fleet.gpu_ids))
    assert report.inlet_mean_error_c < 1.0
    assert report.gpu_mean_error_c < 1.5  # fans follow the heat, which a straight line does not know
    assert report.gpu_law_mean_error_c < 1.0
    worst = report.by_server()
    assert len(worst) == len(fleet.server_ids)
    assert max(worst[0][1:]) >= max(worst[-1][1:])


def test_the_error_grows_with_noise_and_with_shuffling(fitted: Any) -> None:
    quiet, noisy, shuffled = (fitted(name, **how)[1] for name, how in (("a", {}), ("b", {"noise_c": 2.0}), ("c", {"shuffled": True})))
    assert quiet.inlet_mean_error_c < noisy.inlet_mean_error_c < 3.0
    assert quiet.gpu_mean_error_c < noisy.gpu_mean_error_c
    assert quiet.gpu_mean_error_c < shuffled.gpu_mean_error_c
    assert quiet.inlet_mean_error_c < shuffled.inlet_mean_error_c


def test_offsets_and_a_weak_heat_sink_are_found(fleet: Fleet, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    model = Model(Settings.model_validate({"weather": WEATHER, "inlet": {"supply_slope": 0.8}}), fleet, clock, DAY_S, (), 4)
    model.arrays.gpus.sink_scale[10] = 1.6
    import_file("telemetry", _export(_run(model, fleet, DAY_S, 5), fleet, tmp_path / "t.csv", 0.2), "weak", tmp_path)
    found, _ = calibrating.calibrate(Settings.model_validate({"weather": WEATHER}), fleet, clock, "weak")
    assert found.gpu_sink_scale[10] == pytest.approx(1.6, abs=0.15)
    assert np.median(found.gpu_sink_scale) == pytest.approx(1.0, abs=0.05)
    assert found.supply_shift[1] == pytest.approx(0.2, abs=0.05)
    np.testing.assert_allclose(found.server_offset_c, model.arrays.servers["offset_c"], atol=0.6)


def test_what_has_no_sensors_keeps_its_defaults(
    said: Any, fleet: Fleet, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    path = _export(said, fleet, tmp_path / "all.csv", 0.3)
    some = pl.read_csv(path).filter(~pl.col("sensor").str.starts_with("server-2/") & ~pl.col("sensor").str.starts_with("server-3."))
    some.write_csv(tmp_path / "some.csv")
    import_file("telemetry", tmp_path / "some.csv", "some", tmp_path)
    found, report = calibrating.calibrate(Settings.model_validate({"weather": WEATHER}), fleet, clock, "some")
    assert np.isnan(found.server_offset_c).tolist() == [name == "server-3" for name in fleet.server_ids]
    assert np.isnan(found.gpu_offset_c).sum() == 16  # those of server-2, and those of server-3, whose inlet is not known
    assert (report.servers_fitted, report.gpus_fitted) == (17, 128)
    plain, with_it = (
        Model(Settings.model_validate({"weather": WEATHER, "telemetry": name}), fleet, clock, 600.0, (), 9).arrays
        for name in (None, "some")
    )
    assert with_it.servers["offset_c"][2] == plain.servers["offset_c"][2]
    assert (with_it.gpus.offset_c[8:24] == plain.gpus.offset_c[8:24]).all()
    assert (with_it.gpus.offset_c[:8] != plain.gpus.offset_c[:8]).any()


def test_telemetry_that_cannot_calibrate_is_refused_in_one_line(
    fleet: Fleet, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    for name, sensor, what in (
        ("far", "rack-77.inlet_c", "has no inlet of fleet small; its sensors must be called server-1.inlet_c"),
        ("blind", "server-1.inlet_c", "has no site.outside_c"),
    ):
        (tmp_path / "t.csv").write_text(f"time,sensor,value\n0,{sensor},20\n")
        import_file("telemetry", tmp_path / "t.csv", name, tmp_path)
        with pytest.raises(ValueError, match=what):
            calibrating.calibrate(Settings(), fleet, clock, name)
    with pytest.raises(ValueError, match="run `intentwin import telemetry FILE --name none`"):
        Model(Settings(telemetry="none"), fleet, clock, 600.0, (), 1)

"""What sensors said before the run."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.clock import HOUR_S, Clock
from twin.fleet import Fleet
from twin.plant.history import History, Past, busy_share
from twin.plant.model import GpuLoad, Model

Maker = Callable[..., Model]
FIELDS = ("outside_c", "load_share", "inlet_c", "server_power_w", "airflow_m3_per_s", "gpu_power_w", "gpu_temp_c")


@pytest.fixture(scope="module")
def past(plant: Maker) -> Past:
    return plant().past()


def test_two_weeks_are_there_hour_by_hour(past: Past, fleet: Fleet) -> None:
    servers, gpus = len(fleet.server_ids), len(fleet.gpu_servers)
    shapes = {"inlet_c": servers, "server_power_w": servers, "airflow_m3_per_s": servers, "gpu_power_w": gpus, "gpu_temp_c": gpus}
    assert past.outside_c.shape == past.load_share.shape == (336,)
    assert {name: getattr(past, name).shape for name in shapes} == {name: (336, width) for name, width in shapes.items()}
    assert all(np.isfinite(getattr(past, name)).all() for name in FIELDS)


def test_the_past_is_that_of_the_seed_and_no_reading_of_the_run(
    plant: Maker, past: Past, run_on: Maker, load: Callable[..., GpuLoad]
) -> None:
    same, other, later = plant().past(), plant(seed=8).past(), run_on(plant(), load(), 600.0).past()
    for name in FIELDS:
        assert (getattr(past, name) == getattr(same, name)).all()
        assert (getattr(past, name) == getattr(later, name)).all()
        assert (getattr(past, name) != getattr(other, name)).any()
    model = plant()
    # Weather of the past is the climate's, not the run's own draw.
    own = np.array([model.weather.at(hour * HOUR_S)[0] for hour in range(24)])
    assert np.abs(past.outside_c[:24] - own).max() > 0.5


def test_asking_for_the_past_changes_nothing_of_the_run(plant: Maker, load: Callable[..., GpuLoad], run_on: Maker) -> None:
    asked, not_asked = plant(), plant()
    asked.past()
    run_on(asked, load(), 300.0)
    run_on(not_asked, load(), 300.0)
    assert (asked.arrays.gpus.temp_c == not_asked.arrays.gpus.temp_c).all()


def test_load_can_be_told_from_weather(past: Past) -> None:
    assert abs(np.corrcoef(past.outside_c, past.load_share)[0, 1]) < 0.5
    assert past.load_share.std() > 0.05
    assert past.outside_c.std() > 2.0


def test_readings_carry_the_noise_of_their_sensors(plant: Maker, past: Past) -> None:
    """0.3 C and 1 W against the same weeks read by perfect sensors."""
    exact = plant(sensors={"temp_noise_c": 0.0, "power_noise_w": 0.0}).past()
    assert (past.inlet_c - exact.inlet_c).std() == pytest.approx(0.3, rel=0.03)
    assert (past.gpu_temp_c - exact.gpu_temp_c).std() == pytest.approx(0.3, rel=0.03)
    assert (past.gpu_power_w - exact.gpu_power_w).std() == pytest.approx(1.0, rel=0.03)


def _mae(columns: tuple[np.ndarray, ...], wanted: np.ndarray) -> float:
    """Mean absolute error on the last quarter of a linear fit on the first three."""
    hours = len(wanted)
    matrix, train = np.column_stack([np.ones(hours), *columns]), hours * 3 // 4
    found = np.linalg.lstsq(matrix[:train], wanted[:train], rcond=None)[0]
    return float(np.abs(matrix[train:] @ found - wanted[train:]).mean())


def test_plain_regressions_on_the_past_stay_below_one_degree(past: Past, fleet: Fleet) -> None:
    """TAPAS (arXiv:2501.02600): inlet from outside and load, GPU from inlet and its power, each within 1 C."""
    knots = (past.outside_c, np.maximum(past.outside_c - 15.0, 0.0), np.maximum(past.outside_c - 25.0, 0.0), past.load_share)
    assert np.mean([_mae(knots, past.inlet_c[:, s]) for s in range(len(fleet.server_ids))]) < 0.5
    gpus = range(0, len(fleet.gpu_servers), 5)
    assert np.mean([_mae((past.inlet_c[:, g // 8], past.gpu_power_w[:, g]), past.gpu_temp_c[:, g]) for g in gpus]) < 1.0


def test_a_quieter_past_is_cooler(plant: Maker, past: Past) -> None:
    quiet = plant(history={"load_mean_share": 0.25}).past()
    assert quiet.load_share.mean() < past.load_share.mean()
    assert quiet.gpu_temp_c.mean() < past.gpu_temp_c.mean()


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 1), st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000))
def test_servers_are_busy_between_never_and_always(mean: float, swing: float, spread: float, seed: int) -> None:
    history = History(load_mean_share=mean, load_swing_share=swing, load_spread_share=spread)
    busy = busy_share(history, np.arange(48) % 24.0, 5, np.random.default_rng(seed))
    assert busy.shape == (48, 5)
    assert busy.min() >= 0.0
    assert busy.max() <= 1.0


def test_the_daily_wave_peaks_when_it_is_said_to(clock: Clock) -> None:
    before = Clock(clock.start - timedelta(hours=336))
    hour = before.hour(np.arange(336) * HOUR_S)
    busy = busy_share(History(load_spread_share=0.0), hour, 1, np.random.default_rng(1)).reshape(14, 24).mean(axis=0)
    assert hour[np.argmax(busy)] == 20.0

"""Regressions find the laws that made the readings, and say how well."""

import numpy as np
import pytest

from policies.systems.tapas.history import ServerHistory
from policies.systems.tapas.templates import Templates, hours_ahead
from twin.plant.model import Model
from twin.scenario import read
from twin.sources import data_dir, toml
from twin.workloads.levers import PastVms


def test_inlets_and_gpus_are_predicted_to_less_than_one_degree_from_noisy_sensors(placing):
    seen = placing(offset_c=np.linspace(-2.0, 3.0, 8))
    errors = ServerHistory.of(seen.past_plant(), seen.plant).errors
    assert errors.inlet_c < 1.0
    assert errors.gpu_c < 1.0
    assert errors.airflow_share < 0.05
    assert errors.power_share < 0.05


def test_the_inlet_bends_where_the_supply_air_does(placing):
    seen = placing(offset_c=np.linspace(-2.0, 3.0, 8))
    history = ServerHistory.of(seen.past_plant(), seen.plant)
    at = {outside: history.inlet_c(outside, 0.5) for outside in (8.0, 15.0, 25.0, 35.0)}
    np.testing.assert_allclose(at[15.0] - at[8.0], 0.0, atol=0.4)
    np.testing.assert_allclose(at[25.0] - at[15.0], 6.0, atol=0.4)
    np.testing.assert_allclose(at[35.0] - at[25.0], 2.0, atol=0.4)
    np.testing.assert_allclose(at[25.0] - at[25.0][0], np.linspace(0.0, 5.0, 8), atol=0.2)


def test_a_gpu_is_hotter_with_its_inlet_and_its_power(placing):
    seen = placing()
    history, inlet, power = ServerHistory.of(seen.past_plant(), seen.plant), np.full(8, 25.0), np.full(8, 400.0)
    now = history.hottest_gpu_c(inlet, power)
    np.testing.assert_allclose(history.hottest_gpu_c(inlet + 5.0, power) - now, 5.0, atol=1.0)
    assert (history.hottest_gpu_c(inlet, power + 200.0) > now + 5.0).all()


def test_power_and_air_grow_with_load(placing):
    seen = placing()
    history = ServerHistory.of(seen.past_plant(), seen.plant)
    load = np.linspace(0.0, 1.0, 11)
    assert (np.diff(np.polynomial.polynomial.polyval(load, history.power_w[0])) > 0.0).all()
    assert (history.airflow_m3_per_s[:, 1] > 0.0).all()


def test_a_past_of_hot_hours_only_says_nothing_wild_of_cold_ones(placing, plant_past):
    seen, past = placing(), plant_past(np.zeros(8), hottest_c=46.0)
    warm = past.outside_c >= 26.0
    only = type(past)(**{name: getattr(past, name)[warm] for name in past.__slots__})
    history = ServerHistory.of(only, seen.plant)
    assert (np.abs(history.inlet_c(30.0, 0.5) - 26.0) < 1.5).all()
    assert (np.abs(history.inlet_c(10.0, 0.5) - 25.0) < 10.0).all()


def test_a_predicted_peak_lies_between_mean_and_highest_and_unknown_workloads_are_taken_for_the_worst():
    mean = np.array([[0.2, 0.4, 0.3], [0.5, 0.1, 0.2], [np.nan, np.nan, np.nan]])
    past = PastVms(mean_share=mean, highest_share=mean + 0.2)
    templates = Templates.of(past, doubt_share=0.5)
    np.testing.assert_allclose(templates.peak_share[0], [0.3, 0.5, 0.4])
    np.testing.assert_allclose(templates.mean_share[2], [0.5, 0.4, 0.3])
    assert templates.highest_share(0, np.array([0, 2])) == 0.4


def test_hours_ahead_go_round_the_week():
    np.testing.assert_array_equal(hours_ahead(167, 3), [167, 0, 1])
    assert len(hours_ahead(3, 500)) == 168


@pytest.mark.parametrize("climate", ["phoenix", "seattle"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_on_the_twins_own_noisy_telemetry_inlets_and_gpus_are_predicted_to_less_than_one_degree(placing, climate, seed):
    scenario = read({**toml(data_dir() / "scenarios" / "tiny.toml"), "plant": {"weather": {"climate": climate}}})
    plant = Model(scenario.spec.plant, scenario.fleet, scenario.clock, scenario.horizon_s, (), seed)
    rated, past = plant.ratings, plant.past()
    known = {name: getattr(rated, name) for name in ("server_nameplate_w", "server_airflow_max_m3_per_s", "gpu_tdp_w")}
    errors = ServerHistory.of(past, placing(**known).plant).errors
    assert errors.inlet_c < 1.0
    assert errors.gpu_c < 1.0

"""Rows on cold plates."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.clock import Clock
from twin.fleet import Fleet
from twin.plant import liquid
from twin.plant.airflow import Airflow
from twin.plant.cooling import Cooling
from twin.plant.hardware import server_models
from twin.plant.heat import Heat
from twin.plant.inlet import Inlet, returned_heat_w
from twin.plant.layout import site_record
from twin.plant.liquid import Liquid
from twin.plant.model import GpuLoad, Model, Settings
from twin.plant.throttling import Throttling

Maker = Callable[..., Model]
Loads = Callable[..., GpuLoad]
SITE = site_record(Airflow(), Inlet(), Heat(), Throttling(), Cooling(), Liquid())[0]


@pytest.fixture(scope="module")
def plates(fleet: Fleet, clock: Clock) -> Maker:
    """The small fleet with its first row on cold plates, or with the rows that are named."""

    def make(rows: tuple[int, ...] = (0,), **changes: Any) -> Model:
        wet = replace(fleet, row_liquid=np.isin(np.arange(len(fleet.row_ids)), rows))
        weather = {"climate": "phoenix", "day_noise_c": 0.0} | changes.pop("weather", {})
        return Model(Settings.model_validate({"weather": weather, **changes}), wet, clock, 86_400.0, (), 7)

    return make


def test_a_gpu_on_a_plate_stands_its_power_times_the_plates_resistance_above_the_coolant(plates: Maker, load: Loads, run_on: Maker) -> None:
    """0.020 C/W die to coolant (H100 trace that looks like a cold plate, powertrace-sim): 450 W are 9 C."""
    model = run_on(plates(heat={"gpu_spread_c": 0.0}), load(), 600.0)
    seen, coolant_c = model.observe(), model.arrays.site["coolant_c"][0]
    np.testing.assert_allclose(seen.gpu_temp_c[:48], coolant_c + 0.020 * seen.gpu_power_w[:48], atol=1e-6)
    assert seen.gpu_temp_c[:48].max() < seen.gpu_temp_c[48:].min()


@settings(max_examples=30, deadline=None)
@given(st.floats(-20, 35))
def test_coolant_follows_the_wet_bulb_and_never_falls_below_its_set_point(wet_bulb_c: float) -> None:
    here = liquid.coolant_temp_c(SITE, wet_bulb_c)
    assert here >= 30.0
    assert liquid.coolant_temp_c(SITE, wet_bulb_c + 1.0) >= here
    assert here == 30.0 or here == pytest.approx(wet_bulb_c + 8.0)


def test_the_pumps_of_a_frontier_unit_and_its_loop_need_a_few_percent_of_the_heat() -> None:
    """640 kW: pumps of 1.5 to 2 % of heat, 9.6 to 12.8 kW; Frontier's draw 8.47 kW (exadigit)."""
    pumps_w = SITE.cdu_pump_share * 640e3
    assert 9.6e3 <= pumps_w <= 12.8e3
    assert liquid.loop_power_w(SITE, 640e3) == pytest.approx(pumps_w + (640e3 + pumps_w) / 30.0)


def test_heat_closes_over_both_paths(plates: Maker, load: Loads, run_on: Maker) -> None:
    """What air and coolant carry away is what the meter of the servers says, to one part in a million."""
    arrays = run_on(plates((0, 2), inlet={"air_supply_share": 0.5}), load(), 900.0).arrays
    returned_w = returned_heat_w(arrays.racks, arrays.aisles, arrays.neighbours, arrays.neighbour_share)
    site = arrays.site[0]
    assert site["liquid_w"] > 10e3
    assert returned_w + site["liquid_w"] == pytest.approx(site["it_power_w"], rel=1e-6)
    on_plates = np.repeat(arrays.models["on_plates"][arrays.servers["model"]] > 0.0, 8)
    assert site["liquid_w"] == pytest.approx(arrays.gpus.power_w[on_plates].sum(), rel=1e-9)


def test_rows_on_plates_draw_little_air_and_cost_less_to_cool(plates: Maker, load: Loads, run_on: Maker) -> None:
    humid = {"climate": "virginia"}
    air, wet = (run_on(plates(rows, weather=humid), load(), 600.0) for rows in ((), (0, 1, 2)))
    assert wet.observe().aisle_airflow_m3_per_s[0] < 0.35 * air.observe().aisle_airflow_m3_per_s[0]
    assert wet.arrays.site["pue"][0] < air.arrays.site["pue"][0]
    assert wet.arrays.site["it_power_w"][0] < air.arrays.site["it_power_w"][0]
    assert 1.0 < wet.arrays.site["partial_pue"][0] < wet.arrays.site["pue"][0]
    assert air.arrays.site["liquid_w"][0] == 0.0


def test_hot_gpus_on_plates_do_not_speed_up_the_fans_of_their_boards(plates: Maker, load: Loads, run_on: Maker) -> None:
    cool, warm = (run_on(plates(liquid={"coolant_low_c": low}), load(), 600.0) for low in (30.0, 45.0))
    np.testing.assert_allclose(warm.arrays.servers["fan_share"][:6], cool.arrays.servers["fan_share"][:6], atol=1e-12)
    assert (warm.observe().gpu_temp_c[:48] > cool.observe().gpu_temp_c[:48] + 10.0).all()


def test_half_the_tick_changes_little_on_plates(plates: Maker, load: Loads, run_on: Maker) -> None:
    """Ten minutes after a step of load: temperatures within 0.3 C, row power within 0.2 %."""
    coarse, fine = (run_on(plates(), load(0.5, 0.5), 600.0, tick_s=tick_s).observe() for tick_s in (10.0, 5.0))
    np.testing.assert_allclose(coarse.gpu_temp_c, fine.gpu_temp_c, atol=0.3)
    np.testing.assert_allclose(coarse.row_power_w, fine.row_power_w, rtol=0.002)


def test_models_on_plates_differ_only_in_what_plates_change() -> None:
    models = server_models()
    both = liquid.with_plates(models, Liquid())
    changed = {"r_sink_c_per_w", "r_die_c_per_w", "fan_max_w", "airflow_max_m3_per_s", "on_plates"}
    for name in models.dtype.names:
        assert (both[name][: len(models)] == models[name]).all()
        assert name in changed or (both[name][len(models) :] == models[name]).all()

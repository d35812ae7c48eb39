"""The room when the cooling plant cannot take all the heat."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.faults import Fault
from twin.plant import room
from twin.plant.airflow import Airflow
from twin.plant.cooling import Cooling
from twin.plant.heat import Heat
from twin.plant.inlet import Inlet
from twin.plant.layout import site_record
from twin.plant.model import GpuLoad, Model
from twin.plant.records import Records
from twin.plant.throttling import Throttling

Maker = Callable[..., Model]
Loads = Callable[..., GpuLoad]
# Towers that never help, so that everything hangs on the chillers.
NO_TOWERS = {"cooling": {"free_margin_c": 60.0}}
LOST = Fault(kind="chiller_loss", target="site", from_s=600.0, until_s=900.0)


def _site(capacity_w: float, supply_c: float = 25.0) -> Records:
    site = site_record(Airflow(), Inlet(), Heat(), Throttling(), Cooling())
    site["chiller_capacity_w"], site["chiller_left_share"], site["supply_c"] = capacity_w, 1.0, supply_c
    site["room_j_per_c"] = room.heat_capacity_j_per_c(40, 1.2e5, 6.0)
    return site


def test_ten_kilowatts_a_rack_warm_a_room_without_cooling_by_about_five_degrees_a_minute() -> None:
    """Heat capacity of 1.2e5 J/K a rack and its air (facts sheet on heat and power, 5h)."""
    site = _site(0.0)
    for _ in range(6):
        room.take_out(site[0], 40 * 10e3, 40.0, 10.0)
    assert site["room_rise_c"][0] == pytest.approx(5.0, rel=0.1)


@settings(max_examples=60, deadline=None)
@given(st.floats(1e3, 1e6), st.floats(0, 1e6), st.floats(-5, 35), st.floats(0, 20), st.floats(1, 60))
def test_heat_that_is_not_taken_out_stays_in_the_room(
    heat_w: float, capacity_w: float, wet_bulb_c: float, rise_c: float, dt_s: float
) -> None:
    site = _site(capacity_w)
    site["room_rise_c"] = rise_c
    free_w, chilled_w = room.take_out(site[0], heat_w, wet_bulb_c, dt_s)
    stored_w = (site["room_rise_c"][0] - rise_c) * site["room_j_per_c"][0] / dt_s
    assert free_w >= 0.0
    assert 0.0 <= chilled_w <= capacity_w
    assert site["room_rise_c"][0] >= 0.0
    assert free_w + chilled_w + stored_w == pytest.approx(heat_w, rel=1e-6, abs=1e-6 * rise_c * site["room_j_per_c"][0] / dt_s)


@settings(max_examples=40, deadline=None)
@given(st.floats(1e3, 1e6), st.floats(0, 1e6), st.floats(-5, 35))
def test_more_chillers_and_a_colder_day_never_warm_the_room(heat_w: float, capacity_w: float, wet_bulb_c: float) -> None:
    def rise_c(capacity_w: float, wet_bulb_c: float) -> float:
        site = _site(capacity_w)
        room.take_out(site[0], heat_w, wet_bulb_c, 10.0)
        return float(site["room_rise_c"][0])

    assert rise_c(1.1 * capacity_w, wet_bulb_c) <= rise_c(capacity_w, wet_bulb_c)
    assert rise_c(capacity_w, wet_bulb_c - 1.0) <= rise_c(capacity_w, wet_bulb_c)


def test_supply_rises_while_all_chillers_are_lost_and_comes_back_with_them(plant: Maker, load: Loads, run_on: Maker) -> None:
    model = run_on(plant([LOST], **NO_TOWERS), load(0.05, 0.1), 600.0)
    before_c = model.arrays.site["supply_c"][0]
    assert model.arrays.site["room_rise_c"][0] == 0.0
    run_on(model, load(0.05, 0.1), 900.0)
    site = model.arrays.site[0]
    # Every watt of IT and air handlers has stayed in the room.
    per_s = site["it_power_w"] / site["room_j_per_c"]
    assert site["supply_c"] - before_c == pytest.approx(300.0 * per_s, rel=0.08)
    assert site["removed_w"] == 0.0
    run_on(model, load(0.05, 0.1), 5400.0)
    assert model.arrays.site["room_rise_c"][0] == 0.0
    assert model.arrays.site["supply_c"][0] == pytest.approx(before_c, abs=0.5)


def test_one_chiller_of_four_is_missed_only_when_the_rest_are_full(plant: Maker, load: Loads, run_on: Maker) -> None:
    """Chillers carry 1.1 of the rows' budgets: three of four carry 0.825 of them."""
    one = Fault(kind="chiller_loss", target="chiller-2", from_s=0.0)
    calm, full = (
        run_on(plant([one], cooling={**NO_TOWERS["cooling"], "chiller_capacity_share": share}), load(), 1200.0) for share in (1.1, 0.6)
    )
    assert calm.arrays.site["chiller_left_share"][0] == 0.75
    assert calm.arrays.site["room_rise_c"][0] == 0.0
    assert full.arrays.site["room_rise_c"][0] > 1.0
    assert full.arrays.site["removed_w"][0] == pytest.approx(0.75 * full.arrays.site["chiller_capacity_w"][0])


def test_a_warmer_room_lets_the_towers_take_over(plant: Maker, load: Loads, run_on: Maker) -> None:
    model = run_on(plant([Fault(kind="chiller_loss", target="site", from_s=0.0)], weather={"dew_point_c": 22.0}), load(0.05, 0.1), 7200.0)
    site = model.arrays.site[0]
    assert 1.0 < site["room_rise_c"] < 12.0
    assert site["removed_w"] == pytest.approx(site["it_power_w"], rel=0.05)


def test_half_the_tick_changes_little_while_air_handlers_and_chillers_are_lost(plant: Maker, load: Loads, run_on: Maker) -> None:
    """While inlets climb: inlets and GPUs within 0.5 C, row power within 1 %, the room within 0.1 C."""
    faults = [
        Fault(kind="ahu_loss", target="aisle-1", from_s=120.0, until_s=480.0, severity=0.3),
        Fault(kind="chiller_loss", target="site", from_s=120.0, until_s=480.0),
    ]
    coarse, fine = (run_on(plant(faults, **NO_TOWERS), load(0.1, 0.4), 420.0, tick_s=tick_s) for tick_s in (10.0, 5.0))
    assert coarse.arrays.site["room_rise_c"][0] > 3.0
    assert coarse.arrays.site["room_rise_c"][0] == pytest.approx(fine.arrays.site["room_rise_c"][0], abs=0.1)
    np.testing.assert_allclose(coarse.observe().inlet_c, fine.observe().inlet_c, atol=0.5)
    np.testing.assert_allclose(coarse.observe().gpu_temp_c, fine.observe().gpu_temp_c, atol=0.5)
    np.testing.assert_allclose(coarse.observe().row_power_w, fine.observe().row_power_w, rtol=0.01)


def test_a_chiller_that_is_not_there_cannot_fail(plant: Maker) -> None:
    with pytest.raises(ValueError, match=r"fault chiller_loss: target 'chiller-5' names no chiller of the fleet, such as site"):
        plant([Fault(kind="chiller_loss", target="chiller-5", from_s=0.0)])

"""The cooling plant and the electrical path."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.plant import cooling
from twin.plant.airflow import Airflow
from twin.plant.cooling import Cooling
from twin.plant.heat import Heat
from twin.plant.inlet import Inlet
from twin.plant.layout import site_record
from twin.plant.model import GpuLoad, Model
from twin.plant.throttling import Throttling

SITE = site_record(Airflow(), Inlet(), Heat(), Throttling(), Cooling())[0]


def test_the_chiller_needs_what_its_curve_says() -> None:
    """COP 5 at 25 C outside, 0.1 less per degree (HewlettPackard/dc-rl); pumps 1.5 % of heat."""
    assert cooling.heat_pump_power_w(SITE, 0.0, 1000.0, 25.0, 24.0) == pytest.approx(1000 / 5.0 + 15.0)
    assert cooling.heat_pump_power_w(SITE, 0.0, 1000.0, 40.0, 24.0) == pytest.approx(1000 / 3.5 + 15.0)
    assert cooling.heat_pump_power_w(SITE, 1000.0, 0.0, 5.0, 24.0) == pytest.approx(1000 / 20.0 + 15.0)


@pytest.mark.parametrize(("supply_c", "cop"), [(15.0, 2.00), (20.0, 3.19), (25.0, 4.73)])
def test_the_other_law_of_the_chiller_gives_the_figures_of_moore(supply_c: float, cop: float) -> None:
    """COP = 0.0068 T^2 + 0.0008 T + 0.458 of the supply temperature (Moore et al., USENIX ATC 2005)."""
    site = site_record(Airflow(), Inlet(), Heat(), Throttling(), Cooling(chiller_law="supply"))[0]
    assert cooling.chiller_cop(site, 30.0, supply_c) == pytest.approx(cop, abs=0.005)
    assert cooling.chiller_cop(site, 30.0, supply_c + 1.0) > cooling.chiller_cop(site, 30.0, supply_c)
    assert cooling.heat_pump_power_w(site, 0.0, 1000.0, 30.0, supply_c) == pytest.approx(1000 / cop + 15.0, rel=2e-3)


def test_a_run_takes_the_law_that_it_is_told(
    plant: Callable[..., Model], load: Callable[..., GpuLoad], run_on: Callable[..., Model]
) -> None:
    """In humid heat the supply is 24 C: 4.4 by Moore's law against 5 by the other."""
    humid = {"weather": {"climate": "virginia"}}
    usual, other = (run_on(plant(**humid, cooling={"chiller_law": law}), load(), 600.0).arrays.site[0] for law in ("outside", "supply"))
    assert other["site_power_w"] > usual["site_power_w"]
    assert other["it_power_w"] == usual["it_power_w"]


def test_a_ups_at_rated_load_loses_about_four_and_a_half_percent() -> None:
    assert cooling.ups_loss_w(SITE, 1e6, 1e6) / 1e6 == pytest.approx(0.044)


@settings(max_examples=40, deadline=None)
@given(st.floats(-10, 35), st.floats(16, 30), st.floats(-5, 45))
def test_free_cooling_only_helps_and_warmer_outside_never_costs_less(wet_bulb_c: float, supply_c: float, outside_c: float) -> None:
    share = cooling.free_share(SITE, wet_bulb_c, supply_c)
    assert 0.0 <= share <= 1.0
    assert cooling.free_share(SITE, wet_bulb_c + 1.0, supply_c) <= share
    free_w, rest_w = share * 1e6, (1.0 - share) * 1e6
    here = cooling.heat_pump_power_w(SITE, free_w, rest_w, outside_c, supply_c)
    assert here <= cooling.heat_pump_power_w(SITE, 0.0, 1e6, outside_c, supply_c)
    assert cooling.heat_pump_power_w(SITE, free_w, rest_w, outside_c + 1.0, supply_c) >= here


@pytest.mark.parametrize(("climate", "offset_c"), [("phoenix", 0.0), ("phoenix", 5.0), ("seattle", -10.0), ("virginia", 0.0)])
def test_pue_stays_in_the_band_of_real_sites(
    plant: Callable[..., Model], load: Callable[..., GpuLoad], run_on: Callable[..., Model], climate: str, offset_c: float
) -> None:
    for amount in (load(0.05, 0.1), load(0.3, 0.7)):
        model = run_on(plant(weather={"climate": climate, "outside_offset_c": offset_c}), amount, 600.0)
        assert 1.1 < model.arrays.site["pue"][0] < 1.6


def test_hourly_figures_must_be_one_or_twenty_four() -> None:
    assert cooling.by_hour((0.1,), "tariff_usd_per_kwh") == (0.1,) * 24
    with pytest.raises(ValueError, match=r"plant\.cooling\.tariff_usd_per_kwh has 3 values; give one, or 24"):
        cooling.by_hour((1.0, 2.0, 3.0), "tariff_usd_per_kwh")

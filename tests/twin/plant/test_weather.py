"""Weather outside."""

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.clock import Clock
from twin.plant.weather import Weather, climates, generate, wet_bulb_c
from twin.sources import calibration

JULY = Clock.of(datetime(2026, 7, 14), "America/Phoenix")  # noqa: DTZ001  (the zone is attached by Clock.of)


def test_wet_bulb_is_stulls_example() -> None:
    """20 C and 50 % humidity: 13.7 C (Stull 2011, J. Appl. Meteor. Climatol. 50, 2267)."""
    assert wet_bulb_c(np.array([20.0]), np.array([0.5]))[0] == pytest.approx(13.7, abs=0.05)


def test_a_july_day_in_phoenix_is_hottest_in_mid_afternoon() -> None:
    series = generate(Weather(climate="phoenix", day_noise_c=0.0, hour_noise_c=0.0), JULY, 86_400.0, 7)
    assert 14 <= int(np.argmax(series.outside_c[:24])) <= 17
    assert 39.0 < max(series.outside_c) < 42.0


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(climates()), st.integers(0, 1000))
def test_the_wet_bulb_never_exceeds_the_dry_bulb(climate: str, seed: int) -> None:
    series = generate(Weather(climate=climate), JULY, 3 * 86_400.0, seed)
    assert (np.array(series.wet_bulb_c) <= np.array(series.outside_c) + 0.5).all()


def test_the_same_seed_gives_the_same_weather_and_another_seed_another() -> None:
    one, same, other = (generate(Weather(), JULY, 86_400.0, seed).outside_c for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_between_hours_the_weather_is_linear() -> None:
    series = generate(Weather(), JULY, 86_400.0, 7)
    assert series.at(1800.0)[0] == pytest.approx((series.outside_c[0] + series.outside_c[1]) / 2)
    assert series.at(1e9)[0] == series.outside_c[-1]


def test_five_degrees_more_outside_is_five_degrees_more() -> None:
    cool, warm = (generate(Weather(outside_offset_c=offset), JULY, 86_400.0, 7).outside_c for offset in (0.0, 5.0))
    np.testing.assert_allclose(np.subtract(warm, cool), 5.0)


def test_an_unknown_climate_is_named_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"'moon' is unknown; it is one of phoenix, seattle, virginia, new_york"):
        generate(Weather(climate="moon"), JULY, 86_400.0, 7)


@pytest.mark.parametrize(("climate", "file"), [("phoenix", "phoenix"), ("virginia", "virginia_leesburg")])
def test_monthly_figures_are_those_of_the_typical_year(test_data: Path, climate: str, file: str) -> None:
    year = pl.read_csv(test_data / "weather" / f"{file}.csv").group_by("month").agg(pl.col("drybulb_c", "dewpoint_c").mean()).sort("month")
    known = calibration("plant")["climate"][climate]
    np.testing.assert_allclose(known["mean_c"], year["drybulb_c"], atol=0.051)
    np.testing.assert_allclose(known["dew_point_c"], year["dewpoint_c"], atol=0.051)

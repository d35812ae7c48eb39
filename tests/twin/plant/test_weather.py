"""Weather outside."""

from calendar import monthrange
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.clock import Clock
from twin.plant.weather import Weather, climates, dew_point_of_c, generate, relative_humidity_share, wet_bulb_c
from twin.sources import calibration
from twin.store.importers import import_file

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


# Hours below 15 C, from 15 to 25 C and at 25 C or above: a pooled synthetic year is off by at most 0.026 (Virginia).
BANDS_WITHIN = 0.04


@pytest.mark.parametrize(
    ("climate", "file", "published"),
    [
        ("phoenix", "phoenix", (0.19, 0.29, 0.52)),
        ("virginia", "virginia_leesburg", (0.50, 0.33, 0.17)),
        ("new_york", "ny_jfk", (0.57, 0.35, 0.08)),
        ("seattle", "seattle", (0.70, 0.26, 0.04)),
    ],
)
def test_a_synthetic_year_is_as_often_cool_and_hot_as_the_typical_one(
    test_data: Path, tmp_path: Path, climate: str, file: str, published: tuple[float, float, float]
) -> None:
    import_file("weather", test_data / "weather" / f"{file}.csv", "there", tmp_path)
    typical = pl.read_parquet(tmp_path / "imports" / "weather" / "there.parquet")["outside_c"].to_numpy()
    drawn: list[float] = []
    for month in range(1, 13):
        days = monthrange(2026, month)[1]
        start = Clock.of(datetime(2026, month, 1), "UTC")  # noqa: DTZ001
        for seed in range(3):
            drawn += generate(Weather(climate=climate), start, days * 86_400.0, seed).outside_c[: days * 24]
    np.testing.assert_allclose(_bands(typical), published, atol=0.0101)
    np.testing.assert_allclose(_bands(np.array(drawn)), _bands(typical), atol=BANDS_WITHIN)


def _bands(outside_c: np.ndarray) -> list[float]:
    return [float(hit.mean()) for hit in (outside_c < 15, (outside_c >= 15) & (outside_c < 25), outside_c >= 25)]


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pl.DataFrame:
    """A year in which every hour has a temperature of its own, imported as ``roof``."""
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    lines = [
        f"{month},{day},{hour},{(month * 31 + day) / 20 + hour / 100:.2f},-5.0"
        for month in range(1, 13)
        for day in range(1, monthrange(2026, month)[1] + 1)
        for hour in range(1, 25)
    ]
    (tmp_path / "roof.csv").write_text("\n".join(["month,day,hour,drybulb_c,dewpoint_c", *lines]) + "\n")
    import_file("weather", tmp_path / "roof.csv", "roof", tmp_path)
    return pl.read_parquet(tmp_path / "imports" / "weather" / "roof.parquet")


def _of(year: pl.DataFrame, month: int, day: int, hour: int) -> float:
    return float(year.filter((pl.col("month") == month) & (pl.col("day") == day) & (pl.col("hour") == hour))["outside_c"].item())


ROOF = Weather(climate="import:roof")


def test_a_run_passes_through_the_hours_of_an_imported_year(imported: pl.DataFrame) -> None:
    series = generate(ROOF, JULY, 30 * 3600.0, 7)
    assert series.at(0.0)[0] == pytest.approx(_of(imported, 7, 13, 24))  # midnight ends the day before
    assert series.at(3600.0)[0] == pytest.approx(_of(imported, 7, 14, 1))
    assert series.at(14 * 3600.0)[0] == pytest.approx(_of(imported, 7, 14, 14))
    assert series.at(29 * 3600.0)[0] == pytest.approx(_of(imported, 7, 15, 5))
    assert generate(ROOF, JULY, 30 * 3600.0, 8) == series  # nothing is drawn


def test_a_run_that_starts_between_hours_meets_the_hours_on_time(imported: pl.DataFrame) -> None:
    start = Clock.of(datetime(2026, 7, 14, 11, 45), "America/Phoenix")  # noqa: DTZ001
    series = generate(ROOF, start, 7200.0, 7)
    assert series.at(900.0)[0] == pytest.approx(_of(imported, 7, 14, 12))
    assert series.at(4500.0)[0] == pytest.approx(_of(imported, 7, 14, 13))
    quarter = 0.25 * _of(imported, 7, 14, 11) + 0.75 * _of(imported, 7, 14, 12)
    assert series.at(0.0)[0] == pytest.approx(quarter)
    assert series.at(7200.0)[0] == pytest.approx(0.25 * _of(imported, 7, 14, 13) + 0.75 * _of(imported, 7, 14, 14))


def test_imported_hours_are_standard_time(imported: pl.DataFrame) -> None:
    """At noon of a summer day in New York the sun's clock says eleven."""
    summer, winter = (Clock.of(datetime(2026, month, 14, 12), "America/New_York") for month in (7, 1))  # noqa: DTZ001
    assert generate(ROOF, summer, 3600.0, 7).at(0.0)[0] == pytest.approx(_of(imported, 7, 14, 11))
    assert generate(ROOF, winter, 3600.0, 7).at(0.0)[0] == pytest.approx(_of(imported, 1, 14, 12))


def test_the_year_begins_anew_and_29_february_is_the_28th_again(imported: pl.DataFrame) -> None:
    eve, leap = (Clock.of(datetime(*day), "America/Phoenix") for day in ((2026, 12, 31, 23), (2028, 2, 28, 12)))  # type: ignore[arg-type] # noqa: DTZ001
    assert generate(ROOF, eve, 7200.0, 7).at(7200.0)[0] == pytest.approx(_of(imported, 1, 1, 1))
    series = generate(ROOF, leap, 48 * 3600.0, 7)
    assert series.at(86_400.0)[0] == pytest.approx(_of(imported, 2, 28, 12))
    assert series.at(2 * 86_400.0)[0] == pytest.approx(_of(imported, 3, 1, 12))


def test_an_offset_shifts_imported_weather_and_leaves_its_vapour(imported: pl.DataFrame) -> None:
    plain, warm = (generate(ROOF.model_copy(update={"outside_offset_c": offset}), JULY, 86_400.0, 7) for offset in (0.0, 5.0))
    np.testing.assert_allclose(np.subtract(warm.outside_c, plain.outside_c), 5.0)
    risen = np.subtract(warm.wet_bulb_c, plain.wet_bulb_c)
    assert ((risen > 0.5) & (risen < 5.0)).all()


def test_settings_of_the_synthetic_year_are_refused_beside_an_import(imported: pl.DataFrame) -> None:
    for name, value in (
        ("mean_c", 20.0),
        ("swing_c", 3.0),
        ("day_noise_c", 0.0),
        ("hour_noise_c", 0.0),
        ("dew_point_c", 2.0),
        ("peak_hour", 14.0),
    ):
        with pytest.raises(ValueError, match=rf"plant.weather.{name}: says nothing about imported weather; leave it out"):
            generate(ROOF.model_copy(update={name: value}), JULY, 3600.0, 7)
    with pytest.raises(ValueError, match=r"no imported weather is called 'attic' \(there are: roof\); run `intentwin import weather FILE"):
        generate(Weather(climate="import:attic"), JULY, 3600.0, 7)


@settings(max_examples=20, deadline=None)
@given(st.floats(-30, 50), st.floats(0.06, 0.98))
def test_dew_point_and_humidity_are_each_others_inverse(dry_c: float, humidity: float) -> None:
    dry, share = np.array([dry_c]), np.array([humidity])
    np.testing.assert_allclose(relative_humidity_share(dry, dew_point_of_c(dry, share)), share, rtol=1e-9)

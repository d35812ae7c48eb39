"""What a kilowatt-hour emits."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from twin.clock import Clock
from twin.plant.carbon import intensity
from twin.sources import calibration
from twin.store.importers import import_file


@pytest.fixture
def series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pl.DataFrame:
    """Sixty days from March 2024: the day of the year, and a thousandth for each hour of the day in UTC; imported as ``grid``."""
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    first = datetime(2024, 3, 1, tzinfo=UTC)
    hours = [first + timedelta(hours=number) for number in range(60 * 24)]
    lines = [f"{at:%Y-%m-%d %H:%M},{100 + at.timetuple().tm_yday + at.hour / 10}" for at in hours]
    path = tmp_path / "grid.csv"
    path.write_text("\n".join(["time,g_per_kwh", *lines]) + "\n")
    import_file("grid-carbon", path, "grid", tmp_path)
    return pl.read_parquet(tmp_path / "imports" / "grid-carbon" / "grid.parquet")


def _clock(*start: int, zone: str = "America/Phoenix") -> Clock:
    return Clock.of(datetime(*start), zone)  # type: ignore[arg-type]  # noqa: DTZ001  (the zone is attached by Clock.of)


def test_a_run_within_the_series_takes_its_very_hours(series: pl.DataFrame) -> None:
    at, basis = intensity("import:grid", _clock(2024, 3, 10, 7, 30), 6 * 3600.0)
    # 7:30 in Phoenix is 14:30 UTC.
    begin = series["hour"].to_list().index(datetime(2024, 3, 10, 14))  # noqa: DTZ001
    times = np.array([0.0, 1799.0, 1800.0, 5400.0, 6 * 3600.0])
    np.testing.assert_allclose(at(times), series["kg_per_kwh"].to_numpy()[begin + np.array([0, 0, 1, 2, 6])])
    assert basis == "the run's own hours"


def test_another_year_takes_the_months_mean_of_each_local_hour(series: pl.DataFrame) -> None:
    at, basis = intensity("import:grid", _clock(2026, 4, 3), 86_400.0)
    local = series.with_columns((pl.col("hour") - pl.duration(hours=7)).alias("local")).filter(pl.col("local").dt.month() == 4)
    for hour in (0, 13, 23):
        mean = local.filter(pl.col("local").dt.hour() == hour)["kg_per_kwh"].to_numpy().mean()
        assert at(np.array([hour * 3600.0]))[0] == pytest.approx(mean)
    assert basis == "means by local hour of month 4"


def test_a_month_that_the_series_does_not_know_is_refused(series: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"import:grid covers 2024-03-01 to 2024-04-29, neither the run nor a whole day of month 7"):
        intensity("import:grid", _clock(2026, 7, 3), 86_400.0)


def test_numbers_are_by_local_hour(series: pl.DataFrame) -> None:
    at, basis = intensity(tuple(float(hour) for hour in range(24)), _clock(2026, 7, 3, 5), 86_400.0)
    assert at(np.array([0.0, 3600.0, 20 * 3600.0])).tolist() == [5.0, 6.0, 1.0]
    assert basis == "by local hour"
    with pytest.raises(ValueError, match="has 3 values; give one, or 24"):
        intensity((1.0, 2.0, 3.0), _clock(2026, 7, 3), 86_400.0)


def test_the_built_in_series_is_arizonas_of_2022(test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    import_file("grid-carbon", test_data / "carbon" / "AZ_avgCI.csv", "az", tmp_path)
    hours = np.arange(24) * 3600.0
    months = [intensity("import:az", _clock(2026, month, 1), 86_400.0)[0](hours) for month in range(1, 13)]
    days = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    np.testing.assert_allclose(days @ np.array(months) / 365, calibration("plant")["cooling"]["carbon_kg_per_kwh"]["value"], atol=0.002)

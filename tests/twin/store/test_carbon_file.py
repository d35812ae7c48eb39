"""Carbon of the grid by the hour, from outside."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twin.store.carbon_file import read
from twin.store.importers import import_file

FIRST = datetime(2024, 3, 1)  # noqa: DTZ001  (kept times are UTC without saying so)


def rows(count: int, step: timedelta = timedelta(hours=1), suffix: str = "") -> list[tuple[str, str]]:
    return [(f"{FIRST + number * step:%Y-%m-%d %H:%M:%S}{suffix}", str(300 + number % 24)) for number in range(count)]


def written(path: Path, lines: list[tuple[str, str]], head: str = "time,g_per_kwh") -> Path:
    path.write_text("\n".join([head, *(",".join(line) for line in lines)]) + "\n")
    return path


def test_a_plain_series_is_kept_in_kilograms_and_utc(tmp_path: Path) -> None:
    frame, notes = read(written(tmp_path / "a.csv", rows(48)))
    assert frame["hour"].to_list()[:2] == [FIRST, FIRST + timedelta(hours=1)]
    assert frame["kg_per_kwh"].to_list()[:2] == [0.3, 0.301]
    assert notes == ("2024-03-01 00:00 to 2024-03-02 23:00 UTC, mean 312 g/kWh",)


@pytest.mark.parametrize("suffix", ["Z", "+00:00", "+0000", ""])
def test_offsets_are_taken_off(tmp_path: Path, suffix: str) -> None:
    plain, _ = read(written(tmp_path / "a.csv", rows(5, suffix=suffix)))
    ahead, _ = read(written(tmp_path / "b.csv", rows(5, suffix="+02:00")))
    assert plain["hour"][0] == FIRST
    assert ahead["hour"][0] == FIRST - timedelta(hours=2)


def test_values_within_an_hour_are_averaged(tmp_path: Path) -> None:
    lines = [(time, str(value)) for (time, _), value in zip(rows(96, timedelta(minutes=15)), range(96), strict=True)]
    frame, notes = read(written(tmp_path / "a.csv", lines))
    assert frame.height == 24
    assert frame["kg_per_kwh"][1] == pytest.approx((4 + 5 + 6 + 7) / 4 / 1000)
    assert "96 values averaged to hours" in notes


def test_gaps_up_to_six_hours_are_lines_and_up_to_two_days_the_days_around(tmp_path: Path) -> None:
    lines = rows(240)
    short, notes = read(written(tmp_path / "a.csv", lines[:30] + lines[36:]))
    assert short.height == 240
    assert "6 missing hours filled in between" in notes
    assert np.allclose(np.diff(short["kg_per_kwh"].to_numpy()[29:37]), np.diff(short["kg_per_kwh"].to_numpy()[29:37])[0])
    day, _ = read(written(tmp_path / "a.csv", lines[:100] + lines[124:]))
    np.testing.assert_allclose(day["kg_per_kwh"].to_numpy() * 1000, [float(value) for _, value in lines])
    with pytest.raises(ValueError, match=r"a.csv: 49 hours are missing before 2024-03-07 05:00 UTC; up to 48 are filled in"):
        read(written(tmp_path / "a.csv", lines[:100] + lines[149:]))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (("2024-03-09", "300"), "row 5, column time: the value is '2024-03-09'; write YYYY-MM-DD HH:MM"),
        (("2024-02-30 01:00:00", "300"), "row 5, column time"),
        (("2024-03-01 01:00:00", "300"), "row 5: the time of row 3 again"),
        (("2024-03-01 03:00:00", "-1"), "row 5, column g_per_kwh: the value is '-1'; write grams per kWh from 0 to 2,000"),
        (("2024-03-01 03:00:00", "lots"), "row 5, column g_per_kwh: the value is 'lots'"),
        (("", "300"), "row 5, column time: the value is missing"),
    ],
)
def test_a_bad_value_is_named_by_row_and_column(tmp_path: Path, line: tuple[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read(written(tmp_path / "a.csv", [*rows(3), line]))


def test_a_file_of_another_form_is_met_with_the_accepted_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a.csv: row 1: the columns are when,what; write it as CSV with time,g_per_kwh"):
        read(written(tmp_path / "a.csv", rows(3), "when,what"))
    with pytest.raises(ValueError, match="column g_per_kwh has no value"):
        read(written(tmp_path / "a.csv", [(time, "") for time, _ in rows(3)]))


def test_the_real_series_are_read_whole(test_data: Path) -> None:
    for state, mean_g in (("AZ", 575), ("NY", 273), ("VA", 363)):
        path = test_data / "carbon" / f"{state}_avgCI.csv"
        frame, _ = read(path)
        assert frame.height == 8760
        theirs = pl.read_csv(path)["avg_CI"]
        assert frame["kg_per_kwh"].to_numpy().mean() * 1000 == pytest.approx(mean_g, abs=1)
        there = theirs.is_not_null().to_numpy()
        np.testing.assert_allclose(frame["kg_per_kwh"].to_numpy()[there] * 1000, theirs.drop_nulls().to_numpy(), atol=1e-3)


def refusal(path: Path, home: Path) -> str | None:
    """Return what an import is refused with, None where it is not; anything but a ValueError comes through."""
    try:
        import_file("grid-carbon", path, "a", home)
    except ValueError as error:
        return str(error)
    return None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=200), st.integers(0, 3))
def test_whatever_the_file_holds_the_answer_is_one_line(tmp_path: Path, noise: bytes, where: int) -> None:
    path = written(tmp_path / "a.csv", rows(6))
    content = path.read_bytes()
    cut = len(content) * where // 3
    path.write_bytes(content[:cut] + noise + content[cut:])
    said = refusal(path, tmp_path / "home" / str(where) / noise.hex()[:40])
    assert said is None or said.startswith("a.csv")
    assert said is None or "\n" not in said


def test_kilograms_are_not_taken_for_grams(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a.csv: column g_per_kwh: no value is above 0.4; write grams per kWh, not kilograms"):
        read(written(tmp_path / "a.csv", [(time, "0.4") for time, _ in rows(3)]))

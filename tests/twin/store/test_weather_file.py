"""Weather of a year from outside."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twin.store import weather_file
from twin.store.importers import import_file
from twin.store.weather_file import read

HEAD = "month,day,hour,drybulb_c,dewpoint_c,rh_pct,pressure_pa,wind_mps"
DAYS = [(month, day) for month, days in enumerate((31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), 1) for day in range(1, days + 1)]


def year(dew: str = "5.0", rh: str = "50") -> list[list[str]]:
    """Return rows of a made-up year: warmer by the day of the year and by the hour."""
    return [
        [str(month), str(day), str(hour), f"{10 + number / 100 + hour / 10:.2f}", dew, rh, "97000", "2.0"]
        for number, (month, day) in enumerate(DAYS)
        for hour in range(1, 25)
    ]


def written(path: Path, rows: list[list[str]], head: str = HEAD) -> Path:
    path.write_text("\n".join([head, *(",".join(row) for row in rows)]) + "\n")
    return path


def epw(path: Path, rows: list[list[str]]) -> Path:
    """Write rows of the CSV form as an EPW: 8 header lines, 35 columns."""
    head = ["LOCATION,Phoenix,AZ,USA,TMYx,722780,33.45,-111.98,-7.0,337.4", "DESIGN CONDITIONS,0", "TYPICAL/EXTREME PERIODS,0"]
    head += [
        "GROUND TEMPERATURES,0",
        "HOLIDAYS/DAYLIGHT SAVINGS,No,0,0,0",
        "COMMENTS 1,made",
        "COMMENTS 2,",
        "DATA PERIODS,1,1,Data,Sunday, 1/ 1,12/31",
    ]
    lines = []
    for month, day, hour, dry, dew, rh, pressure, wind in rows:
        others = ["0"] * 11
        tail = ["0"] * 13
        lines.append(",".join(["2019", month, day, hour, "60", "?9?9", dry, dew, rh, pressure, *others, wind, *tail]))
    assert all(line.count(",") == 34 for line in lines)
    path.write_text("\n".join([*head, *lines]) + "\n")
    return path


def test_a_year_is_read_hour_by_hour(tmp_path: Path) -> None:
    frame, notes = read(written(tmp_path / "a.csv", year()))
    assert frame.columns == ["month", "day", "hour", "outside_c", "dew_point_c", "pressure_pa", "wind_m_per_s"]
    assert frame.height == 8760
    assert frame.row(25)[:5] == (1, 2, 2, 10.21, 5.0)
    assert any("pressure 970 hPa on average; the wet bulb is computed for 1,013 hPa" in note for note in notes)


def test_the_order_of_the_rows_and_of_the_columns_does_not_matter(tmp_path: Path) -> None:
    plain, _ = read(written(tmp_path / "a.csv", year()))
    turned, _ = read(written(tmp_path / "b.csv", [row[::-1] for row in year()[::-1]], ",".join(HEAD.split(",")[::-1])))
    assert plain.equals(turned)


def test_humidity_stands_in_for_a_dew_point_that_is_not_there(tmp_path: Path) -> None:
    """20 C and 50 % humidity: dew point 9.3 C (psychrometric tables)."""
    rows = [[*row[:3], "20.0", row[5]] for row in year()]
    frame, _ = read(written(tmp_path / "a.csv", rows, "month,day,hour,drybulb_c,rh_pct"))
    assert frame["dew_point_c"].unique().to_list() == [pytest.approx(9.27, abs=0.05)]


def test_a_leap_year_has_a_day_more(tmp_path: Path) -> None:
    rows = year() + [["2", "29", str(hour), "12.0", "5.0", "50", "97000", "2"] for hour in range(1, 25)]
    frame, notes = read(written(tmp_path / "a.csv", rows))
    assert frame.height == 8784
    assert frame.filter((pl.col("month") == 2) & (pl.col("day") == 29))["outside_c"].to_list() == [12.0] * 24
    assert "a leap year" in notes
    with pytest.raises(ValueError, match=r"a.csv: drybulb_c is missing for 23 hours, from 2-29 hour 2 to 2-29 hour 24"):
        read(written(tmp_path / "a.csv", rows[:-23]))


def test_short_gaps_are_filled_and_long_ones_refused_with_their_place(tmp_path: Path) -> None:
    rows = year()
    gone = [row for row in rows if not (row[:2] == ["3", "1"] and 5 <= int(row[2]) <= 10)]
    frame, notes = read(written(tmp_path / "a.csv", gone))
    np.testing.assert_allclose(frame["outside_c"], [float(row[3]) for row in rows], atol=1e-3)
    assert "6 missing hours filled in between" in notes
    gone = [row for row in gone if not (row[:2] == ["3", "1"] and row[2] == "11")]
    with pytest.raises(ValueError, match=r"a.csv: drybulb_c is missing for 7 hours, from 3-1 hour 5 to 3-1 hour 11 .* up to 6 are"):
        read(written(tmp_path / "a.csv", gone))


def test_a_gap_over_new_year_is_one_gap(tmp_path: Path) -> None:
    rows = year()
    frame, notes = read(written(tmp_path / "a.csv", rows[3:-3]))
    assert "6 missing hours filled in between" in notes
    inside = np.concatenate([frame["outside_c"].to_numpy()[-3:], frame["outside_c"].to_numpy()[:3]])
    assert (np.diff(inside) < 0).all()  # from a warm 31 December to a cool 1 January
    with pytest.raises(ValueError, match="missing for 7 hours, from 12-31 hour 22 to 1-1 hour 4"):
        read(written(tmp_path / "a.csv", rows[4:-3]))


def test_epw_gives_the_same_hours_and_its_codes_for_missing_are_gaps(tmp_path: Path) -> None:
    rows = year()
    plain, _ = read(written(tmp_path / "a.csv", rows))
    same, _ = read(epw(tmp_path / "a.epw", rows))
    assert plain.equals(same)
    rows[100][3], rows[100][5], rows[101][4], rows[102][6] = "99.9", "999", "99.9", "999999"
    mended, notes = read(epw(tmp_path / "b.epw", rows))
    np.testing.assert_allclose(mended["outside_c"], plain["outside_c"], atol=1e-3)
    assert mended["pressure_pa"].max() == 97000
    assert "1 missing hours filled in between" in notes
    for row in rows[200:207]:
        row[3] = "99.9"
    with pytest.raises(ValueError, match=r"b.epw: drybulb_c is missing for 7 hours"):
        read(epw(tmp_path / "b.epw", rows))


def test_the_real_phoenix_file_gives_the_same_as_csv_and_as_epw(test_data: Path, tmp_path: Path) -> None:
    source = test_data / "weather" / "phoenix.csv"
    plain, notes = read(source)
    rows = [line.split(",") for line in source.read_text().split()[1:]]
    same, _ = read(epw(tmp_path / "phoenix.epw", rows))
    assert plain.equals(same)
    assert "19% of hours below 15 C, 52% at 25 C or above" in notes[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((0, "13"), r"row 12, column month: the value is 13; write a whole number from 1 to 12"),
        ((1, "32"), r"row 12, column day: the value is 32"),
        ((2, "0"), r"row 12, column hour: the value is 0"),
        ((2, "3.5"), r"row 12, column hour: the value is 3.5"),
        ((2, ""), r"row 12, column hour: the value is missing"),
        ((2, "12"), r"row 13: the hour 1-1 12 is in row 12 already; keep one an hour"),
        ((3, "95.0"), r"row 12, column drybulb_c: the value is 95; write degrees Celsius"),
        ((3, "warm"), r"row 12, column drybulb_c: the value is 'warm'; write a number or leave it empty"),
        ((3, "nan"), r"row 12, column drybulb_c: the value is 'nan'"),
        ((6, "970"), r"row 12, column pressure_pa: the value is 970; write pascals"),
    ],
)
def test_a_bad_value_is_named_by_row_and_column(tmp_path: Path, change: tuple[int, str], says: str) -> None:
    rows = year()
    rows[10][change[0]] = change[1]
    with pytest.raises(ValueError, match=says):
        read(written(tmp_path / "a.csv", rows))


def test_a_day_that_no_year_has_is_refused(tmp_path: Path) -> None:
    rows = year()
    rows[10][:2] = ["2", "30"]
    with pytest.raises(ValueError, match="row 12: there is no day 30 in month 2"):
        read(written(tmp_path / "a.csv", rows))


def test_a_file_of_another_form_is_met_with_the_accepted_ones(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", [["1", "2"]], "time,temperature")
    with pytest.raises(ValueError, match=r"a.csv: row 1: no column month; write it as CSV \(month,day,hour,drybulb_c"):
        read(path)
    path = tmp_path / "b.epw"
    path.write_text("LOCATION,x\n")
    with pytest.raises(ValueError, match=r"b.epw: no hour below the 8 lines"):
        read(path)
    path.write_text("LOCATION,x\n" + "x\n" * 7 + "1,2,3\n")
    with pytest.raises(ValueError, match=r"b.epw: row 9: 3 values where EPW has 35"):
        read(path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.integers(0, 3), st.booleans())
def test_whatever_the_file_holds_the_answer_is_one_line(tmp_path: Path, noise: bytes, where: int, as_epw: bool) -> None:
    form = epw if as_epw else written
    path = form(tmp_path / ("a.epw" if as_epw else "a.csv"), year()[:30])
    content = path.read_bytes()
    cut = len(content) * where // 3
    path.write_bytes(content[:cut] + noise + content[cut:])
    with pytest.raises(ValueError, match=r".") as caught:
        import_file("weather", path, "a", tmp_path / "home")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(path.name)
    assert not (tmp_path / "home").exists()


def test_ranges_hold_every_kept_quantity() -> None:
    assert set(weather_file._RANGES) == set(weather_file._EPW) - {"month", "day", "hour"} == set(weather_file._EPW_MISSING)


def test_humidity_as_a_share_is_not_taken_for_per_cent(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a.csv: column rh_pct: no value is above 0.5; write per cent from 0 to 110"):
        read(written(tmp_path / "a.csv", year(rh="0.5")))


def test_a_column_that_is_not_read_is_named(tmp_path: Path) -> None:
    _, notes = read(written(tmp_path / "a.csv", year(), HEAD.replace("dewpoint_c", "dew_point_c")))
    assert "not used: dew_point_c" in notes
    assert not any("not used" in note for note in read(written(tmp_path / "b.csv", year()))[1])

"""Telemetry from outside: names, units and times; increments, late and twice."""

import itertools
import os
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.store import sensors
from twin.store.importers import ImportReport, import_file

HEAD = "time,sensor,value\n"


def _bring(text: str, home: Path, name: str = "site", **options: str) -> ImportReport:
    path = home / "increment.csv"
    path.write_text(text)
    return import_file("telemetry", path, name, home, options)


def _kept(home: Path, name: str = "site") -> Path:
    return home / "imports" / "telemetry" / f"{name}.parquet"


def _rows(home: Path) -> list[tuple[float, str, float]]:
    return pl.read_parquet(_kept(home)).rows()


def test_each_reading_is_kept_in_the_unit_used_inside(tmp_path: Path) -> None:
    _bring(HEAD + "0,row-1.power_kw,3\n0,server-1.inlet_f,68\n0,server-1/gpu-0.temp_c,41.5\n0,server-1.fan_percent,40\n", tmp_path)
    expected = [("row-1.power_w", 3000.0), ("server-1.fan_share", 0.4), ("server-1.inlet_c", 20.0), ("server-1/gpu-0.temp_c", 41.5)]
    assert [(sensor, pytest.approx(value)) for _, sensor, value in _rows(tmp_path)] == expected


@pytest.mark.parametrize(
    ("time", "options"),
    [
        ("2024-04-07T10:00:00+04:00", {}),
        ("2024-04-07T06:00Z", {}),
        ("2024-04-07 06:00:00", {}),
        ("2024-04-06T23:00", {"timezone": "America/Phoenix"}),
        ("1712469600", {}),
        ("1712469600000", {}),
    ],
)
def test_a_moment_is_the_same_however_it_is_written(tmp_path: Path, time: str, options: dict[str, str]) -> None:
    _bring(HEAD + f"{time},site.outside_c,9\n", tmp_path, **options)
    assert _rows(tmp_path) == [(datetime(2024, 4, 7, 6, tzinfo=UTC).timestamp(), "site.outside_c", 9.0)]


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    times = [datetime(2024, 4, 7, 6, minute, tzinfo=UTC) for minute in range(3)]
    frame = pl.DataFrame({"time": times, "sensor": ["site.outside_c"] * 3, "value": [9, 8, 7]})
    frame.write_parquet(tmp_path / "t.parquet")
    import_file("telemetry", tmp_path / "t.parquet", "parquet", tmp_path)
    _bring(HEAD + "".join(f"{time.isoformat()},site.outside_c,{9 - k}\n" for k, time in enumerate(times)), tmp_path)
    assert _kept(tmp_path, "parquet").read_bytes() == _kept(tmp_path).read_bytes()


def test_the_same_file_twice_changes_no_byte(tmp_path: Path) -> None:
    text = HEAD + "0,site.outside_c,9\n60,site.outside_c,9.5\n60,site.outside_c,9.5\n"
    assert "2 new readings, 1 there already; 1 sensors in all" in _bring(text, tmp_path).notes
    before, stamp = _kept(tmp_path).read_bytes(), _kept(tmp_path).stat().st_mtime_ns
    assert "0 new readings, 3 there already; 1 sensors in all" in _bring(text, tmp_path).notes
    assert (_kept(tmp_path).read_bytes(), _kept(tmp_path).stat().st_mtime_ns) == (before, stamp)


def test_late_readings_are_sorted_in_and_counted(tmp_path: Path) -> None:
    _bring(HEAD + "0,site.outside_c,9\n120,site.outside_c,10\n", tmp_path)
    assert "1 late ones sorted in" in _bring(HEAD + "60,site.outside_c,9.5\n180,site.outside_c,11\n", tmp_path).notes
    assert [t_s for t_s, _, _ in _rows(tmp_path)] == [0.0, 60.0, 120.0, 180.0]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["a.inlet_c", "b.power_w"])), min_size=3, max_size=20), st.randoms())
def test_the_order_of_increments_does_not_matter(keys: list[tuple[int, str]], random: object) -> None:
    said = [(float(t_s), sensor, t_s * 1.5) for t_s, sensor in keys]
    parts = [pl.DataFrame(said[k::3], schema=sensors.SCHEMA, orient="row").with_row_index("row", 2) for k in range(3)]
    outcomes = []
    for order in itertools.permutations(part for part in parts if part.height):
        kept = None
        for part in order:
            kept = sensors.merge(kept, part, "f.csv", replace=False).frame
        outcomes.append(kept)
    assert all(outcome is not None and outcome.equals(outcomes[0]) for outcome in outcomes)


def test_a_contradiction_is_refused_with_its_place_unless_the_later_file_wins(tmp_path: Path) -> None:
    _bring(HEAD + "0,site.outside_c,9\n60,site.outside_c,9.5\n", tmp_path)
    before = _kept(tmp_path).read_bytes()
    later = HEAD + "120,site.outside_c,11\n60,site.outside_c,10\n"
    with pytest.raises(ValueError, match=r"^increment.csv: row 3: site.outside_c says 10, an earlier import says 9.5 .* --replace"):
        _bring(later, tmp_path)
    assert _kept(tmp_path).read_bytes() == before
    assert "1 readings replaced by this file's" in _bring(later, tmp_path, replace="yes").notes
    assert [value for *_, value in _rows(tmp_path)] == [9.0, 10.0, 11.0]


def test_a_file_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    text = HEAD + "0,site.outside_c,9\n0,site.outside_c,8\n"
    with pytest.raises(ValueError, match=r"row 3: site.outside_c says 8, row 2 says 9 for the same time"):
        _bring(text, tmp_path)
    _bring(text, tmp_path, replace="yes")
    assert _rows(tmp_path) == [(0.0, "site.outside_c", 8.0)]


def test_a_crash_while_writing_leaves_the_old_telemetry_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _bring(HEAD + "0,site.outside_c,9\n", tmp_path)
    before = _kept(tmp_path).read_bytes()

    def full(handle: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        _bring(HEAD + "60,site.outside_c,9\n", tmp_path)
    assert _kept(tmp_path).read_bytes() == before
    assert [path.name for path in _kept(tmp_path).parent.iterdir()] == ["site.parquet"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (HEAD + "0,server-1.inlet,20\n", r"row 2, column sensor: 'server-1.inlet' does not say .* such as server-12.inlet_c"),
        (HEAD + "0,server-1.inlet_c,20\n60,inlet_c,20\n", "row 3, column sensor"),
        (HEAD + "yesterday,server-1.inlet_c,20\n", "row 2, column time: the time is 'yesterday'; write 2024"),
        (HEAD + "0,server-1.inlet_c,warm\n", "row 2, column value: the value is 'warm'; write a number"),
        (HEAD + "0,server-1.inlet_c,inf\n", "row 2, column value: the value is 'inf'; write a finite number"),
        (HEAD + "0,,20\n", "row 2, column sensor: the value is missing"),
        (HEAD, "holds no reading"),
        ("a,b\n1,2\n", "no column is called time"),
        ("time,b\n1,2\n", "no column names a sensor"),
        ("", "the file is empty"),
        (HEAD + "0,a.inlet_c,1\n2024-04-07T06:00Z,a.inlet_c,1\n", "row 2, column time"),
    ],
)
def test_bad_telemetry_is_one_line_with_place_and_remedy(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what) as caught:
        _bring(text, tmp_path)
    assert str(caught.value).startswith("increment.csv: ")
    assert "\n" not in str(caught.value)
    assert not _kept(tmp_path).exists()


def test_dates_and_counted_seconds_do_not_go_under_one_name(tmp_path: Path) -> None:
    _bring(HEAD + "0,site.outside_c,9\n", tmp_path)
    with pytest.raises(ValueError, match="import them under two names"):
        _bring(HEAD + "2024-04-07T06:00Z,site.outside_c,9\n", tmp_path)


def test_rows_without_a_value_are_counted_and_unknown_sensors_reported(tmp_path: Path) -> None:
    report = _bring(HEAD + "0,site.outside_c,9\n60,site.outside_c,\n60,tank-1.depth_l,7\n", tmp_path)
    assert (report.rows, report.dropped) == (2, 1)
    assert "1 rows without a value left out" in report.notes
    assert "1 sensors kept that the twin does not use: tank-1.depth_l" in report.notes


def test_a_zone_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--timezone 'Mars' is not a time zone"):
        _bring(HEAD + "2024-04-07T06:00,site.outside_c,9\n", tmp_path, timezone="Mars")


def test_the_frontier_file_is_recognised_with_its_cooling_units(test_data: Path, tmp_path: Path) -> None:
    file = test_data / "telemetry" / "frontier_cdu_input_04-07-24.csv"
    report = import_file("telemetry", file, "frontier-cdu", tmp_path)
    assert report.rows == 5761 * 26
    assert report.span_s == 86_400.0
    assert "power[1] to power[25] taken as cdu-1.power_w to cdu-25.power_w, in W" in report.notes
    kept = pl.read_parquet(_kept(tmp_path, "frontier-cdu"))
    total = kept.filter(pl.col("sensor") != "site.wet_bulb_c").group_by("time_s").agg(pl.col("value").sum())["value"]
    assert total.mean() == pytest.approx(16.1e6, rel=0.005)
    assert kept.filter(pl.col("sensor") == "site.wet_bulb_c")["value"].min() == pytest.approx(2.9, abs=0.05)


@pytest.mark.parametrize(
    ("text", "options", "what"),
    [
        (HEAD + "5,a.power_w,5\n1784073600,a.power_w,5\n", {}, "row 3, column time: .* is '1784073600', another kind than '5' in row 2"),
        (HEAD + "1784073600,a.power_w,5\n1784073600000,a.power_w,5\n", {}, "row 3, column time: .* after the year 2100"),
        (HEAD + "-5,a.power_w,5\n", {}, "row 2, column time: .* before the start"),
        (HEAD + "2999-01-01,a.power_w,5\n", {}, "row 2, column time"),
        (HEAD + "2999-01-01 00:00,a.power_w,5\n", {}, "row 2, column time: .* after the year 2100"),
        (HEAD + "2026-07-01T00:00+99:00,a.power_w,5\n", {}, "row 2, column time"),
        (
            HEAD + "2026-11-01 00:30,a.power_w,5\n2026-11-01 01:30,a.power_w,5\n",
            {"timezone": "America/New_York"},
            "row 3, column time: the time '2026-11-01 01:30' is there twice, as clocks went back in America/New_York; write times with",
        ),
        (
            HEAD + "2026-03-08 02:30,a.power_w,5\n",
            {"timezone": "America/New_York"},
            "row 2, column time: the time '2026-03-08 02:30' is not there, as clocks went forward in America/New_York",
        ),
        (HEAD + "0,a.inlet_c,295\n60,a.inlet_c,296\n", {}, "row 2: a.inlet_c says 295, and so beyond -20 to 80 .* write the unit"),
        (HEAD + "0,a.fan_share,60\n", {}, "row 2: a.fan_share says 60, .* _percent"),
        (HEAD + "0,a.power_w,-400\n", {}, "row 2: a.power_w says -400"),
    ],
)
def test_times_and_values_that_cannot_be_are_refused(tmp_path: Path, text: str, options: dict[str, str], what: str) -> None:
    with pytest.raises(ValueError, match=what) as caught:
        _bring(text, tmp_path, **options)
    assert "\n" not in str(caught.value)
    assert not _kept(tmp_path).exists()


@pytest.mark.parametrize("digits", [0, 3, 6, 9])
def test_whole_numbers_since_1970_are_taken_in_the_unit_that_they_are_in(tmp_path: Path, digits: int) -> None:
    _bring(HEAD + f"{1784073600 * 10**digits},a.power_w,5\n", tmp_path)
    assert pl.read_parquet(_kept(tmp_path))["time_s"].to_list() == [1784073600.0]


def test_a_sensor_that_fails_now_and_then_loses_those_readings_only(tmp_path: Path) -> None:
    rows = "".join(f"{60 * n},a.inlet_c,{-127 if n == 3 else 22}\n" for n in range(8))
    report = _bring(HEAD + rows, tmp_path)
    assert (report.rows, report.dropped) == (7, 1)
    assert "1 readings left out that cannot be, the first in row 5: a.inlet_c says -127" in report.notes


def test_machines_may_be_named_with_dots(tmp_path: Path) -> None:
    report = _bring(HEAD + "0,gpu01.dc1.lan.inlet_c,22\n0,gpu01.dc1.lan/gpu-3.temp_c,60\n", tmp_path)
    assert report.rows == 2
    assert not any("does not use" in note for note in report.notes)


def test_the_report_says_from_when_to_when(tmp_path: Path) -> None:
    report = _bring(HEAD + "2026-07-01T00:00-07:00,a.power_w,5\n2026-07-01T02:00-07:00,a.power_w,5\n", tmp_path)
    assert "from 2026-07-01 07:00 to 2026-07-01 09:00 UTC" in report.notes
    assert report.last == datetime(2026, 7, 1, 9, tzinfo=UTC)

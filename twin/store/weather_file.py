"""Weather of a year from outside: hourly CSV and EPW, checked and whole."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Longest stretch of missing hours that is filled by a straight line.
LONGEST_GAP_H: Final = 6
_ACCEPTED: Final = "CSV (month,day,hour,drybulb_c and dewpoint_c or rh_pct) or EPW, in UTF-8"
_PLACE: Final = ("month", "day", "hour")
# What a station can have seen: lowest, highest, and what to do about a value beyond.
_RANGES: Final[Mapping[str, tuple[float, float, str]]] = {
    "drybulb_c": (-70.0, 60.0, "write degrees Celsius from -70 to 60"),
    "dewpoint_c": (-90.0, 40.0, "write degrees Celsius from -90 to 40"),
    "rh_pct": (0.0, 110.0, "write per cent from 0 to 110"),
    "pressure_pa": (50_000.0, 110_000.0, "write pascals from 50,000 to 110,000"),
    "wind_mps": (0.0, 75.0, "write metres per second from 0 to 75"),
}
# EPW: columns by position, and the value that stands for "not measured".
_EPW_HEADER_LINES: Final = 8
_EPW_COLUMNS: Final = 35
_EPW: Final = {"month": 1, "day": 2, "hour": 3, "drybulb_c": 6, "dewpoint_c": 7, "rh_pct": 8, "pressure_pa": 9, "wind_mps": 21}
_EPW_MISSING: Final = {"drybulb_c": 99.9, "dewpoint_c": 99.9, "rh_pct": 999.0, "pressure_pa": 999_999.0, "wind_mps": 999.0}
_KEPT: Final = {"drybulb_c": "outside_c", "dewpoint_c": "dew_point_c", "pressure_pa": "pressure_pa", "wind_mps": "wind_m_per_s"}
_SEA_LEVEL_PA: Final = 101_325.0


def read(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Read the hours of a year: month, day, hour (1 to 24, the hour's end), outside_c, dew_point_c, pressure_pa, wind_m_per_s.

    A year has 365 days, or 366 where the file knows 29 February; rows are sorted. Up to six missing hours in a row are filled
    by a straight line, across the year's end too. The second value says what is worth knowing. ValueError, one line, names
    file, row and remedy of the first thing that is wrong.
    """
    raw = _epw(path) if _is_epw(path) else _csv(path)
    for name in _PLACE:
        low, high = {"month": (1, 12), "day": (1, 31), "hour": (1, 24)}[name]
        bad = raw[name].is_null() | ~raw[name].is_between(low, high) | (raw[name] != raw[name].round())
        _refuse(path, raw, name, bad, f"write a whole number from {low} to {high}")
    for name in [name for name in _RANGES if name in raw.columns]:
        low_c, high_c, remedy = _RANGES[name]
        _refuse(path, raw, name, (~raw[name].is_between(low_c, high_c)).fill_null(False), remedy)
    if "rh_pct" in raw.columns and (highest := raw["rh_pct"].max()) is not None and float(highest) <= 1.0:  # type: ignore[arg-type]
        raise ValueError(f"{path.name}: column rh_pct: no value is above {float(highest):g}; write per cent from 0 to 110")  # type: ignore[arg-type]
    year, notes = _year(path, raw)
    notes += _unused(path)
    frame, filled = _finished(path, year)
    notes += [f"{filled:,} missing hours filled in between"] if filled else []
    return frame, (*notes, *_about(frame))


def _is_epw(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(9).lstrip(b"\xef\xbb\xbf").upper().startswith(b"LOCATI") or path.suffix.lower() == ".epw"
    except OSError:
        return False


def _unused(path: Path) -> list[str]:
    """Return a note of the columns of a CSV that are not read: a name that is spelt otherwise must not go unseen."""
    if _is_epw(path):
        return []
    from twin.serving import tabular

    unused = [name for name in tabular.read(path, _ACCEPTED).columns if name not in (*_PLACE, *_RANGES)]
    return [f"not used: {', '.join(unused)[:200]}"] if unused else []


def _csv(path: Path) -> pl.DataFrame:
    from twin.serving import tabular

    text = tabular.read(path, _ACCEPTED)
    lacking = [name for name in (*_PLACE, "drybulb_c") if name not in text.columns]
    if lacking or not {"dewpoint_c", "rh_pct"} & set(text.columns):
        missing = lacking[0] if lacking else "dewpoint_c or rh_pct"
        raise ValueError(f"{path.name}: row 1: no column {missing}; write it as {_ACCEPTED}")
    columns = {}
    for name in [name for name in (*_PLACE, *_RANGES) if name in text.columns]:
        stripped = text[name].str.strip_chars()
        values = stripped.cast(pl.Float64, strict=False)
        bad = (stripped.fill_null("") != "") & ~values.is_finite().fill_null(False)
        if bad.any():
            row = int(bad.arg_true()[0])
            raise ValueError(
                f"{path.name}: row {row + 2}, column {name}: the value is {text[name][row]!r}; write a number or leave it empty"
            )
        columns[name] = values
    return pl.DataFrame(columns).with_columns(pl.int_range(2, text.height + 2).alias("row"))


def _epw(path: Path) -> pl.DataFrame:
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise ValueError(f"{path.name}: cannot be read ({error.strerror or error}); check the path") from None
    rows: dict[str, list[float | None]] = {name: [] for name in _EPW}
    numbers = []
    for number, line in enumerate(lines[_EPW_HEADER_LINES:], start=_EPW_HEADER_LINES + 1):
        if not line.strip():
            continue
        fields = line.split(",")
        if len(fields) < _EPW_COLUMNS:
            raise ValueError(f"{path.name}: row {number}: {len(fields)} values where EPW has {_EPW_COLUMNS}; download the file again")
        for name, column in _EPW.items():
            rows[name].append(_epw_value(f"{path.name}: row {number}, column {name}", name, fields[column]))
        numbers.append(number)
    if not numbers:
        raise ValueError(f"{path.name}: no hour below the {_EPW_HEADER_LINES} lines at the head of an EPW; download the file again")
    return pl.DataFrame({name: pl.Series(values, dtype=pl.Float64) for name, values in rows.items()} | {"row": numbers})


def _epw_value(place: str, name: str, text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(
            f"{place}: the value is {text.strip()[:40]!r}; write a number, or {_EPW_MISSING.get(name, 1):g} where none is known"
        ) from None
    return None if value != value or (name in _EPW_MISSING and value >= _EPW_MISSING[name]) else value


def _refuse(path: Path, raw: pl.DataFrame, name: str, bad: pl.Series, remedy: str) -> None:
    where = bad.fill_null(True).arg_true()
    if len(where):
        index = int(where[0])
        value = raw[name][index]
        shown = "is missing" if value is None else f"is {value:g}"
        raise ValueError(f"{path.name}: row {raw['row'][index]}, column {name}: the value {shown}; {remedy}")


def _days(leap: bool) -> list[tuple[int, int]]:
    first = date(2024 if leap else 2023, 1, 1)
    return [((day := first + timedelta(days=number)).month, day.day) for number in range(366 if leap else 365)]


def _year(path: Path, raw: pl.DataFrame) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """Return every column over all hours of a year, NaN where the file has none."""
    leap = not raw.filter((pl.col("month") == 2) & (pl.col("day") == 29)).is_empty()
    days = _days(leap)
    begin = {day: 24 * index for index, day in enumerate(days)}
    hour = np.empty(raw.height, dtype=np.int64)
    seen: dict[int, int] = {}
    for index, (month, day, clock, row) in enumerate(raw.select(*_PLACE, "row").iter_rows()):
        start = begin.get((int(month), int(day)))
        if start is None:
            raise ValueError(f"{path.name}: row {row}: there is no day {int(day)} in month {int(month)}; correct the date")
        hour[index] = start + int(clock) - 1
        if (other := seen.setdefault(int(hour[index]), row)) != row:
            # Stations that report more than once an hour are for their publisher to average.
            raise ValueError(
                f"{path.name}: row {row}: the hour {int(month)}-{int(day)} {int(clock)} is in row {other} already; keep one an hour"
            )
    found = {"place": np.array([(month, day, clock) for month, day in days for clock in range(1, 25)], dtype=np.float64)}
    for name in [name for name in _RANGES if name in raw.columns]:
        found[name] = np.full(24 * len(days), np.nan)
        found[name][hour] = raw[name].cast(pl.Float64).to_numpy()
    return found, ["a leap year"] if leap else []


def _finished(path: Path, year: Mapping[str, Floats]) -> tuple[pl.DataFrame, int]:
    """Return the kept table and how many hours were filled in: dry bulb, and dew point where the file has it, else from humidity."""
    from twin.plant.weather import dew_point_of_c  # the other kinds must not wait for the plant

    place = year["place"]
    outside = _filled(path, "drybulb_c", year["drybulb_c"], place)
    dew = year.get("dewpoint_c", np.full(len(outside), np.nan))
    if "rh_pct" in year:
        derived = dew_point_of_c(outside, np.clip(year["rh_pct"] / 100.0, 0.01, 1.0))
        dew = np.where(np.isnan(dew), derived, dew)
    gaps = np.isnan(year["drybulb_c"]) | np.isnan(dew)
    humid = "dewpoint_c" if "dewpoint_c" in year else "rh_pct"
    kept = {"drybulb_c": outside, "dewpoint_c": np.minimum(_filled(path, humid, dew, place), outside)}
    kept |= {name: _mended(year[name]) for name in ("pressure_pa", "wind_mps") if name in year and not np.isnan(year[name]).all()}
    whole = {name: place[:, index].astype(np.int8) for index, name in enumerate(_PLACE)}
    return pl.DataFrame(whole | {_KEPT[name]: np.round(values, 4) for name, values in kept.items()}), int(gaps.sum())


def _filled(path: Path, name: str, values: Floats, place: Floats) -> Floats:
    """Fill gaps by straight lines, round the year's end; a longer one is refused with the hours that it lacks."""
    missing = np.isnan(values)
    if missing.all():
        raise ValueError(f"{path.name}: column {name} has no value; the file is of no use as weather")
    # Runs of missing hours on a circle: begin to count behind an hour that is there.
    start = int(np.argmin(missing))
    turned = np.roll(missing, -start)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], turned.astype(np.int8), [0]])))
    for first, last in edges.reshape(-1, 2):
        if last - first > LONGEST_GAP_H:
            began, ended = (place[(int(index) + start) % len(values)].astype(int) for index in (first, last - 1))
            raise ValueError(
                f"{path.name}: {name} is missing for {last - first:,} hours, from {began[0]}-{began[1]} hour {began[2]} to "
                f"{ended[0]}-{ended[1]} hour {ended[2]} (month-day); up to {LONGEST_GAP_H} are filled in, add the others"
            )
    return _mended(values)


def _mended(values: Floats) -> Floats:
    hours, there = np.arange(len(values)), ~np.isnan(values)
    return np.asarray(np.interp(hours, hours[there], values[there], period=len(values)))


def _about(frame: pl.DataFrame) -> list[str]:
    outside = frame["outside_c"].to_numpy()
    notes = [
        f"outside {outside.min():.1f} to {outside.max():.1f} C, mean {outside.mean():.1f} C; "
        f"{(outside < 15).mean():.0%} of hours below 15 C, {(outside >= 25).mean():.0%} at 25 C or above"
    ]
    if "pressure_pa" in frame.columns:
        mean_pa = float(frame.select(pl.col("pressure_pa").mean()).item())
        notes.append(f"pressure {mean_pa / 100.0:,.0f} hPa on average; the wet bulb is computed for {_SEA_LEVEL_PA / 100.0:,.0f} hPa")
    return notes

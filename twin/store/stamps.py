"""Times of telemetry: dates, seconds since 1970 or since a start."""

from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

_DATE: Final = r"^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d)(:\d\d)?([.,]\d{1,9})?\s*(Z|[+-](?:0\d|1[0-4]):?[0-5]\d)?$"
_REMEDY: Final = "write 2024-04-07T06:00:00+02:00, seconds since 1970 or seconds since the start"
# Figures from so much on are milliseconds, microseconds and nanoseconds since 1970 (in seconds the first would be the year 5138).
_FINER: Final = ((1e17, 1e9, "nanoseconds"), (1e14, 1e6, "microseconds"), (1e11, 1e3, "milliseconds"))
# Seconds since 1970 beyond this (1973) are dates; smaller figures count from the start of a run.
EPOCH_S: Final = 1e8
_LATEST_S: Final = 4_102_444_800.0  # the year 2100


def seconds(path: Path, times: pl.Series, timezone: str | None) -> tuple[pl.Series, list[str]]:
    """Return seconds since 1970 (UTC), or since a start where small numbers were given, to the millisecond; and notes.

    ``timezone`` is where dates without an offset were written (default UTC). ValueError names the row of the first bad time.
    """
    zone = _zone(timezone)
    if isinstance(times.dtype, pl.Datetime):
        found, notes = _of_datetimes(path, times, zone)
    elif times.dtype.is_numeric():
        found, notes = times.cast(pl.Float64), []
    elif times.dtype == pl.String:
        text = times.str.strip_chars()
        numbers = text.cast(pl.Float64, strict=False)
        dates = bool(text.str.contains(_DATE).any())
        found, notes = _of_texts(path, text, zone) if dates else (numbers, [])
    else:
        raise ValueError(f"{path.name}: column {times.name}: holds {times.dtype}; {_REMEDY}")
    bad = (found.is_null() | ~found.is_finite()).fill_null(True).arg_true()
    if len(bad):
        value = times[int(bad[0])]
        shown = "is missing" if value is None else f"is {str(value)[:40]!r}"
        raise ValueError(f"{path.name}: row {int(bad[0]) + 2}, column {times.name}: the time {shown}; {_REMEDY}")
    for from_, per_s, name in _FINER:
        if len(found) and float(found.min()) >= from_:  # type: ignore[arg-type]
            found, notes = found / per_s, [f"times taken as {name} since 1970"]
            break
    _of_one_kind(path, times, found)
    return found.round(3), notes


def _of_one_kind(path: Path, times: pl.Series, found: pl.Series) -> None:
    """Refuse times before the start and after 2100, and dates beside seconds that count from a start."""
    dated = bool(len(found) and found[0] >= EPOCH_S)
    fits = found.is_between(EPOCH_S, _LATEST_S) if dated else found.is_between(0.0, EPOCH_S, closed="left")
    bad = (~fits).arg_true()
    if len(bad):
        row = int(bad[0])
        mixed = row and (found[row] >= EPOCH_S) != dated and 0.0 <= found[row] <= _LATEST_S
        why = f"another kind than {str(times[0])[:40]!r} in row 2" if mixed else "before the start, or after the year 2100"
        raise ValueError(f"{path.name}: row {row + 2}, column {times.name}: the time is {str(times[row])[:40]!r}, {why}; {_REMEDY}")


def _zone(timezone: str | None) -> str:
    try:
        return str(ZoneInfo(timezone or "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"--timezone {timezone!r} is not a time zone; write one such as America/Phoenix") from None


def _placed(path: Path, times: pl.Series, local: pl.Series, zone: str) -> pl.Series:
    """Return local times (null is none) in a zone; ValueError for one that clocks show twice there, or never."""
    placed = local.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    bad = (placed.is_null() & local.is_not_null()).arg_true()
    if len(bad):
        row = int(bad[0])
        twice = local[[row]].dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")[0] is not None
        why = "there twice, as clocks went back" if twice else "not there, as clocks went forward"
        raise ValueError(
            f"{path.name}: row {row + 2}, column {times.name}: the time {str(times[row])[:40]!r} is {why} in {zone}; write times "
            "with their offset, such as 2024-04-07T06:00:00+02:00, or in UTC"
        )
    return placed


def _of_datetimes(path: Path, times: pl.Series, zone: str) -> tuple[pl.Series, list[str]]:
    notes = []
    if times.dtype.time_zone is None:  # type: ignore[attr-defined]
        notes = [f"times without an offset taken as {zone}"]
        times = _placed(path, times, times, zone)
    return times.dt.epoch("us").cast(pl.Float64) / 1e6, notes


def _of_texts(path: Path, text: pl.Series, zone: str) -> tuple[pl.Series, list[str]]:
    """Read dates, each with its own offset or none."""
    parts = text.to_frame("text").select(
        pl.col("text").str.extract(_DATE, 1).alias("day"),
        pl.col("text").str.extract(_DATE, 2).alias("minute"),
        pl.col("text").str.extract(_DATE, 3).fill_null(":00").alias("second"),
        pl.col("text").str.extract(_DATE, 4).str.replace(",", ".").fill_null("").alias("part"),
        pl.col("text").str.extract(_DATE, 5).str.replace(":", "").alias("offset"),
    )
    local = parts.select(
        (pl.col("day") + " " + pl.col("minute") + pl.col("second")).str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us")
    ).to_series()
    bare = parts["offset"].is_null() & local.is_not_null()
    shift = parts.select(
        pl.when(pl.col("offset") == "Z")
        .then(0)
        .otherwise(
            (
                pl.col("offset").str.slice(1, 2).cast(pl.Int64, strict=False) * 3600
                + pl.col("offset").str.slice(3, 2).cast(pl.Int64, strict=False) * 60
            )
            * pl.when(pl.col("offset").str.starts_with("-")).then(-1).otherwise(1)
        )
    ).to_series()
    fraction = parts.select(("0" + pl.col("part")).cast(pl.Float64, strict=False)).to_series()
    alone = pl.select(pl.when(bare).then(local)).to_series()
    placed = _placed(path, text, alone, zone).dt.epoch("s")
    plain = local.dt.epoch("s")
    found = pl.select(pl.when(bare).then(placed).otherwise(plain - shift).cast(pl.Float64) + fraction).to_series()
    return found, [f"times without an offset taken as {zone}"] if bare.any() else []

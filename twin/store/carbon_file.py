"""Carbon of the grid by the hour, from outside: checked, hourly, UTC."""

from pathlib import Path
from typing import Final

import polars as pl

# Longest stretch of missing hours that is filled by a straight line, and longest that is filled from the days around it: the
# feeds of grid operators fail for a day at a time.
LONGEST_LINE_H: Final = 6
LONGEST_GAP_H: Final = 48
_ACCEPTED: Final = "CSV with time,g_per_kwh (or timestamp,…,avg_CI) in UTF-8, plain or in gzip"
_FORMS: Final = (("timestamp", "avg_CI"), ("time", "g_per_kwh"))
_HIGHEST_G: Final = 2_000.0
# No grid stays below this: such figures are kilograms.
_LOWEST_PEAK_G: Final = 3.0
_STAMP: Final = r"^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d)(:\d\d)?(?:\.0+)?(Z|[+-](?:0\d|1[0-4]):?[0-5]\d)?$"
_EARLIEST, _LATEST = 1990, 2100


def read(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Read hourly grid intensity: ``hour`` (UTC, the hour's beginning, rising without a gap) and ``kg_per_kwh``.

    Takes a time and grams of CO2 per kWh: ``time,g_per_kwh``, or the generation mix of the EIA with ``timestamp`` and
    ``avg_CI``. A time without an offset is UTC. Several values an hour are averaged, up to six missing hours in a row filled by
    a straight line, up to 48 from the same hours two days before and after. ValueError, one line,
    names file, row and remedy of the first thing that is wrong.
    """
    from twin.serving import tabular

    text = tabular.read(path, _ACCEPTED)
    form = next((names for names in _FORMS if set(names) <= set(text.columns)), None)
    if form is None:
        raise ValueError(f"{path.name}: row 1: the columns are {','.join(text.columns)[:120]}; write it as {_ACCEPTED}")
    if text.is_empty():
        raise ValueError(f"{path.name}: no hour below the header; export the series again")
    stamps = _utc(path, form[0], text[form[0]])
    stripped = text[form[1]].str.strip_chars()
    grams = stripped.cast(pl.Float64, strict=False)
    bad = (stripped.fill_null("") != "") & ~grams.is_between(0.0, _HIGHEST_G).fill_null(False)
    tabular.refuse(path, form[1], text[form[1]], bad, f"write grams per kWh from 0 to {_HIGHEST_G:,.0f}, or leave it empty")
    if (highest := grams.max()) is not None and float(highest) < _LOWEST_PEAK_G:  # type: ignore[arg-type]
        raise ValueError(f"{path.name}: column {form[1]}: no value is above {float(highest):g}; write grams per kWh, not kilograms")  # type: ignore[arg-type]
    rows = pl.DataFrame({"at": stamps, "grams": grams, "row": pl.int_range(2, text.height + 2, eager=True)})
    twice = rows.filter(pl.col("at").is_duplicated())
    if not twice.is_empty():
        first, second = twice.filter(pl.col("at") == twice["at"][0])["row"].to_list()[:2]
        raise ValueError(f"{path.name}: row {second}: the time of row {first} again; keep one of them")
    hourly = rows.drop_nulls("grams").group_by(pl.col("at").dt.truncate("1h").alias("hour")).agg(pl.col("grams").mean()).sort("hour")
    if hourly.is_empty():
        raise ValueError(f"{path.name}: column {form[1]} has no value; export the series again")
    return _whole(path, hourly, rows.height)


def _utc(path: Path, name: str, text: pl.Series) -> pl.Series:
    from twin.serving import tabular

    written = pl.DataFrame({"text": text.str.strip_chars()})
    clock = pl.concat_str(*(pl.col("text").str.extract(_STAMP, part) for part in (1, 2)), separator=" ")
    seconds = pl.col("text").str.extract(_STAMP, 3).fill_null(":00")
    zone = pl.col("text").str.extract(_STAMP, 4).fill_null("Z").replace("Z", "+0000").str.replace(":", "")
    minutes = zone.str.slice(1, 2).cast(pl.Int64, strict=False) * 60 + zone.str.slice(3, 2).cast(pl.Int64, strict=False)
    ahead = pl.duration(minutes=minutes * pl.when(zone.str.starts_with("-")).then(-1).otherwise(1))
    utc = ((clock + seconds).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False) - ahead).alias("utc")
    found = written.select(utc).to_series()
    bad = ~found.dt.year().is_between(_EARLIEST, _LATEST).fill_null(False)
    tabular.refuse(path, name, text, bad, f"write YYYY-MM-DD HH:MM of {_EARLIEST} to {_LATEST}, in UTC or with an offset such as +00:00")
    return found


def _whole(path: Path, hourly: pl.DataFrame, rows: int) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Fill short gaps and refuse long ones; returns the table and what is worth knowing about it."""
    first, last = hourly["hour"][0], hourly["hour"][-1]
    steps = (hourly["hour"].diff().dt.total_hours() - 1).fill_null(0)
    if (worst := int(steps.arg_max() or 0)) and int(steps[worst]) > LONGEST_GAP_H:
        raise ValueError(
            f"{path.name}: {int(steps[worst]):,} hours are missing before {hourly['hour'][worst]:%Y-%m-%d %H:%M} UTC; "
            f"up to {LONGEST_GAP_H} are filled in, add the others"
        )
    grid = pl.DataFrame({"hour": pl.datetime_range(first, last, "1h", time_unit="us", eager=True)})
    whole = grid.join(hourly, on="hour", how="left", maintain_order="left")
    missing = pl.col("grams").is_null()
    gap_h = pl.when(missing).then(missing.sum().over(missing.rle_id())).otherwise(0)
    around = pl.mean_horizontal(pl.col("grams").shift(LONGEST_GAP_H), pl.col("grams").shift(-LONGEST_GAP_H))
    daily = pl.when(gap_h > LONGEST_LINE_H).then(around).otherwise(pl.col("grams"))
    filled = int(whole["grams"].null_count())
    kept = whole.select("hour", (daily.interpolate() / 1000.0).round(9).alias("kg_per_kwh"))
    notes = [
        f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, mean {kept.select(pl.col('kg_per_kwh').mean()).item() * 1000:.0f} g/kWh"
    ]
    notes += [f"{filled:,} missing hours filled in between"] if filled else []
    notes += [f"{rows:,} values averaged to hours"] if rows > hourly.height + 24 else []
    return kept, tuple(notes)

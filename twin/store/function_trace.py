"""Recorded calls of functions: Azure's of 2019 and 2021, plain tables."""

import csv
import gzip
import zlib
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from twin.clock import DAY_S
from twin.functions.traces import COLUMNS
from twin.serving import tabular

_ACCEPTED: Final = (
    "CSV (plain or in gzip): Azure's of 2021 (app, func, end_timestamp, duration), a day of Azure's of 2019 (HashOwner, HashApp, "
    "HashFunction, Trigger, 1 to 1440), or t_s, function and, where known, app, calls, span_s, duration_s"
)
_MINUTE_S: Final = 60.0
_MINUTES: Final = 1440
_OF_2019: Final = ("HashOwner", "HashApp", "HashFunction")
_OF_2021: Final = frozenset({"app", "func", "end_timestamp", "duration"})
_TIMES: Final = (0.0, 1e10, "write seconds from 0 on")
_RUNS: Final = (0.0, 30 * DAY_S, "write seconds from 0 to 30 days")
_MOST_CALLS: Final = 2_000_000_000
_CALLS: Final = (0.0, float(_MOST_CALLS), "write a whole number of calls from 0 on")
# An id as a scenario takes it has 40 characters at most; beginnings of app and function are enough where they tell all apart.
_ID_LENGTH: Final = 40
_WIDTHS: Final = (8, 12, 19)
_SUMMED_WIDTH: Final = 11
_BUSIEST: Final = 3


def read(path: Path, durations: Path | None = None) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Read calls of any known form, by the columns of the file; ``durations`` is the table of run times that belongs to a day of 2019.

    Returns the columns of ``twin.functions.traces`` by time, and what is worth knowing. ValueError, one line, names file, row and
    column of the first bad value.
    """
    header = _header(path)
    if durations is not None and not {*_OF_2019, "1"} <= set(header):
        raise ValueError(f"{path.name}: --durations goes with a day of 2019 alone; this file says itself how long calls run, leave it out")
    if {*_OF_2019, "1"} <= set(header):
        form, frame, notes = _day_of_2019(path, header, durations)
    elif set(header) >= _OF_2021:
        form, frame, notes = _of_2021(tabular.read(path, _ACCEPTED), path)
    else:
        form, frame, notes = _plain(tabular.read(path, _ACCEPTED), path)
    counted = frame.filter(pl.col("calls") > 0)
    if counted.is_empty():
        raise ValueError(f"{path.name}: holds no call; export the trace again")
    counted = counted.with_columns(_ids(counted)).select(COLUMNS).sort("t_s", "function_id", maintain_order=True)
    return counted, (f"{form} trace", *_about(counted), *notes)


def span_s(frame: pl.DataFrame) -> float:
    """Return how long a trace is: until its last call began, or the last minute in which calls were counted has ended."""
    return float(frame.select((pl.col("t_s") + pl.col("span_s")).max()).item())


# -- forms ----------------------------------------------------------------------------


def _of_2021(raw: pl.DataFrame, path: Path) -> tuple[str, pl.DataFrame, tuple[str, ...]]:
    end_s, run_s = _numbers(raw, path, "end_timestamp", _TIMES), _numbers(raw, path, "duration", _RUNS)
    begin_s = end_s - run_s
    early = int((begin_s < 0.0).sum())
    notes = (f"{early:,} calls had begun before the recording and are taken at its beginning",) if early else ()
    return "Azure 2021", _called(raw, path, "app", "func", _from_a_minute(begin_s), duration_s=run_s), notes


def _plain(raw: pl.DataFrame, path: Path) -> tuple[str, pl.DataFrame, tuple[str, ...]]:
    name = next((name for name in ("function", "function_id") if name in raw.columns), None)
    for wanted, there in (("t_s", "t_s" in raw.columns), ("function", name is not None)):
        if not there:
            raise ValueError(f"{path.name}: row 1: no column {wanted}; write it as {_ACCEPTED}")
    assert name is not None
    more: dict[str, pl.Series] = {}
    for column, bounds in (("calls", _CALLS), ("span_s", (0.0, DAY_S, "write seconds from 0 to a day"))):
        if column in raw.columns:
            more[column] = _numbers(raw, path, column, bounds)
    if "calls" in more:
        tabular.refuse(path, "calls", raw["calls"], more["calls"] != more["calls"].round(), _CALLS[2])
    if "duration_s" in raw.columns:
        more["duration_s"] = _numbers(raw, path, "duration_s", _RUNS, empty=True)
    return "plain", _called(raw, path, "app", name, _from_a_minute(_numbers(raw, path, "t_s", _TIMES)), **more), ()


def _called(raw: pl.DataFrame, path: Path, app: str, function: str, t_s: pl.Series, **more: pl.Series) -> pl.DataFrame:
    """Return rows of calls: one call each at an exact time, unless it is said otherwise."""
    tabular.refuse(path, function, raw[function], raw[function].is_null(), "name the function")
    given = {"calls": pl.Series([1], dtype=pl.Int64), "span_s": pl.Series([0.0]), "duration_s": pl.Series([None], dtype=pl.Float64), **more}
    columns = {name: each if len(each) == len(t_s) and name in more else each.new_from_index(0, len(t_s)) for name, each in given.items()}
    whose = raw[app].fill_null("") if app in raw.columns else pl.Series([""]).new_from_index(0, len(t_s))
    frame = pl.DataFrame({"t_s": t_s, "app": whose, "function": raw[function], **columns})
    return frame.with_columns(pl.col("calls").cast(pl.Int64), pl.col("duration_s").cast(pl.Float64))


def _day_of_2019(path: Path, header: list[str], durations: Path | None) -> tuple[str, pl.DataFrame, tuple[str, ...]]:
    """Read calls by minute: one row a function, a column a minute. Their runs are the mean of the function's day."""
    minutes = [name for name in header if name.isdigit()]
    if wrong := [name for name in minutes if not 1 <= int(name) <= _MINUTES]:
        raise ValueError(f"{path.name}: row 1: column {wrong[0]} is no minute of a day; write 1 to {_MINUTES}")
    try:
        raw = pl.read_csv(path, schema_overrides=dict.fromkeys(minutes, pl.Int32), infer_schema=False, ignore_errors=True)
    except (pl.exceptions.PolarsError, UnicodeDecodeError, OSError) as error:
        raise ValueError(f"{path.name}: {str(error).splitlines()[0]:.120}; write it as {_ACCEPTED}") from None
    _refuse_counts(path, raw, minutes)
    counts = raw.select(minutes).to_numpy()
    rows, columns = np.nonzero(counts)
    begin_s = (np.array([int(name) for name in minutes], dtype=np.float64) - 1.0) * _MINUTE_S
    whose = raw.select(_OF_2019)[rows]
    frame = whose.with_columns(
        pl.Series("t_s", begin_s[columns]),
        pl.Series("calls", counts[rows, columns].astype(np.int64)),
        span_s=pl.lit(_MINUTE_S),
    ).join(_run_times(durations), on=list(_OF_2019), how="left", maintain_order="left")
    frame = frame.rename({"HashApp": "app", "HashFunction": "function"}).with_columns(pl.col("app", "function").fill_null(""))
    calls = pl.Series("calls", counts.sum(axis=1, dtype=np.int64))
    silent = int((calls == 0).sum())
    notes = [f"{silent:,} functions that nobody called are left out"] if silent else []
    notes += [_triggers(raw, calls)] if "Trigger" in raw.columns else []
    unknown = float(frame.filter(pl.col("duration_s").is_null())["calls"].sum()) / max(float(frame["calls"].sum()), 1.0)
    notes += [
        "give --durations for the run times of the same day" if durations is None else f"no run time is known for {unknown:.0%} of calls"
    ]
    return "Azure 2019", frame, tuple(notes)


def _run_times(path: Path | None) -> pl.DataFrame:
    """Return the mean run of each function in seconds, without any start; rows of one function are weighed by what they count."""
    if path is None:
        return pl.DataFrame(schema={**dict.fromkeys(_OF_2019, pl.String), "duration_s": pl.Float64})
    if not path.is_file():
        raise ValueError(f"--durations {path}: no such file; check the path")
    raw = tabular.read(path, "the run times of 2019: HashOwner, HashApp, HashFunction, Average (ms), Count")
    for name in (*_OF_2019, "Average", "Count"):
        if name not in raw.columns:
            raise ValueError(f"{path.name}: row 1: no column {name}; give function_durations_percentiles of the same day")
    average_s = _numbers(raw, path, "Average", (0.0, _RUNS[1] * 1e3, "write milliseconds from 0 on")) / 1e3
    weight = _numbers(raw, path, "Count", (0.0, 1e12, "write a number from 0 on"))
    sums = raw.select(_OF_2019).with_columns((average_s * weight).alias("run"), weight.alias("count"), average_s.alias("one"))
    grouped = sums.group_by(_OF_2019).agg(pl.col("run", "count").sum(), pl.col("one").mean())
    mean_s = pl.when(pl.col("count") > 0).then(pl.col("run") / pl.col("count")).otherwise(pl.col("one"))
    return grouped.select(*_OF_2019, mean_s.alias("duration_s"))


def _triggers(raw: pl.DataFrame, calls: pl.Series) -> str:
    """Return which trigger calls how often, in words."""
    mix = raw.select(pl.col("Trigger").fill_null("unknown")).with_columns(calls).group_by("Trigger").agg(pl.col("calls").sum())
    whole = max(float(mix["calls"].sum()), 1.0)
    return "called by " + ", ".join(
        f"{name} {count / whole:.0%}" for name, count in mix.sort("calls", "Trigger", descending=True).iter_rows()
    )


# -- checks -------------------------------------------------------------------------


def _header(path: Path) -> list[str]:
    """Return the columns of a file; what is no text is for the reader of tables to say."""
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig", newline="")
            if _packed(path)
            else path.open(encoding="utf-8-sig", newline="") as file
        ):
            return [" ".join(name.split()) for name in next(csv.reader(file), [])]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error):
        return []


def _packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _numbers(raw: pl.DataFrame, path: Path, column: str, bounds: tuple[float, float, str], *, empty: bool = False) -> pl.Series:
    """Return a column as numbers within bounds; ValueError names the first row that is not one. ``empty`` ones may be missing."""
    text = raw[column]
    found = text.str.strip_chars().cast(pl.Float64, strict=False)
    bad = (~found.is_between(bounds[0], bounds[1]) | found.is_nan()).fill_null(True)
    tabular.refuse(path, column, text, bad & text.is_not_null() if empty else bad, bounds[2])
    return found


def _refuse_counts(path: Path, raw: pl.DataFrame, minutes: list[str]) -> None:
    """Refuse the first count, row by row, that is no whole number from 0 on."""
    bad = raw.select(pl.col(minutes).is_null() | (pl.col(minutes) < 0))
    rows = bad.select(pl.any_horizontal(pl.all())).to_series().arg_true()
    if len(rows):
        row = int(rows[0])
        name = next(name for name in minutes if bad[name][row])
        text = pl.read_csv(path, columns=[name], infer_schema=False)[name]
        tabular.refuse(path, name, text, pl.Series(np.arange(len(text)) == row), "write a whole number of calls from 0 on")


def _from_a_minute(t_s: pl.Series) -> pl.Series:
    """Return times from the whole minute on in which the first one lies; none lies before it."""
    first_s = max(float(t_s.min() or 0.0), 0.0) // _MINUTE_S * _MINUTE_S  # type: ignore[arg-type]
    return (t_s - first_s).clip(lower_bound=0.0).alias("t_s")


# -- names and words ------------------------------------------------------------------


def _ids(frame: pl.DataFrame) -> pl.Series:
    """Return an id of each row's function as a scenario takes it: beginnings of its app and its own name, as long as it takes."""
    known = frame.select("app", "function").unique(maintain_order=True)
    app, function = (_slug(known[name]) for name in ("app", "function"))
    ids = function.str.slice(0, _ID_LENGTH)
    if known["app"].n_unique() > 1:
        ids = next(
            (
                tried
                for width in _WIDTHS
                if (tried := app.str.slice(0, width) + "-" + function.str.slice(0, width)).n_unique() == known.height
            ),
            ids,
        )
    if ids.n_unique() < known.height:
        sums = pl.Series([f"{zlib.crc32(f'{a} {f}'.encode()):08x}" for a, f in known.iter_rows()])
        ids = app.str.slice(0, _SUMMED_WIDTH) + "-" + function.str.slice(0, _SUMMED_WIDTH) + "-" + sums
    named = known.with_columns(ids.str.strip_chars_start("-").alias("function_id"))
    return frame.join(named, on=["app", "function"], how="left", maintain_order="left")["function_id"]


def _slug(names: pl.Series) -> pl.Series:
    return names.str.to_lowercase().str.replace_all(r"[^a-z0-9]+", "-").str.strip_chars("-")


def _about(frame: pl.DataFrame) -> list[str]:
    by_function = frame.group_by("function_id").agg(pl.col("calls").sum()).sort(["calls", "function_id"], descending=[True, False])
    calls, busiest = int(by_function["calls"].sum()), by_function.head(_BUSIEST)
    lines = [f"{calls:,} calls of {by_function.height:,} functions"]
    lines.append("most called: " + ", ".join(f"{name} ({count:,})" for name, count in busiest.iter_rows()))
    known = frame.filter(pl.col("duration_s").is_not_null())
    if not known.is_empty():
        mean_s = float((known["duration_s"] * known["calls"]).sum()) / float(known["calls"].sum())
        lines.append(f"a call runs for {mean_s:.3g} s on average, without any start")
    return lines

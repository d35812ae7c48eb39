"""Recorded calls of functions: Azure's of 2019 and 2021, plain tables."""

import zlib
from pathlib import Path
from typing import Final

import polars as pl

from twin.clock import DAY_S
from twin.functions.traces import COLUMNS
from twin.serving import tabular
from twin.store import function_day

_ACCEPTED: Final = (
    "CSV (plain or in gzip): Azure's of 2021 (app, func, end_timestamp, duration), a day of Azure's of 2019 (HashOwner, HashApp, "
    "HashFunction, Trigger, 1 to 1440), or t_s, function and, where known, app, calls, span_s, duration_s"
)
_OF_2021: Final = frozenset({"app", "func", "end_timestamp", "duration"})
_Calls = tuple[str, pl.DataFrame, pl.DataFrame, tuple[str, ...]]
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
    columns = function_day.header(path)
    if durations is not None and not function_day.is_one(columns):
        raise ValueError(f"{path.name}: --durations goes with a day of 2019 alone; this file says itself how long calls run, leave it out")
    if function_day.is_one(columns):
        form, known, frame, notes = _day_of_2019(path, columns, durations)
    elif missing := _nearly(columns):
        raise ValueError(f"{path.name}: row 1: no column {missing[0]}; {missing[1]}, export it again")
    elif set(columns) >= _OF_2021:
        form, known, frame, notes = _of_2021(tabular.read(path, _ACCEPTED), path)
    else:
        form, known, frame, notes = _plain(tabular.read(path, _ACCEPTED), path)
    frame = frame.filter(pl.col("calls") > 0)
    if frame.is_empty():
        raise ValueError(f"{path.name}: holds no call; export the trace again")
    frame = frame.with_columns(_ids(known).gather(frame["who"]).alias("function_id")).select(COLUMNS)
    return frame, (f"{form} trace", *_about(frame), *notes)


def _nearly(columns: list[str]) -> tuple[str, str] | None:
    """Return what a table lacks that is one of Azure's but for a column or two, and which table it would be; None for any other."""
    has = set(columns)
    if "end_timestamp" in has and not has >= _OF_2021:
        return min(_OF_2021 - has), "Azure's of 2021 has app, func, end_timestamp, duration"
    if len(has & {*function_day.KEYS, "1", "2"}) > 2 and not function_day.is_one(columns):
        lacking = next(name for name in (*function_day.KEYS, "1") if name not in has)
        return lacking, "a day of Azure's of 2019 has HashOwner, HashApp, HashFunction, Trigger, 1 to 1440"
    return None


def span_s(frame: pl.DataFrame) -> float:
    """Return how long a trace is: until its last call began, or the last minute in which calls were counted has ended."""
    return float(frame.select((pl.col("t_s") + pl.col("span_s")).max()).item())


# -- forms ----------------------------------------------------------------------------


def _of_2021(raw: pl.DataFrame, path: Path) -> _Calls:
    end_s, run_s = _numbers(raw, path, "end_timestamp", _TIMES), _numbers(raw, path, "duration", _RUNS)
    begin_s = end_s - run_s
    early = int((begin_s < 0.0).sum())
    notes = (f"{early:,} calls had begun before the recording and are taken at its beginning",) if early else ()
    return "Azure 2021", *_called(raw, path, "func", _from_a_minute(begin_s), duration_s=run_s), notes


def _plain(raw: pl.DataFrame, path: Path) -> _Calls:
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
    return "plain", *_called(raw, path, name, _from_a_minute(_numbers(raw, path, "t_s", _TIMES)), **more), ()


def _called(raw: pl.DataFrame, path: Path, function: str, t_s: pl.Series, **more: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return functions, and rows of calls by time: one call each at an exact time, unless it is said otherwise."""
    tabular.refuse(path, function, raw[function], raw[function].is_null(), "name the function")
    app = pl.col("app").fill_null("") if "app" in raw.columns else pl.lit("")
    whose = raw.select(app.alias("app"), pl.col(function).alias("function"))
    known = whose.unique(maintain_order=True)
    who = whose.join(known.with_row_index("who"), on=["app", "function"], how="left", maintain_order="left")["who"]
    usual: dict[str, pl.Expr | pl.Series] = {"calls": pl.lit(1), "span_s": pl.lit(0.0), "duration_s": pl.lit(None)}
    frame = pl.DataFrame([who, t_s.alias("t_s")]).with_columns(**{**usual, **more})
    types = {"calls": pl.Int64, "span_s": pl.Float64, "duration_s": pl.Float64}
    return known, frame.cast(types).sort("t_s", maintain_order=True)  # type: ignore[arg-type]


def _day_of_2019(path: Path, columns: list[str], durations: Path | None) -> _Calls:
    """Read calls by minute; their runs are the mean of the function's day."""
    functions, frame, triggers = function_day.read(path, columns)
    run_s = function_day.run_times(durations, functions, _RUNS[1])
    frame = frame.with_columns(run_s.gather(frame["who"]).alias("duration_s"), span_s=pl.lit(function_day.MINUTE_S))
    calls = max(triggers.total(), 1)
    mix = ", ".join(f"{name or 'unknown'} {count / calls:.0%}" for name, count in triggers.most_common())
    unknown = float(frame.filter(pl.col("duration_s").is_null())["calls"].sum()) / calls
    missing = f"no run time is known for {unknown:.0%} of calls"
    notes = (f"called by {mix}", "give --durations for the run times of the same day" if durations is None else missing)
    return "Azure 2019", functions.select(app="HashApp", function="HashFunction"), frame, notes


# -- checks -------------------------------------------------------------------------


def _numbers(raw: pl.DataFrame, path: Path, column: str, bounds: tuple[float, float, str], *, empty: bool = False) -> pl.Series:
    """Return a column as numbers within bounds; ValueError names the first row that is not one. ``empty`` ones may be missing."""
    text = raw[column]
    found = text.str.strip_chars().cast(pl.Float64, strict=False)
    bad = (~found.is_between(bounds[0], bounds[1]) | found.is_nan()).fill_null(True)
    tabular.refuse(path, column, text, bad & text.is_not_null() if empty else bad, bounds[2])
    return found


def _from_a_minute(t_s: pl.Series) -> pl.Series:
    """Return times from the whole minute on in which the first one lies; none lies before it."""
    first_s = max(float(t_s.min() or 0.0), 0.0) // function_day.MINUTE_S * function_day.MINUTE_S  # type: ignore[arg-type]
    return (t_s - first_s).clip(lower_bound=0.0).alias("t_s")


# -- names and words ------------------------------------------------------------------


def _ids(known: pl.DataFrame) -> pl.Series:
    """Return an id of each function as a scenario takes it: beginnings of its app and its own name, as long as it takes."""
    pairs = known.unique().height
    app, function = (_slug(known[name]) for name in ("app", "function"))
    ids = function.str.slice(0, _ID_LENGTH)
    if known["app"].n_unique() > 1:
        longer = (app.str.slice(0, width) + "-" + function.str.slice(0, width) for width in _WIDTHS)
        ids = next((tried for tried in longer if tried.n_unique() == pairs), ids)
    if ids.n_unique() < pairs:
        sums = pl.Series([f"{zlib.crc32(f'{a} {f}'.encode()):08x}" for a, f in known.iter_rows()])
        ids = app.str.slice(0, _SUMMED_WIDTH) + "-" + function.str.slice(0, _SUMMED_WIDTH) + "-" + sums
    return ids.str.strip_chars_start("-")


def _slug(names: pl.Series) -> pl.Series:
    return names.str.to_lowercase().str.replace_all(r"[^a-z0-9]+", "-").str.strip_chars("-")


def _about(frame: pl.DataFrame) -> list[str]:
    by_function = frame.group_by("function_id").agg(pl.col("calls").sum()).sort(["calls", "function_id"], descending=[True, False])
    calls, busiest = int(by_function["calls"].sum()), by_function.head(_BUSIEST)
    lines = [f"{_counted(calls, 'call')} of {_counted(by_function.height, 'function')}"]
    lines.append("most called: " + ", ".join(f"{name} ({count:,})" for name, count in busiest.iter_rows()))
    known = frame.filter(pl.col("duration_s").is_not_null())
    if not known.is_empty():
        mean_s = float((known["duration_s"] * known["calls"]).sum()) / float(known["calls"].sum())
        lines.append(f"a call runs for {mean_s:.3g} s on average, without any start")
    return lines


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"

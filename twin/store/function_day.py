"""A day of functions as Azure published it in 2019: calls by the minute."""

import csv
import gzip
import re
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final, NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray

from twin.serving import tabular

MINUTE_S: Final = 60.0
KEYS: Final = ("HashOwner", "HashApp", "HashFunction")
_MINUTES: Final = 1440
_MOST_CALLS: Final = 1_000_000_000
_PLAIN: Final = re.compile(r"\d{1,9}(?:,\d{1,9})*")
_REMEDY: Final = f"write a whole number of calls from 0 to {_MOST_CALLS:,}"
_RUNS: Final = "the run times of 2019: HashOwner, HashApp, HashFunction, Average (ms), Count"


def header(path: Path) -> list[str]:
    """Return the columns of a table, plain or in gzip; none of what is no text, which is for the reader of tables to say."""
    try:
        with _opened(path) as file:
            return [" ".join(name.split()) for name in next(csv.reader(file), [])]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error):
        return []


def is_one(columns: Sequence[str]) -> bool:
    """Return whether a table with these columns is such a day."""
    return {*KEYS, "1"} <= set(columns)


def read(path: Path, columns: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame, Counter[str]]:
    """Read a day line by line: a whole one has 66 million numbers, of which most are 0.

    Returns functions (KEYS) that were called, rows of calls (who, a place among them; t_s; calls) by time, and calls by trigger.
    ValueError, one line, names file, row and column of the first bad value.
    """
    first = columns.index("1")
    if list(columns[first:]) != [str(minute) for minute in range(1, len(columns) - first + 1)] or len(columns) - first > _MINUTES:
        raise ValueError(f"{path.name}: row 1: the minutes are not 1 to {_MINUTES} in order after all else; write them as published")
    keys, trigger = [columns.index(name) for name in KEYS], columns.index("Trigger") if "Trigger" in columns else None
    called: list[list[str]] = []
    who, minute, calls = array("l"), array("l"), array("l")
    triggers: Counter[str] = Counter()
    for row, line in _lines(path):
        told, counts = _parted(path, row, line, columns, first)
        (at,) = np.nonzero(counts)
        if not len(at):
            continue
        who.extend([len(called)] * len(at))
        minute.extend(at.tolist())
        calls.extend(counts[at].tolist())
        called.append([told[place] for place in keys])
        triggers[told[trigger] if trigger is not None else ""] += int(counts.sum())
    frame = pl.DataFrame(
        {"who": np.array(who, dtype=np.uint32), "minute": np.array(minute, dtype=np.int64), "calls": np.array(calls, dtype=np.int64)}
    )
    frame = frame.sort("minute", "who").select("who", (pl.col("minute") * MINUTE_S).alias("t_s"), "calls")
    return pl.DataFrame(called, schema=dict.fromkeys(KEYS, pl.String), orient="row"), frame, triggers


def run_times(path: Path | None, functions: pl.DataFrame, longest_s: float) -> pl.Series:
    """Return the mean run of each function in seconds, null where it is not known; rows of one are weighed by what they count."""
    if path is None:
        return pl.Series("duration_s", [None] * functions.height, dtype=pl.Float64)
    if not path.is_file():
        raise ValueError(f"--durations {path}: no such file; check the path")
    raw = tabular.read(path, _RUNS)
    for name in (*KEYS, "Average", "Count"):
        if name not in raw.columns:
            raise ValueError(f"{path.name}: row 1: no column {name}; give function_durations_percentiles of the same day")
    average, count = (raw[name].str.strip_chars().cast(pl.Float64, strict=False) for name in ("Average", "Count"))
    tabular.refuse(path, "Average", raw["Average"], ~average.is_between(0.0, longest_s * 1e3), "write milliseconds from 0 on")
    tabular.refuse(path, "Count", raw["Count"], ~count.is_between(0.0, 1e12), "write a number from 0 on")
    sums = raw.select(KEYS).with_columns((average * count).alias("run"), count.alias("count"), average.alias("one"))
    grouped = sums.group_by(KEYS).agg(pl.col("run", "count").sum(), pl.col("one").mean())
    mean = pl.when(pl.col("count") > 0).then(pl.col("run") / pl.col("count")).otherwise(pl.col("one"))
    known = grouped.select(*KEYS, (mean / 1e3).alias("duration_s"))
    return functions.join(known, on=list(KEYS), how="left", maintain_order="left")["duration_s"]


def _parted(path: Path, row: int, line: str, columns: Sequence[str], first: int) -> tuple[list[str], NDArray[np.int64]]:
    """Return what a line says before its minutes, and the calls of these."""
    *told, rest = line.split(",", first) if '"' not in line else _quoted(line, first)
    minutes = len(columns) - first
    if len(told) == first and _PLAIN.fullmatch(rest):
        counts = np.fromstring(rest, dtype=np.int64, sep=",")
        if len(counts) == minutes:
            return told, counts
    values = [*told, *rest.split(",")]
    if len(values) > len(columns):
        raise ValueError(f"{path.name}: row {row}: {len(values)} values where the header has {len(columns)}; remove the row")
    values += [""] * (len(columns) - len(values))
    for name, value in zip(columns[first:], values[first:], strict=True):
        if not re.fullmatch(r"\s*\d{1,9}\s*", value):
            _refuse(path, row, name, value)
    return values[:first], np.array([int(value) for value in values[first:]], dtype=np.int64)


def _quoted(line: str, first: int) -> list[str]:
    values = next(csv.reader([line]))
    return [*values[:first], ",".join(values[first:])]


def _refuse(path: Path, row: int, column: str, value: str) -> NoReturn:
    shown = f"is {value[:40]!r}" if value.strip() else "is missing"
    raise ValueError(f"{path.name}: row {row}, column {column}: the value {shown}; {_REMEDY}")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each line that is not blank below the header, and its number."""
    try:
        with _opened(path) as file:
            for row, line in enumerate(file, start=1):
                if row > 1 and line.strip():
                    yield row, line.rstrip("\r\n")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise ValueError(f"{path.name}: cannot be read to its end ({str(error).splitlines()[0]:.80}); copy it again") from None


def _opened(path: Path) -> IO[str]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt", encoding="utf-8-sig", newline="") if packed else path.open(encoding="utf-8-sig", newline="")

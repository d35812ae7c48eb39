"""Plain long tables of a case from CSV, Parquet or JSON, checked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import polars as pl

from twin.incidents.case import TABLES
from twin.store import stamps
from twin.store.case_frames import TYPES

# What must be filled in each row; the other columns may be left out or empty.
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "telemetry": ("time", "entity", "metric", "value"),
    "topology": ("source", "target"),
    "entities": ("entity", "kind"),
    "changes": ("time", "entity", "kind"),
    "events": ("time", "entity", "kind"),
    "logs": ("time", "entity", "template"),
    "alerts": ("time", "entity", "metric"),
}
# Other names under which columns come, in lower case.
_ALSO: Final[Mapping[str, str]] = {
    "timestamp": "time", "t_s": "time", "time_s": "time", "entity_id": "entity", "service": "entity", "host": "entity",
    "name": "metric", "level": "level", "message": "words", "caller": "source", "callee": "target",
}  # fmt: skip
_LONGEST: Final = 4_000


def raw(path: Path) -> pl.DataFrame:
    """Read a table from CSV (or one in gzip), Parquet, JSON (a list of objects) or JSON lines; column names in lower case.

    ValueError, one line, for a file that is none of these.
    """
    from twin.serving import tabular

    name = path.name.lower()
    if not path.is_file():
        raise ValueError(f"{path.name}: no such file; check the path")
    try:
        if name.endswith(".parquet"):
            frame = pl.read_parquet(path)
        elif name.endswith((".jsonl", ".ndjson")):
            frame = pl.read_ndjson(path, infer_schema_length=None)
        elif name.endswith(".json"):
            frame = pl.read_json(path, infer_schema_length=None)
        else:
            frame = tabular.read(path, "CSV, Parquet, JSON or JSON lines")
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ValueError(f"{path.name}: cannot be read ({first}); write it as CSV, Parquet, JSON or JSON lines") from None
    names = [" ".join(column.split()).lower().replace(" ", "_") for column in frame.columns]
    if twice := sorted({column for column in names if names.count(column) > 1}):
        raise ValueError(f"{path.name}: the column {twice[0][:80]} is there twice; remove one")
    frame.columns = names
    return frame


def read(path: Path, table: str, timezone: str | None = None) -> pl.DataFrame:
    """Read a table of ``case.TABLES`` in its columns and types, by time; other columns are not used.

    Times are dates or seconds. ValueError, one line, names file, row (the header is row 1), column and remedy of what is first wrong.
    """
    frame = raw(path)
    columns = TABLES[table]
    found = matched(frame.columns, columns, _ALSO)
    for column in _NEEDED[table]:
        if column not in found:
            raise ValueError(f"{path.name}: row 1: no column {column}; {table} has {', '.join(columns)}")
    if frame.is_empty():
        raise ValueError(f"{path.name}: no row below the header; add at least one")
    out = {
        column: _column(path, frame[found[column]], column, table, timezone) if column in found else _empty(column, frame.height)
        for column in columns
    }
    told = pl.DataFrame(out)
    if table == "telemetry":
        told = told.filter(pl.col("value").is_finite())
        _once(path, told)
    return told.sort([name for name in ("time", "metric", "entity") if name in columns], maintain_order=True)


def matched(given: Sequence[str], columns: Sequence[str], also: Mapping[str, str]) -> dict[str, str]:
    """Return under which name each column came; its own name goes before another, and the first before the next."""
    other = {also.get(name, name): name for name in reversed(given) if name not in columns}
    return other | {name: name for name in given if name in columns}


def _column(path: Path, values: pl.Series, column: str, table: str, timezone: str | None) -> pl.Series:
    if column in ("time", "until"):
        empty = values.is_null() if column == "until" else pl.Series([False] * len(values))
        at = (~empty).arg_true()
        seconds = stamps.seconds(path, values.gather(at).alias(values.name), timezone)[0] if len(at) else pl.Series([], dtype=pl.Float64)
        return pl.Series(column, [None] * len(values), dtype=pl.Float64).scatter(at, seconds)
    if (kind := TYPES.get(column)) is not None:
        return _number(path, values, column, kind, needed=False)
    return text(path, values, column, needed=column in _NEEDED[table])


def _number(path: Path, values: pl.Series, column: str, kind: type[pl.DataType], *, needed: bool) -> pl.Series:
    plain = values.str.strip_chars().replace("", None) if values.dtype == pl.String else values
    found = plain.cast(pl.Float64, strict=False)
    bad = plain.is_not_null() & found.is_null()
    refuse(path, values, bad | plain.is_null() if needed else bad, "write a number, or leave it empty")
    return found.cast(kind, strict=False).alias(column)


def text(path: Path, values: pl.Series, column: str, *, needed: bool) -> pl.Series:
    """Return a column of texts, stripped; ValueError for one that is missing where it is needed, or too long."""
    found = values.cast(pl.String, strict=False).fill_null("").str.strip_chars()
    if needed:
        refuse(path, values, found == "", "fill it in or remove the row")
    refuse(path, values, found.str.len_chars() > _LONGEST, f"shorten it to {_LONGEST:,} characters")
    return found.alias(column)


def refuse(path: Path, values: pl.Series, bad: pl.Series, remedy: str) -> None:
    """Raise for the first bad value, with its row (the header is row 1) and column."""
    where = bad.fill_null(True).arg_true()
    if len(where):
        row = int(where[0])
        value = values[row]
        shown = "is missing" if value is None or value == "" else f"is {str(value)[:40]!r}"
        raise ValueError(f"{path.name}: row {row + 2}, column {values.name}: the value {shown}; {remedy}")


def _empty(column: str, height: int) -> pl.Series:
    kind = TYPES.get(column, pl.String)
    return pl.Series(column, [None if column in TYPES else ""] * height, dtype=kind)


def _once(path: Path, told: pl.DataFrame) -> None:
    """Refuse two different values of one metric for one time."""
    keys = ["time", "entity", "metric"]
    twice = told.filter(told.select(keys).is_duplicated())
    if twice.height:
        row = twice.row(0, named=True)
        raise ValueError(
            f"{path.name}: {row['metric'][:60]!r} of {row['entity'][:60]!r} has two values at {row['time']:g} s; keep one or average them"
        )

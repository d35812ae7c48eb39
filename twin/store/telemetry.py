"""The long form of a run: time, entity, metric, value, unit."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl

from twin.store import runs
from twin.store.sql import identifier, literal, literals
from twin.units import UNIT_OF_SUFFIX, suffix_of

MAX_ROWS: Final = 5_000_000
_TIME: Final = "t_s"
_WINDOW: Final = "window_s"
# Lengths of a row's interval are no readings.
_SPANS: Final = frozenset({_WINDOW, "tick_s"})
_NUMBERS: Final = frozenset({"Float32", "Float64", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Boolean"})
_EMPTY: Final = (
    "SELECT CAST(NULL AS VARCHAR) AS run_id, CAST(NULL AS DOUBLE) AS time, CAST(NULL AS VARCHAR) AS entity, "
    "CAST(NULL AS VARCHAR) AS metric, CAST(NULL AS DOUBLE) AS value, CAST(NULL AS VARCHAR) AS unit WHERE false"
)


def unit_of(column: str) -> str:
    """Return the unit that a column's name says; empty for counts and shares."""
    suffix = suffix_of(column)
    return UNIT_OF_SUFFIX[suffix] if suffix else ""


def view_sql(tables: Mapping[str, Any], sources: Mapping[str, str], metrics: Collection[str] | None = None) -> str:
    """Return the SELECT (run_id, time, entity, metric, value, unit) over all that may be observed.

    ``tables`` are declarations as a manifest writes them; ``sources`` gives, for each table that is there, what follows
    FROM (with a ``run_id`` column). ``time`` is when a value became known, in seconds since the start of the run: the end
    of its interval. ``entity`` is the table's first id, ``site`` where it has none. A table that is not declared as
    telemetry, such as the ground truth of faults, is never read. Each metric is a branch of its own, so that a
    question about one metric reads one column.
    """
    branches = [
        f"SELECT run_id, {time} AS time, CAST({entity} AS VARCHAR) AS entity, {literal(metric)} AS metric, "  # noqa: S608
        f"CAST({identifier(column)} AS DOUBLE) AS value, {literal(unit_of(column))} AS unit "
        f"FROM {sources[table]} WHERE {identifier(column)} IS NOT NULL AND NOT isnan(CAST({identifier(column)} AS DOUBLE))"
        for table, column, metric, time, entity in observable(tables)
        if table in sources and (metrics is None or metric in metrics)
    ]
    return "\nUNION ALL ".join(branches) if branches else _EMPTY


def metric_names(tables: Mapping[str, Any]) -> list[str]:
    """Return every metric of the long form, as ``<table>.<column>``."""
    return [metric for _, _, metric, _, _ in observable(tables)]


def observable(tables: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield table, column, metric, and the SQL of time and entity, for each number that may be observed."""
    for name in sorted(tables):
        columns = tables[name]["columns"]
        names = {column["name"] for column in columns}
        if not tables[name].get("telemetry") or _TIME not in names:
            continue
        ahead = identifier(_WINDOW) if _WINDOW in names else literal(float(tables[name].get("ahead_s", 0.0)))
        time = f"CAST({identifier(_TIME)} AS DOUBLE) + {ahead}"
        keys = [column["name"] for column in columns if column.get("entity") or column["name"].endswith("_id")]
        entity = identifier(keys[0]) if keys else literal("site")
        for column in columns:
            if column["name"] not in {_TIME, *_SPANS, *keys} and column["type"] in _NUMBERS:
                yield name, column["name"], f"{name}.{column['name']}", time, entity


def telemetry(
    run_id: str,
    home: Path,
    as_of_s: float | None = None,
    metrics: Collection[str] | None = None,
    entities: Collection[str] | None = None,
) -> pl.DataFrame:
    """Return a run's telemetry (time, entity, metric, value, unit), ordered by time, metric and entity.

    Nothing that was not known at ``as_of_s`` is in it.
    Raises ValueError for an unknown metric, and where the answer would be longer than five million rows.
    """
    tables = runs.manifest_of(run_id, home)["tables"]
    if unknown := sorted(set(metrics or ()) - set(metric_names(tables))):
        raise ValueError(f"run {run_id} records no {unknown[0]!r}; it records: {', '.join(metric_names(tables))}")
    sources = {
        name: f"(SELECT {literal(run_id)} AS run_id, * FROM read_parquet({literal(str(path))}))"  # noqa: S608
        for name, path in runs.table_paths(run_id, home).items()
    }
    conditions = ["true"]
    if as_of_s is not None:
        conditions.append(f"time <= {float(as_of_s)!r}")
    if entities is not None:
        conditions.append(f"entity IN ({literals(entities)})" if entities else "false")
    query = (
        f"SELECT time, entity, metric, value, unit FROM ({view_sql(tables, sources, metrics)}) "  # noqa: S608
        f"WHERE {' AND '.join(conditions)} LIMIT {MAX_ROWS + 1}"
    )
    with duckdb.connect(":memory:", config={"threads": "2", "python_enable_replacements": "false"}) as connection:
        found = connection.sql(query).pl()
    if found.height > MAX_ROWS:
        raise ValueError(f"the telemetry of run {run_id} is longer than {MAX_ROWS:,} rows; name metrics or entities")
    return found.sort("time", "metric", "entity")

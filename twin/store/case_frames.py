"""Readings of a case where they lie: a run's tables or one long one."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Protocol

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from twin.incidents.case import TABLES
from twin.incidents.scanning import Block, block
from twin.store import telemetry
from twin.store.sql import identifier, literal, literals

MINUTE_S: Final = 60.0
_T: Final = "t_s"
_LISTED: Final = {"entity": pl.String, "metric": pl.String, "unit": pl.String, "samples": pl.Int64}


class Readings(Protocol):
    """What was measured, reached by SQL; ``paths`` are the files that it lies in."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Files that the SQL reads."""

    def long_sql(self, metrics: Collection[str] | None = None) -> str:
        """Return the SELECT (time, entity, metric, value, unit, and perhaps more) of all readings, or of some metrics."""

    def blocks(self, connection: duckdb.DuckDBPyConnection, from_s: float, to_s: float) -> Iterator[Block]:
        """Yield means of a minute of everything that became known in (``from_s``, ``to_s``], stamped with its end."""

    def listed(self, connection: duckdb.DuckDBPyConnection, entity: str, to_s: float) -> pl.DataFrame:
        """Return metric, unit and number of readings of an entity up to a moment."""


def _stamp(time: str, to_s: float) -> str:
    return f"LEAST(CEIL(({time}) / {MINUTE_S!r}) * {MINUTE_S!r}, {literal(float(to_s))})"


@dataclass(frozen=True)
class LongReadings:
    """Readings in one Parquet file of the long form."""

    path: Path

    @property
    def paths(self) -> tuple[str, ...]:
        """The file."""
        return (str(self.path.absolute()),)

    def long_sql(self, metrics: Collection[str] | None = None) -> str:
        """Return the SELECT of the long form."""
        only = "" if metrics is None else f" AND metric IN ({literals(sorted(metrics))})" if metrics else " AND false"
        return (
            "SELECT CAST(time AS DOUBLE) AS time, CAST(entity AS VARCHAR) AS entity, CAST(metric AS VARCHAR) AS metric, "  # noqa: S608
            "CAST(value AS DOUBLE) AS value, CAST(unit AS VARCHAR) AS unit "
            f"FROM read_parquet({literal(self.paths[0])}) WHERE value IS NOT NULL AND NOT isnan(CAST(value AS DOUBLE)){only}"
        )

    def blocks(self, connection: duckdb.DuckDBPyConnection, from_s: float, to_s: float) -> Iterator[Block]:
        """Yield one block for each metric: metrics need not share their times."""
        frame = connection.sql(
            f"SELECT {_stamp('time', to_s)} AS t, entity, metric, value, unit FROM ({self.long_sql()}) "  # noqa: S608
            f"WHERE time > {literal(float(from_s))} AND time <= {literal(float(to_s))}"
        ).pl()
        for (metric,), part in frame.sort("metric", "entity", "t", "value").group_by("metric", maintain_order=True):
            name = str(metric)
            units = {name: str(part["unit"].fill_null("").min())}
            yield block(part["t"].to_numpy(), part["entity"], {name: part["value"].to_numpy()}, units)

    def listed(self, connection: duckdb.DuckDBPyConnection, entity: str, to_s: float) -> pl.DataFrame:
        """Return metric, unit and number of readings of an entity up to a moment."""
        return connection.sql(
            f"SELECT entity, metric, min(unit) AS unit, count(*) AS samples FROM ({self.long_sql()}) "  # noqa: S608
            f"WHERE entity = {literal(entity)} AND time <= {literal(float(to_s))} GROUP BY entity, metric ORDER BY metric"
        ).pl()


@dataclass(frozen=True, slots=True)
class _Wide:
    """One table of a run: its file, when and about whom its rows speak, and its metrics by column."""

    path: str
    time: str
    entity: str
    kind: str
    ahead_s: float | None
    metrics: Mapping[str, str]

    def where(self, from_s: float, to_s: float) -> str:
        low, high = literal(float(from_s)), literal(float(to_s))
        if self.ahead_s is not None:
            return f"{_T} > {literal(float(from_s) - self.ahead_s)} AND {_T} <= {literal(float(to_s) - self.ahead_s)}"
        return f"{_T} <= {high} AND {self.time} > {low} AND {self.time} <= {high}"


class RunReadings:
    """Readings of a stored run: the tables that are telemetry, read column by column; the ground truth is none."""

    def __init__(self, tables: Mapping[str, Any], paths: Mapping[str, Path]) -> None:
        self._tables = tables
        self._paths = {name: str(path) for name, path in paths.items()}
        self._wide = tuple(self._parts())

    @property
    def paths(self) -> tuple[str, ...]:
        """The files of the tables that are telemetry."""
        return tuple(part.path for part in self._wide)

    def long_sql(self, metrics: Collection[str] | None = None) -> str:
        """Return the SELECT of the long form, as ``telemetry.view_sql`` has it."""
        sources = {name: f"(SELECT 'run' AS run_id, * FROM read_parquet({literal(path)}))" for name, path in self._paths.items()}  # noqa: S608
        return telemetry.view_sql(self._tables, sources, metrics)

    def blocks(self, connection: duckdb.DuckDBPyConnection, from_s: float, to_s: float) -> Iterator[Block]:
        """Yield one block for each table."""
        for part in self._wide:
            # Rows come as they lie, and are averaged in that order: what threads add up together differs in its last digits.
            columns = ", ".join(f"CAST({identifier(name)} AS DOUBLE) AS {identifier(metric)}" for metric, name in part.metrics.items())
            frame = connection.sql(
                f"SELECT {_stamp(part.time, to_s)} AS t, CAST({part.entity} AS VARCHAR) AS entity, {columns} "  # noqa: S608
                f"FROM read_parquet({literal(part.path)}) WHERE {part.where(from_s, to_s)}"
            ).pl()
            if frame.height:
                values: dict[str, NDArray[np.float64]] = {
                    metric: frame[metric].fill_null(np.nan).to_numpy().astype(np.float64) for metric in part.metrics
                }
                units = {metric: telemetry.unit_of(name) for metric, name in part.metrics.items()}
                yield block(frame["t"].to_numpy(), frame["entity"], values, units, part.kind)

    def listed(self, connection: duckdb.DuckDBPyConnection, entity: str, to_s: float) -> pl.DataFrame:
        """Return metric, unit and number of readings of an entity up to a moment."""
        rows: list[tuple[str, str, str, int]] = []
        for part in self._wide:
            counts = ", ".join(
                f"count(*) FILTER (WHERE {identifier(name)} IS NOT NULL AND NOT isnan(CAST({identifier(name)} AS DOUBLE)))"
                for name in part.metrics.values()
            )
            told = connection.sql(
                f"SELECT {counts} FROM read_parquet({literal(part.path)}) "  # noqa: S608
                f"WHERE CAST({part.entity} AS VARCHAR) = {literal(entity)} AND {part.where(-1e15, to_s)}"
            ).fetchall()[0]
            pairs = zip(part.metrics.items(), told, strict=True)
            rows += [(entity, metric, telemetry.unit_of(name), int(count)) for (metric, name), count in pairs if count]
        return pl.DataFrame(sorted(rows), schema=_LISTED, orient="row")

    def _parts(self) -> Iterator[_Wide]:
        known = [item for item in telemetry.observable(self._tables) if item[0] in self._paths]
        for table, of in groupby(known, key=lambda item: item[0]):
            items = list(of)
            declared = self._tables[table]
            names = {column["name"] for column in declared["columns"]}
            ahead_s = None if "window_s" in names else float(declared.get("ahead_s", 0.0))
            kind = next((str(column["entity"]) for column in declared["columns"] if column.get("entity")), "")
            metrics = {metric: column for _, column, metric, _, _ in items}
            yield _Wide(self._paths[table], items[0][3], items[0][4], kind or "site", ahead_s, metrics)


class CaseFrames(Mapping[str, pl.LazyFrame]):
    """The tables of a case (``case.TABLES``), with readings that are asked by SQL rather than read whole."""

    def __init__(self, readings: Readings, others: Mapping[str, pl.LazyFrame]) -> None:
        self.readings = readings
        self._others = dict(others)

    def __getitem__(self, name: str) -> pl.LazyFrame:
        if name != "telemetry":
            return self._others[name]
        # The relation holds its connection, and with it what the frame reads from.
        relation = duckdb.connect(":memory:", config={"threads": "2"}).sql(
            f"SELECT time, entity, metric, value, unit FROM ({self.readings.long_sql()})"  # noqa: S608
        )
        return relation.pl(lazy=True)

    def __iter__(self) -> Iterator[str]:
        return iter(["telemetry", *self._others])

    def __len__(self) -> int:
        return 1 + len(self._others)


def small(frames: Mapping[str, pl.LazyFrame], names: Sequence[str], as_of_s: float) -> dict[str, pl.DataFrame]:
    """Return some tables of a case as they were known at a moment, each with all its columns in their order, by time.

    What a row says of later is not known yet: an alert that ended afterwards has no end.
    """
    out = {}
    for name in names:
        columns = TABLES[name]
        frame = frames.get(name)
        if frame is None:
            out[name] = pl.DataFrame(schema={column: TYPES.get(column, pl.String) for column in columns})
            continue
        have = frame.collect_schema().names()
        told = frame.select(
            (pl.col(column) if column in have else pl.lit(None)).cast(TYPES.get(column, pl.String)).alias(column) for column in columns
        )
        if "time" in columns:
            told = told.filter(pl.col("time") <= as_of_s)
        if "until" in columns:
            told = told.with_columns(pl.when(pl.col("until") <= as_of_s).then(pl.col("until")).alias("until"))
        told = told.sort(columns, nulls_last=True, maintain_order=True)
        out[name] = told.collect()
    return out


TYPES: Final[Mapping[str, type[pl.DataType]]] = {
    "time": pl.Float64,
    "until": pl.Float64,
    "value": pl.Float64,
    "bound": pl.Float64,
    "count": pl.Int64,
}

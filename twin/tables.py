"""What a run writes: columns with units, tables with a resolution."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from twin.spool import Spool, TableFile, group_rows

# What a run keeps of its tables in memory before it writes them down, as their arrays count it.
HOLD_BYTES = 16 << 20
# A table of a few rows a tick is joined after so many ticks: as arrays of their own they weigh many times what they hold.
_MOST_PARTS = 512
_Columns = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name carries the unit.

    A column with an ``entity`` (row, rack, server, gpu, endpoint, …) is appended as integer indices and stored as ids.
    """

    name: str
    dtype: type[pl.DataType] | pl.DataType
    meaning: str
    entity: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a domain, as it is stored.

    ``resolution`` says in words what a row stands for; ``telemetry`` is False where rows must not reach
    the long-form telemetry view (per-request rows and ground truth). ``ahead_s`` is how far a row speaks of time after
    its ``t_s``: 0 where that is the end of the row's interval. A column ``window_s`` says it row by row instead.
    """

    name: str
    resolution: str
    columns: tuple[Column, ...]
    telemetry: bool = True
    max_rows: int = 40_000_000
    ahead_s: float = 0.0

    def schema(self) -> dict[str, pl.DataType | type[pl.DataType]]:
        """Return column names and types in their stored order."""
        return {column.name: column.dtype if column.entity is None else pl.String for column in self.columns}


class TooLargeError(ValueError):
    """A table would not fit its declared size."""


@dataclass(slots=True)
class Sink:
    """Collects the rows that models write during a run, column by column.

    ``ids`` gives, for each entity kind, the ids that indices stand for. With a ``spool``, whole row groups of every table are
    written down as soon as more than ``hold_bytes`` are held; which rows were written when is not seen in the tables.
    ``listeners`` are shown the rows of a table as they are written, as a monitoring system is.
    """

    ids: Mapping[str, Sequence[str]]
    spool: Spool | None = None
    hold_bytes: int = HOLD_BYTES
    listeners: dict[str, Callable[[Mapping[str, NDArray[Any]]], None]] = field(default_factory=dict)
    _parts: dict[str, list[_Columns]] = field(default_factory=dict)
    _declared: dict[str, Table] = field(default_factory=dict)
    _rows: dict[str, int] = field(default_factory=dict)
    _held_rows: dict[str, int] = field(default_factory=dict)
    _group_rows: dict[str, int] = field(default_factory=dict)
    _held_bytes: int = 0
    _left_bytes: int = 0
    _files: dict[str, TableFile] = field(default_factory=dict)
    _enums: dict[str, pl.Enum] = field(default_factory=dict)

    @property
    def held_rows(self) -> int:
        """Rows of all tables that are in memory now."""
        return sum(self._held_rows.values())

    def append(self, table: Table, columns: Mapping[str, NDArray[np.generic]]) -> None:
        """Add rows: one array per declared column, all of the same length; arrays are not copied."""
        name, rows = table.name, len(next(iter(columns.values())))
        self.show(table, columns)
        total = self._rows.get(name, 0) + rows
        if total > table.max_rows:
            raise TooLargeError(self._refusal(table, total))
        if name not in self._declared:
            self._declared[name] = table
            self._group_rows[name] = group_rows({**table.schema(), **{c.name: self._enum(c.entity) for c in table.columns if c.entity}})
        self._rows[name] = total
        self._held_rows[name] = self._held_rows.get(name, 0) + rows
        parts = self._parts.setdefault(name, [])
        parts.append(dict(columns))
        if len(parts) >= _MOST_PARTS and self._held_rows[name] < self._group_rows[name]:
            self._parts[name] = [self._joined(name, parts)]
        if self.spool is not None:
            self._held_bytes += _bytes(columns)
            if self._held_bytes - self._left_bytes > self.hold_bytes:
                self._write_down()

    def show(self, table: Table, columns: Mapping[str, NDArray[np.generic]]) -> None:
        """Show rows to whoever listens."""
        if (heed := self.listeners.get(table.name)) is not None:
            heed(columns)

    def tables(self) -> dict[str, pl.LazyFrame]:
        """Return every table in its declared schema: from memory, or from its file where some of it was written down.

        It ends the collection: nothing can be appended to a table that lies in a file. Files last as long as the spool.
        """
        for name, file in self._files.items():
            if self._held_rows[name]:
                file.write(self._frame(self._declared[name], self._taken(name, self._held_rows[name])))
            file.close()
        held = {
            name: self._frame(self._declared[name], self._joined(name, parts)).lazy()
            for name, parts in self._parts.items()
            if name not in self._files
        }
        written = {name: pl.scan_parquet(file.path) for name, file in self._files.items()}
        return dict(sorted({**held, **written}.items()))

    def frames(self) -> dict[str, pl.DataFrame]:
        """Return every table as a frame in its declared schema, all of it in memory."""
        return {name: frame.collect() for name, frame in self.tables().items()}

    def discard(self) -> None:
        """Forget every row and remove what was written down."""
        for file in self._files.values():
            file.abandon()
        for held in (self._parts, self._rows, self._held_rows, self._files, self.listeners):
            held.clear()
        self._held_bytes = self._left_bytes = 0
        if self.spool is not None:
            self.spool.remove()

    def _write_down(self) -> None:
        """Write whole row groups of every table that has some, one group after the other; what is left stays in memory."""
        assert self.spool is not None
        for name, held in self._held_rows.items():
            rows = self._group_rows[name]
            if held >= rows and name not in self._files:
                self._files[name] = TableFile(self.spool.path(name))
            while self._held_rows[name] >= rows:
                self._files[name].write(self._frame(self._declared[name], self._taken(name, rows)))
        # Tables short of a row group stay, and are no reason to look again at once.
        self._left_bytes = self._held_bytes

    def _taken(self, name: str, rows: int) -> _Columns:
        """Take the first ``rows`` held rows of a table away and return them as one array per column."""
        parts, wanted, count = self._parts[name], rows, 0
        while wanted > 0:
            length = len(next(iter(parts[count].values())))
            wanted, count = wanted - length, count + 1
        taken = parts[:count]
        self._parts[name] = parts[count:]
        self._held_bytes -= sum(_bytes(part) for part in taken)
        if wanted < 0:
            last = taken[-1]
            # A copy, or the few rows that stay would keep the whole part.
            self._parts[name].insert(0, {key: values[wanted:].copy() for key, values in last.items()})
            taken[-1] = {key: values[:wanted] for key, values in last.items()}
            self._held_bytes += _bytes(self._parts[name][0])
        self._held_rows[name] -= rows
        return self._joined(name, taken)

    def _joined(self, name: str, parts: list[_Columns]) -> _Columns:
        names = [column.name for column in self._declared[name].columns]
        return {key: np.concatenate([part[key] for part in parts]) for key in names} if len(parts) > 1 else parts[0]

    def _frame(self, table: Table, columns: _Columns) -> pl.DataFrame:
        series = []
        for column in table.columns:
            values = columns[column.name]
            if column.entity is None:
                series.append(pl.Series(column.name, values).cast(column.dtype))
            else:
                codes = pl.Series(column.name, values.astype(np.uint32, copy=False))
                series.append(codes.cat.to(self._enum(column.entity)))
        return pl.DataFrame(series)

    def _enum(self, entity: str) -> pl.Enum:
        if entity not in self._enums:
            self._enums[entity] = pl.Enum(list(self.ids[entity]))
        return self._enums[entity]

    def _refusal(self, table: Table, rows: int) -> str:
        """Say how long a table would be and what a disk must hold for it: as its rows so far say, else as its columns are wide."""
        file = self._files.get(table.name)
        width = sum(np.dtype(values.dtype).itemsize for values in self._parts[table.name][0].values()) if table.name in self._parts else 8
        each = file.path.stat().st_size / file.rows if file is not None and file.rows else float(width)
        return (
            f"table {table.name} would hold {rows:,} rows ({rows * each / 1e6:,.0f} MB on disk), "
            f"its limit is {table.max_rows:,}; shorten horizon_s or coarsen its resolution"
        )


def _bytes(columns: Mapping[str, NDArray[np.generic]]) -> int:
    return sum(values.nbytes for values in columns.values())


EVENTS = Table(
    "events",
    "one row per event of any domain",
    (
        Column("t_s", pl.Float64, "seconds since the start of the run"),
        Column("domain", pl.String, "domain that wrote it"),
        Column("kind", pl.String, "what happened"),
        Column("entity_kind", pl.String, "row, rack, server, endpoint, instance, …"),
        Column("entity_id", pl.String, "where"),
        Column("value", pl.Float64, "size of it, in the unit that the kind implies"),
    ),
    telemetry=False,
)


def event_columns(rows: Sequence[tuple[float, str, str, str, str, float]]) -> dict[str, NDArray[np.generic]]:
    """Return columns of EVENTS from rows (t_s, domain, kind, entity_kind, entity_id, value)."""
    names = [column.name for column in EVENTS.columns]
    numeric = {"t_s", "value"}
    return {name: np.array([row[i] for row in rows], dtype=np.float64 if name in numeric else object) for i, name in enumerate(names)}

"""What a run writes: columns with units, tables with a resolution."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray


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

    ``ids`` gives, for each entity kind, the ids that indices stand for.
    """

    ids: Mapping[str, Sequence[str]]
    _parts: dict[str, list[dict[str, NDArray[np.generic]]]] = field(default_factory=dict)
    _declared: dict[str, Table] = field(default_factory=dict)
    _rows: dict[str, int] = field(default_factory=dict)

    def append(self, table: Table, columns: Mapping[str, NDArray[np.generic]]) -> None:
        """Add rows: one array per declared column, all of the same length; arrays are not copied."""
        rows = len(next(iter(columns.values())))
        total = self._rows.get(table.name, 0) + rows
        if total > table.max_rows:
            raise TooLargeError(
                f"table {table.name} would hold {total:,} rows, its limit is {table.max_rows:,}; "
                "shorten horizon_s or coarsen its resolution"
            )
        self._declared[table.name] = table
        self._rows[table.name] = total
        self._parts.setdefault(table.name, []).append(dict(columns))

    def frames(self) -> dict[str, pl.DataFrame]:
        """Return every table as a frame in its declared schema."""
        return {name: self._frame(self._declared[name], parts) for name, parts in sorted(self._parts.items())}

    def _frame(self, table: Table, parts: list[dict[str, NDArray[np.generic]]]) -> pl.DataFrame:
        series = []
        for column in table.columns:
            values = np.concatenate([part[column.name] for part in parts])
            if column.entity is None:
                series.append(pl.Series(column.name, values).cast(column.dtype))
            else:
                codes = pl.Series(column.name, values.astype(np.uint32, copy=False))
                series.append(codes.cat.to(pl.Enum(list(self.ids[column.entity]))))
        return pl.DataFrame(series)


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

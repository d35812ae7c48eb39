"""Sections of a report that are tables under statements."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from app.report.negotiation import Part
from app.shelf import StoredRun
from twin.tables import Table
from twin.units import NARROW_SPACE, show

Sides = Mapping[str, StoredRun]
NOTHING: Final = "–"
_TEXT: Final = (pl.Categorical, pl.Enum)


@dataclass(frozen=True)
class TabledSection:
    """One section: what it is about, its statement, why, and its tables; plain words only."""

    name: str
    title: str
    why: str
    parts: tuple[Part, ...]


def table(run: StoredRun, known: Table) -> pl.DataFrame:
    """Return a table with names as plain text; empty, with its columns, where the run has none."""
    if known.name not in run.tables:
        return pl.DataFrame(schema={column.name: pl.String if column.dtype in _TEXT else column.dtype for column in known.columns})
    frame = run.tables[known.name]
    coded = [column for column, dtype in frame.collect_schema().items() if isinstance(dtype, _TEXT) or dtype in _TEXT]
    return frame.with_columns(pl.col(coded).cast(pl.String)).collect() if coded else frame.collect()


def shown(value: float | None, name: str) -> str:
    """Return a value as an operator reads it, a dash where there is none.

    >>> shown(None, "x_s"), shown(0.5, "x_share")
    ('–', '50.0\\xa0%')
    """
    return NOTHING if value is None else show(value, name)


def counted(number: float) -> str:
    """Return a count with narrow spaces between thousands."""
    return f"{number:,.0f}".replace(",", NARROW_SPACE)


def lowered(before: float | None, after: float | None) -> str:
    """Return a change in words: ``37.3 % lower than today``; empty where there is nothing to hold it against."""
    if not before or after is None:
        return ""
    share = after / before - 1.0
    if abs(share) < 5e-4:
        return "as today"
    return f"{show(abs(share), 'x_share')} {'lower' if share < 0 else 'higher'} than today"

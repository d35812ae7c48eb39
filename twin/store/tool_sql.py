"""Select-only SQL over a case as of a moment, in a process of its own."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from twin.incidents.answers import Found, Refused, counted
from twin.incidents.tools import MOST_ROWS, ErrorKind, TeamTool
from twin.store import views
from twin.store.case_frames import Readings
from twin.store.sql import identifier, literal

NAMES: Final = ("telemetry", "topology", "entities", "changes", "events", "logs", "alerts", "history")
_TOKENS: Final = re.compile(r"('(?:[^']|'')*')|\$([a-z][a-z0-9_]*)")
_KINDS: Final[tuple[tuple[str, ErrorKind], ...]] = (
    ("took longer than", "too long"),
    ("memory", "too much memory"),
    ("larger than", "too much memory"),
)


class SqlTool:
    """Answers one SELECT; its views end at the as-of time, and its process can reach nothing else."""

    def __init__(self, readings: Readings, tables: Mapping[str, pl.DataFrame], folder: Path, as_of_s: float, timeout_s: float) -> None:
        self._readings, self._tables, self._folder = readings, tables, folder
        self._as_of_s, self._timeout_s = as_of_s, timeout_s
        self._ready: tuple[list[str], list[str]] | None = None

    def sql(self, query: str) -> Found:
        """Run one SELECT that anybody wrote; ``Refused`` says why not."""
        statements, paths = self._views()
        try:
            rows = views.confined(query, statements, NAMES, paths, MOST_ROWS + 1, self._timeout_s)
        except ValueError as error:
            text = str(error)
            raise Refused(next((kind for mark, kind in _KINDS if mark in text), "refused"), text) from None
        columns = ", ".join(rows.columns[:12])
        shown = f"more than {MOST_ROWS} rows" if rows.height > MOST_ROWS else counted(rows.height, "row")
        return Found(rows.head(MOST_ROWS), f"{shown} of {columns}", query, 0.0, self._as_of_s, cut=rows.height > MOST_ROWS)

    def team(self, tool: TeamTool, arguments: Mapping[str, Any]) -> Found:
        """Answer a team's tool: its query with the arguments written in, or its text."""
        if tool.text:
            lines = [line.rstrip() for line in tool.text.splitlines() if line.strip()]
            frame = pl.DataFrame(list(enumerate(lines, start=1)), schema={"step": pl.Int64, "words": pl.String}, orient="row")
            return Found(frame, counted(len(lines), "line"))
        return self.sql(filled(tool.sql, {**tool.defaults, **arguments}))

    def _views(self) -> tuple[list[str], list[str]]:
        """Write the small tables down, once, and return the views over all of them with the files that they read."""
        if self._ready is None:
            inner = f"SELECT time, entity, metric, value, unit FROM ({self._readings.long_sql()}) WHERE time <= {literal(self._as_of_s)}"  # noqa: S608
            statements, paths = [f"CREATE VIEW telemetry AS {inner}"], list(self._readings.paths)
            for name in NAMES[1:]:
                path = self._folder / f"{name}.parquet"
                self._tables[name].write_parquet(path)
                statements.append(f"CREATE VIEW {identifier(name)} AS SELECT * FROM read_parquet({literal(str(path))})")  # noqa: S608
                paths.append(str(path))
            self._ready = statements, paths
        return self._ready


def filled(sql: str, arguments: Mapping[str, Any]) -> str:
    """Return a query with its parameters (``$name``) as literals; what stands in quotes is left.

    >>> filled("SELECT '$a' AS b WHERE x = $a", {"a": "it's"})
    "SELECT '$a' AS b WHERE x = 'it''s'"
    """
    return _TOKENS.sub(lambda found: found[1] or literal(arguments[found[2]]), sql)

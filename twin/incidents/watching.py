"""The watch over a run: alerts and incidents as tables."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from twin.incidents.alerts import Alerts, Watched
from twin.incidents.grouping import Grouping
from twin.stack import State
from twin.tables import Column, Sink, Table

_AFFECTED: Final = "affected"
ALERTS: Final = Table(
    "alerts",
    "one row per alert that fires, another one when it is over",
    (
        Column("t_s", pl.Float64, "when it fired or was over, seconds since the start of the run"),
        Column("state", pl.String, "fired, cleared"),
        Column("alert", pl.Int64, "its number"),
        Column("incident_id", pl.String, "the incident that it is part of"),
        Column("since_s", pl.Float64, "when its reading first went beyond the bound"),
        Column("entity_kind", pl.String, "service, endpoint, server, row, …"),
        Column("entity_id", pl.String, "where"),
        Column("metric", pl.String, "what was read"),
        Column("value", pl.Float64, "the reading at that time, in the metric's unit"),
        Column("bound", pl.Float64, "what it was held against"),
        Column("severity", pl.String, "critical, major, minor"),
        Column("words", pl.String, "what it says"),
    ),
    telemetry=False,
)
INCIDENTS: Final = Table(
    "incidents",
    "one row per incident, when it is opened: nothing of it is known later than that",
    (
        Column("t_s", pl.Float64, "when it was opened, seconds since the start of the run"),
        Column("incident_id", pl.String, "its id within the run"),
        Column("title", pl.String, "what its first alert says"),
        Column("text", pl.String, "what all alerts say that opened it, one to a line"),
        Column("severity", pl.String, "of the worst of them: critical, major, minor"),
        Column("entity_kind", pl.String, "of the first alert: service, endpoint, server, row, …"),
        Column("entity_id", pl.String, "where the first alert is"),
        Column("metric", pl.String, "what the first alert read"),
        Column("onset_s", pl.Float64, "when that reading first went beyond its bound"),
        Column(_AFFECTED, pl.String, "entities with an alert when it was opened, joined by a comma"),
    ),
    telemetry=False,
)


class Watching:
    """Holds readings against the rules tick by tick, and keeps what is to be written.

    ``ids`` and ``kinds`` are those of ``Alerts``; topology and entities have the columns of ``case.TABLES``.
    """

    def __init__(
        self,
        ids: Mapping[str, Sequence[str]],
        topology: pl.DataFrame,
        entities: pl.DataFrame,
        kinds: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.alerts, self.grouping = Alerts(ids, kinds), Grouping(topology, entities)
        self._alerts: list[tuple[Any, ...]] = []
        self._incidents: list[tuple[Any, ...]] = []

    def advance(self, t_s: float, watched: Watched) -> None:
        """Take the readings of a moment."""
        told = self.alerts.advance(t_s, watched)
        if not told:
            return
        incident_of, opened = self.grouping.take(t_s, told)
        for each in told:
            state = "fired" if each.fired else "cleared"
            whose = (incident_of[each.number], each.since_s, each.entity_kind, each.entity_id)
            self._alerts.append((t_s, state, each.number, *whose, each.metric, each.value, each.bound, each.severity, each.words))
        for new in opened:
            said = (new.title, new.text, new.severity, new.entity_kind, new.entity_id, new.metric, new.onset_s)
            self._incidents.append((t_s, new.incident_id, *said, ", ".join(new.affected)))

    def record(self, sink: Sink) -> None:
        """Write what has fired, ended and was opened since the last time."""
        for table, rows in ((ALERTS, self._alerts), (INCIDENTS, self._incidents)):
            if rows:
                sink.append(table, _columns(table, rows))
                rows.clear()

    def snapshot(self) -> State:
        """Return the state at the end of a tick; rows that ``record`` has not written yet are not part of it."""
        return {"alerts": self.alerts.snapshot(), "grouping": self.grouping.snapshot()}

    def restore(self, state: State) -> None:
        """Take back a snapshot of the same entities and topology."""
        self.alerts.restore(state["alerts"])
        self.grouping.restore(state["grouping"])


def _columns(table: Table, rows: Sequence[tuple[Any, ...]]) -> dict[str, np.ndarray[Any, Any]]:
    def dtype(column: Column) -> type:
        return np.float64 if column.dtype == pl.Float64 else np.int64 if column.dtype == pl.Int64 else object

    return {column.name: np.array([row[i] for row in rows], dtype=dtype(column)) for i, column in enumerate(table.columns)}


def spans(alerts: pl.LazyFrame) -> pl.LazyFrame:
    """Return alerts as a case has them (``case.TABLES``), one row each, from rows of ALERTS; ``until`` is null where it is not over.

    Give it only rows of a moment and before: it knows the end of those alone that were over by then.
    """
    fired, over = (alerts.filter(pl.col("state") == state) for state in ("fired", "cleared"))
    ends = over.select("alert", pl.col("t_s").alias("until"))
    return (
        fired.join(ends, on="alert", how="left", maintain_order="left")
        .rename({"t_s": "time", "entity_id": "entity"})
        .select("time", "until", "entity", "metric", "value", "bound", "severity", "words")
    )


def opened(incidents: pl.LazyFrame) -> pl.LazyFrame:
    """Return rows of INCIDENTS with ``affected`` as lists."""
    return incidents.with_columns(pl.col(_AFFECTED).str.split(", "))

"""Tools over readings: scan, point of change, list, query."""

from collections.abc import Mapping
from typing import Any, Final

import duckdb
import numpy as np
import polars as pl

from twin.incidents.answers import Found, Refused, counted, quoted
from twin.incidents.case import Incident
from twin.incidents.scanning import ROWS, Block, scan, step
from twin.incidents.surroundings import DEPENDS_ON, Surroundings
from twin.incidents.tools import MOST_ROWS
from twin.incidents.toolset import COLUMNS
from twin.store.case_frames import MINUTE_S, Readings
from twin.store.sql import literal

# Windows of what is usual, and before a symptom, where the caller names none. Proposed.
NORMAL_S: Final = 14_400.0
LEAD_S: Final = 1_800.0
# Minutes of all series of a large site for so long fill some hundred megabytes.
MOST_SPAN_S: Final = 172_800.0
_EACH: Final = 30
_STEPS_S: Final = (60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 86_400.0)


class ReadingTools:
    """Answers from readings that were known at ``as_of_s``; a window is read once, however often it is asked about."""

    def __init__(self, readings: Readings, around: Surroundings, incident: Incident, as_of_s: float) -> None:
        self._readings, self._around, self._incident, self._as_of_s = readings, around, incident, as_of_s
        self._connection = duckdb.connect(":memory:", config={"threads": "2", "python_enable_replacements": "false"})
        self._blocks: dict[tuple[float, float], list[Block]] = {}
        self._scans: dict[tuple[float, float, float], pl.DataFrame] = {}

    def close(self) -> None:
        """Let the database go."""
        self._connection.close()

    def window(self, arguments: Mapping[str, Any], from_s: float) -> tuple[float, float]:
        """Return the window that arguments name, its end never later than the as-of time; ``from_s`` stands in."""
        from_s, to_s = float(arguments.get("from_s", from_s)), min(float(arguments.get("to_s", self._as_of_s)), self._as_of_s)
        if from_s >= to_s:
            raise Refused("bad arguments", f"from_s {from_s:g} is not before {to_s:g}, the earlier of to_s and the as-of time")
        return from_s, to_s

    def anomaly_scan(self, arguments: Mapping[str, Any]) -> Found:
        """Say which metrics changed."""
        from_s, to_s = self.window(arguments, 0.0)
        normal_s = float(arguments.get("normal_from_s", max(from_s - NORMAL_S, 0.0)))
        if normal_s >= from_s:
            raise Refused("bad arguments", f"normal_from_s {normal_s:g} is not before from_s {from_s:g}; nothing would be normal")
        if to_s - normal_s > MOST_SPAN_S:
            why = f"a scan takes in {MOST_SPAN_S / 3600.0:.0f} h at most, not {(to_s - normal_s) / 3600.0:.0f}; name a later normal_from_s"
            raise Refused("bad arguments", why)
        each = max(int(arguments.get("each", _EACH)), 1)
        rows = self._scan(normal_s, from_s, to_s)
        only = self.only(arguments)
        if only is not None:
            rows = rows.filter(pl.col("entity").is_in(sorted(only)))
        entities = rows["entity"].n_unique()
        told = f"{rows.height:,} series of {entities:,} entities from {from_s:.0f} to {to_s:.0f} s against {normal_s:.0f} s on"
        moved = rows.filter(pl.col("onset_s").is_not_null())
        words = f"{told}: {counted(moved.height, 'series left its range', 'series left their range')}"
        if moved.height:
            first = moved.row(0, named=True)
            words += f", clearest {first['metric']} of {first['entity']} from {_short(first['before'])} to {_short(first['after'])}"
        if silent := rows.filter(pl.col("samples") == 0).height:
            words += f"; {counted(silent, 'series fell silent', 'series fell silent')}"
        shown = rows.filter(pl.int_range(pl.len()).over("kind") < each).select(COLUMNS["anomaly_scan"])
        sql = f"SELECT time, entity, metric, value FROM telemetry WHERE time > {normal_s!r} AND time <= {to_s!r}"  # noqa: S608
        return Found(shown, words if rows.height else f"{told}: no readings, which is no evidence of absence", sql, from_s, to_s)

    def only(self, arguments: Mapping[str, Any]) -> frozenset[str] | None:
        """Return the entities that arguments restrict a question to; None for all."""
        named = frozenset(arguments["entities"]) if "entities" in arguments else None
        if "cone_of" not in arguments:
            return named
        cone = frozenset(self._around.distances(arguments["cone_of"], DEPENDS_ON))
        return cone if named is None else cone & named

    def _scan(self, normal_s: float, from_s: float, to_s: float) -> pl.DataFrame:
        key = (normal_s, from_s, to_s)
        if key not in self._scans:
            window = (normal_s, to_s)
            if window not in self._blocks:
                self._blocks = {window: list(self._readings.blocks(self._connection, normal_s, to_s))}
            parts = [scan(block, from_s, to_s) for block in self._blocks[window]]
            found = pl.concat(parts) if parts else pl.DataFrame(schema=ROWS)
            kinds = self._around.kinds
            known = pl.DataFrame({"entity": list(kinds), "known": list(kinds.values())}, schema={"entity": pl.String, "known": pl.String})
            found = found.join(known, on="entity", how="left").with_columns(kind=pl.coalesce("known", "kind")).drop("known")
            self._scans[key] = found.sort("clear", "entity", "metric", descending=[True, False, False])
        return self._scans[key]

    def change_point(self, arguments: Mapping[str, Any]) -> Found:
        """Say when one metric changed most, in the hours before and since the incident."""
        entity, metric = arguments["entity"], arguments["metric"]
        from_s, to_s = max(min(self._incident.onset_s, self._as_of_s) - LEAD_S - NORMAL_S, 0.0), self._as_of_s
        sql = _sql(entity, metric, from_s, to_s, MINUTE_S, "mean")
        frame = self._means(entity, metric, from_s, to_s, MINUTE_S, "mean")
        self._must_know(frame, entity, metric)
        found = step(frame["time"].to_numpy(), frame["value"].to_numpy())
        rows = [] if found is None else [(entity, metric, *found)]
        names = {name: pl.Float64 if i > 1 else pl.String for i, name in enumerate(COLUMNS["change_point"])}
        words = (
            f"{metric} of {entity} has too few readings from {from_s:.0f} to {to_s:.0f} s"
            if found is None
            else f"{metric} of {entity} changed most at {found[0]:.0f} s, from {found[1]:.4g} to {found[2]:.4g} ({found[3]:.1f} scales)"
        )
        return Found(pl.DataFrame(rows, schema=names, orient="row"), words, sql, from_s, to_s, (entity,))

    def list_metrics(self, arguments: Mapping[str, Any]) -> Found:
        """List an entity's metrics."""
        entity = arguments["entity"]
        rows = self._readings.listed(self._connection, entity, self._as_of_s).select(COLUMNS["list_metrics"])
        sql = (
            "SELECT entity, metric, min(unit) AS unit, count(*) AS samples FROM telemetry "  # noqa: S608
            f"WHERE entity = {literal(entity)} GROUP BY entity, metric ORDER BY metric"
        )
        return Found(rows, f"{counted(rows.height, 'metric')} of {quoted(entity)}", sql, 0.0, self._as_of_s, (entity,))

    def query_metric(self, arguments: Mapping[str, Any]) -> Found:
        """Return readings of a metric; where no step is asked for, the finest that fits into one answer."""
        entity, metric = arguments["entity"], arguments["metric"]
        from_s, to_s = self.window(arguments, max(self._as_of_s - NORMAL_S, 0.0))
        asked_s = float(arguments.get("every_s", 0.0))
        if asked_s < 0.0:
            raise Refused("bad arguments", f"every_s is {asked_s:g}; write seconds above 0")
        every_s = asked_s or next((each for each in _STEPS_S if (to_s - from_s) / each < MOST_ROWS), _STEPS_S[-1])
        by = str(arguments.get("by", "mean"))
        sql = _sql(entity, metric, from_s, to_s, every_s, by)
        frame = self._means(entity, metric, from_s, to_s, every_s, by)
        self._must_know(frame, entity, metric)
        words = f"{by} of {metric} of {quoted(entity)} over each {every_s:g} s from {from_s:.0f} to {to_s:.0f} s: "
        if frame.height:
            low, high, last = frame["value"].min(), frame["value"].max(), frame["value"][-1]
            words += f"{_short(low)} to {_short(high)}, last {_short(last)}"
        else:
            words += "no readings, which is no evidence of absence"
        # Where a step was asked for that gives more than fits, the latest are what an incident is about.
        cut = frame.height > MOST_ROWS
        return Found(frame.tail(MOST_ROWS), words, sql, from_s, to_s, (entity,), cut)

    def _means(self, entity: str, metric: str, from_s: float, to_s: float, every_s: float, by: str) -> pl.DataFrame:
        """Answer ``_sql``, adding up in the order of time: what threads add up together differs in its last digits."""
        rows = self._connection.sql(
            f"SELECT time, value FROM ({self._readings.long_sql([metric])}) "  # noqa: S608
            f"WHERE entity = {literal(entity)} AND time > {literal(from_s)} AND time <= {literal(to_s)}"
        ).pl()
        value = pl.col("value")
        found = {"mean": value.mean(), "min": value.min(), "max": value.max()}[by]
        ends = (pl.col("time") / every_s).ceil() * every_s
        return (
            rows.sort("time", "value")
            .group_by(pl.min_horizontal(ends, pl.lit(to_s)).alias("time"), maintain_order=True)
            .agg(found)
            .select("time", pl.lit(entity).alias("entity"), pl.lit(metric).alias("metric"), "value")
        )

    def _must_know(self, frame: pl.DataFrame, entity: str, metric: str) -> None:
        """Refuse a metric that an entity has never had; one that is merely silent now is an empty answer."""
        if frame.height:
            return
        have = self._readings.listed(self._connection, entity, self._as_of_s)["metric"].to_list()
        if metric not in have:
            told = f"it has {', '.join(have[:12])}" if have else "it has no readings"
            raise Refused("no data", f"no metric {quoted(metric)} of {quoted(entity)}; {told}")


def _short(value: Any) -> str:
    return "nothing" if value is None or not np.isfinite(float(value)) else f"{float(value):.4g}"


def _sql(entity: str, metric: str, from_s: float, to_s: float, every_s: float, by: str) -> str:
    """Return the query over the view of the tool ``sql`` that answers the same."""
    stamp = f"LEAST(CEIL(time / {every_s:g}) * {every_s:g}, {to_s!r})"
    return (
        f"SELECT {stamp} AS time, entity, metric, {by}(value) AS value FROM telemetry "  # noqa: S608
        f"WHERE entity = {literal(entity)} AND metric = {literal(metric)} AND time > {from_s!r} AND time <= {to_s!r} "
        "GROUP BY ALL ORDER BY 1"
    )

"""Tools over what was written down: changes, events, history, books."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from twin.incidents.answers import Found, Refused, counted, quoted
from twin.incidents.case import HISTORY, Case
from twin.incidents.similar import Similar, order
from twin.incidents.surroundings import DEPENDS_ON, Surroundings
from twin.incidents.tools import MOST_ROWS
from twin.incidents.toolset import COLUMNS, HISTORY_FOUND
from twin.store.sql import literal, literals

LEVELS: Final = ("info", "warning", "error")
# Levels as logs and alerts write them.
_LEVEL: Final[Mapping[str, str]] = {
    "warn": "warning", "warning": "warning", "minor": "warning", "major": "error", "err": "error", "error": "error", "critical": "error",
    "fatal": "error", "alert": "error", "emergency": "error", "severe": "error", "panic": "error",
}  # fmt: skip
# An event has no level of its own: what tells of something lost or refused is a warning.
_WARNS: Final = (
    r"(?i)loss|lost|fail|dark|drift|block|off_bus|brak|overflow|broken|evict|throttl|late|refus|down|crash|trip|drop|exceed|burst|storm|"
    r"flood|wrong|silent|out_of_reach|error|expired|kill|timeout"
)
HISTORY_TYPES: Final[Mapping[str, type[pl.DataType]]] = {"began": pl.Float64, "resolved": pl.Float64}
_DIRECTIONS: Final = {DEPENDS_ON: "hangs on", "depended_on_by": "is what hangs on it:"}
_STEP: Final = re.compile(r"^\s*(?:\d+[.)]|[-*])\s+(?:\[[ x]\]\s+)?(.+)$")


class RecordTools:
    """Answers from tables that hold nothing later than the as-of time."""

    def __init__(self, case: Case, tables: Mapping[str, pl.DataFrame], around: Surroundings, as_of_s: float, similar: Similar) -> None:
        self._case, self._around, self._as_of_s, self._similar = case, around, as_of_s, similar
        self._tables = tables
        self.history = visible(case)

    def incident_details(self, arguments: Mapping[str, Any]) -> Found:
        """Tell the incident and the alerts that were raised."""
        incident = self._case.incident
        fields: list[tuple[str, str]] = [
            (name, str(getattr(incident, name)))
            for name in ("incident_id", "title", "text", "severity", "entity_kind", "entity_id", "metric", "onset_s", "detected_s")
            if name != "detected_s" or incident.detected_s <= self._as_of_s
        ]
        fields.append(("affected", ", ".join(incident.affected)))
        fields.append(("as_of_s", f"{self._as_of_s:.0f}"))
        alerts = self._tables["alerts"].tail(MOST_ROWS - len(fields))
        fields += [
            (f"alert at {row['time']:.0f} s", f"{row['severity']}: {row['metric']} of {row['entity']}: {row['words']}")
            for row in alerts.iter_rows(named=True)
        ]
        words = (
            f"{incident.severity} incident {quoted(incident.incident_id)}: {incident.metric} of {quoted(incident.entity_id)} since "
            f"{incident.onset_s:.0f} s, {quoted(incident.title)}; {counted(alerts.height, 'alert')}"
        )
        frame = pl.DataFrame(fields, schema={"field": pl.String, "value": pl.String}, orient="row")
        return Found(frame, words, "SELECT * FROM alerts ORDER BY time", 0.0, self._as_of_s, (incident.entity_id, *incident.affected))

    def topology(self, arguments: Mapping[str, Any]) -> Found:
        """Tell what an entity hangs on, or what hangs on it."""
        entity, direction = arguments["entity"], str(arguments.get("direction", DEPENDS_ON))
        hops, to = int(arguments.get("hops", 12)), arguments.get("to")
        self._must_know(entity)
        if to is None:
            edges = self._around.around(entity, direction, hops)
        else:
            self._must_know(to)
            edges = self._around.ways(entity, to, direction, hops)
        kinds = self._around.kinds
        rows = [(edge.source, kinds.get(edge.source, ""), edge.target, kinds.get(edge.target, ""), edge.kind, hop) for edge, hop in edges]
        schema = {name: pl.Int64 if name == "hops" else pl.String for name in COLUMNS["topology"]}
        words = f"{quoted(entity)} {_DIRECTIONS[direction]} {counted(len(rows), 'edge')} within {hops} hops"
        if to is not None:
            words = f"{counted(len(rows), 'edge')} on the shortest ways from {quoted(entity)} to {quoted(to)}"
        return Found(
            pl.DataFrame(rows, schema=schema, orient="row"), words, "SELECT source, target, kind FROM topology", 0.0, self._as_of_s
        )

    def blast_radius(self, arguments: Mapping[str, Any]) -> Found:
        """Tell who would suffer: those whom the incident names first, then the nearest."""
        entity = arguments["entity"]
        self._must_know(entity)
        reached = self._around.distances(entity, "depended_on_by")
        named = {self._case.incident.entity_id, *self._case.incident.affected}
        rows = [(name, self._around.kinds.get(name, ""), hop) for name, hop in reached.items() if hop]
        rows.sort(key=lambda row: (row[0] not in named, row[2], row[0]))
        words = f"{counted(len(rows), 'entity', 'entities')} would suffer if {quoted(entity)} failed"
        schema = {"entity": pl.String, "kind": pl.String, "hops": pl.Int64}
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        return Found(frame, words, "SELECT source, target, kind FROM topology", 0.0, self._as_of_s)

    def change_log(self, arguments: Mapping[str, Any], window: tuple[float, float], only: frozenset[str] | None) -> Found:
        """Tell the changes of a window; the latest where they are too many."""
        rows = self._within("changes", window, only).select(COLUMNS["change_log"])
        words = f"{counted(rows.height, 'change')} from {window[0]:.0f} to {window[1]:.0f} s"
        if rows.height:
            last = rows.row(-1, named=True)
            words += f", last {quoted(last['kind'] or '')} of {quoted(last['entity'] or '')} at {last['time']:.0f} s"
        return Found(
            rows.tail(MOST_ROWS), words, _sql("changes", COLUMNS["change_log"], window, only), *window, cut=rows.height > MOST_ROWS
        )

    def events(self, arguments: Mapping[str, Any], window: tuple[float, float], only: frozenset[str] | None) -> Found:
        """Tell events, logs and alerts, alike ones in one row with their first time; the gravest where they are too many."""
        least = LEVELS.index(arguments.get("least", "info"))
        parts = [_alike(name, self._within(name, window, only)) for name in ("events", "logs", "alerts")]
        rows = pl.concat(parts).with_columns(grave=pl.col("level").replace_strict({name: i for i, name in enumerate(LEVELS)}, default=0))
        rows = rows.filter(pl.col("grave") >= least).sort("grave", "time", "source", "entity", "kind", descending=[True, *[False] * 4])
        worst = rows.row(0, named=True) if rows.height else None
        cut = rows.height > MOST_ROWS
        words = f"{counted(rows.height, 'kind of event', 'kinds of event')} from {window[0]:.0f} to {window[1]:.0f} s"
        if worst is not None:
            words += f", gravest {quoted(worst['kind'])} of {quoted(worst['entity'])} at {worst['time']:.0f} s: {quoted(worst['words'])}"
        shown = rows.head(MOST_ROWS).sort("time", "source", "entity", "kind").select(COLUMNS["events"])
        return Found(shown, words, _sql("events", ("time", "entity", "kind", "value", "words"), window, only), *window, cut=cut)

    def history_search(self, arguments: Mapping[str, Any]) -> Found:
        """Tell resolved incidents, the most alike first."""
        told = self.history
        texts = (told["title"].fill_null("") + " " + told["text"].fill_null("")).to_list()
        likeness = self._similar.similarities(arguments["query"], texts)
        places = order(likeness, told["incident_id"].to_list())[: int(arguments.get("k", 10))]
        rows = told[places.tolist()].with_columns(similarity=pl.Series(likeness[places], dtype=pl.Float64)).select(HISTORY_FOUND)
        words = f"{counted(rows.height, 'resolved incident')} of {told.height:,}, by {self._similar.name}"
        if rows.height:
            words += f"; most alike {quoted(rows['incident_id'][0])} ({rows['similarity'][0]:.3f}): {quoted(rows['title'][0] or '')}"
        return Found(rows, words, "SELECT * FROM history", 0.0, self._as_of_s)

    def history_get(self, arguments: Mapping[str, Any]) -> Found:
        """Tell one resolved incident."""
        wanted = arguments["incident_id"]
        rows = self.history.filter(pl.col("incident_id") == wanted)
        if not rows.height:
            raise Refused("no data", f"no incident {quoted(wanted)} was resolved before this one began")
        rows = rows.head(1).with_columns(similarity=pl.lit(None, dtype=pl.Float64)).select(HISTORY_FOUND)
        words = f"{quoted(wanted)}: {quoted(rows['title'][0] or '')}"
        return Found(rows, words, f"SELECT * FROM history WHERE incident_id = {literal(wanted)}", 0.0, self._as_of_s)  # noqa: S608

    def runbook_search(self, arguments: Mapping[str, Any]) -> Found:
        """Tell which runbooks there are on a subject."""
        names = sorted(self._case.runbooks)
        texts = [f"{name.replace('-', ' ').replace('_', ' ')} {self._case.runbooks[name]}" for name in names]
        likeness = self._similar.similarities(arguments["query"], texts)
        places = [place for place in order(likeness, names) if likeness[place] > 0.0][: int(arguments.get("k", 3))]
        rows = [(names[place], float(likeness[place]), _about(self._case.runbooks[names[place]])) for place in places]
        schema = {"name": pl.String, "similarity": pl.Float64, "words": pl.String}
        words = counted(len(rows), "runbook") + (f", first {quoted(rows[0][0])}" if rows else "")
        return Found(pl.DataFrame(rows, schema=schema, orient="row"), words)

    def runbook_plan(self, arguments: Mapping[str, Any]) -> Found:
        """Tell the steps of a runbook."""
        name = arguments["name"]
        if name not in self._case.runbooks:
            raise Refused("no data", f"no runbook {quoted(name)}; there are: {', '.join(sorted(self._case.runbooks)) or 'none'}")
        steps = _steps(self._case.runbooks[name])
        frame = pl.DataFrame(list(enumerate(steps, start=1)), schema={"step": pl.Int64, "words": pl.String}, orient="row")
        return Found(frame, f"{counted(len(steps), 'step')} of {quoted(name)}")

    def _must_know(self, entity: str) -> None:
        if entity not in self._around:
            raise Refused("no data", f"the topology knows no {quoted(entity)}; write an id as incident_details or a scan gives it")

    def _within(self, table: str, window: tuple[float, float], only: frozenset[str] | None) -> pl.DataFrame:
        rows = self._tables[table].filter(pl.col("time").is_between(*window))
        return rows if only is None else rows.filter(pl.col("entity").is_in(sorted(only)))


def visible(case: Case) -> pl.DataFrame:
    """Return the resolved incidents that an incident may learn from: those resolved before it began, never itself; by id."""
    have = case.history.columns
    told = case.history.select(
        (pl.col(name) if name in have else pl.lit(None)).cast(HISTORY_TYPES.get(name, pl.String)).alias(name) for name in HISTORY
    )
    incident = case.incident
    return told.filter((pl.col("resolved") < incident.began) & (pl.col("incident_id") != incident.incident_id)).sort("incident_id", "began")


def _alike(source: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows of one source in the columns of the tool, alike ones in one with their number and their first time and words."""
    if source == "logs":
        named = rows.select("time", "entity", pl.col("template").alias("kind"), "level", pl.col("count").fill_null(1), _null(), "words")
    elif source == "alerts":
        named = rows.select("time", "entity", pl.col("metric").alias("kind"), pl.col("severity").alias("level"), _one(), "value", "words")
    else:
        level = pl.when(pl.col("kind").str.contains(_WARNS)).then(pl.lit("warning")).otherwise(pl.lit("info")).alias("level")
        named = rows.select("time", "entity", "kind", level, _one(), "value", "words")
    texts = [pl.col(name).fill_null("") for name in ("entity", "kind", "words")]
    levels = pl.col("level").str.to_lowercase().replace_strict(dict(_LEVEL), default="info", return_dtype=pl.String)
    named = named.with_columns(*texts, levels.alias("level"))
    grouped = named.group_by("entity", "kind", "level", maintain_order=True).agg(
        pl.col("time").first(), pl.col("count").sum(), pl.col("value").first(), pl.col("words").first()
    )
    return grouped.with_columns(source=pl.lit(source.removesuffix("s"))).select(COLUMNS["events"])


def _null() -> pl.Expr:
    return pl.lit(None, dtype=pl.Float64).alias("value")


def _one() -> pl.Expr:
    return pl.lit(1, dtype=pl.Int64).alias("count")


def _sql(table: str, columns: Sequence[str], window: tuple[float, float], only: frozenset[str] | None) -> str:
    entities = "" if only is None else f" AND entity IN ({literals(sorted(only))})" if only else " AND false"
    return f"SELECT {', '.join(columns)} FROM {table} WHERE time BETWEEN {window[0]!r} AND {window[1]!r}{entities} ORDER BY time"  # noqa: S608


def _about(text: str) -> str:
    """Return a runbook's first line that is no heading."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith(("#", "---"))), lines[0] if lines else "")[:300]


def _steps(text: str) -> list[str]:
    """Return a text's list items; its paragraphs where it has none."""
    items = [found[1].strip() for line in text.splitlines() if (found := _STEP.match(line))]
    return items or [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip() and not part.lstrip().startswith("#")]

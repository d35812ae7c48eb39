"""Incidents of a stored run, and what tools may read of it."""

import difflib
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import polars as pl

from twin.clock import Clock
from twin.incidents.case import HISTORY, Case, Incident
from twin.incidents.reported import reported
from twin.store import runs
from twin.store.case_frames import CaseFrames, RunReadings
from twin.store.views import TRUTH_SUFFIX

# How the tables of a run call what a case calls otherwise.
_NAMES: Final[Mapping[str, str]] = {"t_s": "time", "entity_id": "entity"}
_NO_RUNBOOKS: Final[Mapping[str, str]] = {}


def incidents_of(run_id: str, home: Path) -> tuple[Incident, ...]:
    """Return the incidents that a stored run's monitoring opened, the first first; none where the run has no such table.

    ``began`` counts from 1970, by the run's start and time zone.
    """
    path = _paths(run_id, home).get("incidents")
    if path is None:
        return ()
    start = _start(runs.manifest_of(run_id, home))
    return tuple(_incident(row, start) for row in pl.read_parquet(path).sort("t_s", "incident_id").iter_rows(named=True))


def read(
    run_id: str,
    home: Path,
    incident: Incident | str,
    history: pl.DataFrame | None = None,
    runbooks: Mapping[str, str] = _NO_RUNBOOKS,
) -> Case:
    """Return the case of one incident of a stored run: one that it opened, by id, or any that is handed in.

    The ground truth is not part of it, whatever the run holds. ValueError for an incident that the run does not have.
    """
    if isinstance(incident, str):
        found = {each.incident_id: each for each in incidents_of(run_id, home)}
        if incident not in found:
            raise ValueError(f"run {run_id} has no incident {incident!r}; it has: {', '.join(found) or 'none'}")
        incident = found[incident]
    manifest, paths = runs.manifest_of(run_id, home), _paths(run_id, home)
    # Whatever the manifest says of it, a table of the truth is not declared to readers.
    tables = {name: table for name, table in manifest["tables"].items() if name in paths}
    others = {name: shape(pl.scan_parquet(paths[name])) for name, shape in _SHAPES.items() if name in paths}
    switches = _switches(manifest)
    if switches is not None:
        others["changes"] = pl.concat([others["changes"], switches], how="diagonal_relaxed") if "changes" in others else switches
    known = pl.DataFrame(schema=dict.fromkeys(HISTORY, pl.String)) if history is None else history
    return Case(f"run {run_id}", incident, CaseFrames(RunReadings(tables, paths), others), known, runbooks)


def check_entity(run_id: str, entity: str, home: Path) -> None:
    """Raise ValueError, with some of those that are there, for an entity that a stored run does not have; none named is none wrong."""
    path = _paths(run_id, home).get("entities")
    known = [] if path is None else pl.read_parquet(path, columns=["entity"])["entity"].cast(pl.String).sort().to_list()
    if not entity or not known or entity in known:
        return
    near = difflib.get_close_matches(entity, known, 5, 0.5) or known[:5]
    raise ValueError(f"run {run_id} has no entity {entity[:60]!r}; it has, for one: {', '.join(near)}")


def _paths(run_id: str, home: Path) -> dict[str, Path]:
    return {name: path for name, path in runs.table_paths(run_id, home).items() if not name.endswith(TRUTH_SUFFIX)}


def _start(manifest: Mapping[str, Any]) -> float:
    return Clock.of(datetime.fromisoformat(manifest["start"]), manifest["timezone"]).start.timestamp()


def _incident(row: Mapping[str, Any], start: float) -> Incident:
    return Incident(
        incident_id=row["incident_id"],
        title=row["title"],
        text=row["text"],
        severity=row["severity"],
        entity_kind=row["entity_kind"],
        entity_id=row["entity_id"],
        metric=row["metric"],
        onset_s=float(row["onset_s"]),
        detected_s=float(row["t_s"]),
        began=start + float(row["onset_s"]),
        affected=tuple(name.strip() for name in (row["affected"] or "").split(",") if name.strip()),
    )


def _renamed(frame: pl.LazyFrame) -> pl.LazyFrame:
    have = frame.collect_schema().names()
    return frame.rename({name: to for name, to in _NAMES.items() if name in have})


def _events(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Hand on what monitoring may know of them, in words; the names of faults stay with the twin."""
    return _renamed(reported(frame))


def _alerts(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Join each alert with its end, where it has one."""
    fired, cleared = (frame.filter(pl.col("state") == state) for state in ("fired", "cleared"))
    return _renamed(fired.join(cleared.select("alert", pl.col("t_s").alias("until")), on="alert", how="left"))


def _switches(manifest: Mapping[str, Any]) -> pl.LazyFrame | None:
    """Return the changes of policy during a run as entries of the change log: which levers were handed to whom, and when."""
    rows = []
    entries = sorted(manifest.get("schedule", ()), key=lambda entry: float(entry["from_s"]))
    for before, entry in pairwise(entries):
        was, now = before["policy"], entry["policy"]
        changed = sorted(lever for lever in {*was, *now} if was.get(lever) != now.get(lever))
        words = "; ".join(f"{lever}: {_holders(was.get(lever))} → {_holders(now.get(lever))}" for lever in changed)
        rows.append((float(entry["from_s"]), "site", "policy", "operator", f"policy set changed: {words or 'nothing'}"))
    names = {"time": pl.Float64, "entity": pl.String, "kind": pl.String, "actor": pl.String, "words": pl.String}
    return pl.DataFrame(rows, schema=names, orient="row").lazy() if rows else None


def _holders(assigned: Any) -> str:
    if not isinstance(assigned, list):
        return "nobody"
    return ", ".join(f"{each.get('system', '?')}" + (f" ({', '.join(each['scope'])})" if each.get("scope") else "") for each in assigned)


_SHAPES: Final[Mapping[str, Callable[[pl.LazyFrame], pl.LazyFrame]]] = {
    "topology": _renamed,
    "entities": _renamed,
    "changes": _renamed,
    "events": _events,
    "logs": _renamed,
    "alerts": _alerts,
}

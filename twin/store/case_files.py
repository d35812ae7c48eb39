"""Cases as folders of plain tables, written and read."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, Final

import polars as pl
from pydantic import TypeAdapter, ValidationError

from twin.incidents.case import HISTORY, TABLES, Case, Incident
from twin.sources import imported_table
from twin.store import files, long_file, petshop, stamps
from twin.store.case_frames import TYPES, CaseFrames, LongReadings, small
from twin.store.incidents_file import read as read_history

_INCIDENT: Final = "incident.json"
_RUNBOOKS: Final = "runbooks"
_FORMS: Final = (".parquet", ".csv", ".csv.gz", ".json", ".jsonl")
_CASE: Final = 1
# Later than anything that was ever recorded.
_ALWAYS_S: Final = 1e15
_ADAPTER: Final = TypeAdapter(Incident)


def save(case: Case, folder: Path) -> Path:
    """Write a case as a folder: ``incident.json``, one Parquet file for each table and the history, runbooks as Markdown.

    The folder appears whole or not at all; ValueError where there is one already.
    """
    if folder.exists():
        raise ValueError(f"{folder.name}: is there already; name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with files.aside(folder.parent) as aside:
        files.write_json(aside / _INCIDENT, {"case": _CASE, "source": case.source, "incident": asdict(case.incident)})
        present = [name for name in TABLES if name in case.frames]
        for name, frame in small(case.frames, present, _ALWAYS_S).items():
            files.write_parquet(aside / f"{name}.parquet", frame)
        if case.history.height:
            files.write_parquet(aside / "history.parquet", case.history)
        if case.runbooks:
            (aside / _RUNBOOKS).mkdir()
        for name, text in sorted(case.runbooks.items()):
            if Path(name).name != name or name.startswith("."):
                raise ValueError(f"runbook {name[:60]!r}: the name cannot be that of a file; rename it")
            files.write_bytes(aside / _RUNBOOKS / f"{name}.md", text.encode())
        aside.rename(folder)
    files.sync(folder.parent)
    return folder


def load(folder: Path, history: pl.DataFrame | None = None, runbooks: Mapping[str, str] | None = None) -> Case:
    """Read a folder as a case: ``incident.json``, ``telemetry`` and, where they are there, the other tables of ``case.TABLES``,
    ``history`` and ``runbooks/*.md``; tables as Parquet, CSV, JSON or JSON lines, each with the columns of ``case.TABLES``.

    ``history`` and ``runbooks`` stand in where the folder has none. ValueError, one line, names file, row, column and remedy.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; a case is a folder with {_INCIDENT} and telemetry")
    incident, source = _incident(folder / _INCIDENT)
    found = {name: path for name in (*TABLES, "history") if (path := _of(folder, name)) is not None}
    if "telemetry" not in found:
        raise ValueError(f"{folder.name}: no telemetry; add telemetry.csv with {', '.join(TABLES['telemetry'][:4])}")
    tables = {name: long_file.read(path, name) for name, path in found.items() if name != "history" and not _written(name, path)}
    frames: dict[str, pl.LazyFrame] = {name: frame.lazy() for name, frame in tables.items()}
    for name, path in found.items():
        if name in TABLES and name not in frames:
            frames[name] = pl.scan_parquet(path)
    known = read_history(found["history"])[0] if "history" in found else history
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted((folder / _RUNBOOKS).glob("*.md"))}
    own: Mapping[str, pl.LazyFrame] = frames
    if "telemetry" not in tables:
        own = CaseFrames(LongReadings(found["telemetry"]), {name: frame for name, frame in frames.items() if name != "telemetry"})
    empty = pl.DataFrame(schema=dict.fromkeys(HISTORY, pl.String))
    return Case(source, incident, own, empty if known is None else known, texts or dict(runbooks or {}))


def of_tables(incident: Incident, tables: Mapping[str, Path], source: str, history: pl.DataFrame | None = None) -> Case:
    """Return a case over single files: ``tables`` gives one for each table of ``case.TABLES`` that there is; telemetry must be.

    A metric of one kind must not come twice for the same time; ValueError, one line, names file, row, column and remedy.
    """
    if unknown := sorted(set(tables) - set(TABLES)):
        raise ValueError(f"{unknown[0]!r} is no table of a case; there are: {', '.join(TABLES)}")
    if "telemetry" not in tables:
        raise ValueError(f"a case needs telemetry: a file with {', '.join(TABLES['telemetry'][:4])}")
    frames = {name: long_file.read(path, name).lazy() for name, path in tables.items()}
    return Case(source, incident, frames, pl.DataFrame(schema=dict.fromkeys(HISTORY, pl.String)) if history is None else history, {})


def of_import(name: str, home: Path, symptom: tuple[str, str], onset: str, topology: Path | None = None) -> tuple[Case, float]:
    """Return a case over imported telemetry, and the time of its last reading: a symptom (entity, metric) that began at ``onset``.

    ``onset`` is a date (UTC where it has no offset), or seconds as the telemetry counts them; times of the case count from the first
    reading of dated telemetry. ``topology`` is a table of source, target. ValueError, one line, names what is not there.
    """
    path = home / "imports" / "telemetry" / f"{name}.parquet"
    if not path.is_file():
        have = sorted(each.stem for each in path.parent.glob("*.parquet"))
        raise ValueError(f"no telemetry is imported as {name!r}; there is: {', '.join(have) or 'none, see `intentwin import telemetry`'}")
    told = imported_table(path)
    first_s, last_s = float(told["time_s"].min()), float(told["time_s"].max())  # type: ignore[arg-type]
    start_s = first_s if first_s >= stamps.EPOCH_S else 0.0
    onset_s = _onset(onset, start_s)
    if not first_s - start_s <= onset_s <= last_s - start_s:
        raise ValueError(f"--onset {onset}: outside the telemetry of {name}, which spans {last_s - first_s:,.0f} s; correct it")
    parts = told.select(
        (pl.col("time_s") - start_s).alias("time"),
        pl.col("sensor").str.extract(r"^(.*)\.[^.]*$").alias("entity"),
        pl.col("sensor").str.extract(r"([^.]*)$").alias("metric"),
        "value",
        pl.lit("").alias("unit"),
    )
    entity, metric = symptom[0], symptom[1].replace(".", "_")
    own = parts.filter(pl.col("entity") == entity)["metric"].unique().sort().to_list()
    if metric not in own:
        known = f"{entity} has {', '.join(own[:8])}" if own else f"entities are {', '.join(parts['entity'].unique().sort().to_list()[:8])}"
        raise ValueError(f"telemetry {name} has no {metric!r} of {entity!r}; {known}")
    frames = {"telemetry": parts.lazy()}
    if topology is not None:
        frames["topology"] = _topology(topology).lazy()
    title = f"{metric} of {entity} is unusual"
    incident = Incident(f"{name}-{entity}", title, "", "major", "", entity, metric, onset_s, onset_s, start_s + onset_s)
    empty = pl.DataFrame(schema=dict.fromkeys(HISTORY, pl.String))
    return Case(f"telemetry {name}", incident, frames, empty, {}), last_s - start_s


def _topology(path: Path) -> pl.DataFrame:
    """Read what hangs on what: rows of source and target, or a matrix as PetShop has it (its first cell is empty)."""
    if not path.is_file() or path.read_bytes()[:1] != b",":
        return long_file.read(path, "topology")
    graph = petshop.graph(path)
    pairs = [(graph.ids[caller], graph.ids[callee], "calls") for caller, callee in zip(graph.caller, graph.callee, strict=True)]
    return pl.DataFrame(pairs, schema={name: pl.String for name in TABLES["topology"]}, orient="row")


def _onset(text: str, start_s: float) -> float:
    try:
        return float(text) - (start_s if float(text) >= stamps.EPOCH_S else 0.0)
    except ValueError:
        pass
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"--onset {text!r} is no time; write 2024-04-07T06:00:00+02:00, or seconds as the telemetry has them") from None
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp() - start_s


def _of(folder: Path, name: str) -> Path | None:
    have = [path for form in _FORMS if (path := folder / f"{name}{form}").is_file()]
    if len(have) > 1:
        raise ValueError(f"{folder.name}: {' and '.join(path.name for path in have)} are the same table; keep one")
    return have[0] if have else None


def _written(name: str, path: Path) -> bool:
    """Return whether a table is in the very form that ``save`` gives it, and can be read where it lies."""
    if path.suffix != ".parquet":
        return False
    try:
        schema = pl.scan_parquet(path).collect_schema()
    except (pl.exceptions.PolarsError, OSError):
        return False
    return schema == pl.Schema({column: TYPES.get(column, pl.String) for column in TABLES[name]})


def _incident(path: Path) -> tuple[Incident, str]:
    try:
        told: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{path.parent.name}: no {path.name}; write the fields of an incident there") from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{path.name}: is not valid JSON ({error}); correct it") from None
    if not isinstance(told, dict):
        raise ValueError(f"{path.name}: holds no object; write the fields of an incident")
    if int(told.get("case", _CASE)) > _CASE:
        raise ValueError(f"{path.name}: was written by a newer Intentwin; upgrade to read it")
    try:
        incident = _ADAPTER.validate_python(told.get("incident", told))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{path.name}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}; correct it") from None
    if not all(isfinite(value) for value in (incident.onset_s, incident.detected_s, incident.began)):
        raise ValueError(f"{path.name}: onset_s, detected_s and began are seconds; write numbers")
    return incident, str(told.get("source", path.parent.name))

"""Importers: files from outside become checked, named Parquet."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from twin.sources import import_suffix
from twin.store import files

_NAME = re.compile(r"[a-z0-9-]{1,40}")


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was imported: how many rows, over how many seconds, how many were left out, what is worth knowing; telemetry's last time."""

    kind: str
    name: str
    rows: int
    span_s: float
    notes: tuple[str, ...]
    dropped: int = 0
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """What a reader made of a file: the table (or, of a fleet, the JSON) to keep, and what to report about it."""

    frame: pl.DataFrame | bytes
    rows: int
    span_s: float
    notes: tuple[str, ...]
    dropped: int = 0


_NO_OPTIONS: Final[Mapping[str, str]] = {}


def import_file(kind: str, path: Path, name: str, home: Path, options: Mapping[str, str] = _NO_OPTIONS) -> ImportReport:
    """Read a file of a kind, check it and keep it as ``imports/<kind>/<name>.parquet`` (a fleet as JSON).

    ``options`` say what the file does not: what latencies were measured on. Raises ValueError, one line, for an unknown kind,
    a bad name, an option that the kind does not take, a malformed file, and a name that is taken by other contents; nothing
    is written then.
    """
    if kind not in READERS and kind not in MERGED:
        raise ValueError(f"{kind!r} cannot be imported; what can: {', '.join(sorted([*READERS, *MERGED]))}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name for an import; use 1 to 40 of a-z, 0-9 and '-'")
    unknown = sorted(set(options) - set(OPTIONS.get(kind, ())))
    if unknown:
        raise ValueError(f"--{unknown[0]} says nothing about a {kind}; leave it out")
    if not path.is_file():
        raise ValueError(f"{path}: {'is a folder; name a file in it' if path.is_dir() else 'no such file'}")
    if kind in MERGED:
        return MERGED[kind](path, name, home / "imports" / kind / f"{name}.parquet", options)
    contents = READERS[kind](path, options)
    if isinstance(contents.frame, pl.DataFrame) and contents.frame.is_empty():
        raise ValueError(f"{path.name}: holds no row; nothing was imported")
    _keep(contents.frame, home / "imports" / kind / f"{name}{import_suffix(kind)}")
    return ImportReport(kind, name, contents.rows, contents.span_s, contents.notes, contents.dropped)


def _keep(frame: pl.DataFrame | bytes, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # One import at a time looks whether the name is taken and takes it.
    with files.alone(target.parent), files.aside(target.parent) as aside:
        written = aside / target.name
        if isinstance(frame, bytes):
            files.write_bytes(written, frame)
        else:
            files.write_parquet(written, frame)
        if target.exists():
            if target.read_bytes() != written.read_bytes():
                raise ValueError(f"an import named {target.stem!r} is there already with other contents; choose another name")
            return
        written.rename(target)
        files.sync(target.parent)


def _llm_trace(path: Path, options: Mapping[str, str]) -> Contents:
    from twin.serving import traces  # the other kinds must not wait for the serving domain

    trace = traces.read(path)
    frame = trace.requests
    pictured = int((frame["images"] > 0).sum())
    notes = [f"{pictured:,} requests carry images" if pictured else "no request carries an image"]
    notes += [f"{count:,} rows left out: {reason}" for reason, count in trace.dropped.items()]
    notes += [f"{count:,} {reason}" for reason, count in trace.changed.items()]
    notes += [f"not used: {', '.join(trace.unused)[:200]}"] if trace.unused else []
    return Contents(frame, frame.height, _span_s(frame), (f"{trace.form} trace", *notes), sum(trace.dropped.values()))


def _latency_profile(path: Path, options: Mapping[str, str]) -> Contents:
    from twin.serving import profiling

    points = profiling.read(path, options)
    profiles = profiling.fit_all(points, path.name)
    notes = tuple(line for profile in profiles for line in profiling.beside_built_in(profile))
    return Contents(profiling.frame(profiles), points.height, 0.0, notes)


def _fleet(path: Path, options: Mapping[str, str]) -> Contents:
    from twin import fleet_file
    from twin.store import fleet_budgets, fleet_csv

    if path.suffix.lower() == ".toml":
        if "models" in options:
            raise ValueError(f"{path.name}: --models goes with CSV; write [model.NAME] into the file")
        spec, notes = fleet_file.read(path), tuple[str, ...]()
    else:
        own = fleet_file.models(Path(options["models"])) if "models" in options else None
        spec, notes = fleet_csv.read(path, own)
    fleet = fleet_file.build(spec.model_copy(update={"name": path.name}))
    notes = (*notes, *fleet_budgets.check(path.name, fleet))
    kept = files.canonical(spec.model_dump(mode="json", exclude={"name"}, exclude_defaults=True) | {"name": "import"}) + "\n"
    machines = len(fleet.server_ids) + len(fleet.host_ids)
    about = (
        f"{len(fleet.aisle_ids):,} aisles, {len(fleet.row_ids):,} rows, {len(fleet.rack_ids):,} racks, {len(fleet.server_ids):,} servers "
        f"({len(fleet.gpu_servers):,} GPUs), {len(fleet.host_ids):,} CPU hosts; "
        f"rows may draw {fleet.row_power_budgets_w.sum() / 1e3:,.0f} kW"
    )
    return Contents(kept.encode(), machines, 0.0, (about, *notes))


def _weather(path: Path, options: Mapping[str, str]) -> Contents:
    from twin.store import weather_file

    year, notes = weather_file.read(path)
    return Contents(year, year.height, 0.0, notes)


def _grid_carbon(path: Path, options: Mapping[str, str]) -> Contents:
    from twin.store import carbon_file

    hours, notes = carbon_file.read(path)
    return Contents(hours, hours.height, 0.0, notes)


def _device_prices(path: Path, options: Mapping[str, str]) -> Contents:
    from twin.store import prices_file

    parts, notes = prices_file.read(path)
    return Contents(parts, parts.height, 0.0, notes)


def _workload_classes(path: Path, options: Mapping[str, str]) -> Contents:
    from twin.store import classes_file

    classes, notes = classes_file.read(path)
    return Contents(classes, classes.height, 0.0, notes)


def _executors(path: Path, options: Mapping[str, str]) -> Contents:
    from twin.store import executors_file

    library, notes = executors_file.read(path)
    return Contents(library, library.height, 0.0, notes)


def _hints_log(path: Path, options: Mapping[str, str]) -> Contents:
    from twin.store import hints_file

    log, notes = hints_file.read(path)
    return Contents(log, log.height, _span_s(log) if log.height else 0.0, notes)


def _predictions(path: Path, options: Mapping[str, str]) -> Contents:
    from twin.store import predictions_file

    named, notes = predictions_file.read(path)
    return Contents(named, named.height, 0.0, notes)


def _incidents(path: Path, options: Mapping[str, str]) -> Contents:
    from twin.store import incidents_file

    history, notes = incidents_file.read(path, options.get("timezone"))
    span_s = float(history["resolved"].max()) - float(history["began"].min())  # type: ignore[arg-type]
    return Contents(history, history.height, span_s, notes)


def _vm_trace(path: Path, options: Mapping[str, str]) -> Contents:
    from twin.store import vm_trace

    vms, notes = vm_trace.read(path)
    return Contents(vms, vms.height, vm_trace.span_s(vms), notes)


def _function_trace(path: Path, options: Mapping[str, str]) -> Contents:
    from twin.store import function_trace

    durations = Path(options["durations"]) if "durations" in options else None
    calls, notes = function_trace.read(path, durations)
    return Contents(calls, calls.height, function_trace.span_s(calls), notes)


def _telemetry(path: Path, name: str, target: Path, options: Mapping[str, str]) -> ImportReport:
    """Merge an increment: telemetry comes in pieces, late and twice."""
    from twin.store import sensors
    from twin.store.stamps import EPOCH_S

    readings = sensors.read(path, options)
    merged = sensors.keep(readings, target, path.name, bool(options.get("replace")))
    times, count = merged.frame["time_s"], merged.frame["sensor"].n_unique()
    notes = [f"{merged.added:,} new readings, {merged.repeated:,} there already; {count:,} sensors in all"]
    notes += [f"{merged.late:,} late ones sorted in"] if merged.late else []
    notes += [f"{merged.replaced:,} readings replaced by this file's"] if merged.replaced else []
    notes += [f"{readings.empty:,} rows without a value left out"] if readings.empty else []
    first_s, last_s = float(times.min()), float(times.max())  # type: ignore[arg-type]
    dated = [datetime.fromtimestamp(edge, UTC) for edge in (first_s, last_s)] if first_s >= EPOCH_S else []
    notes += [f"from {dated[0]:%Y-%m-%d %H:%M} to {dated[1]:%Y-%m-%d %H:%M} UTC"] if dated else ["times count from the start of a run"]
    dropped, last = readings.empty + readings.beyond, dated[1] if dated else None
    return ImportReport("telemetry", name, merged.frame.height, last_s - first_s, (*notes, *readings.notes), dropped, last)


def _span_s(frame: pl.DataFrame) -> float:
    low, high = frame.select(pl.col("t_s").min().alias("low"), pl.col("t_s").max().alias("high")).row(0)
    return float(high) - float(low)


READERS: Final[Mapping[str, Callable[[Path, Mapping[str, str]], Contents]]] = {
    "llm-trace": _llm_trace,
    "latency-profile": _latency_profile,
    "fleet": _fleet,
    "weather": _weather,
    "grid-carbon": _grid_carbon,
    "device-prices": _device_prices,
    "vm-trace": _vm_trace,
    "function-trace": _function_trace,
    "workload-classes": _workload_classes,
    "hints-log": _hints_log,
    "executors": _executors,
    "incidents": _incidents,
    "predictions": _predictions,
}
OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "fleet": ("models",),
    "function-trace": ("durations",),
    "latency-profile": ("gpu", "engine", "model", "tp", "precision"),
    "incidents": ("timezone",),
    "telemetry": ("timezone", "replace"),
}
# Kinds of which several files go under one name, one increment after the other.
MERGED: Final[Mapping[str, Callable[[Path, str, Path, Mapping[str, str]], ImportReport]]] = {"telemetry": _telemetry}

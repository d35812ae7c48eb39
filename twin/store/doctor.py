"""Health of the store: leftovers, damaged runs, ledger, audit trail, disk."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import duckdb

from twin import fleet_file
from twin.sources import imported_table
from twin.store import files, runs
from twin.store.ledger import Ledger

Severity = Literal["ok", "warning", "error"]
LOW_DISK_BYTES: Final = 2 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``repaired`` where it was put right."""

    severity: Severity
    subject: str
    text: str
    repaired: bool = False


def check(home: Path, repair: bool = False) -> list[Finding]:
    """Look at the whole store. With ``repair``, what a crash left behind is removed; runs and ledger are never changed."""
    return [*_leftovers(home, repair), *_runs(home), *_imports(home), *_ledger(home), *_disk(home)]


def _leftovers(home: Path, repair: bool) -> list[Finding]:
    parents = [home / "runs", home / "investigations", *sorted((home / "imports").glob("*/"))]
    found = []
    for folder in (folder for parent in parents for folder in files.leftovers(parent)):
        if repair:
            shutil.rmtree(folder, ignore_errors=True)
        gone = not folder.exists()
        text = "left behind by a process that died" + ("; removed" if gone else "; run `intentwin doctor --repair`")
        found.append(Finding("warning", f"{folder.parent.name}/{folder.name}", text, gone))
    return found


def _runs(home: Path) -> list[Finding]:
    damaged = []
    known = runs.run_ids(home)
    for run_id in known:
        try:
            lines = runs.verify(run_id, home)
        except (ValueError, OSError) as error:
            lines = [str(error)]
        if lines:
            text = f"{'; '.join(lines[:3])}; move runs/{run_id} away and run it again"
            damaged.append(Finding("error", f"runs/{run_id}", text))
    return damaged or [Finding("ok", "runs", f"{len(known)} runs, every file as it was written")]


def _imports(home: Path) -> list[Finding]:
    damaged, paths = [], sorted((home / "imports").glob("*/*.*"))
    for path in paths:
        try:
            if path.suffix == ".json":
                fleet_file.read(path)
            else:
                imported_table(path)
        except (ValueError, OSError) as error:
            damaged.append(Finding("error", f"imports/{path.parent.name}/{path.stem}", str(error)))
    return damaged or [Finding("ok", "imports", f"{len(paths)} imports, readable")]


def _ledger(home: Path) -> list[Finding]:
    ledger = Ledger(home)
    if not ledger.path.exists():
        return [Finding("ok", "ledger", "no ledger yet")]
    try:
        lines = ledger.verify_audit()
    except (ValueError, duckdb.Error) as error:
        return [Finding("error", "ledger", str(error))]
    return [Finding("error", "audit", line) for line in lines] or [Finding("ok", "ledger", "readable; the audit trail is whole")]


def _disk(home: Path) -> list[Finding]:
    place = next(folder for folder in (home, *home.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    text = f"{free / 1e9:.1f} GB free"
    if free < LOW_DISK_BYTES:
        return [Finding("warning", "disk", f"{text}; make room before the next study")]
    return [Finding("ok", "disk", text)]

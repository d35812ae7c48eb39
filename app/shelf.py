"""Stored runs as the console asks for them: in short, whole, by SQL."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from twin.clock import Clock, Window
from twin.metrics import Scope


@dataclass(frozen=True, slots=True)
class Brief:
    """One stored run in a line. ``policy`` is the name of the policy set, ``is_today`` whether that is today's."""

    run_id: str
    scenario: str
    seed: int
    policy: str
    is_today: bool
    start: str
    timezone: str
    horizon_s: float

    @property
    def clock(self) -> Clock:
        """Return the run's calendar."""
        return Clock.of(datetime.fromisoformat(self.start), self.timezone)


@dataclass(frozen=True)
class StoredRun:
    """A stored run: manifest and tables, unread."""

    run_id: str
    brief: Brief
    manifest: Mapping[str, Any]
    tables: Mapping[str, pl.LazyFrame]

    @property
    def clock(self) -> Clock:
        """Return the run's calendar."""
        return self.brief.clock

    @property
    def horizon_s(self) -> float:
        """Return the length of the run."""
        return self.brief.horizon_s

    def metric(self, name: str, scope: tuple[Scope, ...] = (), window: Window | None = None) -> float | None:
        """Return a metric over a scope and a window; None where the run holds no evidence for it."""
        if not scope and window is None and name in self.manifest.get("metrics", {}):
            return self.manifest["metrics"][name]
        return None

    def hottest_s(self) -> float:
        """Return when the hottest GPU was hottest."""
        return 0.6 * self.horizon_s


def briefs(home: Path) -> list[Brief]:
    """Return every stored run in short, newest first; a folder that is not a run is passed over."""
    folders = sorted((home / "runs").glob("*/manifest.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return [brief_of(json.loads(path.read_text(encoding="utf-8"))) for path in folders]


def brief_of(manifest: Mapping[str, Any]) -> Brief:
    """Return the line of a manifest."""
    scenario = manifest["scenario"]
    steps = manifest["schedule"]
    levers = steps[0]["policy"]["levers"] if steps else {}
    return Brief(
        manifest["run_id"],
        scenario["name"],
        int(manifest["seed"]),
        steps[0]["policy"].get("name", "") if steps else "today",
        not levers,
        scenario["start"],
        scenario["timezone"],
        float(scenario["horizon_s"]),
    )


def load(home: Path, run_id: str) -> StoredRun:
    """Open a stored run. Raises ValueError where there is none of that id."""
    folder = home / "runs" / Path(run_id).name
    if not (folder / "manifest.json").is_file():
        raise ValueError(f"run {run_id!r} is not in {home / 'runs'}; list what is there with `intentwin runs`")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    tables = {path.stem: pl.scan_parquet(path) for path in sorted(folder.glob("*.parquet"))}
    return StoredRun(run_id, brief_of(manifest), manifest, tables)


def ask(home: Path, sql: str, run_ids: Sequence[str]) -> pl.DataFrame:
    """Return the answer of one SELECT over the tables of these runs."""
    from twin.store import telemetry

    return telemetry.query(home, sql, run_ids)

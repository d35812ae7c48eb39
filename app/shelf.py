"""Stored runs as the console asks for them: in short, whole, by SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from json import dumps
from pathlib import Path
from typing import Any

import polars as pl

from twin.clock import Clock, Window
from twin.metrics import Asked, Reading, Scope
from twin.store import runs


@dataclass(frozen=True, slots=True)
class Brief:
    """One stored run in a line.

    ``is_today`` says that every lever is held by its baseline, ``whole`` that it is no screening of a part of the day;
    ``world`` is the same for runs that faced the same requests and weather. ``question`` is the same for runs of one scenario of
    which a larger site is asked for more, empty for other scenarios; ``extra_servers`` is how many the policy put there.
    """

    run_id: str
    scenario: str
    title: str
    seed: int
    policy_id: str
    is_today: bool
    clock: Clock
    begin_s: float
    end_s: float
    whole: bool
    world: str
    question: str = ""
    extra_servers: int = 0

    @property
    def horizon_s(self) -> float:
        """Return the moment at which the run ends."""
        return self.end_s

    def alike(self, other: "Brief") -> bool:
        """Return whether two runs can stand beside each other: the same time, and the same world.

        Where demand follows capacity, sites of different size are asked for different things: that is what was asked for.
        """
        if (self.begin_s, self.end_s) != (other.begin_s, other.end_s):
            return False
        return self.world == other.world or (
            bool(self.question) and self.question == other.question and self.extra_servers != other.extra_servers
        )


@dataclass(frozen=True)
class StoredRun:
    """A stored run: manifest, metrics over the whole run, and tables, unread."""

    run_id: str
    brief: Brief
    manifest: Mapping[str, Any]
    metrics: Mapping[str, float]
    tables: Mapping[str, pl.LazyFrame]

    @property
    def clock(self) -> Clock:
        """Return the run's calendar."""
        return self.brief.clock

    @property
    def horizon_s(self) -> float:
        """Return the moment at which the run ends."""
        return self.brief.end_s

    def metric(self, name: str, scope: tuple[Scope, ...] = (), window: Window | None = None) -> float | None:
        """Return a metric over a scope and a window; None where the run holds no evidence for it."""
        if not scope and window is None:
            return self.metrics.get(name)
        reading = readings().get(name)
        if reading is None:
            return None
        return reading(Asked(self.tables, self.clock, self.brief.end_s - self.brief.begin_s, scope, window))

    def hottest_s(self) -> float:
        """Return when the hottest GPU was hottest, on the minute; the beginning of the run where none was recorded."""
        if "rows" not in self.tables:
            return self.brief.begin_s
        rows = self.tables["rows"].select("t_s", pl.col("gpu_temp_max_c").fill_nan(None)).drop_nulls()
        top = rows.sort("gpu_temp_max_c", descending=True).head(1).collect()
        return self.brief.begin_s if top.is_empty() else -(-float(top["t_s"][0]) // 60.0) * 60.0


@cache
def readings() -> Mapping[str, Reading]:
    """Return the definition of every metric. The tables' rooms only: the models behind them are not needed to read."""
    from twin.functions import readings as functions
    from twin.memory import readings as memory
    from twin.plant import readings as plant
    from twin.serving import readings as serving
    from twin.workflows import readings as workflows
    from twin.workloads import readings as workloads

    rooms = (plant, serving, workloads, memory, functions, workflows)
    return {name: reading for room in rooms for name, reading in room.READINGS.items()}


def briefs(home: Path) -> list[Brief]:
    """Return every readable run in short, last stored first."""
    return [_brief(summary.run_id, runs.manifest_of(summary.run_id, home)) for summary in runs.list_runs(home)]


def load(home: Path, run_id: str) -> StoredRun:
    """Open a stored run. Raises ValueError where there is none of that id."""
    manifest = runs.manifest_of(run_id, home)
    metrics = next(summary.metrics for summary in runs.list_runs(home) if summary.run_id == run_id)
    tables = {name: pl.scan_parquet(path) for name, path in runs.table_paths(run_id, home).items()}
    return StoredRun(run_id, _brief(run_id, manifest), manifest, metrics, tables)


def _digest(value: Any) -> str:
    return sha256(dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def _brief(run_id: str, manifest: Mapping[str, Any]) -> Brief:
    schedule, scenario = [step["policy"] for step in manifest["schedule"]], manifest["scenario"]
    return Brief(
        run_id=run_id,
        scenario=scenario["name"],
        title=manifest.get("title", ""),
        seed=int(manifest["seed"]),
        policy_id=_digest(schedule),
        is_today=all(policy == _baselines() for policy in schedule),
        clock=Clock.of(datetime.fromisoformat(manifest["start"]), manifest["timezone"]),
        begin_s=float(manifest["begin_s"]),
        end_s=float(manifest["end_s"]),
        whole=float(manifest["begin_s"]) == 0.0 and float(manifest["end_s"]) >= float(manifest["horizon_s"]),
        world=str(manifest.get("exogenous", "")),
        question=_digest(scenario) if scenario.get("workloads", {}).get("follow_capacity") else "",
        extra_servers=sum(manifest.get("extra_servers", {}).values()),
    )


@cache
def _baselines() -> Mapping[str, Any]:
    """Return how a run's manifest writes a policy set that leaves every lever to its baseline."""
    from policies import catalogue
    from policies.policy import TODAY

    return catalogue.as_run(TODAY).canonical()


def ask(home: Path, sql: str, run_ids: Sequence[str]) -> pl.DataFrame:
    """Return the answer of one SELECT over the tables of these runs."""
    from twin.store import views

    return views.query(sql, run_ids, home)


def logged_names(home: Path) -> dict[str, str]:
    """Return the name of the policy of each run in the ledger's log."""
    if not (home / "ledger.duckdb").is_file():
        return {}
    from twin.store.ledger import Ledger

    with Ledger(home).transaction() as ledger:
        return {run.run_id: run.policy_name for run in ledger.run_log()}

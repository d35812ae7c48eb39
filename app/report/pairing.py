"""Stored runs by policy: the same worlds under today's and candidates."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from policies.policy import TODAY, PolicySet, Schedule, Step
from twin.metrics import METRICS
from twin.store import runs

Steps = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Held:
    """The runs of one schedule in one set of worlds: seed to run id, and each run's metrics."""

    policy_id: str
    name: str
    schedule: Schedule
    is_today: bool
    run_ids: Mapping[int, str]
    metrics: Mapping[int, Mapping[str, float]]


@dataclass(frozen=True)
class Worlds:
    """One question asked of several policies: a scenario over one span, computed by one version of the code."""

    key: str
    scenario: str
    title: str
    begin_s: float
    end_s: float
    horizon_s: float
    today: Held | None
    candidates: tuple[Held, ...] = field(default_factory=tuple)

    @property
    def whole(self) -> bool:
        """Return whether the runs cover the scenario from beginning to end."""
        return self.begin_s == 0.0 and self.end_s >= self.horizon_s

    def seeds(self, candidate: Held) -> tuple[int, ...]:
        """Return the seeds under which both today's policy and a candidate were run."""
        return tuple(sorted(set(candidate.run_ids) & set(self.today.run_ids))) if self.today else ()

    def values(self, candidate: Held) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
        """Return metric -> (today's values, the candidate's), one per shared seed, where every run has evidence.

        What the negotiation comes to may be there with the candidate alone (who is told nothing has no notice honoured): then
        today's values are not-a-number.
        """
        if self.today is None:
            return {}
        seeds, before, after = self.seeds(candidate), self.today.metrics, candidate.metrics
        told = [name for name in METRICS if seeds and all(name in after[seed] for seed in seeds)]
        new = {name for name in told if METRICS[name].domain == "workloads" and not any(name in before[seed] for seed in seeds)}
        return {
            name: (tuple(before[seed].get(name, math.nan) for seed in seeds), tuple(after[seed][name] for seed in seeds))
            for name in told
            if name in new or all(name in before[seed] for seed in seeds)
        }


def schedule_of(steps: Steps) -> Schedule:
    """Return the schedule that a manifest writes, every lever and knob of it."""
    return Schedule(steps=tuple(Step(from_s=step["from_s"], policy=PolicySet(name="as run", levers=step["policy"])) for step in steps))


def policy_id_of(steps: Steps) -> str:
    """Return the id of a whole schedule: that of its policy set where there is one."""
    sets = [step.policy for step in schedule_of(steps).steps]
    return sets[0].policy_id if len(sets) == 1 else PolicySet(levers=sets[-1].levers).policy_id + f"+{len(sets) - 1}"


@cache
def _today_spec() -> str:
    from policies.catalogue import as_run

    return as_run(TODAY).policy_id


def is_today(steps: Steps) -> bool:
    """Return whether every lever is held by its baseline, with the knobs at their defaults, from beginning to end."""
    return all(PolicySet(levers=step["policy"]).policy_id == _today_spec() for step in steps)


def names_of_policies(home: Path) -> dict[str, str]:
    """Return run id -> the name under which its policy was run, from the ledger's log."""
    from twin.store.ledger import Ledger

    ledger = Ledger(home)
    if not ledger.path.exists():
        return {}
    with ledger.transaction() as transaction:
        return {entry.run_id: entry.policy_name for entry in transaction.run_log()}


def policy_name(steps: Steps, run_id: str, named: Mapping[str, str]) -> str:
    """Return what a run's policy is called."""
    return TODAY.name if is_today(steps) else named.get(run_id) or policy_id_of(steps)


def worlds(home: Path) -> list[Worlds]:
    """Return stored runs grouped by the worlds that they share, the group of the newest run first."""
    return list(_worlds(home, *(path.stat().st_mtime_ns if path.exists() else 0 for path in (home / "runs", home / "ledger.duckdb"))))


@lru_cache(maxsize=4)
def _worlds(home: Path, runs_stamp: int, ledger_stamp: int) -> tuple[Worlds, ...]:
    named = names_of_policies(home)
    groups: dict[str, list[tuple[runs.Summary, Mapping[str, Any]]]] = {}
    for summary in runs.list_runs(home):
        manifest = runs.manifest_of(summary.run_id, home)
        groups.setdefault(_world_key(manifest), []).append((summary, manifest))
    return tuple(_group(key, found, named) for key, found in groups.items())


def world_of(run_id: str, home: Path) -> Worlds:
    """Return the group that a stored run belongs to."""
    key = _world_key(runs.manifest_of(run_id, home))
    return next(group for group in worlds(home) if group.key == key)


def _world_key(manifest: Mapping[str, Any]) -> str:
    kept = {name: manifest.get(name) for name in ("scenario", "begin_s", "end_s", "code")}
    return json.dumps(kept, sort_keys=True)


def _group(key: str, found: Sequence[tuple[runs.Summary, Mapping[str, Any]]], named: Mapping[str, str]) -> Worlds:
    by_policy: dict[str, list[runs.Summary]] = {}
    for summary, _ in found:
        by_policy.setdefault(json.dumps(summary.schedule, sort_keys=True), []).append(summary)
    held = [_held(mine, named) for mine in by_policy.values()]
    first = found[0][0]
    return Worlds(
        key=key,
        scenario=first.scenario,
        title=first.title,
        begin_s=first.begin_s,
        end_s=first.end_s,
        horizon_s=first.horizon_s,
        today=next((item for item in held if item.is_today), None),
        candidates=tuple(item for item in held if not item.is_today),
    )


def _held(mine: Sequence[runs.Summary], named: Mapping[str, str]) -> Held:
    steps = mine[0].schedule
    names = [named[summary.run_id] for summary in mine if summary.run_id in named]
    return Held(
        policy_id=policy_id_of(steps),
        name=TODAY.name if is_today(steps) else (names or [policy_id_of(steps)])[0],
        schedule=schedule_of(steps),
        is_today=is_today(steps),
        run_ids={summary.seed: summary.run_id for summary in reversed(mine)},
        metrics={summary.seed: summary.metrics for summary in reversed(mine)},
    )

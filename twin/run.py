"""simulate(scenario, schedule) gives a Run, named by its question."""

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from twin.clock import Clock, Window
from twin.fleet import GPUS_PER_SERVER
from twin.functions import readings as functions_readings
from twin.incidents import readings as incidents_readings
from twin.memory import readings as memory_readings
from twin.metrics import METRICS, Asked, Reading, Scope
from twin.plant import readings as plant_readings
from twin.scenario import SNAPSHOT_GRID_S, Scenario
from twin.serving import readings as serving_readings
from twin.sources import code_hash
from twin.spool import Spool
from twin.stack import Phase, State
from twin.tables import EVENTS, HOLD_BYTES, Sink, Table
from twin.workflows import readings as workflows_readings
from twin.workloads import readings as workloads_readings
from twin.world import World

SCHEMA: Final = 1
_DOMAINS: Final = (
    plant_readings,
    serving_readings,
    workloads_readings,
    memory_readings,
    workflows_readings,
    functions_readings,
    incidents_readings,
)
TABLES: Final[Mapping[str, Table]] = {table.name: table for table in (*(table for domain in _DOMAINS for table in domain.TABLES), EVENTS)}
READINGS: Final[Mapping[str, Reading]] = {name: reading for domain in _DOMAINS for name, reading in domain.READINGS.items()}
_NUMERIC_PACKAGES: Final = ("numpy", "numba", "polars", "scipy")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    done_share: float
    t_s: float
    horizon_s: float
    text: str


class Cancelled(Exception):
    """The run was cancelled; nothing of it is kept."""


@dataclass(frozen=True)
class Run:
    """One answered question: manifest, tables, metrics over the whole run, and snapshots to go on from.

    Tables that outgrew memory lie in the files of ``spool`` and can be read for as long as the run is held, or from the store.
    """

    run_id: str
    manifest: Mapping[str, Any]
    tables: Mapping[str, pl.LazyFrame]
    metrics: Mapping[str, float]
    snapshots: Mapping[int, State] = field(default_factory=dict)
    spool: Spool | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Start:
    """Where a run goes on from: another run's snapshot."""

    run_id: str
    t_s: float
    state: State


def simulate(  # noqa: PLR0913  (a question and how to watch it)
    scenario: Scenario,
    phases: Sequence[Phase],
    *,
    seed: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    snapshots_at: Sequence[float] = (),
    start: Start | None = None,
    until_s: float | None = None,
    spool: Path | None = None,
    hold_bytes: int = HOLD_BYTES,
) -> Run:
    """Run a scenario under a schedule of holders.

    Parameters
    ----------
    scenario, phases, seed
        The question. ``seed`` None takes the scenario's.
    progress
        Called about a hundred times.
    cancel
        Asked as often; when it says yes, ``Cancelled`` is raised and nothing is kept.
    snapshots_at
        Times (multiples of 300 s) at which the whole state is kept in the Run.
    start
        Another run's snapshot to go on from: same scenario and seed, any holders.
    until_s
        Where to stop before the horizon.
    spool
        The folder in which to write down tables that outgrow memory, best on the disk where the run will be stored;
        None takes a temporary one.
    hold_bytes
        How much of all tables is held in memory before they are written down. It changes nothing that is read.
    """
    seed = scenario.seed if seed is None else seed
    end_s = min(scenario.horizon_s, until_s if until_s is not None else scenario.horizon_s)
    wanted = sorted({float(t) for t in snapshots_at})
    if any(t % SNAPSHOT_GRID_S for t in wanted) or (start is not None and start.t_s % SNAPSHOT_GRID_S):
        raise ValueError(f"snapshots are taken at multiples of {SNAPSHOT_GRID_S:.0f} s")
    begin_s = 0.0 if start is None else start.t_s
    if end_s <= begin_s:
        raise ValueError(f"nothing to run: it starts at {begin_s:.0f} s and ends at {end_s:.0f} s")
    scenario = scenario.grown(phases[0].extra_servers)
    if start is not None:
        _same_size(scenario, start)
    world = World(scenario, phases, seed, None if start is None else start.state, end_s)
    scenario.check_inputs()  # what the world has read by now is what the run's name says
    sink = Sink(_ids(scenario, world), Spool(spool), hold_bytes)
    try:
        kept = _advance(world, sink, begin_s, end_s, wanted, progress, cancel)
        tables = sink.tables()
    except BaseException:
        sink.discard()
        raise
    span_s = end_s - begin_s
    asked = Asked(tables, scenario.clock, span_s)
    metrics = {name: value for name in READINGS if (value := READINGS[name](asked)) is not None}
    asked_for = question(scenario, phases, seed, start, end_s, snapshots_at)
    manifest = {**asked_for, **_manifest(scenario, begin_s, end_s, world, tables)}
    return Run(run_id_of(scenario, phases, seed, start, until_s, snapshots_at), manifest, tables, metrics, kept, sink.spool)


def _advance(
    world: World,
    sink: Sink,
    begin_s: float,
    end_s: float,
    wanted: list[float],
    progress: Callable[[Progress], None] | None,
    cancel: Callable[[], bool] | None,
) -> dict[int, State]:
    """Step the world to its end; return its snapshots at the ``wanted`` times."""
    kept: dict[int, State] = {}
    reported = begin_s
    while world.t_s < end_s - 1e-9:
        if wanted and world.t_s >= wanted[0] - 1e-9:
            kept[int(wanted.pop(0))] = world.snapshot()
        world.step(world.next_s(end_s), sink)
        if world.t_s - reported >= (end_s - begin_s) / 100.0 or world.t_s >= end_s:
            reported = world.t_s
            if cancel is not None and cancel():
                raise Cancelled
            if progress is not None:
                local = world.scenario.clock.at(world.t_s).strftime("%H:%M")
                progress(Progress((world.t_s - begin_s) / (end_s - begin_s), world.t_s, end_s, f"simulated to {local}"))
    if wanted and world.t_s >= wanted[0] - 1e-9:
        kept[int(wanted.pop(0))] = world.snapshot()
    world.close(sink)
    return kept


def read(run: Run, name: str, scope: tuple[Scope, ...] = (), window: Window | None = None) -> float | None:
    """Return one metric of a run over a scope and a window; None where the run holds no evidence for it."""
    if name not in METRICS:
        raise ValueError(f"metric {name!r} is unknown; see `intentwin metrics`")
    if name not in READINGS:
        return None
    if not scope and window is None:
        return run.metrics.get(name)
    return READINGS[name](Asked(run.tables, clock_in(run.manifest), span_s(run.manifest), scope, window))


def clock_in(manifest: Mapping[str, Any]) -> Clock:
    """Return the calendar of a stored run."""
    return Clock.of(datetime.fromisoformat(manifest["start"]), manifest["timezone"])


def span_s(manifest: Mapping[str, Any]) -> float:
    """Return how many seconds a stored run simulated."""
    return float(manifest["end_s"]) - float(manifest["begin_s"])


def question(
    scenario: Scenario,
    phases: Sequence[Phase],
    seed: int,
    start: Start | None,
    until_s: float | None,
    snapshots_at: Sequence[float] = (),
) -> dict[str, Any]:
    """Return the canonical question that a run answers. The snapshots that it keeps belong to it: others may go on from them."""
    end_s = None if until_s is None or until_s >= scenario.horizon_s else float(until_s)
    return {
        "schema": SCHEMA,
        "scenario": scenario.canonical(),
        "schedule": [{"from_s": phase.from_s, "policy": phase.spec} for phase in phases],
        "seed": seed,
        "started_from": None if start is None else {"run_id": start.run_id, "t_s": float(start.t_s)},
        "until_s": end_s,
        "snapshots_s": sorted({float(t_s) for t_s in snapshots_at}),
        "code": code_hash(),
    }


def run_id_of(
    scenario: Scenario,
    phases: Sequence[Phase],
    seed: int,
    start: Start | None = None,
    until_s: float | None = None,
    snapshots_at: Sequence[float] = (),
) -> str:
    """Return the first 12 hex digits of SHA-256 over the canonical JSON of the question."""
    text = json.dumps(question(scenario, phases, seed, start, until_s, snapshots_at), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _same_size(scenario: Scenario, start: Start) -> None:
    """Refuse to go on with a site of another size than the one that the snapshot was taken of."""
    there, here = len(start.state["workloads"]["gpu_vm"]) // GPUS_PER_SERVER, len(scenario.fleet.server_ids)
    if there != here:
        raise ValueError(
            f"run {start.run_id} is of a site with {there:,} servers and this policy has {here:,}: what capacity is decided before a run, "
            "so run it from the beginning"
        )


def _ids(scenario: Scenario, world: World) -> dict[str, Sequence[str]]:
    fleet = scenario.fleet
    known = {kind: fleet.ids(kind) for kind in ("row", "rack", "server", "gpu", "host", "aisle", "feed")}
    endpoints = tuple(endpoint.id for endpoint in scenario.spec.serving.endpoints)
    memory = world.pooling.memory
    pools = {"pod": memory.pod_ids, "device": memory.device_ids}
    if (negotiation := world.negotiating.model) is not None:
        pools |= {"tenant": negotiation.tenants.workload_ids, "tenant_vm": negotiation.tenants.vm_ids()}
    pools |= {"service": world.happening.services.service_ids}
    pools |= {"function": world.working.functions.function_ids, "workflow": world.working.workflows.workflow_ids}
    return {**known, **pools, "endpoint": endpoints, "instance": world.serving.instance_ids}


def _manifest(scenario: Scenario, begin_s: float, end_s: float, world: World, tables: Mapping[str, pl.LazyFrame]) -> dict[str, Any]:
    return {
        "title": scenario.spec.title,
        "start": scenario.spec.start.isoformat(),
        "timezone": scenario.spec.timezone,
        "begin_s": begin_s,
        "end_s": end_s,
        "horizon_s": scenario.horizon_s,
        "tick_s": scenario.spec.tick_s,
        "exogenous": exogenous(tables, world.workloads.exogenous(), world.serving.injected()),
        "extra_servers": {row: int(n) for row, n in zip(scenario.fleet.row_ids, scenario.fleet.row_extra_servers, strict=True) if n},
        "clips": dict(sorted(world.clips.counts.items())),
        "entities": {kind: list(ids) for kind, ids in scenario.entities().items()},
        "tables": {name: describe(TABLES[name]) for name in sorted(tables)},
        "dependencies": {name: version(name) for name in _NUMERIC_PACKAGES},
        "python": ".".join(str(part) for part in sys.version_info[:2]),
    }


def describe(table: Table) -> dict[str, Any]:
    """Return a table's declaration as JSON: what each row and column is."""
    columns = [{"name": c.name, "type": str(c.dtype), "meaning": c.meaning, "entity": c.entity} for c in table.columns]
    return {"resolution": table.resolution, "telemetry": table.telemetry, "ahead_s": table.ahead_s, "columns": columns}


def exogenous(
    tables: Mapping[str, pl.LazyFrame], vms: str = "", injected: tuple[NDArray[np.float64], NDArray[np.int64]] | None = None
) -> str:
    """Return a hash of what no policy can change: who asked what and when, the weather every five minutes, and the ``vms``.

    Requests that were ``injected`` (when they arrived, tokens of their prompts) are left out: jobs ask them, as their plan has it.
    """
    digest = hashlib.sha256(vms.encode())
    if "requests" in tables:
        asked = tables["requests"].select("arrive_s", "prompt_tokens", "output_tokens").collect()
        if injected is not None and len(injected[0]):
            added = pl.DataFrame(
                {"arrive_s": injected[0], "prompt_tokens": injected[1]}, schema=asked.select("arrive_s", "prompt_tokens").schema
            )
            asked = asked.join(added.unique(), on=["arrive_s", "prompt_tokens"], how="anti", maintain_order="left")
        columns = [column.to_numpy() for column in asked.iter_columns()]
        # Endpoints wrote them in runs that are in order, which a merge sort is quick with; ties are rare but not impossible.
        order = np.argsort(columns[0], kind="stable")
        if (np.diff(columns[0][order]) == 0.0).any():
            order = np.lexsort(columns[::-1])
        for values in columns:
            digest.update(values[order].tobytes())
    if "site" in tables:
        # Ticks differ between policies where protection sets in; every run stands at the grid of snapshots.
        outside = tables["site"].filter((pl.col("t_s") % SNAPSHOT_GRID_S) == 0.0).select("t_s", "outside_c").sort("t_s").collect()
        for column in outside.iter_columns():
            digest.update(np.ascontiguousarray(column.to_numpy()).tobytes())
    return digest.hexdigest()[:16]

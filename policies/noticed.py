"""Which incident a drill brings about: what rang, or a complaint."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from twin.chance import stream
from twin.clock import Clock
from twin.incidents.case import Incident
from twin.incidents.drills import Drill
from twin.store import case_of_run, runs

# Where nothing can be proven and no alert rang, users complain all the same, this long after they noticed.
COMPLAINT: Final = "complaint-"
_COMPLAINED_S: Final = 600.0


def of_drill(drill: Drill, run_id: str, home: Path) -> Incident | None:
    """Return the first incident after the fault that hangs on it, else the first after it; without a fault the first one."""
    opened = case_of_run.incidents_of(run_id, home)
    if drill.fault is None:
        return next(iter(opened), None)
    after = [each for each in opened if each.detected_s >= drill.fault.from_s]
    topology = pl.read_parquet(runs.table_paths(run_id, home)["topology"]).select(pl.col("source", "target").cast(pl.String))
    hanging = _above(topology, {drill.truth.entity_id, *drill.truth.also_right})
    return next((each for each in after if each.entity_id in hanging), next(iter(after), None))


def complaint(drill: Drill, manifest: Mapping[str, Any], seed: int) -> Incident | None:
    """Return what a user complains of where no alert rang and there is nothing that data could prove; None where there is."""
    if drill.truth.provable:
        return None
    services = [each["id"] for each in drill.scenario["incidents"]["services"] if each.get("rate_per_s", 0.0) > 0.0]
    name = str(services[int(stream(seed, "policies", "complaints", str(drill.scenario["name"])).integers(len(services)))])
    onset_s = drill.truth.onset_s
    return Incident(
        incident_id=f"{COMPLAINT}{drill.number}",
        title=f"Users say that {name} is slow",
        text=f"Several users say that {name} has been slow for some minutes. No alert rang.",
        severity="minor",
        entity_kind="service",
        entity_id=name,
        metric="services.latency_p99_s",
        onset_s=onset_s,
        detected_s=onset_s + _COMPLAINED_S,
        began=start_of(manifest) + onset_s,
        affected=(name,),
    )


def start_of(manifest: Mapping[str, Any]) -> float:
    """Return when a run begins, seconds since 1970."""
    return Clock.of(datetime.fromisoformat(manifest["start"]), manifest["timezone"]).start.timestamp()


def _above(topology: pl.DataFrame, culprits: set[str]) -> set[str]:
    """Return all that hangs on somebody, and themselves."""
    above: dict[str, list[str]] = {}
    for source, target in topology.iter_rows():
        above.setdefault(target, []).append(source)
    reached, front = set(culprits), list(culprits)
    while front:
        front = [who for name in front for who in above.get(name, ()) if who not in reached]
        reached.update(front)
    return reached

"""The pod of a report: what was built, chosen from what, or why none."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from app import designs
from app.report.pairing import Held
from app.shelf import StoredRun
from twin.units import show

_HEADS = ("", "Pod", "What it is", *(name[0].upper() + name[1:] for name in designs.COLUMNS))


@dataclass(frozen=True)
class PodSection:
    """A statement, why, what was built (name, value), and the options that none beats as rows; plain words only."""

    title: str
    why: str
    built: tuple[tuple[str, str], ...] = ()
    misses: tuple[str, ...] = ()
    heads: tuple[str, ...] = _HEADS
    rows: tuple[tuple[str, ...], ...] = ()
    basis: str = ""


def design_of(held: Held, run: StoredRun, home: Path) -> Mapping[str, Any] | None:
    """Return the design that a candidate's policy set answers with in a run's world; None where it builds nothing.

    Neither is it told where the files that the run drew on have changed since.
    """
    from policies import variants
    from policies.intent.designed import asks_for_design, designed

    policy = held.schedule.steps[0].policy
    if not asks_for_design(policy):
        return None
    try:
        return designed(variants.scenario_of(run.run_id, home), policy, run.brief.seed, home)
    except ValueError:
        return None


def section(run: StoredRun | None, design: Mapping[str, Any] | None) -> PodSection | None:
    """Return the section on the pod; None where none was built or asked for."""
    built = run.tables["pods"].collect() if run is not None and "pods" in run.tables else None
    if built is None or built.is_empty():
        return None if design is None else _told(design, ())
    facts = _facts(built)
    name = str(built["design"][0])
    # Newer code may choose another pod than the run was made with: then only what was built is told.
    if design is not None and design["chosen"] is not None and design["chosen"]["name"] == name:
        return _told(design, facts)
    return PodSection(f"{built.height} pods {name} of {built['hosts'][0]} hosts", "As the run built it.", facts)


def _told(design: Mapping[str, Any], facts: tuple[tuple[str, str], ...]) -> PodSection:
    rows, misses = tuple(designs.table(design)), tuple(designs.misses(design))
    return PodSection(designs.statement(design), f"{design['why']}.", facts, misses, rows=rows, basis=designs.basis(design))


def _facts(pods: pl.DataFrame) -> tuple[tuple[str, str], ...]:
    first = pods.row(0, named=True)
    sizes = [show(size, "x_bytes") for size in sorted({int(pods["device_bytes"].min()), int(pods["device_bytes"].max())})]  # type: ignore[arg-type]
    per_pod = f"{first['devices']} devices of {' to '.join(sizes)}"
    if first["switches"]:
        per_pod += f" behind {first['switches']} switches"
    return (
        ("Pods", f"{pods.height} x {first['design']}, {first['hosts']} hosts each"),
        ("In each", f"{per_pod}, {first['host_ports']} ports a host"),
        ("Cost per host", show(first["cost_usd_per_host"], "memory.cost_usd_per_host")),
        ("Load-to-use latency", f"{show(first['access_latency_s'], 'x_s')}; {show(first['local_latency_s'], 'x_s')} on the host itself"),
        ("Longest cable", f"{first['longest_cable_m']:.2f} m"),
        ("Reach", f"{show(first['one_hop_share'], 'x_share')} of pairs of hosts share a device"),
        ("A device fails", f"{first['blast_hosts']} hosts lose a port"),
        ("Power of devices and switches", f"{show(first['power_w'], 'x_w')} a pod"),
    )

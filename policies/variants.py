"""A stored run asked again: with something lost, or with parts of TAPAS."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from json import dumps
from pathlib import Path
from typing import Any, Final

from policies import pool, study
from policies.ablations import ablations
from policies.policy import Schedule
from twin.faults import Fault
from twin.run import Start
from twin.scenario import SNAPSHOT_GRID_S, Scenario, read
from twin.sources import code_hash
from twin.store import runs

OUTSIDE: Final = "outside"
HOTTER_C: Final = 5.0
LONGEST_S: Final = 3600.0
LEAST_S: Final = 300.0
# Beginnings are kept this far apart, so that the next question of a day has at most this much to run before it.
KEPT_EVERY_S: Final = 4 * 3600.0


def scenario_of(run_id: str, home: Path) -> Scenario:
    """Return the scenario of a stored run. Raises ValueError where a file that it drew on has changed since."""
    manifest = runs.manifest_of(run_id, home)
    canonical = dict(manifest["scenario"])
    inputs = canonical.pop("inputs", {})
    scenario = read({**canonical, "title": manifest.get("title", ""), "seed": manifest["seed"]}, f"run {run_id}")
    changed = sorted(name for name, digest in scenario.inputs.items() if inputs.get(name) != digest)
    if changed:
        raise ValueError(f"run {run_id}: {', '.join(changed)} changed since it was made; run the scenario again")
    return scenario


def schedule_of(run_id: str, home: Path, name: str) -> Schedule:
    """Return the policy sets of a stored run, called ``name``."""
    steps = runs.manifest_of(run_id, home)["schedule"]
    return Schedule.model_validate({"steps": [{"from_s": s["from_s"], "policy": {"name": name, "levers": s["policy"]}} for s in steps]})


def window(t_s: float, end_s: float, begin_s: float = 0.0) -> tuple[float, float]:
    """Return which part of a run a what-if covers: an hour from the grid of snapshots before ``t_s``, never a whole run.

    >>> window(50_700.0, 86_400.0)
    (50700.0, 54300.0)
    >>> window(86_300.0, 86_400.0)
    (86100.0, 86400.0)
    """
    latest = max(end_s - LEAST_S, begin_s)
    begin = min(t_s, latest) // SNAPSHOT_GRID_S * SNAPSHOT_GRID_S
    # A part that begins with the run and ends with it would pass for a whole run of this policy.
    begin = max(begin, min(begin_s + SNAPSHOT_GRID_S, latest))
    return begin, min(begin + LONGEST_S, end_s)


def changed(scenario: Scenario, kind: str, target: str, t_s: float) -> Scenario:
    """Return a scenario in which something happens at ``t_s`` for the rest of the run: a fault, or it is 5 C hotter outside.

    ``kind`` is a fault of the plant or ``outside``. An ``ahu_loss`` takes one air handler of the aisle, anything else one whole unit.
    """
    raw = scenario.spec.model_dump(mode="json")
    if kind == OUTSIDE:
        raw["plant"]["weather"]["outside_offset_c"] += HOTTER_C
    else:
        severity = 1.0
        if kind == "ahu_loss" and target in scenario.fleet.aisle_ids:
            severity = 1.0 / int(scenario.fleet.aisle_air_handlers[scenario.fleet.aisle_ids.index(target)])
        raw["faults"] = [*raw["faults"], Fault(kind=kind, target=target, from_s=t_s, severity=severity).model_dump(mode="json")]
    return read(raw, f"scenario {scenario.name}")


def begin(run_id: str, t_s: float, home: Path, *, progress: pool.Report | None = None, cancel: pool.Cancel | None = None) -> Start | None:
    """Return where a stored run is when a what-if of ``t_s`` begins: its own policy, having run as long as it had then.

    It is run again from the last beginning that was kept, one every ``KEPT_EVERY_S``, and kept; None at the start of the scenario.
    """
    scenario, manifest = scenario_of(run_id, home), runs.manifest_of(run_id, home)
    schedule = schedule_of(run_id, home, "lead-in")
    at_s = window(t_s, float(manifest["end_s"]), float(manifest["begin_s"]))[0]
    start = _origin(run_id, home)
    stops = links(0.0 if start is None else start.t_s, at_s)
    for from_s, until_s in pairwise(stops):
        told = None if progress is None else _part(progress, (from_s - stops[0], until_s - stops[0]), at_s - stops[0])
        start = study.lead_in(
            scenario, scenario.seed, until_s, home, schedule=schedule, start=start, progress=told, cancel=cancel
        )  # fmt: skip
    return start


def links(from_s: float, to_s: float) -> tuple[float, ...]:
    """Return where beginnings are kept on the way from one moment to another, both of them among it.

    >>> links(0.0, 50_400.0)
    (0.0, 14400.0, 28800.0, 43200.0, 50400.0)
    >>> links(600.0, 600.0)
    (600.0,)
    """
    first = int(from_s // KEPT_EVERY_S) + 1
    between = (KEPT_EVERY_S * step for step in range(first, int(-(-to_s // KEPT_EVERY_S))))
    return (from_s, *between, to_s) if to_s > from_s else (from_s,)


def _origin(run_id: str, home: Path) -> Start | None:
    """Return what a stored part of a day went on from; None where it began with the scenario.

    What older code left is not gone on from: today's policy is run up to there again.
    """
    manifest = runs.manifest_of(run_id, home)
    begun = manifest["started_from"]
    if begun is None:
        return None
    t_s = float(begun["t_s"])
    if manifest["code"] == code_hash() and runs.exists(begun["run_id"], home):
        return Start(begun["run_id"], t_s, runs.load_snapshot(begun["run_id"], t_s, home))
    scenario = scenario_of(run_id, home)
    return study.lead_in(scenario, scenario.seed, t_s, home)


def _part(progress: pool.Report, span_s: tuple[float, float], whole_s: float) -> pool.Report:
    """Return a report of a part of some work, told as a share of all of it."""
    from_share, width_share = span_s[0] / whole_s, (span_s[1] - span_s[0]) / whole_s
    return lambda now: progress(replace(now, done_share=from_share + width_share * now.done_share))


def what_if(  # noqa: PLR0913 - a question, and how it is watched
    run_id: str,
    kind: str,
    target: str,
    t_s: float,
    home: Path,
    *,
    name: str,
    progress: pool.Report | None = None,
    cancel: pool.Cancel | None = None,
) -> str:
    """Ask a stored run again from ``t_s`` with something lost, over ``window``; return the id of the answer.

    It goes on from where that run was at the beginning of the window (``begin``), so that all that differs is what was asked.
    """
    scenario, manifest = scenario_of(run_id, home), runs.manifest_of(run_id, home)
    part = window(t_s, float(manifest["end_s"]), float(manifest["begin_s"]))
    start = begin(run_id, t_s, home, progress=progress, cancel=cancel)
    return study.run(
        changed(scenario, kind, target, max(t_s, part[0])),
        schedule_of(run_id, home, name),
        scenario.seed,
        home,
        progress=progress,
        cancel=cancel,
        window_s=part,
        start=start,
        label="what if",
    )


def negotiated(
    run_id: str,
    tenants: Sequence[Mapping[str, Any]],
    home: Path,
    *,
    name: str,
    progress: pool.Report | None = None,
    cancel: pool.Cancel | None = None,
) -> str:
    """Run a stored run's scenario as a whole with other ``tenants`` in its negotiation, under its own policy; return the new run's id.

    The scenario gets a name of its own, so that nobody takes its runs for those of the one that it came from.
    """
    scenario = scenario_of(run_id, home)
    raw = scenario.spec.model_dump(mode="json")
    raw["workloads"]["negotiation"]["tenants"] = [dict(each) for each in tenants]
    told = sha256(dumps(raw["workloads"]["negotiation"], sort_keys=True).encode()).hexdigest()[:6]
    raw["name"] = f"{scenario.name.split('-hints-')[0][:27]}-hints-{told}"
    edited = read(raw, f"run {run_id}")
    return study.run(edited, schedule_of(run_id, home, name), scenario.seed, home, progress=progress, cancel=cancel, label="hints")


def ablate(run_id: str, home: Path, *, progress: pool.Report | None = None, cancel: pool.Cancel | None = None) -> dict[str, str]:
    """Run every ablation in the world, over the time and at the size of a stored run; return the run of each by its label."""
    scenario, manifest = scenario_of(run_id, home), runs.manifest_of(run_id, home)
    begin_s, end_s = float(manifest["begin_s"]), float(manifest["end_s"])
    part = None if begin_s == 0.0 and end_s >= scenario.horizon_s else (begin_s, end_s)
    parts = ablations(schedule_of(run_id, home, "as run").steps[0].policy)
    found = study.compare(scenario, parts, [scenario.seed], home, progress=progress, cancel=cancel, window_s=part)
    return {label: ids[0] for label, ids in found.run_ids.items()}


def replanned(
    run_id: str,
    levers: Mapping[str, Sequence[Mapping[str, Any]]],
    home: Path,
    *,
    name: str,
    progress: pool.Report | None = None,
    cancel: pool.Cancel | None = None,
) -> str:
    """Run a stored run's scenario once more with these levers in each of its policy sets, called ``name``; return the new run's id.

    It covers the time that the stored run did, so that the two stand beside each other.
    """
    scenario, manifest = scenario_of(run_id, home), runs.manifest_of(run_id, home)
    begin_s, end_s = float(manifest["begin_s"]), float(manifest["end_s"])
    part = None if begin_s == 0.0 and end_s >= scenario.horizon_s else (begin_s, end_s)
    steps = [{"from_s": s["from_s"], "policy": {"name": name, "levers": {**s["policy"], **levers}}} for s in manifest["schedule"]]
    schedule = Schedule.model_validate({"steps": steps})
    return study.run(scenario, schedule, scenario.seed, home, progress=progress, cancel=cancel, window_s=part, label="plan")

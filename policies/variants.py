"""A stored run asked again: with something lost, or with parts of TAPAS."""

from pathlib import Path
from typing import Final

from policies import pool, study
from policies.ablations import ablations
from policies.policy import Schedule
from twin.faults import Fault
from twin.scenario import SNAPSHOT_GRID_S, Scenario, read
from twin.store import runs

OUTSIDE: Final = "outside"
HOTTER_C: Final = 5.0
LONGEST_S: Final = 3600.0
LEAST_S: Final = 300.0


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

    Up to the beginning it is the unchanged scenario under today's policy, run once for every question of that moment.
    """
    scenario, manifest = scenario_of(run_id, home), runs.manifest_of(run_id, home)
    part = window(t_s, float(manifest["end_s"]), float(manifest["begin_s"]))
    start = study.lead_in(scenario, scenario.seed, part[0], home, progress=progress, cancel=cancel)
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


def ablate(run_id: str, home: Path, *, progress: pool.Report | None = None, cancel: pool.Cancel | None = None) -> dict[str, str]:
    """Run every ablation in the world and over the time of a stored run; return the run of each by its label."""
    scenario, manifest = scenario_of(run_id, home), runs.manifest_of(run_id, home)
    begin_s, end_s = float(manifest["begin_s"]), float(manifest["end_s"])
    part = None if begin_s == 0.0 and end_s >= scenario.horizon_s else (begin_s, end_s)
    found = study.compare(scenario, ablations(), [scenario.seed], home, progress=progress, cancel=cancel, window_s=part)
    return {label: ids[0] for label, ids in found.run_ids.items()}

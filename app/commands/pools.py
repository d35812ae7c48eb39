"""What runs say of the pods in them, and by what their saving counts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from policies.policy import PolicySet

if TYPE_CHECKING:
    from twin.scenario import Scenario


def of_run(run_id: str, policy: PolicySet, scenario: "Scenario", seed: int, home: Path) -> list[str]:
    """Return which pod a run built and what its saving is held against, or why none was; nothing where none was asked for.

    Faults of what the pod does not have are told in any case: they took nothing.
    """
    from policies.intent.pinning import asks_for_design

    missed = _missed(run_id, home) if scenario.faults_of("memory") else []
    if not asks_for_design(policy):
        return missed
    return [f"pod: {built(run_id, home) or _why(policy, scenario, seed)}", *missed, basis(scenario)]


def of_runs(policies: Mapping[str, PolicySet], run_ids: Mapping[str, Sequence[str]], seeds: Sequence[int], home: Path) -> list[str]:
    """Return one line for each policy set that asks for a pod: which one on every seed, and where it is not the same one."""
    from policies.intent.pinning import asks_for_design

    lines = []
    for label, policy in policies.items():
        if not asks_for_design(policy):
            continue
        found = [built(run_id, home) or "none" for run_id in run_ids[label]]
        if len(set(found)) == 1:
            lines.append(f"pod under {label}: {found[0]}")
            continue
        each = "; ".join(f"seed {seed} {words}" for seed, words in zip(seeds, found, strict=True))
        lines.append(f"pod under {label} is another one on each past: {each}; to compare one, write its design and device_bytes as knobs")
    return lines


def built(run_id: str, home: Path) -> str:
    """Return the pods of a run in words, "" where there is none."""
    from twin.store import runs
    from twin.units import show

    tables = runs.load(run_id, home).tables
    pods = tables["pods"].collect() if "pods" in tables else None
    if pods is None or pods.is_empty():
        return ""
    first = pods.row(0, named=True)
    ends = sorted({int(size) for size in pods["device_bytes"]})
    sizes = " to ".join(show(size, "x_bytes") for size in dict.fromkeys((ends[0], ends[-1])))
    alone = len(runs.manifest_of(run_id, home)["entities"]["host"]) - pods.height * int(first["hosts"])
    rest = f"; {alone} hosts in none" if alone else ""
    return f"{pods.height} x {first['design']}, each {first['hosts']} hosts and {first['devices']} devices of {sizes}{rest}"


def design_of(run_id: str, home: Path) -> str:
    """Return the name of the pod of a run, "" where there is none."""
    from twin.store import runs

    tables = runs.load(run_id, home).tables
    pods = tables["pods"].select("design").head(1).collect() if "pods" in tables else None
    return "" if pods is None or pods.is_empty() else str(pods.item())


def basis(scenario: "Scenario") -> str:
    """Return by what pods' figures are counted in a scenario."""
    from twin.memory.saving import BASELINES

    memory = scenario.spec.memory
    return f"DRAM saved is of the hosts in pods, against {BASELINES[memory.saving_against]}; prices {memory.prices}"


def _missed(run_id: str, home: Path) -> list[str]:
    from twin.store import runs

    told = runs.load(run_id, home).tables["events"].collect().rows(named=True)
    names = dict.fromkeys(str(row["entity_id"]) for row in told if str(row["kind"]).startswith("no_such_") and row["domain"] == "memory")
    return [f"fault without effect: this run's pods have no {name}" for name in names]


def _why(policy: PolicySet, scenario: "Scenario", seed: int) -> str:
    from policies.study import pod

    return f"none is built: {pod(policy, scenario, seed).why}"

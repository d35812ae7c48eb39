"""Commands that run the twin: run, compare, sweep."""

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.commands import pools
from app.commands.policies import policy_of
from app.commands.terminal import Answer, home, progress_bar, table
from twin.metrics import METRICS
from twin.units import show, show_change

if TYPE_CHECKING:
    from twin.scenario import Scenario


def run(arguments: Namespace) -> Answer:
    """Run a scenario under one policy set; a question that was answered before is not simulated again."""
    from policies import study
    from twin.scenario import load
    from twin.store import runs

    place = home()
    policy, scenario = policy_of(arguments.policy, place), load(arguments.scenario)
    if arguments.messages is not None:
        from policies.live import replaying

        scenario = replaying(scenario, arguments.messages)
    seed = scenario.seed if arguments.seed is None else arguments.seed
    run_id = study.run(scenario, policy, seed, place, progress=progress_bar())
    metrics = dict(runs.load(run_id, place).metrics)
    lines = [f"run {run_id}: {scenario.name} under {policy.name}, seed {seed}", *_metrics(metrics), *_basis(scenario)]
    lines += _unsaid(scenario)
    lines += pools.of_run(run_id, policy, scenario, seed, place)
    return Answer({"run_id": run_id, "metrics": metrics}, lines)


def _basis(scenario: "Scenario") -> list[str]:
    """Return which hours of an imported carbon series the run took."""
    from twin.plant.carbon import intensity

    series = scenario.spec.plant.cooling.carbon_kg_per_kwh
    return [f"carbon of {series}: {intensity(series, scenario.clock, scenario.horizon_s)[1]}"] if isinstance(series, str) else []


def _unsaid(scenario: "Scenario") -> list[str]:
    """Return a line where a replayed log goes on after the run has ended."""
    from twin.workloads.negotiation.session import beyond

    setting = scenario.spec.workloads.negotiation.messages
    late, rows = beyond(setting, scenario.horizon_s)
    said = f"{late:,} of {rows:,} hints and answers come at the end of the run ({scenario.horizon_s:,.0f} s) or later and were not said"
    return [f"messages {setting}: {said}"] if late else []


def _metrics(metrics: dict[str, float]) -> list[str]:
    return table([(name, show(metrics[name], name)) for name in METRICS if name in metrics], right=(1,))


def compare(arguments: Namespace) -> Answer:
    """Run two policy sets in the same worlds, seed by seed."""
    from policies import study
    from twin.scenario import load

    place = home()
    if len(arguments.policy) != 2:
        raise ValueError(f"--policy is given {len(arguments.policy)} times; give it twice, the reference first")
    first, second = (policy_of(text, place) for text in arguments.policy)
    scenario = load(arguments.scenario)
    seeds = tuple(range(scenario.seed, scenario.seed + arguments.seeds))
    labels = _labels(first.name, second.name)
    found = study.compare(
        scenario, dict(zip(labels, (first, second), strict=True)), seeds, place, workers=arguments.workers, progress=progress_bar()
    )
    differences = found.differences(labels[1])
    metrics = {
        name: {"a": d.a, "b": d.b, "difference": d.difference, "low": d.low, "high": d.high, "n": d.n} for name, d in differences.items()
    }
    value = {"runs": {label: list(found.run_ids[label]) for label in labels}, "seeds": list(found.seeds), "metrics": metrics}
    rows = [
        (name, show(d.a, name), show(d.b, name), show_change(d.difference, name), _interval(name, d.low, d.high), _word(name, d))
        for name, d in differences.items()
    ]
    paired = f"{len(seeds)} paired seed{'s' if len(seeds) > 1 else ''}"
    head = f"{scenario.name}: {labels[1]} against {labels[0]}, {paired}, mean difference with its 95 % interval"
    lines = [head, *table(rows, ("metric", labels[0], labels[1], "difference", "interval", ""), right=(1, 2, 3, 4))]
    pooled = pools.of_runs(dict(zip(labels, (first, second), strict=True)), found.run_ids, found.seeds, place)
    return Answer(value, [*lines, *pooled, *([pools.basis(scenario)] if pooled else [])])


def _labels(first: str, second: str) -> tuple[str, str]:
    return (first, second) if first != second else (f"{first} (a)", f"{second} (b)")


def _interval(name: str, low: float | None, high: float | None) -> str:
    return "one seed" if low is None or high is None else f"{show_change(low, name)} to {show_change(high, name)}"


def _word(name: str, difference: Any) -> str:
    if difference.low is None or difference.low <= 0.0 <= difference.high:
        return "unclear" if difference.difference else "same"
    return "better" if (difference.difference < 0) == (METRICS[name].better == "lower") else "worse"


def sweep(arguments: Namespace) -> Answer:
    """Run what a sweep file asks for."""
    from policies.sweep import sweep as run_sweep

    rows = run_sweep(Path(arguments.file), home(), workers=arguments.workers, backend=arguments.backend, progress=progress_bar())
    value = [asdict(row) for row in rows]
    shown: tuple[str, ...] = ("plant.gpu_temp_max_c", "plant.row_power_peak_w", "serving.ttft_p99_s", "serving.cost_usd_per_h")
    if any("memory.pod_hosts" in row.metrics for row in rows):
        shown = ("memory.pod_hosts", "memory.cost_usd_per_host", "memory.dram_saving_share", "memory.overflow_events")
    lines = [
        (
            row.run_id,
            row.scenario,
            row.policy,
            ", ".join(f"{name} {value}" for name, value in row.knobs.items()) or "-",
            row.seed,
            *(show(row.metrics.get(name), name) for name in shown),
        )
        for row in rows
    ]
    heads = ("run", "scenario", "policy", "knobs", "seed", *(METRICS[name].label for name in shown))
    return Answer(value, table(lines, heads, right=range(4, 9)))

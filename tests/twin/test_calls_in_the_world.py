"""Functions in the world: dark hosts, cores that spin beside all others, pooled memory, a run that goes on while calls are under way."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from policies import study
from policies.policy import Held, PolicySet, Schedule
from twin.run import Run, Start, simulate
from twin.scenario import Scenario, read
from twin.sources import toml

FUNCTION = {"id": "aes", "trigger": "others", "rate_per_s": 400.0}
IDLE = {"mean_share": 0, "swing_share": 0, "noise_share": 0}
SCENARIO: dict[str, Any] = {
    "name": "called",
    "fleet": "tiny",
    "start": "2026-07-14T13:00:00",
    "timezone": "America/Phoenix",
    "horizon_s": 900,
    "tick_s": 30,
    "workloads": {"vms": [{"workload": "serverless", "servers": ["host-1"], "load": IDLE}]},
}
DARK = [{"kind": "pdu_loss", "target": f"hosts-row-pdu-{side}", "from_s": 200, "until_s": 400} for side in "ab"]


def called(functions: dict[str, Any] | None = None, **changed: Any) -> Scenario:
    own = {"workload": "serverless", "hosts": ["host-1"], "functions": [FUNCTION], **(functions or {})}
    return read({**SCENARIO, "functions": own, **changed})


def _policy(runtime: str = "containerd", levers: dict[str, Any] | None = None, **knobs: Any) -> PolicySet:
    held = (Held(system=runtime, knobs=knobs),)
    return PolicySet.model_validate({"name": "tried", "levers": {"function_runtime": held, **(levers or {})}})


def _run(scenario: Scenario, policy: PolicySet | None = None, **how: Any) -> Run:
    return simulate(scenario, study.phases(Schedule.of(policy or _policy()), scenario), **how)


def _table(run: Run, name: str) -> pl.DataFrame:
    return run.tables[name].collect()


def test_calls_of_a_dark_host_wait_until_it_is_lit_and_none_is_lost() -> None:
    """Both feeds of the row are out from 200 s to 400 s."""
    lit, dark = _run(called()), _run(called(faults=DARK))
    rows = _table(dark, "functions").sort("t_s")
    assert rows["arrived"].to_list() == _table(lit, "functions").sort("t_s")["arrived"].to_list(), "callers know nothing of it"
    assert rows["waiting"][0] == pytest.approx(100 * 400, rel=0.1)
    assert rows["arrived"].sum() == rows["completed"].sum() + rows["waiting"][-1]
    assert rows["waiting"][-1] < 20
    assert dark.metrics["functions.latency_p99_s"] > 150.0
    hosts = _table(dark, "function_hosts").sort("t_s")
    assert hosts["cores"].to_list() == [0.0, 4.0, 4.0], "as they are at the end of each five minutes"


def test_cores_that_spin_take_turns_with_calls_where_a_host_has_none_left() -> None:
    """40 vCPUs, all of them for calls: a scheduler's core is one of 41 that want to run; with one less it has its own."""
    found = [_run(called({"cores": cores}), _policy("junctiond")).metrics["functions.throughput_max_per_s"] for cores in (39, 40)]
    assert found[0] == pytest.approx(39 / 102e-6)
    assert found[1] == pytest.approx(40 * 40 / 41 / 102e-6)
    each = _run(called({"cores": 40}), _policy("junctiond", polling_cores=0.0, polling_cores_each=1.0))
    assert 0 < each.metrics["functions.throughput_max_per_s"] < found[1], "an instance more is a core more that spins"


def test_functions_on_pooled_memory_are_slower() -> None:
    """Part of the host's memory lies on devices between two hosts; what waits for it waits longer, and cores do less."""
    pooled = {"pod_topology": [{"system": "fully_connected", "knobs": {"hosts": 2}}]}
    scenario = called()
    near, far = (_run(scenario, _policy(levers=levers)) for levers in ({}, pooled))
    for metric in ("functions.latency_p50_s", "functions.latency_p99_s"):
        assert far.metrics[metric] > near.metrics[metric], metric
    slowdown_share = _table(far, "memory_pool").sort("t_s")["slowdown_share"][-1]
    full = [_table(each, "function_hosts").sort("t_s")["saturation_per_s"][-1] for each in (near, far)]
    assert slowdown_share > 0.01
    assert full[0] / full[1] == pytest.approx(1.0 + slowdown_share)
    _same_rest(scenario, _policy(levers=pooled), 300.0)


def test_a_run_that_goes_on_is_the_same_with_cores_full_and_while_a_host_is_dark() -> None:
    busy = {"cores": 1, "functions": [{**FUNCTION, "rate_per_s": 1_900.0}], "generated": 20, "generated_rate_per_s": 1.0}
    _same_rest(called(busy), _policy(), 300.0)
    _same_rest(called(busy, faults=DARK), _policy("junctiond"), 300.0)


def test_a_stage_that_waits_for_a_call_or_a_request_gets_its_answer_after_a_snapshot() -> None:
    """A report is submitted two seconds before it, so that what it asked is under way."""
    raw = toml(Path(__file__).parents[1] / "working.toml")
    raw["workflows"]["workflows"][1]["at_s"] = [290, 590]
    scenario = read({**raw, "horizon_s": 1500})
    whole = _run(scenario, snapshots_at=(600.0,))
    assert whole.snapshots[600.0]["working"]["asked"], "something is under way"
    rest = _run(scenario, start=Start("x", 600.0, whole.snapshots[600.0]))
    for name in ("jobs", "workflow_tasks", "functions"):
        assert _table(rest, name).equals(_table(whole, name).filter(pl.col("t_s") > 600.0)), name


def _same_rest(scenario: Scenario, policy: PolicySet, at_s: float) -> None:
    """Every table of a run that goes on from a snapshot is, after it, that of the whole run."""
    whole = _run(scenario, policy, snapshots_at=(at_s,))
    rest = _run(scenario, policy, start=Start("x", at_s, whole.snapshots[at_s]))
    for name in ("functions", "function_path", "function_latency", "function_hosts", "rows"):
        expected = _table(whole, name).filter(pl.col("t_s") > at_s)
        assert expected.height, name
        assert _table(rest, name).equals(expected), name


def test_calls_cost_what_their_power_costs() -> None:
    """More calls, more energy and its cost: of this host's row alone."""
    few, many = _run(called()), _run(called({"functions": [{**FUNCTION, "rate_per_s": 7_000.0}]}))
    for metric in ("plant.energy_j", "plant.energy_cost_usd"):
        assert many.metrics[metric] > few.metrics[metric], metric
    more_w = [
        _table(each, "rows").group_by(pl.col("row_id").cast(pl.String)).agg(pl.col("power_w").mean()).sort("row_id") for each in (few, many)
    ]
    both = dict(zip(more_w[0]["row_id"], np.array(more_w[1]["power_w"]) - np.array(more_w[0]["power_w"]), strict=True))
    assert both.pop("hosts-row") > 5.0
    assert max(map(abs, both.values())) < 1e-6


@pytest.mark.parametrize(
    ("functions", "words"),
    [
        ({"cores": 41}, r"functions\.cores: 41 are more than the 40 vCPUs of a host; lower them or add hosts"),
        ({"hosts": ["host-1", "host-1"]}, "functions: host-1 is written twice; keep one"),
        ({"hosts": ["server-1"]}, r"functions\.hosts: 'server-1' is no CPU host of the fleet; there are: host-1"),
        ({"hosts": ["host-9"]}, "'host-9' is no CPU host of the fleet; did you mean host-"),
        ({"hosts": []}, "functions need hosts; write hosts and the workload whose VMs fill them$"),
        ({"generated": 5}, "generated = 5 goes with generated_rate_per_s; write how often"),
        ({"generated": 5, "generated_rate_per_s": 1.0, "functions": [{**FUNCTION, "id": "synthetic-http-1"}]}, "rename it$"),
        ({"functions": [FUNCTION, FUNCTION]}, "'aes' is written twice; keep one$"),
    ],
)
def test_what_functions_cannot_stand_on_is_refused_in_one_line(functions: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        called(functions)
    assert "\n" not in str(refused.value)

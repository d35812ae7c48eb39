"""Once around: a prompt becomes heat, heat a missed objective, that an incident, its cause an intent, the intent a cooler run."""

import copy
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from policies import study
from policies.intent.compile import compile_intent
from policies.intent.interpret.understand import understand
from policies.intent.propose import Facts, Proposal, proposed
from policies.intent.versions import site_of
from policies.investigate import OURS, investigate, score
from policies.policy import PolicySet, Schedule
from twin.run import Run, simulate
from twin.scenario import Scenario
from twin.scenario import read as scenario_of
from twin.sources import data_dir, toml
from twin.store import case_of_run, runs
from twin.store.investigations import Investigated

BEGIN_S = 3600.0


def _hot() -> Scenario:
    raw: dict[str, Any] = copy.deepcopy(dict(toml(data_dir() / "scenarios" / "drill-a.toml")))
    endpoints = raw["serving"]["endpoints"]
    # Long prompts: their prefill keeps GPUs at full power, and is slower in step with the clock.
    endpoints[0] |= {"ttft_slo_s": 4.0, "atgt_slo_s": 0.5}
    endpoints[0]["demand"] |= {"rate_per_s": 7.0, "burst_factor": 1.0, "lengths": "code"}
    raw["plant"] = {
        "weather": {"climate": "phoenix", "mean_c": 50.0, "swing_c": 2.0}, "inlet": {"aisle_air_supply_share": {"aisle-1": 0.7}}
    }  # fmt: skip
    raw |= {"horizon_s": 9000.0, "faults": [{"kind": "ahu_loss", "target": "aisle-1", "from_s": BEGIN_S, "severity": 0.95}]}
    return scenario_of(raw)


def _run(scenario: Scenario, policy: PolicySet) -> Run:
    return simulate(scenario, study.phases(Schedule.of(policy), scenario))


def _around(scenario: Scenario, home: Path) -> tuple[Run, Investigated, tuple[Proposal, ...]]:
    """Run today's policy, look into the first incident since the fault began, and return what is proposed of its first cause."""
    run = _run(scenario, PolicySet(name="today"))
    runs.save(run, home)
    incident = next(each for each in case_of_run.incidents_of(run.run_id, home) if each.onset_s >= BEGIN_S)
    found = investigate(run.run_id, incident.incident_id, OURS, home, moments_s=(BEGIN_S + 1800.0,))
    last = found.moments[-1]
    alerts = run.tables["alerts"].collect()
    facts = Facts.of(scenario.fleet, scenario.clock, scenario.entities(), alerts, incident, last.as_of_s)
    return run, found, proposed(last.investigation.hypotheses[0], incident, facts, last.investigation.status)


def _tried(words: str, scenario: Scenario) -> Run:
    site = site_of(scenario)
    said = understand(words, site)
    assert not said.intent.questions, words
    return _run(scenario, compile_intent(said.intent, site).policy)


@pytest.fixture(scope="module")
def circle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scenario, Run, Investigated, tuple[Proposal, ...]]:
    scenario = _hot()
    return scenario, *_around(scenario, tmp_path_factory.mktemp("home"))


def _struck(kind: str, target: str) -> Scenario:
    raw: dict[str, Any] = copy.deepcopy(dict(toml(data_dir() / "scenarios" / "drill-a.toml")))
    raw |= {"horizon_s": 9000.0, "faults": [{"kind": kind, "target": target, "from_s": BEGIN_S}]}
    return scenario_of(raw)


def _throttled(run: Run) -> float:
    rows = run.tables["rows"].filter((pl.col("t_s") > BEGIN_S + 600.0) & (pl.col("row_id") == "row-1")).collect()
    return float(rows["throttled_gpu_share"].mean())  # type: ignore[arg-type]


def test_the_cause_of_what_many_prompts_and_little_air_bring_is_found(circle: Any, tmp_path: Path) -> None:
    _, run, found, _ = circle
    first = found.moments[-1].investigation.hypotheses[0]
    assert (first.cause, first.entity_id) == ("air_handler_lost", "aisle-1")
    runs.save(run, tmp_path)
    assert score(found, tmp_path).moments[-1].rank == 1


def test_what_is_proposed_is_read_and_its_policy_softens_what_happened(circle: Any) -> None:
    scenario, run, _, proposals = circle
    assert proposals
    softer = [_throttled(_tried(each.words, scenario)) < _throttled(run) for each in proposals]
    assert any(softer), [each.words for each in proposals]


def test_a_lost_ups_leads_to_caps_that_keep_rows_from_being_throttled_blindly(tmp_path: Path) -> None:
    scenario = _struck("ups_loss", "ups-1")
    run, found, proposals = _around(scenario, tmp_path)
    first = found.moments[-1].investigation.hypotheses[0]
    assert (first.cause, first.entity_id) == ("ups_lost", "ups-1")
    assert _throttled(run) > 0.5
    assert min(_throttled(_tried(each.words, scenario)) for each in proposals) < 0.1


def test_evicted_instances_lead_to_a_runtime_that_starts_them_sooner(tmp_path: Path) -> None:
    scenario = _struck("cold_start_storm", "check-fraud")
    run, found, proposals = _around(scenario, tmp_path)
    first = found.moments[-1].investigation.hypotheses[0]
    assert (first.cause, first.entity_id) == ("cold_start_storm", "check-fraud")
    again = _tried(proposals[0].words, scenario)
    late = [
        each.tables["functions"].filter((pl.col("t_s") > BEGIN_S + 600.0) & (pl.col("function_id") == "check-fraud")).collect()
        for each in (run, again)
    ]
    assert late[1]["latency_p99_s"].mean() < late[0]["latency_p99_s"].mean()  # type: ignore[operator]

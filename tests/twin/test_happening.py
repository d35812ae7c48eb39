"""Incidents in the world: what other domains did is felt by services, seen by monitoring, and leads back."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from policies import study
from policies.policy import Held, PolicySet, Schedule
from twin.run import Run, Start, simulate
from twin.scenario import Scenario
from twin.scenario import read as scenario_of
from twin.sources import data_dir, toml

BEGIN_S = 3600.0
TODAY = PolicySet(name="today")


def _raw(faults: Sequence[Mapping[str, Any]] = (), name: str = "drill-a", **changed: Any) -> dict[str, Any]:
    raw = copy.deepcopy(dict(toml(data_dir() / "scenarios" / f"{name}.toml")))
    raw |= {"faults": [{"from_s": BEGIN_S, **fault} for fault in faults], "horizon_s": 7200.0}
    for key, value in changed.items():
        raw[key] = {**raw.get(key, {}), **value} if isinstance(value, Mapping) else value
    return raw


def _scenario(*faults: Mapping[str, Any], name: str = "drill-a", **changed: Any) -> Scenario:
    return scenario_of(_raw(faults, name, **changed))


def _run(scenario: Scenario, policy: PolicySet = TODAY, **how: Any) -> Run:
    return simulate(scenario, study.phases(Schedule.of(policy), scenario), **how)


def _table(run: Run, name: str) -> pl.DataFrame:
    frame: pl.DataFrame = run.tables[name].collect() if name in run.tables else pl.DataFrame()
    return frame


def _alerts(run: Run) -> set[tuple[str, str]]:
    """Return entity and metric of the alerts that fired once the fault had begun."""
    frame = _table(run, "alerts")
    fired = frame.filter((pl.col("state") == "fired") & (pl.col("since_s") >= BEGIN_S)) if frame.height else frame
    return set(fired.select("entity_id", "metric").iter_rows()) if frame.height else set()


def _way(run: Run) -> str:
    return str(_table(run, "faults_truth")["path"][0])


@pytest.fixture(scope="module")
def calm() -> Run:
    return _run(_scenario())


def test_a_calm_afternoon_has_no_incident_but_what_chance_brings(calm: Run) -> None:
    frame = _table(calm, "incidents")
    assert frame.filter(pl.col("severity") == "critical").height <= 1
    assert not _alerts(calm)
    assert "faults_truth" not in calm.tables, "nothing was done to it"


def test_services_are_load_of_their_hosts_and_so_of_their_racks(calm: Run) -> None:
    raw = _raw()
    raw["incidents"] = {**raw["incidents"], "services": []}
    without = _run(scenario_of(raw))
    assert "services" not in without.tables
    drawn = [_table(run, "rows").filter(pl.col("row_id") == "hosts-row")["power_w"].mean() for run in (calm, without)]
    assert drawn[0] > drawn[1]


def test_a_wrong_power_cap_slows_clocks_then_answers_then_the_service_that_waits_for_them() -> None:
    run = _run(_scenario({"kind": "power_cap_wrong", "target": "row-1", "severity": 0.7}))
    fired = _alerts(run)
    assert {("row-1", "rows.power_w"), ("row-1", "rows.throttled_gpu_share"), ("chat-70b", "endpoints.slo_share")} <= fired
    assert ("assistant", "services.latency_p99_s") in fired
    incidents = _table(run, "incidents").filter(pl.col("onset_s") >= BEGIN_S)
    assert incidents.height == 1, "what hangs together is one incident"
    changes = _table(run, "changes").filter(pl.col("entity_id") == "row-1")
    assert changes.height == 1, "somebody set it, and the log says so"


def test_lost_air_on_a_hot_day_becomes_heat_a_slower_clock_a_missed_objective_and_a_slow_service() -> None:
    endpoints = [dict(each) for each in _raw()["serving"]["endpoints"]]
    # Long prompts: their prefill keeps GPUs at full power, and is slower in step with the clock.
    demand = {**endpoints[0]["demand"], "rate_per_s": 7.0, "burst_factor": 1.0, "lengths": "code"}
    endpoints[0] |= {"ttft_slo_s": 4.0, "atgt_slo_s": 0.5, "demand": demand}
    weather = {"climate": "phoenix", "mean_c": 50.0, "swing_c": 2.0}
    hot = {"plant": {"weather": weather, "inlet": {"aisle_air_supply_share": {"aisle-1": 0.7}}}, "serving": {"endpoints": endpoints}}
    loss = {"kind": "ahu_loss", "target": "aisle-1", "severity": 0.95}
    base, run = (_run(_scenario(*faults, **hot)) for faults in ((), (loss,)))
    rows = [_table(each, "rows").filter((pl.col("t_s") > BEGIN_S + 600.0) & (pl.col("row_id") == "row-1")) for each in (base, run)]
    assert rows[1]["gpu_temp_max_c"].max() > rows[0]["gpu_temp_max_c"].max() + 3.0  # type: ignore[operator]
    assert rows[1]["throttled_gpu_share"].max() > rows[0]["throttled_gpu_share"].max() + 0.1  # type: ignore[operator]
    chain = {
        ("aisle-1", "feeds.lost_share"),
        ("row-1", "rows.throttled_gpu_share"),
        ("chat-70b", "endpoints.slo_share"),
        ("assistant", "services.latency_p99_s"),
    }
    assert chain <= _alerts(run)
    assert not chain & _alerts(base)
    assert _table(run, "incidents").filter(pl.col("onset_s") >= BEGIN_S).height == 1


def test_a_row_without_power_takes_its_services_with_it() -> None:
    both = [{"kind": "pdu_loss", "target": f"hosts-row-pdu-{side}"} for side in "ab"]
    run = _run(_scenario(*both))
    services = _table(run, "services").filter(pl.col("t_s") > BEGIN_S + 300.0)
    assert services["requests_per_s"].max() == 0.0
    assert ("front", "services.error_share") in _alerts(run)


def test_a_gpu_that_is_gone_is_said_by_its_driver_and_felt_by_who_asks_its_endpoint() -> None:
    run = _run(_scenario({"kind": "gpu_off_bus", "target": "server-1"}))
    logs = _table(run, "logs").filter(pl.col("entity_id") == "server-1")
    assert "Xid" in logs["words"][0]
    assert ("assistant", "services.latency_p99_s") in _alerts(run)
    assert _way(run) == "server-1 > chat-70b/1"


def test_a_slow_card_is_felt_through_the_calls_that_pass_it_and_the_truth_tells_the_way() -> None:
    run = _run(_scenario({"kind": "slow_nic", "target": "host-10", "severity": 0.8}))
    assert _way(run) == "host-10 > cache > cart > front"
    (incident,) = _table(run, "incidents").filter(pl.col("onset_s") >= BEGIN_S).to_dicts()
    assert incident["entity_id"] == "front"
    assert "host-10" not in incident["text"], "an incident tells symptoms, not causes"


def test_evicted_instances_of_functions_are_noticed() -> None:
    run = _run(_scenario({"kind": "cold_start_storm", "target": "check-fraud", "severity": 1.0}))
    assert ("check-fraud", "functions.latency_p99_s") in _alerts(run)


def test_a_flood_of_hints_is_noticed_and_said() -> None:
    base = _raw()
    who = base["workloads"]["negotiation"]["tenants"][0]["id"]
    run = _run(_scenario({"kind": "hint_flood", "target": who, "severity": 1.0}))
    assert (who, "hint_conflicts.hints") in _alerts(run)
    assert _table(run, "logs").filter(pl.col("entity_id") == who).height > 0


def test_a_lost_link_of_a_pod_is_noticed_by_what_hosts_must_hold_themselves() -> None:
    octopus = PolicySet(name="pooled", levers={"pod_topology": (Held(system="octopus"),), "pool_allocation": (Held(system="octopus"),)})
    raw = dict(toml(data_dir() / "scenarios" / "octopus.toml"))
    raw |= {"horizon_s": 7200.0}
    calm = _run(scenario_of(raw), octopus)
    device = sorted(set(_table(calm, "memory_devices")["device_id"].cast(pl.String)))[0]
    assert _table(calm, "topology").filter((pl.col("target") == device) & (pl.col("kind") == "stores in")).height > 1
    raw |= {"faults": [{"kind": "cxl_device_loss", "target": device, "from_s": BEGIN_S}]}
    run = _run(scenario_of(raw), octopus)
    spilled = [_table(each, "memory_hosts").filter(pl.col("t_s") > BEGIN_S)["spilled_bytes"].sum() for each in (calm, run)]
    truth = _table(run, "faults_truth")
    assert truth["cause"].to_list() == ["cxl_device_lost"]
    assert (spilled[1] > spilled[0]) == (len(_alerts(run)) > len(_alerts(calm)))


def test_a_retry_storm_outlives_its_trigger_and_a_budget_of_retries_ends_it() -> None:
    raw = copy.deepcopy(dict(toml(data_dir() / "scenarios" / "retry-storm.toml")))
    (burst,) = raw["faults"]
    over_s = 4500.0 + 1800.0
    storm = _run(scenario_of(raw))
    late = _table(storm, "services").filter((pl.col("service_id") == "front") & (pl.col("t_s") > over_s))
    assert burst["kind"] == "request_burst"
    assert late["error_share"].min() > 0.5, "long after the burst nearly everything fails still"
    for service in raw["incidents"]["services"]:
        service |= {"client_retry_budget_share": 0.1, "client_retries": 1}
        for call in service.get("calls", ()):
            call |= {"retry_budget_share": 0.1, "retries": 1}
    ended = _run(scenario_of(raw))
    calm_again = _table(ended, "services").filter((pl.col("service_id") == "front") & (pl.col("t_s") > over_s))
    assert calm_again["error_share"].max() < 0.1


def test_monitoring_changes_nothing_of_what_happens(calm: Run) -> None:
    unwatched = _run(_scenario(incidents={"alerts": False}))
    assert "alerts" not in unwatched.tables
    for name in sorted(set(calm.tables) - {"alerts", "incidents"}):
        assert_frame_equal(_table(calm, name), _table(unwatched, name))


def test_going_on_from_a_snapshot_writes_the_same_services_alerts_and_truth() -> None:
    scenario = _scenario({"kind": "slow_nic", "target": "host-10", "severity": 0.8})
    whole = _run(scenario, snapshots_at=(3900.0,))
    rest = _run(scenario, start=Start(whole.run_id, 3900.0, whole.snapshots[3900]))
    for name in ("services", "service_hosts", "logs", "changes", "alerts", "faults_truth", "hosts", "topology", "entities"):
        expected = _table(whole, name)
        if "t_s" in expected.columns:
            expected = expected.filter(pl.col("t_s") > 3900.0)
        if expected.height:
            assert_frame_equal(_table(rest, name), expected)


def test_what_services_feel_does_not_depend_much_on_the_tick() -> None:
    fault = {"kind": "power_cap_wrong", "target": "row-1", "severity": 0.7}
    means = []
    for tick_s in (30.0, 15.0):
        services = _table(_run(_scenario(fault, tick_s=tick_s)), "services").filter(pl.col("service_id") == "front")
        means.append(float(services["cpu_share"].mean()))  # type: ignore[arg-type]
    assert means[0] == pytest.approx(means[1], rel=0.02)


def test_topology_and_entities_are_written_once_and_hold_every_symptom(calm: Run) -> None:
    entities = set(_table(calm, "entities")["entity"])
    assert set(_table(calm, "topology").select("source", "target").to_numpy().ravel()) <= entities
    assert {"front", "chat-70b", "server-1", "row-1", "host-1"} <= entities
    assert len(entities) == _table(calm, "entities").height


def test_the_truth_lies_where_no_telemetry_reaches(calm: Run) -> None:
    run = _run(_scenario({"kind": "slow_nic", "target": "host-10", "severity": 0.8}), until_s=4200.0)
    told = run.manifest["tables"]["faults_truth"]
    assert told["telemetry"] is False
    assert np.isnan(_table(run, "faults_truth")["until_s"][0])

"""Memory meets the others: VMs on hosts fill pods; pools cost hosts time and racks watts; a lost device is felt."""

from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from policies import study
from policies.policy import TODAY, PolicySet, Schedule, Step
from twin import run as runs
from twin.memory.sizing import host_peaks
from twin.memory.terms import Terms
from twin.pooling import topology_seen
from twin.run import Run, Start, simulate
from twin.scenario import Scenario, read

LATER_S = 3600.0
SCENARIO: dict[str, Any] = {
    "name": "pooled",
    "fleet": "example",
    "start": "2026-07-14T08:00:00",
    "timezone": "America/Phoenix",
    "horizon_s": "2 h",
    "tick_s": 30,
    "workloads": {"host_streams": [{"workload": "web", "vcpus_share": 0.6, "memory_bound_share": 0.4}]},
}
FULL = PolicySet.model_validate({"name": "full", "levers": {"pod_topology": [{"system": "fully_connected", "knobs": {"hosts": 8}}]}})
SWITCHED = PolicySet.model_validate({"name": "switched", "levers": {"pod_topology": [{"system": "switch", "knobs": {"hosts": 24}}]}})


def _scenario(**changed: Any) -> Scenario:
    return read({**SCENARIO, **changed})


def _run(policy: PolicySet, scenario: Scenario | None = None, **how: Any) -> Run:
    scenario = scenario or _scenario()
    return simulate(scenario, study.phases(Schedule.of(policy), scenario), **how)


@cache
def _plain(name: str) -> Run:
    return _run({"today": TODAY, "full": FULL, "switched": SWITCHED}[name], snapshots_at=(LATER_S,))


def _hosts_power_w(run: Run) -> float:
    hosts = run.tables["racks"].filter(pl.col("rack_id").cast(pl.String).str.starts_with("host-"))
    return float(hosts.select(pl.col("power_w").sum()).collect().item())


def _total(run: Run, table: str, column: str) -> float:
    return float(run.tables[table].select(pl.col(column).sum()).collect().item())


def test_memory_counts_the_vms_that_workloads_place() -> None:
    run = _plain("full")
    placed = run.tables["vms"].filter(pl.col("place_id").str.starts_with("host-")).collect()
    gone = set(run.tables["vm_ends"].collect()["vm_id"]) if "vm_ends" in run.tables else set()
    standing = placed.filter(~pl.col("vm_id").is_in(list(gone)))
    last = run.tables["memory_hosts"].filter(pl.col("t_s") == pl.col("t_s").max()).collect()
    assert last["vcpus"].sum() == standing["vcpus"].sum() > 0
    # Local memory at its highest in the last sample, pooled at its end: together at least what stands.
    assert last["local_bytes"].sum() + last["pooled_bytes"].sum() >= standing["memory_bytes"].sum()
    assert last["demand_bytes"].sum() >= standing["memory_bytes"].sum()


def test_more_vms_ask_for_more_memory() -> None:
    few = _run(FULL, _scenario(workloads={"host_streams": [{"workload": "web", "vcpus_share": 0.3}]}))
    assert _total(few, "memory_hosts", "demand_bytes") < _total(_plain("full"), "memory_hosts", "demand_bytes")


def test_the_hosts_of_pods_are_the_hosts_of_the_fleet() -> None:
    """Another fleet has other hosts, and more pods over them; 0.6 of its vCPUs are more VMs."""
    run = _run(FULL, _scenario(fleet="octopus", horizon_s="10 min"))
    for each, hosts in ((_plain("full"), 96), (run, 384)):
        ids = set(each.tables["memory_hosts"].collect()["host_id"].cast(pl.String))
        assert ids == {f"host-{number}" for number in range(1, hosts + 1)}
        pods = each.tables["pods"].collect()
        assert (pods["hosts"] == 8).all()
        assert pods.height == hosts // 8
        assert ids >= set(each.tables["vms"].filter(pl.col("vcpus") > 0).collect()["place_id"])
    first = run.tables["memory_hosts"].filter(pl.col("t_s") <= 300.0).collect()
    other = _plain("full").tables["memory_hosts"].filter(pl.col("t_s") <= 300.0).collect()
    assert first["demand_bytes"].sum() > 3 * other["demand_bytes"].sum()


def test_a_run_counts_the_dram_of_the_days_that_its_pod_was_designed_from() -> None:
    scenario = _scenario()
    terms = Terms(scenario.spec.memory.pooled_share, scenario.spec.memory.slice_bytes)
    whole, local = host_peaks(topology_seen(scenario, 1).past(), terms)
    before = _plain("full").tables["memory_before"].collect()
    assert before["demand_bytes"].to_list() == whole.tolist()
    assert before["local_bytes"].to_list() == local.tolist()
    assert before["demand_bytes"].sum() > before["local_bytes"].sum() > 0


def test_policies_meet_the_same_vms() -> None:
    assert _plain("today").manifest["exogenous"] == _plain("full").manifest["exogenous"] == _plain("switched").manifest["exogenous"]
    other = _run(TODAY, seed=2)
    assert other.manifest["exogenous"] != _plain("today").manifest["exogenous"]


def test_pooled_memory_slows_vms_whose_hosts_are_busier_and_draw_more() -> None:
    bound, free = (
        _run(SWITCHED, _scenario(workloads={"host_streams": [{"workload": "web", "vcpus_share": 0.6, "memory_bound_share": share}]}))
        for share in (0.4, 0.0)
    )
    assert _total(bound, "memory_pool", "slowdown_share") > 0.0 == _total(free, "memory_pool", "slowdown_share")
    assert _hosts_power_w(bound) > _hosts_power_w(free)


def test_the_slower_the_pool_the_busier_the_hosts() -> None:
    assert _plain("switched").metrics["memory.access_latency_s"] > _plain("full").metrics["memory.access_latency_s"]
    assert _total(_plain("switched"), "memory_pool", "slowdown_share") / 4 > _total(_plain("full"), "memory_pool", "slowdown_share") / 12


def test_devices_draw_power_in_the_racks_of_their_hosts() -> None:
    idle = {"host_streams": [{"workload": "web", "vcpus_share": 0.6, "memory_bound_share": 0.0}]}
    today, full = _run(TODAY, _scenario(workloads=idle)), _run(FULL, _scenario(workloads=idle))
    devices_w = _total(full, "pods", "power_w")
    assert devices_w > 100.0
    ticks = len(today.tables["site"].collect())
    assert (_hosts_power_w(full) - _hosts_power_w(today)) / ticks == pytest.approx(devices_w, rel=0.02)
    assert full.metrics["plant.energy_j"] > today.metrics["plant.energy_j"]


def test_a_lost_device_takes_memory_from_its_hosts_and_power_from_its_rack() -> None:
    lost = {"kind": "cxl_device_loss", "target": "device-3", "from_s": LATER_S}
    run = _run(FULL, _scenario(faults=[lost]))
    assert _total(run, "memory_pool", "vms_hit") > 0.0
    assert _total(run, "memory_pool", "lost_bytes") > 0.0
    rows = run.tables["memory_devices"].filter((pl.col("device_id").cast(pl.String) == "device-3") & (pl.col("t_s") > LATER_S)).collect()
    assert (rows["capacity_bytes"] == 0).all()
    assert (rows.filter(pl.col("t_s") > LATER_S + 300.0)["used_bytes"] == 0).all()
    assert _hosts_power_w(run) < _hosts_power_w(_plain("full"))


@pytest.mark.parametrize("name", ["today", "full"])
def test_a_run_goes_on_from_a_snapshot_as_if_it_had_not_stopped(name: str) -> None:
    policy, whole = {"today": TODAY, "full": FULL}[name], _plain(name)
    rest = _run(policy, start=Start(whole.run_id, LATER_S, whole.snapshots[int(LATER_S)]))
    for table in ("memory_hosts", "memory_devices", "memory_pool", "racks", "vms"):
        if table in whole.tables:
            one, other = (run.tables[table].filter(pl.col("t_s") > LATER_S).collect() for run in (whole, rest))
            assert one.equals(other), table


def test_another_pod_can_be_tried_from_where_todays_policy_is() -> None:
    today = _plain("today")
    tried = _run(FULL, start=Start(today.run_id, LATER_S, today.snapshots[int(LATER_S)]))
    # What should lie on devices: a slice that found no room under the one order of filling may find some under the other.
    wanted, whole = (
        run.tables["memory_hosts"]
        .filter(pl.col("t_s") == 2 * LATER_S)
        .select("host_id", pl.col("pooled_bytes") + pl.col("spilled_bytes"))
        .collect()
        for run in (tried, _plain("full"))
    )
    assert wanted.equals(whole)
    assert np.count_nonzero(wanted["pooled_bytes"]) > 0
    assert tried.metrics["memory.dram_saving_share"] is not None


def test_without_vms_on_hosts_and_without_a_pod_nothing_of_memory_is_written() -> None:
    run = _run(TODAY, _scenario(workloads={}))
    assert not [name for name in run.tables if name.startswith("memory") or name == "pods"]
    assert not [name for name in run.metrics if name.startswith("memory.")]


def test_halving_the_tick_moves_memory_by_less_than_a_thousandth() -> None:
    coarse, fine = _plain("full"), _run(FULL, _scenario(tick_s=15))
    for metric in ("memory.dram_saving_share", "memory.stranded_share"):
        assert fine.metrics[metric] == pytest.approx(coarse.metrics[metric], abs=1e-3), metric
    assert runs.read(fine, "memory.overflow_events") == runs.read(coarse, "memory.overflow_events")


def test_a_pod_is_built_before_a_run_and_no_later_policy_set_changes_it() -> None:
    scenario = _scenario()
    study.phases(Schedule(steps=(Step(policy=FULL), Step(from_s=600.0, policy=TODAY))), scenario)
    with pytest.raises(ValueError, match="from 600 s on asks for another memory pod than the first one"):
        study.phases(Schedule(steps=(Step(policy=FULL), Step(from_s=600.0, policy=SWITCHED))), scenario)

"""Where new VMs go: holders and guards decide, the VMs stay the same, and a run goes on as if it had not stopped."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from policies import study
from policies.policy import TODAY, Schedule
from twin import run as runs
from twin.metrics import Scope
from twin.scenario import Scenario, read
from twin.stack import Holding, Phase
from twin.workloads.levers import PlacementObservation, VmAsked

SCENARIO = {
    "name": "rented",
    "fleet": "a100",
    "start": "2026-07-14T08:00:00",
    "timezone": "America/Phoenix",
    "horizon_s": "2 h",
    "tick_s": 15,
    "serving": {"endpoints": [{"id": "chat", "model": "8b", "tp": 8, "demand": {"kind": "synthetic", "rate_per_s": 0.5}}]},
    "workloads": {
        "vms": [{"workload": "chat", "kind": "saas", "count": 3}],
        "arrivals": [{"workload": "rented", "gpus_share": 0.35, "lifetime": {"short_mean_s": "1 h", "long_mean_s": "8 h"}}],
    },
}


class FromTheEnd:
    """Ranks servers by their number, the last first; some it does not want at all."""

    def __init__(self, unwanted: tuple[int, ...] = ()) -> None:
        self.unwanted, self.seen = list(unwanted), []

    def rank(self, seen: PlacementObservation, asked: VmAsked) -> np.ndarray:
        self.seen.append((seen, asked))
        rank = np.arange(len(seen.gpus_free), dtype=np.float64)
        rank[self.unwanted] = -np.inf
        return rank


class NotThere:
    """Guards some servers."""

    def __init__(self, servers: tuple[int, ...]) -> None:
        self.servers = list(servers)

    def may_place(self, seen: PlacementObservation, asked: VmAsked) -> np.ndarray:
        may = np.ones(len(seen.gpus_free), dtype=np.bool_)
        may[self.servers] = False
        return may


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return read(SCENARIO)


def _phases(scenario: Scenario, *holders: tuple[Any, tuple[Scope, ...]]) -> tuple[Phase, ...]:
    (phase,) = study.phases(Schedule.of(TODAY), scenario)
    if not holders:
        return (phase,)
    own = tuple(
        Holding("vm_placement", f"mine-{index}", holder, scope, guard=hasattr(holder, "may_place"))
        for index, (holder, scope) in enumerate(holders)
    )
    rest = [holding for holding in phase.holdings if holding.lever != "vm_placement"]
    return (replace(phase, holdings=(*own, *phase.stack("vm_placement"), *rest)),)


@pytest.fixture(scope="module")
def today(scenario: Scenario) -> runs.Run:
    return runs.simulate(scenario, _phases(scenario), snapshots_at=(3600.0,))


@pytest.mark.parametrize(
    ("workloads", "words"),
    [
        ({"vms": [{"workload": "chat", "kind": "saas", "count": 17}]}, "136 GPUs are asked for and the fleet has 128; lower count"),
        ({"arrivals": [{"workload": "chat", "gpus_share": 0.1}]}, "'chat' is an endpoint; VMs that come and go are rented"),
        (
            {"vms": [{"workload": "chat", "kind": "saas", "count": 3}, {"workload": "chat", "count": 1}]},
            "workloads.vms: 'chat' is an endpoint; iaas VMs are rented",
        ),
        (
            {
                "vms": [{"workload": "front", "kind": "saas", "endpoint": "chat", "count": 3}],
                "arrivals": [{"workload": "front", "gpus_share": 0.1}],
            },
            "workloads.arrivals: 'front' is an endpoint",
        ),
        ({"arrivals": [{"workload": "rented", "gpus_share": 0.9}]}, "VMs would hold 115 GPUs on average beside 24 of groups"),
        ({"arrivals": [{"workload": "rented"}]}, "write gpus_share or rate_per_h, one of them"),
        ({"vms": [{"workload": "chat", "kind": "saas"}]}, "chat: write servers, or count"),
    ],
)
def test_what_cannot_stand_is_one_line(workloads, words):
    with pytest.raises(ValueError, match=words) as refused:
        read({**SCENARIO, "workloads": {**SCENARIO["workloads"], **workloads}})
    assert "\n" not in str(refused.value)


def test_streams_are_entities_and_a_burst_reaches_their_vms(scenario):
    assert scenario.entities()["workload"] == ("rented",)
    burst = read({**SCENARIO, "faults": [{"kind": "traffic_burst", "target": "rented", "from_s": 0, "severity": 0.3}]})
    power = [runs.simulate(each, _phases(each), until_s=600.0).metrics["plant.energy_j"] for each in (scenario, burst)]
    assert power[1] > 1.01 * power[0]


def _vms(run: runs.Run) -> pl.DataFrame:
    return run.tables["vms"].collect().sort("vm_id")


def test_two_holders_meet_the_same_vms_and_put_them_elsewhere(scenario, today):
    other = runs.simulate(scenario, _phases(scenario, (FromTheEnd(), ())))
    assert other.manifest["exogenous"] == today.manifest["exogenous"]
    mine, theirs = _vms(today), _vms(other)
    assert mine["vm_id"].equals(theirs["vm_id"])
    for name in ("gpus", "arrive_s", "kind"):
        assert mine[name].equals(theirs[name]), name
    assert not mine["place_id"].equals(theirs["place_id"])


def test_a_world_is_another_one_where_only_its_vms_are(scenario):
    longer = {"workload": "rented", "gpus_share": 0.35, "lifetime": {"short_mean_s": "1 h", "long_mean_s": "9 h"}}
    other = read({**SCENARIO, "workloads": {**SCENARIO["workloads"], "arrivals": [longer]}})
    found = [runs.simulate(each, _phases(each), until_s=300.0) for each in (scenario, other)]
    asked = [run.tables["requests"].select("arrive_s", "prompt_tokens").collect() for run in found]
    assert asked[0].equals(asked[1])
    assert found[0].manifest["exogenous"] != found[1].manifest["exogenous"]


def test_another_seed_brings_other_vms(scenario, today):
    assert runs.simulate(scenario, _phases(scenario), seed=9, until_s=300.0).manifest["exogenous"] != today.manifest["exogenous"]


def test_the_same_question_has_the_same_answer_and_a_snapshot_goes_on(scenario, today):
    rest = runs.simulate(scenario, _phases(scenario), start=runs.Start(today.run_id, 3600.0, today.snapshots[3600]))
    again = runs.simulate(scenario, _phases(scenario), snapshots_at=(3600.0,))
    assert rest.tables["vms"].collect().height > 3
    for name in ("vms", "vm_ends", "vm_waits", "rows", "gpus", "servers"):
        whole, late = today.tables[name].collect(), rest.tables[name].collect()
        assert whole.equals(again.tables[name].collect()), name
        assert whole.filter(pl.col("t_s") >= late["t_s"].min()).equals(late), name


def test_a_guard_strikes_out_servers_and_an_unwanted_server_is_not_taken(scenario):
    run = runs.simulate(scenario, _phases(scenario, (NotThere((0, 1, 2)), ()), (FromTheEnd((14, 15)), ())), until_s=3600.0)
    places = set(_vms(run)["place_id"])
    assert places
    assert not places & {"server-1", "server-2", "server-3", "server-15", "server-16"}


def test_the_first_holder_in_charge_decides_and_the_rest_falls_to_the_next(scenario, today):
    run = runs.simulate(scenario, _phases(scenario, (FromTheEnd(), (Scope("endpoint", "chat"),))), until_s=600.0)
    vms = _vms(run).filter(pl.col("t_s") == 0.0)
    chat = vms.filter(pl.col("workload_id") == "chat")["place_id"].to_list()
    assert all(int(place.rpartition("-")[2]) > 10 for place in chat)
    rented = vms.filter(pl.col("workload_id") == "rented")["place_id"].to_list()
    assert "server-1" in rented


def test_who_is_refused_everywhere_waits_and_is_counted(scenario):
    holder = FromTheEnd(tuple(range(16)))
    run = runs.simulate(scenario, _phases(scenario, (holder, (Scope("workload", "rented"),))), until_s=1800.0)
    assert set(_vms(run)["workload_id"]) == {"chat"}
    waits = run.tables["vm_waits"].collect().filter(pl.col("workload_id") == "rented")
    assert set(waits["outcome"]) <= {"waits", "gave up"}
    assert waits.height > 3
    assert waits["vm_id"].is_unique().all()


def test_a_holder_sees_who_is_where_and_a_plant_that_has_settled(scenario):
    holder = FromTheEnd()
    runs.simulate(scenario, _phases(scenario, (holder, ())), until_s=60.0)
    first, last = holder.seen[0][0], holder.seen[-1][0]
    assert first.t_s == 0.0
    assert first.hour_of_week == 24 + 8
    assert first.workload_ids == ("chat", "rented")
    assert len(first.vm_server) == 0
    assert len(last.vm_server) == len(last.vm_gpus) == len(last.vm_opaque) > 3
    assert np.array_equal(128 - last.gpus_free.sum(), last.vm_gpus.sum())
    plant = first.plant
    assert plant.server_nameplate_w.tolist() == [6500.0] * 16
    assert ((plant.inlet_c > 10.0) & (plant.inlet_c < 40.0)).all()
    assert (plant.server_idle_w < plant.server_power_w + 1.0).all()
    assert plant.aisle_supply_m3_per_s[0] > plant.aisle_airflow_m3_per_s[0] > 0.0
    with pytest.raises(ValueError, match="read-only"):
        last.gpus_free[0] = 9
    assert first.past_vms().mean_share.shape == (2, 168)
    assert (first.past_vms().highest_share < 1.0).all()
    past = first.past_plant()
    assert past.inlet_c.shape[1] == 16
    assert past.gpu_temp_c.shape == (len(past.outside_c), 128)


def test_a_gpu_is_warm_while_it_is_rented_and_cools_when_its_vm_leaves(today):
    vms = _vms(today)
    left = vms.join(today.tables["vm_ends"].select("vm_id", end_s="t_s").collect(), on="vm_id")
    cooled = []
    for vm in left.filter((pl.col("end_s") - pl.col("t_s") > 900.0) & (pl.col("end_s") < 6000.0)).iter_rows(named=True):
        after = vms.filter((pl.col("place_id") == vm["place_id"]) & pl.col("t_s").is_between(vm["end_s"], vm["end_s"] + 600.0))
        if after.is_empty():
            gpu = today.tables["gpus"].filter(pl.col("gpu_id") == f"{vm['place_id']}/gpu-{vm['first_gpu']}").collect()
            mean_c = [
                gpu.filter(pl.col("t_s").is_between(vm["end_s"] + begin_s, vm["end_s"] + end_s))["temp_max_c"].mean()
                for begin_s, end_s in ((-300.0, 0.0), (300.0, 600.0))
            ]
            cooled.append(mean_c[0] - mean_c[1])
    assert cooled
    assert min(cooled) > 2.0

"""The capacity lever: asked once before a run, clipped, and never another world than it says."""

import numpy as np
import pytest

from policies import study
from policies.policy import TODAY, Held, PolicySet, Schedule, Step
from policies.worlds import same_world
from twin import run as runs
from twin.metrics import Scope
from twin.plant.levers import CapacityAction, CapacityObservation
from twin.scenario import load, read
from twin.sizing import sized
from twin.sources import data_dir, toml
from twin.stack import Holding

LARGER = PolicySet(name="half more", levers={"capacity": (Held(system="tapas", knobs={"oversubscription_share": 0.5}),)})


class Asks:
    """Wants so many servers in each row."""

    def __init__(self, servers: int) -> None:
        self.servers = servers

    def size(self, seen: CapacityObservation) -> CapacityAction:
        return CapacityAction(np.full(len(seen.row_ids), self.servers))


def _following(**workloads):
    raw = toml(data_dir() / "scenarios" / "tiny.toml")
    groups = [{"workload": name, "kind": "saas", "count": 1} for name in ("chat-70b", "chat-8b")]
    arrivals = [{"workload": "rented", "gpus_share": 0.3}]
    return read({**raw, "horizon_s": 900, "workloads": {"vms": groups, "arrivals": arrivals, **workloads}})


def test_what_is_asked_is_clipped_to_what_the_row_holds_and_counted():
    found = sized(load("example"), (Holding("capacity", "asks", Asks(100)),))
    assert found.extra_servers == (40, 40, 40, 40, 0)
    assert found.clips == {"capacity/asks": 5}
    assert sized(load("example"), (Holding("capacity", "asks", Asks(-1)),)).extra_servers == (0,) * 5


def test_the_first_holder_in_charge_of_a_row_decides():
    stack = (Holding("capacity", "a", Asks(3), (Scope("row", "row-2"),)), Holding("capacity", "b", Asks(0)))
    assert sized(load("example"), stack).extra_servers == (0, 3, 0, 0, 0)


def test_todays_site_is_as_it_was_built(tiny_scenario):
    (phase,) = study.phases(Schedule.of(TODAY), tiny_scenario)
    assert not any(phase.extra_servers)


def test_the_first_policy_set_decides_and_every_holder_is_built_for_that_site(tiny_scenario):
    first, second = study.phases(Schedule(steps=(Step(policy=LARGER), Step(from_s=600.0, policy=TODAY))), tiny_scenario)
    assert sum(first.extra_servers) == 2
    assert not second.extra_servers


def test_a_later_policy_set_cannot_ask_for_another_size(tiny_scenario):
    study.phases(Schedule(steps=(Step(policy=LARGER), Step(from_s=600.0, policy=LARGER))), tiny_scenario)
    with pytest.raises(ValueError, match=r"from 600 s on asks for another number of servers .* hold it in the first policy set alone"):
        study.phases(Schedule(steps=(Step(policy=TODAY), Step(from_s=600.0, policy=LARGER))), tiny_scenario)


def test_more_servers_find_room_for_the_same_demand(tiny_scenario):
    larger = runs.simulate(tiny_scenario, study.phases(Schedule.of(LARGER), tiny_scenario), until_s=300.0)
    today = runs.simulate(tiny_scenario, study.phases(Schedule.of(TODAY), tiny_scenario), until_s=300.0)
    assert sum(larger.manifest["extra_servers"].values()) == 2
    assert today.manifest["extra_servers"] == {}
    assert larger.manifest["exogenous"] == today.manifest["exogenous"]
    assert larger.manifest["scenario"] == today.manifest["scenario"]
    assert larger.run_id != today.run_id
    servers = [run.tables["servers"].collect()["server_id"].n_unique() for run in (larger, today)]
    assert servers == [6, 4]
    assert larger.metrics["plant.oversubscription_share"] == pytest.approx(0.5)


def test_demand_follows_capacity_where_it_is_told_to():
    scenario = _following(follow_capacity=True)
    larger = scenario.grown([2, 2, 0][: len(scenario.fleet.row_ids)])
    times = len(larger.fleet.server_ids) / 4
    assert times > 1.0
    rates = [[endpoint.demand.rate_per_s for endpoint in each.spec.serving.endpoints] for each in (scenario, larger)]
    assert rates[1] == pytest.approx([round(times) * rate for rate in rates[0]])
    assert larger.canonical() == scenario.canonical(), "it is one question; the policy tells the sizes apart"
    fixed = _following()
    assert fixed.grown([2, 2, 0][: len(fixed.fleet.row_ids)]).spec == fixed.spec


@pytest.mark.parametrize("follow", [True, False])
def test_sites_of_different_size_may_meet_different_worlds_only_where_demand_follows(follow, tmp_path):
    def asked(policy, seed):
        return study.run(_following(follow_capacity=follow), policy, seed, tmp_path, window_s=(0.0, 300.0))

    today, more, other, more_other = asked(TODAY, 1), asked(LARGER, 1), asked(TODAY, 2), asked(LARGER, 2)
    same_world({"today": [today], "more": [more]}, (1,), tmp_path)
    # Runs of one size met the same, whether demand follows or not; without it those of any size did.
    alike = [(today, other), (more, more_other)] if follow else [(today, other), (more, more_other), (today, more_other)]
    for one, another in alike:
        with pytest.raises(RuntimeError, match="arrivals or weather differ"):
            same_world({"a": [one], "b": [another]}, (1,), tmp_path)


def test_the_holders_of_a_larger_site_know_all_of_it(tiny_scenario):
    target = {"metric": "plant.gpu_temp_max_c", "op": "<=", "bound": 60.0}
    held = (Held(system="tapas", knobs={"oversubscription_share": 0.5, "targets": (target,)}),)
    levers = ("capacity", "vm_placement", "request_routing", "instance_config", "emergency")
    both = Schedule.of(PolicySet(name="larger and cooler", levers=dict.fromkeys(levers, held)))
    larger = runs.simulate(tiny_scenario, study.phases(both, tiny_scenario), until_s=300.0)
    assert larger.tables["servers"].collect()["server_id"].n_unique() == 6


def test_a_larger_site_does_not_go_on_from_todays(tiny_scenario, tiny_run, tmp_path):
    phases = study.phases(Schedule.of(LARGER), tiny_scenario)
    with pytest.raises(ValueError, match="is of a site with 4 servers and this policy has 6"):
        runs.simulate(tiny_scenario, phases, start=runs.Start(tiny_run.run_id, 600.0, tiny_run.snapshots[600]))
    with pytest.raises(ValueError, match=r"\+2 servers against today's.* run it from the beginning"):
        study.run(tiny_scenario, LARGER, 1, tmp_path, window_s=(600.0, 900.0))
    assert study.run(tiny_scenario, LARGER, 1, tmp_path, window_s=(0.0, 300.0))

"""Stored runs are grouped by world and policy, and paired by seed."""

import math
from typing import Any

from app.report.pairing import Held, Worlds, is_today, policy_id_of, world_of, worlds
from policies.catalogue import as_run
from policies.policy import TODAY, Schedule
from twin.store.runs import manifest_of


def test_runs_of_one_world_stand_together_and_today_is_known_by_its_holders(store: Any) -> None:
    (world,) = worlds(store.home)
    assert world.today is not None
    assert list(world.today.run_ids.values()) == [store.today]
    (candidate,) = world.candidates
    assert candidate.name == "cooler"
    assert world.seeds(candidate) == (7,)
    before, after = world.values(candidate)["plant.gpu_temp_max_c"]
    assert len(before) == len(after) == 1
    assert world_of(store.candidate, store.home) is world


def test_today_is_every_baseline_at_its_defaults(store: Any) -> None:
    assert is_today(manifest_of(store.today, store.home)["schedule"])
    assert not is_today(manifest_of(store.candidate, store.home)["schedule"])


def test_a_run_names_its_policy_by_what_decides(store: Any) -> None:
    assert policy_id_of(manifest_of(store.today, store.home)["schedule"]) == as_run(TODAY).policy_id


def test_what_the_negotiation_comes_to_is_compared_where_the_candidate_alone_has_it() -> None:
    metrics = {"workloads.notices_honoured_share": 1.0, "workloads.evictions": 3.0, "memory.pod_hosts": 16.0}
    today = Held("t", "today", Schedule.of(TODAY), True, {1: "a"}, {1: {"workloads.evictions": 0.0}})
    candidate = Held("c", "cooler", Schedule.of(TODAY), False, {1: "b"}, {1: metrics})
    values = Worlds("s", "site", "", 0.0, 3600.0, 3600.0, today, (candidate,)).values(candidate)
    assert values["workloads.evictions"] == ((0.0,), (3.0,))
    assert math.isnan(values["workloads.notices_honoured_share"][0][0])
    assert "memory.pod_hosts" not in values

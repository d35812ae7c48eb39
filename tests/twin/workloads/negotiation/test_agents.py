"""Agents of workloads: a batch scheduler saves its work first, replicas go while the others can carry the load, warm pools drain fast."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.workloads.levers import CAUSES, EVICT
from twin.workloads.negotiation import keys
from twin.workloads.negotiation.agents import AGENTS, Agents
from twin.workloads.negotiation.hint import Hints
from twin.workloads.negotiation.replicas import _running_sum
from twin.workloads.negotiation.situation import Situation

CAPACITY = CAUSES.index("capacity")


def _alike(agent: str) -> tuple[str, str, str]:
    return (agent, agent, agent)


def _of(said: Hints, key: str) -> list[tuple[float, int, float]]:
    mine = said.key == keys.INDEX[key]
    return list(zip(said.t_s[mine].tolist(), said.of[mine].tolist(), said.value[mine].tolist(), strict=True))


def _ended(stand: Any) -> list[tuple[str, str]]:
    return stand.tables()["notices"].select("answer", "outcome").rows()


def test_workers_save_their_work_every_ten_minutes_of_running(floor: Callable[..., Any]) -> None:
    stand = floor(agents=_alike("batch"), tick_s=20.0)
    times: dict[int, list[float]] = {vm: [] for vm in range(6)}
    for _ in range(200):
        stand.tick()
        for at_s, vm, value in _of(stand.said, "checkpointed_at_s"):
            assert value == at_s
            times[vm].append(at_s)
    for each in times.values():
        assert len(each) in (6, 7)
        assert np.diff(each) == pytest.approx(600.0)


def test_a_worker_with_much_unsaved_work_declines_once_saves_it_and_is_ready(floor: Callable[..., Any]) -> None:
    stand = floor(agents=_alike("batch"), tick_s=10.0)
    saved: list[float] = []
    while not saved:
        stand.tick()
        saved = [at_s for at_s, vm, _ in _of(stand.said, "checkpointed_at_s") if vm == 0]
    stand.ticks(45)
    take = np.array([EVICT, 0, 0, 0, 0, 0])
    ready: list[tuple[float, int, float]] = []
    asked_s = stand.t_s
    while stand.platform.running[0]:
        stand.tick(take=take, cause=CAPACITY)
        ready += _of(stand.said, "eviction_ready")
    assert _ended(stand) == [("declined", "declined"), ("accepted", "done")]
    # It looks for a second and saves for twenty; asked again it lets its task go on for the lead time at most.
    assert ready[0][1:] == (0, 1.0)
    assert ready[0][0] == pytest.approx(asked_s + 0.05 + 21.0)
    assert float(stand.platform.agents.lost_s.sum()) < 30.0


def test_a_worker_that_has_just_saved_goes_when_its_task_has_ended(floor: Callable[..., Any]) -> None:
    stand = floor(agents=_alike("batch"), tick_s=10.0)
    while not [1 for _, vm, _ in _of(stand.tick() and stand.said, "checkpointed_at_s") if vm == 0]:
        pass
    take = np.array([EVICT, 0, 0, 0, 0, 0])
    stand.ticks(6, take=take, cause=CAPACITY)
    ended = stand.tables()["notices"]
    assert ended.select("answer", "outcome").rows() == [("accepted", "done")]
    assert 0.0 < float(stand.platform.agents.lost_s[0]) < 60.0


def test_work_that_was_not_saved_is_done_again(floor: Callable[..., Any]) -> None:
    stand = floor(agents=_alike("batch"), tick_s=60.0)
    stand.hints["preemptible"] = np.array([1, 1, 1, 1, 1, 1])
    lost = []
    for step in range(120):
        stand.tick(take=EVICT if step % 30 > 25 else 0, cause=CAPACITY)
        lost.append(stand.platform.agents.lost_s.sum())
    assert np.all(np.diff(lost) >= 0.0)
    # Each of four evictions costs a VM less than what it accepts without one more checkpoint, and its notice.
    assert 0.0 < lost[-1] <= 4 * 6 * (300.0 + 120.0)
    words = stand.tables()["messages"].filter(pl.col("name") == "work_lost")["words"]
    assert words.str.contains("will be done again").all()


def test_as_many_replicas_go_as_leave_the_others_under_four_fifths_busy(floor: Callable[..., Any]) -> None:
    stand = floor(vms=60, agents=("microservices", "silent", "silent"))
    mine = stand.tenants.deployment == 0
    cores = stand.tenants.cores[mine]
    stand.ticks(3, take=np.where(mine, EVICT, 0), busy=0.6, cause=CAPACITY)
    stays = stand.platform.running[mine]
    assert 0 < stays.sum() < mine.sum()
    carried = 0.6 * cores.sum() / cores[stays].sum()
    assert carried <= 0.8
    assert 0.6 * cores.sum() / (cores[stays].sum() - cores[stays].min()) > 0.7
    answers = stand.tables()["notices"]["answer"].value_counts()
    assert dict(answers.iter_rows()).get("accepted") == (~stays).sum()


def test_busy_replicas_all_decline(floor: Callable[..., Any]) -> None:
    stand = floor(agents=_alike("microservices"))
    stand.ticks(2, take=EVICT, busy=0.85, cause=CAPACITY)
    assert stand.platform.running.all()
    assert set(_ended(stand)) == {("declined", "declined")}


def test_a_deployment_wants_a_boost_while_it_is_busy_and_says_when_that_is_over(floor: Callable[..., Any]) -> None:
    stand = floor(agents=_alike("microservices"))
    said = []
    for busy in (0.4, 0.6, 0.75, 0.6, 0.55, 0.45, 0.6):
        stand.tick(busy=busy)
        said.append([value for _, of, value in _of(stand.said, "want_boost") if of == 0])
    assert said == [[], [], [1.0], [], [], [0.0], []]


def test_a_boost_is_taken_by_who_is_busy_alone(floor: Callable[..., Any]) -> None:
    for busy, clock in ((0.7, 1.1), (0.3, 1.0)):
        stand = floor(agents=_alike("microservices"))
        stand.ticks(3, clock_share=1.1, busy=busy)
        assert stand.platform.clock_share.tolist() == [clock] * 6


def test_invokers_take_everything_drain_in_seconds_and_come_back_cold(floor: Callable[..., Any]) -> None:
    stand = floor(agents=_alike("functions"), tick_s=5.0)
    stand.ticks(2, take=EVICT, cause=CAPACITY)
    assert not stand.platform.running.any()
    pool, everyone = stand.platform.agents._pool, np.arange(6)
    stand.tick()
    assert pool.warm_share(everyone, stand.t_s - 5.0) == pytest.approx(0.0)
    assert pool.warm_share(everyone, stand.t_s + 295.0) == pytest.approx(1.0 - np.exp(-1.0))
    stand.ticks(3, size_share=2.0)
    assert stand.platform.size_share.tolist() == [2.0] * 6


def test_an_invoker_with_little_to_do_says_until_when_and_that_it_can_be_taken(floor: Callable[..., Any]) -> None:
    stand = floor(agents=_alike("functions"))
    stand.tick(busy=0.05)
    assert _of(stand.said, "idle_until_s") == [(15.0, vm, 915.0) for vm in range(6)]
    assert {value for _, _, value in _of(stand.said, "eviction_ready")} == {1.0}
    stand.tick(busy=0.05)
    assert len(stand.said) == 0
    stand.tick(busy=0.5)
    assert {value for _, _, value in _of(stand.said, "eviction_ready")} == {0.0}


@pytest.mark.parametrize(("met", "size", "runs"), [(True, 1.0, False), (False, 1.5, True)])
def test_an_endpoint_gives_while_its_objectives_are_met_and_takes_while_they_are_not(
    floor: Callable[..., Any], met: bool, size: float, runs: bool
) -> None:
    objective = np.full(3, met)
    offered, taken = floor(agents=_alike("endpoint")), floor(agents=_alike("endpoint"))
    offered.ticks(3, size_share=1.5, objective_met=objective)
    assert offered.platform.size_share.tolist() == [size] * 6
    taken.ticks(2, take=EVICT, objective_met=objective, cause=CAPACITY)
    assert taken.platform.running.all() == runs
    assert _of(taken.said, "want_boost") == [] or not met


def test_a_silent_agent_never_answers_and_says_nothing(floor: Callable[..., Any]) -> None:
    stand = floor()
    for _ in range(8):
        stand.tick(take=EVICT, cause=CAPACITY, busy=0.99)
        assert len(stand.said) == 0
    assert set(_ended(stand)) == {("ignored", "done")}


def test_what_agents_say_is_in_the_order_of_time_and_within_its_tick(floor: Callable[..., Any]) -> None:
    stand = floor(vms=60, agents=("microservices", "batch", "functions"), tick_s=30.0)
    rng = np.random.default_rng(1)
    heard = 0
    for _ in range(100):
        begins_s = stand.t_s
        stand.tick(busy=rng.random(60), take=rng.choice([0, EVICT], 60), cause=CAPACITY)
        times = stand.said.t_s
        heard += len(times)
        assert (np.diff(times) >= 0.0).all()
        assert ((times >= begins_s) & (times <= stand.t_s)).all()
    assert heard > 100


def test_every_kind_of_agent_is_one_that_a_scenario_can_name() -> None:
    from twin.workloads.negotiation.settings import Tenant

    for agent in AGENTS:
        assert Tenant.model_validate({"id": "web", "class": "databases", "agent": agent}).agent == agent


def test_running_sums_stay_in_their_groups() -> None:
    rng = np.random.default_rng(2)
    group, values = rng.integers(0, 5, 200), rng.random(200)
    seen: dict[int, float] = {}
    for which, value, total in zip(group.tolist(), values.tolist(), _running_sum(group, values).tolist(), strict=True):
        seen[which] = seen.get(which, 0.0) + value
        assert total == pytest.approx(seen[which])


def test_replicas_that_start_carry_no_load_yet(floor: Callable[..., Any]) -> None:
    stand = floor(vms=6, agents=_alike("microservices"), tick_s=5.0)
    agents: Agents = stand.platform.agents
    fares = Situation(
        vm=np.arange(6),
        deployment=np.zeros(6, dtype=np.int64),
        busy_share=np.full(6, 0.5),
        cores=np.full(6, 4.0),
        running=np.ones(6, dtype=np.bool_),
        slo_ok=np.ones(6, dtype=np.bool_),
        load_cores=np.array([12.0, 0, 0, 0, 0, 0]),
        running_cores=np.array([24.0, 0, 0, 0, 0, 0]),
    )
    asked = (0, np.arange(3), np.full(3, 100.0), 30.0, np.ones(3, dtype=np.bool_), fares)
    agents.back(np.array([4, 5]), 90.0)
    # Sixteen cores serve; twelve are asked for: fifteen must stay, so nobody goes until the two have started.
    assert agents.answers(*asked)[0].tolist() == [2, 2, 2]
    later = (0, np.arange(3), np.full(3, 111.0), 30.0, np.ones(3, dtype=np.bool_), fares)
    assert agents.answers(*later)[0].tolist() == [1, 1, 2]

"""The platform: notices precede what it does by their lead times, answers count, and hints are asked again before it acts."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.store.states import pack, unpack
from twin.workloads.levers import CAUSES, EVICT, LEAVE, MOVE, SHUT
from twin.workloads.negotiation import notices
from twin.workloads.negotiation.noticeboard import CLOCK, HOST
from twin.workloads.negotiation.notices import ACCEPTED, DECLINED
from twin.workloads.negotiation.treatments import MA, RIGHTSIZED, SPOT

CAPACITY, POWER = CAUSES.index("capacity"), CAUSES.index("power")
FIRST = np.array([EVICT, 0, 0, 0, 0, 0])


def _notices(stand: Any) -> pl.DataFrame:
    return stand.tables()["notices"]


def test_an_eviction_takes_place_thirty_seconds_after_its_notice_has_reached_the_vm(floor: Callable[..., Any]) -> None:
    """Thirty seconds is what a public cloud gives its spot VMs (Scheduled Events, *Preempt*)."""
    stand = floor(tick_s=1.0)
    done = stand.ticks(40, take=FIRST, cause=CAPACITY)
    when = [second for second, each in enumerate(done) if len(each.away)]
    assert when == [31]
    assert done[31].away.tolist() == [0]
    row = _notices(stand).row(0, named=True)
    assert (row["kind"], row["cause"]) == ("eviction", "capacity")
    assert row["event_s"] - row["reached_s"] >= row["lead_s"] == 30.0
    assert (row["honoured"], row["outcome"], row["answer"]) == (True, "done", "ignored")


@pytest.mark.parametrize("tick_s", [1.0, 15.0, 60.0])
def test_every_notice_precedes_its_event_by_its_lead_time_at_any_length_of_a_tick(floor: Callable[..., Any], tick_s: float) -> None:
    stand = floor(vms=30, tick_s=tick_s, way_s=0.3)
    rng = np.random.default_rng(5)
    for _ in range(60):
        wanted = {"size_share": rng.choice([0.5, 1.0, 2.0], 30), "clock_share": rng.choice([0.9, 1.0, 1.1], 30)}
        stand.ticks(int(rng.integers(1, 45 // tick_s + 3)), take=rng.choice([LEAVE, LEAVE, EVICT, SHUT], 30), cause=CAPACITY, **wanted)
    ended = _notices(stand)
    done = ended.filter(pl.col("outcome") == "done")
    assert set(done["kind"]) >= {"eviction", "power_emergency", "scale_up_offer", "scale_down_request", "underclock_notice"}
    assert (done["event_s"] - done["reached_s"] >= done["lead_s"]).all()
    assert ended["honoured"].all()


def test_a_notice_that_is_no_longer_wanted_is_taken_back(floor: Callable[..., Any]) -> None:
    stand = floor(tick_s=15.0)
    stand.tick(take=FIRST, cause=CAPACITY)
    assert stand.platform.noticed.tolist() == [True] + [False] * 5
    assert not any(len(each.away) for each in stand.ticks(4))
    assert _notices(stand)["outcome"].to_list() == ["withdrawn"]


def test_hints_are_asked_again_before_a_vm_is_evicted(floor: Callable[..., Any]) -> None:
    stand = floor(tick_s=15.0)
    stand.tick(take=FIRST, cause=CAPACITY)
    stand.hints["preemptible"] = 0
    assert not any(len(each.away) for each in stand.ticks(4, take=FIRST, cause=CAPACITY))
    assert _notices(stand)["outcome"].to_list() == ["unpermitted"]


def test_a_vm_that_was_evicted_comes_back_where_its_hints_forbid_it_by_now(floor: Callable[..., Any]) -> None:
    stand = floor(tick_s=30.0)
    stand.ticks(4, take=FIRST, cause=CAPACITY)
    assert stand.platform.taken[0] == EVICT
    stand.hints["availability_nines"] = 4
    assert stand.tick(take=FIRST, cause=CAPACITY).back.tolist() == [0]
    assert stand.platform.running.all()


@pytest.mark.parametrize(
    ("take", "hints", "allowed"),
    [
        (EVICT, {"preemptible": 1, "availability_nines": 3}, True),
        (EVICT, {"preemptible": 0}, False),
        (EVICT, {"availability_nines": 4}, False),
        (SHUT, {"availability_nines": 3, "preemptible": 0}, True),
        (SHUT, {"availability_nines": 4}, False),
        (MOVE, {"region_independence": 2}, True),
        (MOVE, {"region_independence": 1}, False),
        (MOVE, {"region_independence": 2, "data_residency": 1}, False),
    ],
)
def test_nobody_is_taken_against_its_hints(floor: Callable[..., Any], take: int, hints: dict[str, int], allowed: bool) -> None:
    stand = floor(tick_s=600.0)
    stand.hints |= hints
    done = stand.ticks(9, take=take)
    assert any(len(each.away) + len(each.moved) for each in done) is allowed
    assert (stand.platform.taken == (take if allowed else LEAVE)).all()


def test_who_comes_back_needs_no_notice(floor: Callable[..., Any]) -> None:
    stand = floor()
    stand.ticks(4, take=FIRST)
    done = stand.tick()
    assert done.back.tolist() == [0]
    assert len(_notices(stand)) == 1


def test_cores_are_taken_back_no_further_than_was_said_and_given_no_further_than_is_wanted(floor: Callable[..., Any]) -> None:
    stand = floor(vms=6)
    stand.tick(size_share=0.5)
    stand.ticks(2, size_share=0.25)
    assert stand.tick(size_share=0.25).resized.tolist() == list(range(6))
    assert stand.platform.size_share.tolist() == [0.5] * 6
    stand.ticks(4, size_share=0.25)
    assert stand.platform.size_share.tolist() == [0.25] * 6
    stand.tick(size_share=2.0)
    stand.ticks(1, size_share=1.5)
    assert stand.platform.size_share.tolist() == [1.5] * 6


def test_clocks_go_down_with_a_notice_and_back_without(floor: Callable[..., Any]) -> None:
    stand = floor()
    stand.ticks(2, clock_share=0.6, cause=POWER)
    assert stand.platform.clock_share.tolist() == [0.6] * 6
    assert stand.tick().clocked.tolist() == list(range(6))
    assert stand.platform.clock_share.tolist() == [1.0] * 6
    stand.ticks(2, clock_share=1.1)
    assert stand.platform.clock_share.tolist() == [1.1] * 6
    stand.tick()
    assert stand.platform.clock_share.tolist() == [1.1] * 6
    stand.tick()
    assert stand.platform.clock_share.tolist() == [1.0] * 6
    kinds = _notices(stand)["kind"].unique(maintain_order=True).to_list()
    assert kinds == ["power_emergency", "overclock_offer", "overclock_end"]


def test_who_can_wait_may_have_fewer_cores_and_who_can_scale_may_have_more(floor: Callable[..., Any]) -> None:
    stand = floor()
    stand.hints |= {"scale_up_down": np.array([0, 0, 1, 1, 0, 1]), "delay_tolerance_s": np.array([0, 60, 0, 60, 60, 0])}
    stand.ticks(4, size_share=0.5, cause=CAPACITY)
    assert stand.platform.size_share.tolist() == [1.0, 0.5, 0.5, 0.5, 0.5, 0.5]
    stand.ticks(4, size_share=2.0)
    assert stand.platform.size_share.tolist() == [1.0, 1.0, 2.0, 2.0, 1.0, 2.0]


def test_only_who_can_wait_runs_slower(floor: Callable[..., Any]) -> None:
    stand = floor()
    stand.hints["delay_tolerance_s"] = np.array([3600, 0, 3600, 0, 3600, 0])
    stand.ticks(3, clock_share=0.9)
    assert stand.platform.clock_share.tolist() == [0.9, 1.0] * 3
    stand.hints["delay_tolerance_s"] = 0
    assert stand.tick(clock_share=0.9).clocked.tolist() == [0, 2, 4]


def test_an_answer_from_outside_declines_once_and_brings_forward_when_it_agrees(floor: Callable[..., Any]) -> None:
    stand = floor(tick_s=5.0)
    eviction = notices.INDEX["eviction"]
    stand.tick(take=FIRST, cause=CAPACITY)
    assert stand.platform.told(4.0, np.array([0]), eviction, DECLINED).tolist() == [0]
    stand.tick(take=FIRST, cause=CAPACITY)
    assert stand.platform.declined(stand.t_s).tolist() == [True] + [False] * 5
    assert stand.platform.running[0]
    # Asked again while its refusal holds, it cannot decline once more.
    assert stand.platform.noticed[0]
    stand.platform.told(9.0, np.array([0]), -1, DECLINED)
    stand.ticks(8, take=FIRST, cause=CAPACITY)
    assert not stand.platform.running[0]
    stand.tick(take=0)
    stand.tick(take=FIRST, cause=CAPACITY)
    stand.platform.told(stand.t_s - 1.0, np.array([0]), eviction, ACCEPTED)
    assert stand.tick(take=FIRST, cause=CAPACITY).away.tolist() == [0]
    ended = _notices(stand)
    assert ended["outcome"].to_list() == ["declined", "done", "done"]
    assert ended["answer"].to_list() == ["declined", "declined", "accepted"]
    assert ended["honoured"].all()


def test_an_answer_to_one_message_or_kind_is_no_answer_to_another(floor: Callable[..., Any]) -> None:
    stand, everyone = floor(tick_s=5.0), np.arange(6)
    stand.tick(take=FIRST, size_share=0.5, cause=CAPACITY)
    down = notices.INDEX["scale_down_request"]
    assert stand.platform.told(2.0, everyone, down, ACCEPTED).tolist() == everyone.tolist()
    assert stand.platform.told(2.0, everyone, -1, ACCEPTED, 10_000).tolist() == []
    assert stand.platform.told(2.0, everyone, notices.INDEX["eviction"], ACCEPTED).tolist() == [0]
    done = stand.tick(take=FIRST, size_share=0.5, cause=CAPACITY)
    assert (done.away.tolist(), sorted(done.resized)) == ([0], everyone.tolist())


def test_notices_of_a_vm_that_ends_lapse(floor: Callable[..., Any]) -> None:
    stand = floor()
    stand.tick(take=FIRST)
    stand.platform.release(np.array([0]), stand.t_s)
    stand.ticks(4, vm=np.arange(1, 6))
    assert _notices(stand)["outcome"].to_list() == ["lapsed"]


def test_maintenance_restarts_who_sold_availability_a_quarter_of_an_hour_after_its_notice(floor: Callable[..., Any]) -> None:
    stand = floor(vms=8, tick_s=30.0, maintenance_per_day=10.0)
    granted = np.array([MA, MA, SPOT, SPOT, 0, 0, 0, 0])
    done = stand.ticks(2880, granted=granted)
    away, back = np.concatenate([each.away for each in done]), np.concatenate([each.back for each in done])
    # Ten a day on each of the two hosts and two servers; a VM stands on one of them.
    assert 4 * 4 <= len(away) <= 4 * 18
    assert set(away) == {0, 1, 2, 3}
    assert abs(len(away) - len(back)) <= 4
    ended = _notices(stand).filter(pl.col("outcome") == "done")
    assert set(ended["kind"]) == {"maintenance"}
    assert (ended["event_s"] - ended["reached_s"]).min() >= 900.0
    assert ended["honoured"].all()


def _restarting(stand: Any) -> np.ndarray:
    """Go on until a place restarts; return the VMs that went with it."""
    for _ in range(2880):
        if len(away := stand.tick(granted=MA).away):
            return away
    raise AssertionError("nothing restarts for a day")


def test_a_restart_takes_five_minutes_and_they_count_against_availability(floor: Callable[..., Any]) -> None:
    stand = floor(vms=8, tick_s=30.0, maintenance_per_day=10.0)
    away, went_s = _restarting(stand), stand.t_s
    while not len(back := stand.tick(granted=MA).back):
        assert not stand.platform.running[away].any()
    assert (back.tolist(), stand.t_s - went_s) == (away.tolist(), 300.0)
    rows = stand.tables()["requirements"].filter(pl.col("requirement") == "availability")
    assert rows["now"].min() == pytest.approx(1.0 - 300.0 / (30 * 86_400))
    assert rows["broken_vm_hours"].sum() == 0.0


def test_a_restart_goes_on_from_a_snapshot(floor: Callable[..., Any]) -> None:
    whole, again = (floor(vms=8, tick_s=30.0, maintenance_per_day=10.0) for _ in range(2))
    _restarting(whole)
    for part, of in ((again.platform, whole.platform), (again.log, whole.log), (again.requirements, whole.requirements)):
        part.restore(unpack(pack(of.snapshot())))
    again.t_s = whole.t_s
    for one, other in zip(whole.ticks(60, granted=MA), again.ticks(60, granted=MA), strict=True):
        assert (one.away.tolist(), one.back.tolist()) == (other.away.tolist(), other.back.tolist())
    assert again.platform.running.any()
    assert whole.platform.running.tolist() == again.platform.running.tolist()


def test_a_grant_is_looked_at_again_before_a_restart(floor: Callable[..., Any]) -> None:
    """Who has not sold availability any more is moved live, as today."""
    stand = floor(vms=8, tick_s=30.0, maintenance_per_day=10.0)
    while not (told := stand.platform.board.standing(HOST)).size:
        stand.tick(granted=MA)
    assert not any(len(each.away) for each in stand.ticks(40))
    assert _notices(stand)["outcome"].to_list() == ["withdrawn"] * len(told)


def test_a_notice_that_comes_late_is_no_better_for_having_been_declined(floor: Callable[..., Any]) -> None:
    stand = floor(vms=8, tick_s=30.0, maintenance_per_day=10.0, way_s=100.0)
    while not (told := stand.platform.board.standing(HOST)).size:
        stand.tick(granted=MA)
    # Nobody can decline that.
    assert stand.platform.told(stand.t_s, told, notices.INDEX["maintenance"], DECLINED).tolist() == told.tolist()
    stand.ticks(40, granted=MA)
    ended = _notices(stand).filter(pl.col("answer") == "declined")
    assert (ended["outcome"].to_list(), ended["honoured"].to_list()) == (["done"] * len(told), [False] * len(told))


def test_a_notice_of_maintenance_that_comes_late_is_not_honoured(floor: Callable[..., Any]) -> None:
    stand = floor(vms=8, tick_s=30.0, maintenance_per_day=10.0, way_s=100.0)
    stand.ticks(2880, granted=MA)
    ended = _notices(stand).filter(pl.col("outcome") == "done")
    assert len(ended) > 0
    assert not ended["honoured"].any()
    late = stand.tables()["requirements"].filter(pl.col("requirement") == "notice lead")
    assert (late["broken_vm_hours"] > 0).all()
    assert (late["bound"] == 900.0).all()


def test_grants_are_written_when_they_change(floor: Callable[..., Any]) -> None:
    stand = floor()
    stand.ticks(2, granted=SPOT)
    stand.ticks(2, granted=np.array([MA, SPOT, SPOT, SPOT, SPOT, 0]))
    rows = stand.tables()["grants"]
    assert rows["granted"].to_list() == ["spot"] * 6 + ["multi_availability", ""]
    assert rows["t_s"].to_list() == [0.0] * 6 + [30.0] * 2


def test_a_power_emergency_is_told_from_its_cause_to_the_watts_that_came_back(floor: Callable[..., Any]) -> None:
    stand = floor(agents=("functions", "silent", "silent"))
    take = np.array([SHUT, 0, SHUT, 0, 0, 0])
    stand.row_power_w = np.array([291e3, 200e3])
    stand.ticks(2, take=take, cause=np.where(take, POWER, 0))
    stand.row_power_w = np.array([281e3, 200e3])
    stand.tick(take=take, cause=np.where(take, POWER, 0))
    stand.tick()
    told = stand.tables()["messages"]
    chain = told.filter(pl.col("chain_id") == 0)
    assert chain["kind"].unique(maintain_order=True).to_list() == ["event", "notice", "answer", "action", "effect"]
    assert chain["words"][0] == "row-1 draws 291.0 of 250.0 kW"
    effect = chain.filter(pl.col("kind") == "effect").row(0, named=True)
    assert effect["value"] == pytest.approx(10e3)
    assert effect["place_id"] == "row-1"
    answers = chain.filter(pl.col("kind") == "answer")
    assert dict(zip(answers["workload_id"], answers["words"], strict=True)) == {"web": "accepted by 1 VM", "chat": "no answer from 1 VM"}
    assert set(chain.filter(pl.col("name") == "back")["workload_id"]) == {"web", "chat"}


def test_a_run_that_is_taken_up_again_says_and_does_the_same(floor: Callable[..., Any]) -> None:
    def wanted(step: int) -> dict[str, Any]:
        rng = np.random.default_rng(step // 4)
        return {
            "take": rng.choice([LEAVE, LEAVE, EVICT, SHUT], 24),
            "size_share": rng.choice([0.5, 1.0, 2.0], 24),
            "clock_share": rng.choice([0.9, 1.0, 1.1], 24),
            "granted": rng.choice([MA, SPOT, 0], 24),
            "cause": rng.integers(0, 3, 24),
            "busy": rng.random(24),
        }

    plain: dict[str, Any] = {"vms": 24, "agents": ("microservices", "batch", "functions"), "tick_s": 20.0, "maintenance_per_day": 10.0}
    whole = floor(**plain)
    for step in range(300):
        if step == 165:
            states = [unpack(pack(part.snapshot())) for part in (whole.platform, whole.log, whole.requirements)]
        whole.tick(**wanted(step))
    again = floor(**plain)
    for part, state in zip((again.platform, again.log, again.requirements), states, strict=True):
        part.restore(state)
    again.t_s = 165 * 20.0
    for step in range(165, 300):
        again.tick(**wanted(step))
    one, other = whole.tables(), again.tables()
    assert set(one) == set(other) == {"grants", "messages", "notices", "requirements"}
    for name, table in one.items():
        assert table.equals(other[name]), name


def test_who_declines_a_higher_clock_is_not_asked_again_for_an_hour(floor: Callable[..., Any]) -> None:
    one = floor(vms=3, agents=("silent", "silent", "silent"), tick_s=60.0, way_s=61.0)
    offers = []
    for _ in range(75):
        one.tick(clock_share=1.1)
        open_now = one.platform.board.standing(CLOCK)
        if len(open_now):
            offers.append(one.t_s)
            one.platform.told(one.t_s, open_now, -1, DECLINED)
    assert len(offers) == 2
    assert 3_600.0 <= offers[1] - offers[0] <= 3_720.0
    assert (one.platform.clock_share == 1.0).all()


def test_prices_change_as_their_notice_is_sent_and_a_recommendation_has_no_event(floor: Callable[..., Any]) -> None:
    one = floor()
    one.tick(granted=RIGHTSIZED)
    said = {row["name"]: row for row in one.log.unwritten() if row["kind"] == "notice"}
    assert said["price_change"]["due_s"] == said["price_change"]["t_s"] == 0.0
    assert np.isnan(said["rightsize_recommendation"]["due_s"])


def test_an_offer_of_another_region_says_that_no_answer_is_consent(floor: Callable[..., Any]) -> None:
    one = floor(agents=("silent", "silent", "silent"), tick_s=600.0)
    one.hints |= {"region_independence": 2}
    one.tick(take=MOVE)
    words = next(row["words"] for row in one.log.unwritten() if row["name"] == "region_move_offer" and row["kind"] == "notice")
    assert "without an answer they go" in words
    one.ticks(8, take=MOVE)
    assert one.platform.gone.all()
    other = floor(tick_s=600.0)
    other.ticks(9, take=MOVE)
    assert not other.platform.gone.any(), "nobody goes whose hints do not let it"

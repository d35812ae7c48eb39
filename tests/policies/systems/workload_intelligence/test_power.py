"""Rows short of power: who gives it back, in which order, and who gets it again."""

import numpy as np

from policies.baselines.clocks import power_share
from twin.workloads.levers import CAUSES, EVICT, SHUT

POWER = CAUSES.index("power")
ONE_ROW = {"row": np.zeros(4, dtype=np.int64)}
MULTI = {"availability_nines": 3.0}
SPOTTED = {"preemptible": 1.0, "availability_nines": 2.0, "preemptibility_share": 1.0}
# 98 % of 4 kW is the bound; half of the margin of 5 % below it is what shedding goes down to.
BOUND_W, TO_W = 3_920.0, 3_820.0


def row(watts: float) -> dict[str, np.ndarray]:
    return {"row_power_w": np.array([watts, 1_000.0])}


def test_below_the_bound_nobody_gives_anything(holder, seen):
    assert not holder().offer(seen(4, MULTI, spare=row(BOUND_W), **ONE_ROW)).take.any()


def test_only_the_row_that_is_short_is_relieved(holder, seen):
    action = holder().offer(seen(4, MULTI, spare=row(BOUND_W + 1.0), power_w=np.full(4, 60.0)))
    assert action.take.tolist() == [SHUT, SHUT, 0, 0]
    assert action.cause[:2].tolist() == [POWER, POWER]


def test_work_that_may_wait_runs_slower_before_anybody_is_taken(holder, seen):
    hints = {**MULTI, "delay_tolerance_s": np.array([60.0, 60.0, 0.0, 0.0])}
    action = holder().offer(seen(4, hints, spare=row(BOUND_W + 1.0), power_w=np.full(4, 300.0), **ONE_ROW))
    assert action.clock_share.tolist() == [0.6, 0.9, 1.0, 1.0]
    assert action.cause[0] == POWER
    assert not action.take.any()


def test_then_spot_goes_and_multi_availability_last(holder, seen):
    hints = {**MULTI, "preemptible": np.array([0.0, 1.0, 1.0, 0.0]), "preemptibility_share": 1.0}
    action = holder().offer(seen(4, hints, spare=row(BOUND_W + 1.0), power_w=np.full(4, 60.0), **ONE_ROW))
    assert action.take.tolist() == [0, EVICT, EVICT, 0]
    more = holder().offer(seen(4, hints, spare=row(BOUND_W + 50.0), power_w=np.full(4, 60.0), **ONE_ROW))
    assert sorted(more.take.tolist()) == [0, EVICT, EVICT, SHUT]


def test_harvest_goes_before_spot_whatever_it_is_worth(holder, seen):
    worth = np.array([10.0, 90.0, 10.0, 10.0])
    # One alone can have fewer cores and wait: it is a harvest VM, on the emergency's clock before it is evicted.
    hints = {**SPOTTED, "scale_up_down": np.array([0.0, 1.0, 0.0, 0.0]), "delay_tolerance_s": np.array([0.0, 60.0, 0.0, 0.0])}
    action = holder().offer(seen(4, {**hints, "vm_priority": worth}, spare=row(BOUND_W + 10.0), power_w=np.full(4, 60.0), **ONE_ROW))
    assert action.take[1] == EVICT
    assert (action.take == EVICT).sum() < 4


def test_those_that_were_shut_down_come_back_first_and_clocks_last(holder, seen, after):
    mine, hints = holder(), {**MULTI, "preemptible": np.array([0.0, 1.0, 0.0, 0.0]), "preemptibility_share": 1.0}
    hints |= {"delay_tolerance_s": np.array([0.0, 0.0, 60.0, 0.0]), "availability_nines": np.array([3.0, 2.0, 4.0, 4.0])}
    first = mine.offer(seen(4, hints, spare=row(5_000.0), power_w=np.full(4, 100.0), **ONE_ROW))
    assert first.take.tolist() == [SHUT, EVICT, 0, 0]
    assert first.clock_share[2] == 0.6
    room, order = seen(4, hints, spare=row(3_720.0 - 101.0), **ONE_ROW), []
    done = after(room, first, 400.0, power_w=np.array([0.0, 0.0, 60.0, 100.0]))
    for _ in range(3):
        action = mine.offer(done)
        order.append((*action.take[:2].tolist(), float(action.clock_share[2]) > 0.6))
        done = after(done, action, 400.0, power_w=np.array([0.0, 0.0, 60.0, 100.0]))
    assert order == [(0, EVICT, False), (0, 0, False), (0, 0, True)]


def test_the_least_worth_first_and_of_equals_who_draws_the_most(holder, seen):
    draws = np.array([50.0, 120.0, 120.0, 200.0])
    worth = {**MULTI, "vm_priority": np.array([50.0, 50.0, 50.0, 90.0])}
    action = holder().offer(seen(4, worth, spare=row(BOUND_W + 1.0), power_w=draws, **ONE_ROW))
    assert action.take.tolist() == [0, SHUT, 0, 0]


def test_what_is_under_way_counts_so_that_nobody_else_is_taken(holder, seen, after):
    mine = holder()
    now = seen(4, MULTI, spare=row(BOUND_W + 1.0), power_w=np.full(4, 60.0), **ONE_ROW)
    first = mine.offer(now)
    still_running = after(now, first, 1.0, running=np.ones(4, dtype=np.bool_), power_w=np.full(4, 60.0))
    assert mine.offer(still_running).take.tolist() == first.take.tolist()


def test_whoever_needs_four_nines_is_never_taken(holder, seen):
    assert not holder().offer(seen(4, {"availability_nines": 4.0}, spare=row(5_000.0), **ONE_ROW)).take.any()


def test_they_come_back_one_step_at_a_time_with_room_below_the_bound(holder, seen, after):
    mine = holder()
    now = seen(4, MULTI, spare=row(BOUND_W + 1.0), power_w=np.full(4, 60.0), **ONE_ROW)
    first = mine.offer(now)
    assert (first.take == SHUT).sum() == 2
    held = seen(4, MULTI, spare=row(3_800.0), **ONE_ROW)
    second = mine.offer(after(held, first))
    assert (second.take == SHUT).sum() == 2, "below the bound, but not by the margin"
    room = seen(4, MULTI, spare=row(3_640.0), **ONE_ROW)
    third = mine.offer(after(room, second))
    assert (third.take == SHUT).sum() == 1, "80 W are there for one of 60 W"
    again = mine.offer(after(room, third, 180.0))
    assert (again.take == SHUT).sum() == 1, "the next step waits"
    assert not mine.offer(after(room, third, 400.0)).take.any()


def test_who_needs_more_availability_by_now_comes_back_though_power_is_short(holder, seen, after):
    mine = holder()
    first = mine.offer(seen(4, MULTI, spare=row(BOUND_W + 1.0), power_w=np.full(4, 60.0), **ONE_ROW))
    shut = first.take == SHUT
    assert shut.sum() == 2
    held = seen(4, {"availability_nines": np.where(shut, 4.0, 3.0)}, spare=row(BOUND_W - 50.0), **ONE_ROW)
    assert not mine.offer(after(held, first)).take[shut].any()


def test_a_slow_vm_gets_its_clock_back(holder, seen, after):
    mine = holder()
    hints = {"delay_tolerance_s": 60.0}
    slow = mine.offer(seen(4, hints, spare=row(BOUND_W + 200.0), power_w=np.full(4, 300.0), **ONE_ROW))
    assert (slow.clock_share == 0.6).sum() >= 2
    drawn = 300.0 * power_share(slow.clock_share)
    calm = after(seen(4, hints, spare=row(1_000.0), **ONE_ROW), slow, power_w=drawn)
    assert (mine.offer(calm).clock_share >= 0.9).all()

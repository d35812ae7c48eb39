"""What is done with VMs: sizes, clocks, what is open where something is short, and what is remembered."""

import numpy as np
import pytest

from twin.workloads.levers import POOLS, REASONS
from twin.workloads.negotiation.treatments import (
    HARVEST,
    INDEX,
    OVERCLOCKED,
    OVERSUBSCRIBED,
    REGION,
    RIGHTSIZED,
    SPOT,
    UNDERCLOCKED,
    discounts,
    price_share,
)

HARVESTED = {"preemptible": 1.0, "availability_nines": 2.0, "preemptibility_share": 1.0, "scale_up_down": 1.0, "delay_tolerance_s": 3600.0}


def test_without_hints_nothing_is_done_with_anybody(holder, seen):
    action = holder().offer(seen())
    assert not action.granted.any()
    assert (action.size_share == 1.0).all()
    assert (action.clock_share == 1.0).all()
    assert not action.take.any()
    assert (price_share(action.granted, discounts()) == 1.0).all()


def test_a_vm_gives_up_half_of_its_cores_where_its_peak_leaves_them_idle(holder, seen):
    hints = {"stateless": 2.0, "scale_up_down": 1.0}
    action = holder().offer(seen(4, hints, peak_share=np.array([0.2, 0.5, 0.51, 0.9])))
    assert action.size_share.tolist() == [0.5, 0.5, 1.0, 1.0]
    assert (action.granted & RIGHTSIZED > 0).tolist() == [True, True, False, False]


def test_a_smaller_vm_whose_load_comes_near_its_size_gets_all_of_its_cores_until_it_has_fallen(holder, seen):
    hints, busy = {"stateless": 2.0, "scale_up_down": 1.0}, np.array([0.44, 0.46, 0.48, 0.7])
    smaller = [holder().offer(seen(4, hints, busy_share=busy, granted=np.full(4, granted))).size_share < 1.0 for granted in (0, RIGHTSIZED)]
    assert [each.tolist() for each in smaller] == [[True, False, False, False], [True, True, False, False]]


def test_a_vm_on_gpus_keeps_its_size(holder, seen):
    hints = {"stateless": 2.0, "scale_up_down": 1.0, "delay_tolerance_s": 60.0}
    action = holder().offer(seen(4, hints, pool=np.full(4, POOLS.index("servers")), spare={"total_cores": np.array([256.0, 64.0])}))
    assert (action.size_share == 1.0).all()
    assert not (action.granted & (RIGHTSIZED | OVERSUBSCRIBED)).any()


def test_oversubscription_needs_idle_cores_on_the_host(holder, seen):
    idle = {"host_free_vcpus": np.zeros(4), "host_idle_vcpus": np.array([0.0, 0.0, 30.0, 30.0])}
    action = holder().offer(seen(4, {"delay_tolerance_s": 60.0}, spare=idle))
    assert (action.granted & OVERSUBSCRIBED > 0).tolist() == [False, False, True, True]
    assert REASONS[action.why[0, INDEX["oversubscription"]] % 8] == "short"


def test_who_shares_its_cores_does_so_until_half_of_the_room_for_it_is_gone(holder, seen):
    # Two VMs of eight cores a host give fifteen of a hundred back: 2.4 cores.
    room = {"host_free_vcpus": np.zeros(4), "host_idle_vcpus": np.array([2.5, 2.0, 1.3, 1.1])}
    for granted, shares in ((0, [True, False, False, False]), (OVERSUBSCRIBED, [True, True, True, False])):
        action = holder().offer(seen(8, {"delay_tolerance_s": 60.0}, spare=room, granted=np.full(8, granted)))
        assert (action.granted & OVERSUBSCRIBED > 0).tolist() == 2 * shares


def test_an_overclocked_vm_keeps_its_clock_until_its_load_has_fallen(holder, seen):
    hints, busy = {"stateless": 2.0, "scale_out_in": 1.0}, np.array([0.61, 0.55, 0.49])
    now, later = (holder().offer(seen(3, hints, busy_share=busy, clock_share=np.full(3, clock))).clock_share > 1.0 for clock in (1.0, 1.1))
    assert (now.tolist(), later.tolist()) == ([True, False, False], [True, True, False])


def test_a_higher_clock_comes_with_load_or_when_asked_for_and_only_where_the_row_has_power(holder, seen):
    hints = {"stateless": 2.0, "scale_out_in": 1.0, "want_boost": np.array([0.0, 1.0, 0.0, 1.0])}
    busy = np.array([0.9, 0.1, 0.1, 0.1])
    action = holder().offer(seen(4, hints, busy_share=busy))
    assert (action.granted & OVERCLOCKED > 0).all()
    assert action.clock_share.tolist() == pytest.approx([1.1, 1.1, 1.0, 1.1])
    full = holder().offer(seen(4, hints, busy_share=busy, spare={"row_power_w": np.array([3_719.0, 1_000.0])}))
    assert (full.granted & OVERCLOCKED > 0).tolist() == [False, False, True, True]


def test_the_last_power_of_a_row_goes_to_those_that_want_a_higher_clock(holder, seen):
    hints = {"stateless": 2.0, "scale_out_in": 1.0, "want_boost": np.array([0.0, 1.0])}
    # A VM of 40 W draws 5.9 W more; there are 8 W left below 93 % of the budget.
    action = holder().offer(seen(2, hints, row=np.zeros(2, dtype=np.int64), spare={"row_power_w": np.array([3_712.0, 1_000.0])}))
    assert (action.granted & OVERCLOCKED > 0).tolist() == [False, True]


@pytest.mark.parametrize(("coming_w", "left"), [(0.0, True), (2_800.0, False)])
def test_power_that_announced_work_will_draw_is_neither_overclocked_nor_grown_into(holder, seen, coming_w, left):
    spare = {"row_coming_w": np.array([coming_w, 0.0]), "host_free_vcpus": np.full(4, 32.0), "host_free_memory_bytes": np.full(4, 1e12)}
    busy = np.full(4, 0.9)
    fast = holder().offer(seen(4, {"stateless": 2.0, "scale_out_in": 1.0}, busy_share=busy, spare=spare))
    assert (fast.granted & OVERCLOCKED > 0).tolist() == [left, left, True, True]
    grown = holder().offer(seen(4, HARVESTED, busy_share=busy, spare=spare)).size_share
    assert (grown > 1.0).tolist() == [left, left, True, True]


def test_work_that_may_wait_runs_a_little_slower_unless_a_higher_clock_saves_more(holder, seen):
    action = holder().offer(seen(1, {"delay_tolerance_s": 60.0}))
    assert action.clock_share.tolist() == [0.9]
    both = holder().offer(seen(1, {"delay_tolerance_s": 60.0, "stateless": 2.0, "scale_out_in": 1.0}))
    assert both.granted[0] & OVERCLOCKED
    assert not both.granted[0] & UNDERCLOCKED


def test_no_more_harvest_is_sold_than_the_knob_allows_and_the_rest_is_spot(holder, seen):
    action = holder(harvest_at_most_share=0.0625).offer(seen(8, HARVESTED))
    assert np.bincount(action.granted, minlength=4)[[HARVEST, SPOT]].tolist() == [2, 6]
    none = holder(harvest_at_most_share=0.0, spot_at_most_share=0.0).offer(seen(8, HARVESTED))
    assert not (none.granted & (HARVEST | SPOT)).any()
    assert REASONS[none.why[0, INDEX["spot"]] % 8] == "short"


def test_who_has_harvest_keeps_it_when_others_come(holder, seen):
    granted = np.where(np.arange(8) >= 6, HARVEST, 0)
    action = holder(harvest_at_most_share=0.0625).offer(seen(8, HARVESTED, granted=granted))
    assert np.flatnonzero(action.granted == HARVEST).tolist() == [6, 7]


def test_harvest_vms_grow_into_free_vcpus_as_far_as_memory_and_power_go(holder, seen):
    busy = {"busy_share": np.full(4, 0.9)}
    room = {"host_free_vcpus": np.array([32.0, 5.0, 32.0, 32.0]), "host_free_memory_bytes": np.array([1e12, 1e12, 0.0, 1e12])}
    action = holder().offer(seen(4, HARVESTED, spare=room, **busy))
    assert action.size_share.tolist() == [2.0, 1.5, 1.0, 2.0]
    hot = {**room, "row_power_w": np.array([3_700.0, 1_000.0])}
    assert holder().offer(seen(4, HARVESTED, spare=hot, **busy)).size_share.tolist() == [1.0, 1.0, 1.0, 2.0]
    assert (holder().offer(seen(4, HARVESTED, spare=room)).size_share == 1.0).all(), "who is not busy has no use for more"


def test_harvest_vms_leave_free_vcpus_to_customers_who_are_to_come(holder, seen):
    def grown(**asked: float) -> list[float]:
        spare = {"host_free_vcpus": np.full(4, 10.0), **{f"{name}_cores": np.array([cores, 0.0]) for name, cores in asked.items()}}
        return holder().offer(seen(4, HARVESTED, spare=spare, busy_share=np.full(4, 0.9))).size_share.tolist()

    # Nine tenths of ten free vCPUs a host for VMs of eight; of half of them, and of none.
    assert [grown(coming=cores) for cores in (0.0, 20.0, 40.0)] == [[2.0] * 4, [1.5] * 4, [1.0] * 4]
    assert grown(reserve=20.0) == [1.5] * 4


def test_harvest_vms_give_grown_cores_back_at_once_and_grow_again_after_a_while(holder, seen, after):
    mine, busy = holder(), {"busy_share": np.full(4, 0.9)}
    empty = {"host_free_vcpus": np.full(4, 32.0), "host_idle_vcpus": np.full(4, 4.0)}
    # Of 32 free ones 8 have been grown into.
    grown_into = {**empty, "host_free_vcpus": np.full(4, 24.0)}
    full = {"host_free_vcpus": np.zeros(4), "host_idle_vcpus": np.zeros(4)}
    action = mine.offer(seen(4, HARVESTED, spare=empty, **busy))
    assert (action.size_share == 2.0).all()
    action = mine.offer(after(seen(4, HARVESTED, spare=full, **busy), action))
    assert (action.size_share == 1.5).all(), "no vCPU is idle: half of it goes back"
    held = mine.offer(after(seen(4, HARVESTED, spare=grown_into, **busy), action))
    assert (held.size_share == 1.5).all()
    assert (mine.offer(after(seen(4, HARVESTED, spare=grown_into, **busy), held, 660.0)).size_share == 2.0).all()


def test_harvest_vms_use_some_of_the_vcpus_that_are_rented_and_idle(holder, seen):
    idle = {"host_free_vcpus": np.zeros(4), "host_idle_vcpus": np.array([0.0, 4.0, 8.0, 16.0])}
    action = holder().offer(seen(4, HARVESTED, busy_share=np.full(4, 0.9), spare=idle))
    assert action.size_share.tolist() == [1.0, 1.0, 1.25, 1.75]


def test_a_hint_that_is_taken_back_ends_its_grant_at_the_next_tick(holder, seen, after):
    mine = holder()
    before = mine.offer(seen(2, {"region_independence": 2.0}))
    assert (before.granted & REGION > 0).all()
    now = after(seen(2, {"region_independence": np.array([0.0, 2.0])}), before)
    assert (mine.offer(now).granted & REGION > 0).tolist() == [False, True]


def test_discounts_of_the_scenario_decide_what_is_cheapest(holder, seen):
    hints = {"preemptible": 1.0, "availability_nines": 2.0, "preemptibility_share": 1.0}
    dear = {**discounts(), "spot": 0.1}
    assert (holder().offer(seen(1, hints)).granted == SPOT).all()
    assert not (holder().offer(seen(1, hints, taken_off=dear)).granted & SPOT).any()


def test_going_on_from_a_snapshot_decides_the_same(holder, seen, after, willing):
    spare = {"total_cores": np.array([100.0, 0.0]), "coming_cores": np.array([60.0, 0.0]), "row_power_w": np.array([3_990.0, 1_000.0])}
    now = seen(8, {**willing, "region_independence": 0.0}, spare=spare)
    first, second = holder(), holder()
    action = first.offer(now)
    second.restore(first.snapshot())
    for step in range(1, 6):
        now = after(now, action)
        action, other = first.offer(now), second.offer(now)
        for name in ("granted", "size_share", "clock_share", "take", "cause", "why"):
            np.testing.assert_array_equal(getattr(action, name), getattr(other, name), err_msg=f"{name} after {step}")

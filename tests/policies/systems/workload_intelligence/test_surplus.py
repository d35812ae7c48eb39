"""Capacity: who shrinks, who is evicted and who comes back; nobody more than hints allow, never more than there is."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.workloads.levers import EVICT, LEAVE, MOVE
from twin.workloads.negotiation.treatments import HARVEST, SURPLUS

SPOTTED = {"preemptible": 1.0, "availability_nines": 2.0, "preemptibility_share": 1.0}
HARVESTED = {**SPOTTED, "scale_up_down": 1.0, "delay_tolerance_s": 3600.0}


def pool(total: float, coming: float = 0.0, reserve: float = 0.0) -> dict[str, np.ndarray]:
    return {"total_cores": np.array([total, 0.0]), "coming_cores": np.array([coming, 0.0]), "reserve_cores": np.array([reserve, 0.0])}


def test_customers_to_come_find_the_cores_that_spot_vms_had(holder, seen):
    action = holder().offer(seen(8, SPOTTED, spare=pool(64.0, coming=20.0)))
    assert (action.take == EVICT).sum() == 3


def test_the_least_worth_goes_first_then_the_youngest_and_who_declined_goes_last(holder, seen):
    worth = np.array([50.0, 10.0, 50.0, 10.0])
    short = pool(32.0, coming=8.0)
    assert holder().offer(seen(4, {**SPOTTED, "vm_priority": worth}, spare=short)).take.tolist() == [0, 0, 0, EVICT]
    declined = np.array([False, False, False, True])
    assert holder().offer(seen(4, {**SPOTTED, "vm_priority": worth}, spare=short, declined=declined)).take.tolist() == [0, EVICT, 0, 0]


def test_who_is_drained_goes_before_others_of_the_same_worth(holder, seen):
    hints = {**SPOTTED, "eviction_ready": np.array([1.0, 0.0, 0.0, 0.0])}
    assert holder().offer(seen(4, hints, spare=pool(32.0, coming=8.0))).take.tolist() == [EVICT, 0, 0, 0]


def test_who_is_idle_for_a_while_goes_before_others_of_the_same_worth(holder, seen):
    hints = {**SPOTTED, "idle_until_s": np.array([-1.0, 900.0, 300.0, -1.0])}
    short = pool(32.0, coming=8.0)
    assert holder().offer(seen(4, hints, spare=short)).take.tolist() == [0, 0, EVICT, 0]
    # The later one of both, once the other's while is over.
    assert holder().offer(seen(4, hints, spare=short, t_s=300.0)).take.tolist() == [0, EVICT, 0, 0]


def test_harvest_vms_shrink_before_anybody_is_evicted_and_go_before_spot(holder, seen):
    hints = {**SPOTTED, "scale_up_down": np.repeat([0.0, 1.0], 4), "delay_tolerance_s": np.repeat([0.0, 3600.0], 4)}
    little = holder().offer(seen(8, hints, spare=pool(64.0, coming=16.0)))
    assert not little.take.any()
    assert little.size_share.tolist() == [1.0] * 4 + [0.5] * 4
    more = holder().offer(seen(8, hints, spare=pool(64.0, coming=28.0)))
    assert more.take.tolist() == [0] * 4 + [0, 0, EVICT, EVICT]
    most = holder().offer(seen(8, hints, spare=pool(64.0, coming=40.0)))
    assert most.take.tolist() == [0, 0, 0, EVICT] + [EVICT] * 4


def test_regular_vms_and_those_outside_of_the_negotiation_keep_their_cores(holder, seen):
    hints = {**SPOTTED, "preemptible": np.array([1.0, 1.0, 0.0, 0.0])}
    spare = {**pool(64.0), "others_cores": np.array([44.0, 0.0])}
    action = holder().offer(seen(4, hints, spare=spare))
    assert (action.take == EVICT).sum() == 2
    assert action.take[2:].tolist() == [LEAVE, LEAVE]


def test_never_more_of_a_deployment_than_its_share_at_once(holder, seen):
    hints = {**SPOTTED, "preemptibility_share": np.repeat([0.25, 0.5], 4)}
    action = holder().offer(seen(8, hints, deployment=np.repeat([0, 1], 4), spare=pool(8.0)))
    assert np.bincount(np.repeat([0, 1], 4), weights=action.take == EVICT).tolist() == [1, 2]


def test_they_come_back_when_there_is_room_and_some_more(holder, seen, after):
    mine = holder()
    short = seen(4, SPOTTED, spare=pool(32.0, coming=12.0))
    away = mine.offer(short)
    assert (away.take == EVICT).sum() == 2
    tight = seen(4, SPOTTED, spare=pool(32.0, coming=8.0))
    still = mine.offer(after(tight, away))
    assert still.take.tolist() == away.take.tolist(), "room for one, but no more"
    back = mine.offer(after(seen(4, SPOTTED, spare=pool(32.0, coming=0.0)), still))
    assert (back.take == EVICT).sum() == 1, "the margin stays free"
    ample = mine.offer(after(seen(4, SPOTTED, spare=pool(40.0, coming=0.0)), back))
    assert not ample.take.any()


def test_nobody_comes_back_to_a_row_that_is_short_of_power(holder, seen, after):
    mine, short = holder(), {"row_power_w": np.array([3_921.0, 1_000.0])}
    away = mine.offer(seen(4, SPOTTED, spare=pool(8.0)))
    assert (away.take == EVICT).sum() == 3
    # Those of its VMs that still run draw nothing that could be given back.
    now = mine.offer(after(seen(4, SPOTTED, spare={**pool(64.0), **short}), away, power_w=np.zeros(4)))
    gone = now.take == EVICT
    assert gone.tolist() == ((away.take == EVICT) & (np.arange(4) % 4 // 2 == 0)).tolist()
    assert 0 < gone.sum() < 3


def test_who_is_no_longer_preemptible_comes_back_at_once(holder, seen, after):
    mine = holder()
    away = mine.offer(seen(4, SPOTTED, spare=pool(24.0)))
    gone = np.flatnonzero(away.take == EVICT)
    hints = {**SPOTTED, "preemptible": np.where(np.arange(4) == gone[0], 0.0, 1.0)}
    now = mine.offer(after(seen(4, hints, spare=pool(24.0)), away))
    assert now.take[gone[0]] == LEAVE
    assert (now.take == EVICT).sum() == 1, "another one goes"


def test_a_smaller_share_of_the_deployment_brings_the_rest_back(holder, seen, after):
    mine = holder()
    away = mine.offer(seen(4, SPOTTED, spare=pool(8.0)))
    assert (away.take == EVICT).sum() == 3
    now = mine.offer(after(seen(4, {**SPOTTED, "preemptibility_share": 0.25}, spare=pool(8.0)), away))
    assert (now.take == EVICT).sum() == 1


def test_others_are_offered_another_region_while_somebody_waits(holder, seen, after):
    hints = {**SPOTTED, "preemptible": np.array([1.0, 1.0, 0.0, 0.0]), "region_independence": np.array([0.0, 0.0, 2.0, 0.0])}
    mine = holder()
    action = mine.offer(seen(4, hints, spare=pool(28.0)))
    assert action.take.tolist() == [0, EVICT, MOVE, 0]
    calm = seen(4, hints, spare=pool(64.0))
    open_still = after(calm, action, running=np.array([True, False, True, True]))
    assert not mine.offer(open_still).take.any(), "offers are withdrawn with their reason"
    assert holder(move=False).offer(seen(4, hints, spare=pool(28.0))).take.tolist() == [0, EVICT, 0, 0]


def test_who_declines_another_region_is_left_alone_and_another_one_is_asked(holder, seen, after):
    hints = {**SPOTTED, "preemptible": np.array([1.0, 0.0, 0.0, 0.0]), "region_independence": np.array([0.0, 2.0, 2.0, 0.0])}
    mine, short = holder(), pool(24.0)
    first = mine.offer(seen(4, hints, spare=short))
    asked = int(np.flatnonzero(first.take == MOVE)[0])
    stays = np.arange(4) == asked
    still = after(seen(4, hints, spare=short), first, running=np.array([False, True, True, True]), stays=stays)
    now = mine.offer(still)
    assert now.take.tolist() == [EVICT, *np.where(stays[1:3], LEAVE, MOVE).tolist(), 0]


def test_who_went_to_another_region_comes_home_when_nobody_waits_and_there_is_room(holder, seen, after):
    hints = {**SPOTTED, "preemptible": np.array([1.0, 1.0, 0.0, 0.0]), "region_independence": np.array([0.0, 0.0, 2.0, 0.0])}
    mine, there = holder(), np.arange(4) == 2
    first = mine.offer(seen(4, hints, spare=pool(28.0)))
    gone = mine.offer(after(seen(4, hints, spare=pool(28.0)), first, moved=there))
    # The one that was evicted has its place first.
    back = mine.offer(after(seen(4, hints, spare=pool(28.0)), gone, moved=there))
    assert back.take.tolist() == [0, 0, MOVE, 0]
    still = mine.offer(after(seen(4, hints, spare=pool(30.0)), back, moved=there))
    assert still.take.tolist() == [0, 0, MOVE, 0], "there is no room for it"
    home = mine.offer(after(seen(4, hints, spare=pool(64.0)), still, moved=there))
    assert home.take.tolist() == [0, 0, LEAVE, 0]


def test_unlimited_surplus_evicts_nobody(holder, seen):
    action = holder().offer(seen(8, HARVESTED, spare=pool(8.0, coming=64.0), surplus_unlimited=True))
    assert not action.take.any()
    assert (action.granted == HARVEST).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_on_any_day_capacity_is_kept_and_nobody_goes_who_may_not(holder, seen, after, seed):
    rng = np.random.default_rng(seed)
    count = 24
    hints = {
        "preemptible": rng.integers(0, 2, count),
        "availability_nines": rng.integers(2, 5, count),
        "preemptibility_share": 1.0,
        "scale_up_down": rng.integers(0, 2, count),
        "delay_tolerance_s": 3600.0 * rng.integers(0, 2, count),
        "vm_priority": rng.integers(0, 101, count),
    }
    mine, now, action = holder(), None, None
    for _ in range(8):
        asked = float(rng.integers(0, 200))
        fresh = seen(count, hints, spare=pool(256.0, coming=asked), deployment=np.arange(count) % 3)
        now = fresh if action is None else after(fresh, action)
        action = mine.offer(now)
        stays = action.take == LEAVE
        held = (now.cores * np.minimum(action.size_share, 1.0))[stays].sum()
        surplus = (action.granted & SURPLUS) != 0
        assert held <= 256.0 - asked or not (stays & surplus).any()
        assert not (~stays & ~surplus).any()
        assert not (surplus & ((now.hints["preemptible"] < 1) | (now.hints["availability_nines"] >= 4))).any()

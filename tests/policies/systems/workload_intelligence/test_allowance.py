"""Bounds on evictions: earned evenly over the day, by workload and by hour, and never overdrawn."""

import numpy as np

from policies.system import Target
from twin.workloads.levers import EVICT

SPOTTED = {"preemptible": 1.0, "availability_nines": 2.0, "preemptibility_share": 1.0}


def most(bound: float, **more) -> dict:
    return {"metric": "workloads.evictions", "op": "<=", "bound": bound, **more}


def short_of(cores: float) -> dict[str, np.ndarray]:
    return {"total_cores": np.array([64.0, 0.0]), "coming_cores": np.array([cores, 0.0]), "reserve_cores": np.zeros(2)}


def taken(action) -> int:
    return int((action.take == EVICT).sum())


def test_without_a_bound_as_many_go_as_are_needed(holder, seen):
    assert taken(holder().offer(seen(8, SPOTTED, spare=short_of(32.0)))) == 4


def test_a_bound_is_earned_over_the_day_and_never_overdrawn(holder, seen, after):
    # 48 a day: one each half hour.
    keeps = holder(targets=(most(48.0),))
    now = seen(8, SPOTTED, spare=short_of(64.0))
    counts = []
    for _ in range(120):
        action = keeps.offer(now)
        counts.append(taken(action))
        now = after(now, action)
    assert counts[0] == 0
    assert counts[29] == 1
    assert counts[59] == counts[-1] // 2 == 2
    assert counts[-1] == 4


def test_no_evictions_at_all_where_none_are_allowed_though_a_row_is_short_of_power(holder, seen):
    spare = {**short_of(64.0), "row_power_w": np.full(2, 4_000.0)}
    assert taken(holder().offer(seen(8, SPOTTED, spare=spare))) == 8
    assert taken(holder(targets=(most(0.0),)).offer(seen(8, SPOTTED, spare=spare))) == 0


def test_a_bound_holds_for_its_workloads_alone(holder, seen):
    scope = ({"kind": "workload", "id": "one"},)
    two = {"workload_ids": ("one", "two"), "workload": np.repeat([0, 1], 4)}
    action = holder(targets=(most(0.0, scope=scope),)).offer(seen(8, SPOTTED, spare=short_of(64.0), **two))
    assert np.flatnonzero(action.take == EVICT).tolist() == [4, 5, 6, 7]


def test_a_bound_holds_in_its_hours_alone(holder, seen, around):
    hour = int(around.start_hour)
    inside = holder(targets=(most(0.0, from_hour=hour, to_hour=hour + 1),))
    outside = holder(targets=(most(0.0, from_hour=(hour + 5) % 24, to_hour=(hour + 5) % 24 + 1),))
    now = seen(8, SPOTTED, spare=short_of(32.0))
    assert (taken(inside.offer(now)), taken(outside.offer(now))) == (0, 4)


def test_the_tightest_of_several_bounds_counts_and_a_resumed_run_goes_on_alike(holder, seen, after):
    knobs = {"targets": (most(2_880.0), most(1_440.0))}
    first, second = holder(**knobs), holder(**knobs)
    now = seen(8, SPOTTED, spare=short_of(64.0))
    action = first.offer(now)
    assert taken(action) == 1
    second.restore(first.snapshot())
    later = after(now, action)
    assert np.array_equal(first.offer(later).take, second.offer(later).take)


def test_a_policy_set_with_other_bounds_goes_on_with_what_is_left_of_those_it_shares(holder, seen):
    first = holder(targets=(most(2_880.0),))
    for _ in range(3):
        first.offer(seen(8, SPOTTED))
    # Two a minute, of which none was used; a bound that is new begins with one minute's, whichever place it has.
    shared, new = most(2_880.0), most(1_440.0)
    for targets, goes in (((shared,), 8), ((new, shared), 1), ((shared, new), 1), ((), 8), ((new,), 1)):
        second = holder(targets=targets)
        second.restore(first.snapshot())
        assert taken(second.offer(seen(8, SPOTTED, spare=short_of(64.0)))) == goes


def test_a_bound_the_other_way_asks_for_nothing(holder, seen):
    target = Target(metric="workloads.evictions", op=">=", bound=0.0)
    assert taken(holder(targets=(target,)).offer(seen(8, SPOTTED, spare=short_of(32.0)))) == 4

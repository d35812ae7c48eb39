"""Reactive scaling: up at once, down slowly, never below the floor."""

import numpy as np
import pytest

from policies.baselines.reactive import Reactive, ReactiveKnobs
from twin.serving.levers import DRAINING, OFF, ON


def after(holder, serving_seen, minutes, **changes):
    for minute in range(minutes):
        wanted = holder.scale(serving_seen(t_s=600.0 + 60.0 * minute, **changes)).wanted
    return wanted


def test_a_full_endpoint_wants_everything_at_once(around, serving_seen):
    holder = Reactive(ReactiveKnobs(), around)
    state = np.array([ON, ON, OFF, OFF, OFF, OFF, OFF, OFF])
    assert holder.scale(serving_seen(state=state, batch_mean=np.full(8, 200.0))).wanted.all()


def test_an_idle_endpoint_falls_to_its_floor_and_no_further(around, serving_seen):
    holder = Reactive(ReactiveKnobs(floor_share=0.25, cool_down_s=120.0), around)
    wanted = after(holder, serving_seen, 60, batch_mean=np.zeros(8), prefill_share=np.zeros(8))
    assert wanted.sum() == 2


def test_nothing_is_released_before_the_cool_down(around, serving_seen):
    holder = Reactive(ReactiveKnobs(cool_down_s=600.0), around)
    assert after(holder, serving_seen, 9, batch_mean=np.zeros(8), prefill_share=np.zeros(8)).all()


def test_time_in_prefill_asks_for_instances_too(around, serving_seen):
    holder = Reactive(ReactiveKnobs(prefill_target_share=0.35, cool_down_s=0.0, floor_share=0.0), around)
    wanted = after(holder, serving_seen, 60, batch_mean=np.ones(8), prefill_share=np.full(8, 0.2))
    # 8 x 0.2 of prefill at 0.35 each needs 4.6; with a tenth of room, 5.1.
    assert wanted.sum() == 6


def test_load_at_the_edge_does_not_flap(around, serving_seen):
    holder = Reactive(ReactiveKnobs(outstanding_target=24.0, cool_down_s=60.0, floor_share=0.0), around)
    held = []
    for minute in range(40):
        load = 4.0 * 24.0 * (0.98 if minute % 2 else 1.0) / 8.0
        held.append(int(holder.scale(serving_seen(t_s=60.0 * minute, batch_mean=np.full(8, load))).wanted.sum()))
    assert len(set(held[-20:])) == 1


@pytest.mark.parametrize(
    ("order", "first"),
    [("last", 7), ("hottest", 2), ("slowest", 5)],
)
def test_the_order_of_release_is_the_operators(around, serving_seen, order, first):
    latency = serving_seen().latency.copy()
    latency[5] *= 2.0
    hot = np.full(8, 60.0)
    hot[2] = 75.0
    holder = Reactive(ReactiveKnobs(release_order=order, cool_down_s=0.0, release_step_share=0.1), around)
    seen = [
        serving_seen(t_s=60.0 * minute, latency=latency, gpu_temp_window_max_c=hot, batch_mean=np.ones(8), prefill_share=np.zeros(8))
        for minute in range(2)
    ]
    holder.scale(seen[0])
    wanted = holder.scale(seen[1]).wanted
    assert not wanted[first]


def test_a_draining_instance_is_taken_back_before_a_cold_one_is_started(around, serving_seen):
    holder = Reactive(ReactiveKnobs(outstanding_target=24.0), around)
    state = np.array([ON, OFF, OFF, DRAINING, OFF, OFF, OFF, OFF])
    batch = np.zeros(8)
    batch[0] = 40.0
    np.testing.assert_array_equal(np.flatnonzero(holder.scale(serving_seen(state=state, batch_mean=batch)).wanted), [0, 3])


def test_being_asked_twice_in_one_window_decides_once(around, serving_seen):
    holder = Reactive(ReactiveKnobs(cool_down_s=0.0), around)
    idle = {"batch_mean": np.zeros(8), "prefill_share": np.zeros(8)}
    holder.scale(serving_seen(t_s=0.0, **idle))
    first = holder.scale(serving_seen(t_s=60.0, **idle)).wanted
    np.testing.assert_array_equal(holder.scale(serving_seen(t_s=60.0, **idle)).wanted, first)

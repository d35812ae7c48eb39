"""TAPAS: learns heat, spares the hottest first, then clocks, then caps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.policy import ScopeSpec
from policies.system import Target
from policies.systems.tapas.bounds import Bounds
from policies.systems.tapas.emergency import Caps
from policies.systems.tapas.knobs import TapasKnobs
from policies.systems.tapas.policy import Tapas
from policies.systems.tapas.thermal import RiseModel
from twin.serving.levers import ConfigAction

ALL = np.ones(1, dtype=np.bool_)
AT_80 = Target(metric="plant.gpu_temp_max_c", op="<=", bound=80.0)


def full(seen):
    return ConfigAction(np.ones(len(seen.state)), seen.max_batch.copy())


def settle(holder, serving_seen, inlet_c, minutes=60, rise_c=lambda load: 10.0 + 50.0 * load, busy_w=560.0):
    """Run a holder against GPUs whose rise over the inlet is linear in power, and which draw ``busy_w`` at full clock.

    Return the hottest that a burst (rated power at the clock in force) could have made them in the last ten minutes.
    """
    clock, hottest = np.ones(8), []
    for minute in range(minutes):
        left = 0.8 * clock + 0.2 * clock**3
        # Load is never quite steady, or nothing could be learned of it.
        power = 126.0 + (busy_w * (1.0 - 0.1 * (minute % 3)) - 126.0) * left
        temp = inlet_c + rise_c(power / 700.0)
        hottest.append(inlet_c + rise_c((126.0 + 574.0 * left) / 700.0))
        seen = serving_seen(
            t_s=60.0 + 60.0 * minute,
            inlet_c=inlet_c,
            gpu_power_w=power,
            speed_share=clock.copy(),
            gpu_temp_max_c=temp,
            gpu_temp_window_max_c=temp,
        )
        clock = holder.narrow_config(seen, full(seen)).clock_share
    return np.max(hottest[-10:], axis=0), clock


def test_the_rise_is_learned_from_what_is_seen():
    model, rng = RiseModel(1), np.random.default_rng(3)
    for load in rng.uniform(0.2, 0.9, 300):
        model.learn(np.array([load]), np.array([8.0 + 55.0 * load + rng.normal(0.0, 0.3)]), ALL)
    assert abs(model.rise_c(np.array([0.9]))[0] - 57.5) < 0.5
    assert abs(model.coefficients[0, 1] - 55.0) < 4.0


def test_hours_of_steady_load_teach_nothing_false():
    model, rng = RiseModel(1), np.random.default_rng(3)
    for load in rng.uniform(0.2, 0.9, 200):
        model.learn(np.array([load]), np.array([8.0 + 55.0 * load]), ALL)
    for _ in range(2000):
        model.learn(np.array([0.6]), np.array([41.0 + rng.normal(0.0, 0.5)]), ALL)
    assert abs(model.rise_c(np.array([0.9]))[0] - 57.5) < 4.0


def test_cool_instances_keep_full_clock_and_all_requests(around, serving_seen):
    holder = Tapas(TapasKnobs(targets=(AT_80,)), around)
    _, clock = settle(holder, serving_seen, np.full(8, 14.0))
    assert (clock == 1.0).all()
    assert holder.admit(serving_seen(t_s=7200.0, inlet_c=np.full(8, 14.0))).all()


def test_a_bound_is_held_by_the_smallest_fall_of_clocks_that_does(around, serving_seen):
    knobs = TapasKnobs(targets=(AT_80,))
    hottest, clock = settle(Tapas(knobs, around), serving_seen, np.full(8, 33.0))
    assert (hottest <= 80.0).all()
    assert (hottest >= 80.0 - knobs.temperature_margin_c - 3.0).all(), "it gives up more speed than the bound needs"
    assert (clock < 1.0).all()


def test_a_burst_after_hours_of_light_load_finds_clocks_that_hold_the_bound(around, serving_seen):
    hottest, _ = settle(Tapas(TapasKnobs(targets=(AT_80,)), around), serving_seen, np.full(8, 33.0), minutes=180, busy_w=300.0)
    assert (hottest <= 80.0).all()


def test_one_that_stands_idle_is_slowed_more_for_its_fans_are_slow(around, serving_seen):
    holder, inlet = Tapas(TapasKnobs(targets=(AT_80,)), around), np.full(8, 30.0)
    settle(holder, serving_seen, inlet)
    power = np.where(np.arange(8) < 4, 126.0, 450.0)
    for minute in range(20):
        seen = serving_seen(
            t_s=7200.0 + 60.0 * minute, inlet_c=inlet, gpu_power_w=power, gpu_temp_max_c=inlet + 10.0 + 50.0 * power / 700.0
        )
        clock = holder.narrow_config(seen, full(seen)).clock_share
    assert (clock[:4] < clock[4:]).all()


def test_idle_gpus_teach_nothing_of_heat_under_load(around, serving_seen):
    holder, inlet = Tapas(TapasKnobs(targets=(AT_80,)), around), np.full(8, 30.0)
    settle(holder, serving_seen, inlet)
    before = holder.learned()["rise_c"]
    for minute in range(20):
        seen = serving_seen(t_s=7200.0 + 60.0 * minute, inlet_c=inlet, gpu_power_w=np.full(8, 126.0), gpu_temp_max_c=inlet + 3.0)
        holder.narrow_config(seen, full(seen))
    np.testing.assert_array_equal(holder.learned()["rise_c"], before)


def test_heat_is_learned_from_power_and_temperature_of_the_same_tick(around, serving_seen):
    holder, inlet = Tapas(TapasKnobs(targets=(AT_80,)), around), np.full(8, 14.0)
    for minute in range(120):
        power = np.full(8, 300.0 + 300.0 * (minute % 2))
        # A spike earlier in the window, at a power that is gone by its end.
        seen = serving_seen(
            t_s=60.0 * (minute + 1),
            inlet_c=inlet,
            gpu_power_w=power,
            gpu_temp_max_c=inlet + 10.0 + 50.0 * power / 700.0,
            gpu_temp_window_max_c=np.full(8, 74.0),
        )
        holder.narrow_config(seen, full(seen))
    np.testing.assert_allclose(holder.learned()["rise_c"], 50.0, atol=2.0)


@settings(max_examples=8, deadline=None)
@given(inlet_c=st.floats(20.0, 38.0), slope_c=st.floats(30.0, 50.0))
def test_a_bound_that_clocks_can_hold_is_held_whatever_the_heat_sink(around, serving_seen, inlet_c, slope_c):
    knobs = TapasKnobs(targets=(AT_80,))
    clock = knobs.lowest_clock_share
    lowest = inlet_c + 10.0 + slope_c * (0.18 + 0.82 * (0.8 * clock + 0.2 * clock**3))
    hottest, _ = settle(Tapas(knobs, around), serving_seen, np.full(8, inlet_c), rise_c=lambda load: 10.0 + slope_c * load)
    assert (hottest <= max(80.0, lowest + 1e-6)).all()


def test_a_target_on_one_row_leaves_the_other_row_alone(around, serving_seen):
    target = AT_80.model_copy(update={"scope": (ScopeSpec(kind="row", id="row-2"),), "bound": 70.0})
    _, clock = settle(Tapas(TapasKnobs(targets=(target,)), around), serving_seen, np.full(8, 24.0))
    assert (clock[4:] < 1.0).all()
    assert (clock[:4] == 1.0).all()


def test_the_hottest_instances_are_spared_first(around, serving_seen):
    holder, inlet = Tapas(TapasKnobs(targets=(AT_80,)), around), np.full(8, 14.0)
    inlet[3] = 36.0
    settle(holder, serving_seen, inlet)
    seen = serving_seen(t_s=7200.0, inlet_c=inlet, gpu_power_w=np.full(8, 450.0), gpu_temp_max_c=inlet + 42.0)
    np.testing.assert_array_equal(np.flatnonzero(~holder.admit(seen)), [3])


def test_of_equally_hot_instances_the_slow_kind_is_spared(around, serving_seen):
    holder, inlet = Tapas(TapasKnobs(targets=(AT_80,), capacity_floor_share=0.75), around), np.full(8, 33.0)
    settle(holder, serving_seen, inlet)
    latency = serving_seen().latency.copy()
    latency[[1, 6]] *= 2.0
    seen = serving_seen(t_s=7200.0, inlet_c=inlet, latency=latency, gpu_power_w=np.full(8, 450.0), gpu_temp_max_c=inlet + 42.0)
    np.testing.assert_array_equal(np.flatnonzero(~holder.admit(seen)), [1, 6])


@pytest.mark.parametrize("burst", [{"prefill_share": np.full(8, 0.65)}, {"queued": np.full(8, 2)}, {"batch_mean": np.full(8, 230.0)}])
def test_a_burst_brings_back_those_that_were_spared(around, serving_seen, burst):
    holder, inlet = Tapas(TapasKnobs(targets=(AT_80,)), around), np.full(8, 33.0)
    settle(holder, serving_seen, inlet)
    hot = {"inlet_c": inlet, "gpu_power_w": np.full(8, 450.0), "gpu_temp_max_c": inlet + 42.0}
    assert not holder.admit(serving_seen(t_s=7200.0, **hot)).all()
    assert holder.admit(serving_seen(t_s=7260.0, **hot, **burst)).all()


@settings(max_examples=15, deadline=None)
@given(heat=st.lists(st.floats(20.0, 60.0), min_size=8, max_size=8), floor=st.floats(0.1, 1.0))
def test_an_endpoint_never_loses_more_than_its_floor(around, serving_seen, heat, floor):
    holder = Tapas(TapasKnobs(targets=(AT_80,), capacity_floor_share=floor), around)
    inlet = np.array(heat)
    for minute in range(5):
        seen = serving_seen(t_s=60.0 * (minute + 1), inlet_c=inlet, gpu_temp_window_max_c=inlet + 45.0)
        assert holder.admit(seen).sum() >= np.ceil(8 * floor - 1e-9)


def test_it_acts_before_the_window_begins_and_lets_go_after_it_ends(around):
    bounds = Bounds((AT_80.model_copy(update={"from_hour": 12.0, "to_hour": 18.0}),), around)
    noon, six = 12 * 3600.0, 18 * 3600.0
    assert np.isinf(bounds.server_c(noon - 700.0, 600.0)).all()
    assert (bounds.server_c(noon - 600.0, 600.0) == 80.0).all()
    assert (bounds.server_c(six - 1.0, 0.0) == 80.0).all()
    assert np.isinf(bounds.server_c(six, 600.0)).all()


def test_a_row_that_runs_out_of_power_slows_its_own_instances(around, serving_seen):
    holder = Tapas(TapasKnobs(), around)
    tight = np.array([20_000.0, 12_000.0])
    for minute in range(5):
        seen = serving_seen(t_s=60.0 * (minute + 1), row_power_w=np.array([13_000.0, 13_000.0]), row_budget_w=tight)
        clock = holder.narrow_config(seen, full(seen)).clock_share
    assert (clock[4:] < 1.0).all()
    assert (clock[:4] == 1.0).all()


def test_it_never_raises_what_it_guards(around, serving_seen):
    seen = serving_seen()
    action = ConfigAction(np.full(8, 0.7), seen.max_batch.copy())
    assert (Tapas(TapasKnobs(), around).narrow_config(seen, action).clock_share <= 0.7).all()


def caps(around, plant_seen, **changes):
    knobs = TapasKnobs()
    holder = Caps(knobs, Bounds((), around))
    holder.decide(plant_seen())
    return holder.decide(plant_seen(t_s=610.0, **changes))


def test_a_row_over_its_budget_takes_from_managed_gpus_first(around, plant_seen):
    cap = caps(around, plant_seen, row_budget_w=np.array([11_000.0, 15_000.0]))
    opaque = plant_seen().gpu_opaque
    assert (cap[:16][~opaque[:16]] < 1.0).all()
    assert (cap[:16][opaque[:16]] == 1.0).all()
    assert (cap[16:] == 1.0).all()


def test_opaque_gpus_are_capped_where_nothing_else_is_enough(around, plant_seen):
    cap = caps(around, plant_seen, row_budget_w=np.array([7_000.0, 15_000.0]))
    assert (cap[:16] < 1.0).all()


def test_the_loss_of_a_quarter_of_the_power_is_met_within_one_tick(around, plant_seen):
    seen = plant_seen()
    cap = caps(around, plant_seen, row_budget_w=0.75 * seen.row_power_w)
    left = 0.8 * cap + 0.2 * cap**3
    rows = seen.server_rows[seen.gpu_servers]
    saved = np.bincount(rows, weights=(seen.gpu_power_w - 100.0) * (1.0 - left))
    assert (seen.row_power_w - saved <= 0.75 * seen.row_power_w + 1.0).all()


def test_only_the_gpu_that_is_too_hot_is_capped_even_an_opaque_one(around, plant_seen):
    temp = np.full(32, 60.0)
    temp[9] = 88.0
    cap = caps(around, plant_seen, gpu_temp_c=temp)
    np.testing.assert_array_equal(np.flatnonzero(cap < 1.0), [9])


def test_a_rise_that_has_run_its_course_is_not_capped_for_twice(around, plant_seen):
    holder = Caps(TapasKnobs(), Bounds((), around))
    holder.decide(plant_seen(tick_s=15.0, gpu_temp_c=np.full(32, 50.0)))
    # 75 C is 12 C below the limit; a start has just added 25 C, most of which the die does within seconds.
    assert (holder.decide(plant_seen(t_s=615.0, tick_s=15.0, gpu_temp_c=np.full(32, 75.0))) == 1.0).all()


def test_a_rise_within_a_second_goes_on(around, plant_seen):
    holder = Caps(TapasKnobs(), Bounds((), around))
    holder.decide(plant_seen(tick_s=1.0, gpu_temp_c=np.full(32, 83.0)))
    assert (holder.decide(plant_seen(t_s=601.0, tick_s=1.0, gpu_temp_c=np.full(32, 85.0))) < 1.0).all()


def test_a_restored_holder_decides_the_same(around, serving_seen, plant_seen):
    one, two = Tapas(TapasKnobs(targets=(AT_80,)), around), Tapas(TapasKnobs(targets=(AT_80,)), around)
    settle(one, serving_seen, np.full(8, 33.0), minutes=20)
    one.cap(plant_seen(gpu_temp_c=np.full(32, 85.0)))
    two.restore(one.snapshot())
    seen = serving_seen(t_s=9000.0, inlet_c=np.full(8, 34.0))
    np.testing.assert_array_equal(one.narrow_config(seen, full(seen)).clock_share, two.narrow_config(seen, full(seen)).clock_share)
    np.testing.assert_array_equal(one.admit(seen), two.admit(seen))
    hot = plant_seen(t_s=9010.0, gpu_temp_c=np.full(32, 86.0))
    np.testing.assert_array_equal(one.cap(hot).clock_cap_share, two.cap(hot).clock_cap_share)


@pytest.mark.parametrize(
    "short", [{"row_power_w": np.array([20_000.0, 29_500.0])}, {"aisle_airflow_share": np.repeat([0.6, 1.1], 4)}], ids=["power", "air"]
)
def test_rows_short_of_power_and_aisles_short_of_air_are_spared(around, serving_seen, short):
    holder = Tapas(TapasKnobs(), around)
    seen = serving_seen(inlet_c=np.full(8, 14.0), **short)
    np.testing.assert_array_equal(holder.admit(seen), [True] * 4 + [False] * 4)


def test_where_all_rows_are_short_nobody_is_spared_for_it(around, serving_seen):
    seen = serving_seen(inlet_c=np.full(8, 14.0), row_power_w=np.array([29_500.0, 29_500.0]))
    assert Tapas(TapasKnobs(), around).admit(seen).all()

"""Protection of GPUs and rows."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.clock import Clock
from twin.faults import Fault
from twin.fleet import Fleet
from twin.plant.hardware import server_model
from twin.plant.model import GpuLoad, Model, Settings
from twin.plant.throttling import Graded, Throttling, brake_row, grade_row, graded_values, held_clock_share, thermal_clock_share

SITE = SimpleNamespace(**Throttling().model_dump())


def _after(temp_c: float, cap: float = 1.0, running: float = 1.0, dt_s: float = 1.0) -> float:
    return float(thermal_clock_share(server_model("h100"), SITE, cap, running, temp_c, dt_s))


def test_a_gpu_steps_down_above_its_limit_halves_above_slowdown_and_comes_back_with_hysteresis() -> None:
    """H100: 87 C operating limit, 89 C slowdown (NVIDIA T.Limit figures)."""
    assert _after(87.5) == pytest.approx(0.95)
    assert _after(89.5) == 0.5
    assert _after(85.0, cap=0.6) == 0.6
    assert _after(83.9, cap=0.6) == pytest.approx(0.62)
    assert _after(87.5, running=0.7) == pytest.approx(0.65)
    assert _after(120.0, cap=0.2) == 0.2


def test_a_row_brakes_after_five_seconds_above_its_budget_and_comes_back_without_overshoot() -> None:
    row = SimpleNamespace(power_w=110.0, budget_w=100.0, over_s=0.0, hold_s=0.0, brake_clock_share=1.0)
    began = [brake_row(row, SITE, 1.0) for _ in range(5)]
    assert began == [False, False, False, False, True]
    assert row.brake_clock_share == 0.2
    for _ in range(600):
        row.power_w = 110.0 * row.brake_clock_share
        assert not brake_row(row, SITE, 10.0)
        assert row.power_w <= 100.0
    assert row.power_w == pytest.approx(95.0, abs=0.1)


def test_row_power_stays_at_its_budget_when_a_ups_is_lost_and_nobody_helps(
    plant: Callable[..., Model], load: Callable[..., GpuLoad], run_on: Callable[..., Model]
) -> None:
    busy = load(prefill=0.6, decode=0.4)
    before = run_on(plant(), busy, 600.0).observe()
    after = run_on(plant([Fault(kind="ups_loss", target="site", from_s=600.0)]), busy, 1200.0, tick_s=1.0).observe()
    assert (after.row_budget_w == 0.75 * before.row_budget_w).all()
    assert (after.row_power_w <= after.row_budget_w).all()
    assert after.gpu_clock_share[: 6 * 8].max() < 1.0 < before.row_power_w[0] / after.row_budget_w[0]


@hypothesis.settings(max_examples=8, deadline=None)
@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(1.0, 256.0))
def test_the_brake_holds_every_row_to_its_budget_whatever_the_load(
    plant: Callable[..., Model], load: Callable[..., GpuLoad], run_on: Callable[..., Model], prefill: float, decode: float, batch: float
) -> None:
    """From seven seconds after a UPS is lost (five to brake, one tick to act) to half an hour later."""
    model, busy = plant([Fault(kind="ups_loss", target="ups-2", from_s=300.0)]), load(prefill, decode, batch)
    run_on(model, busy, 307.0, tick_s=1.0)
    while model.t_s < 2100.0:
        run_on(model, busy, model.t_s + 10.0)
        assert (model.observe().row_power_w <= model.observe().row_budget_w).all()


def test_graded_caps_act_late_low_priority_first_and_come_back_below_their_threshold() -> None:
    """POLCA: 80 % slows low priority to 1,275 of 1,410 MHz, 89 % to 1,110 and everybody to 1,305, out of band after 40 s."""
    site = SimpleNamespace(**graded_values(Graded()))
    row = SimpleNamespace(power_w=85.0, budget_w=100.0, brake_clock_share=1.0, low_clock_share=1.0, high_clock_share=1.0)
    row.t1_on = row.t1_order_s = row.t2_on = row.t2_order_s = 0.0

    def clocks_mhz(power_w: float, ticks: int) -> tuple[int, int]:
        row.power_w = power_w
        for _ in range(ticks):
            grade_row(row, site, 10.0)
        return round(1410 * held_clock_share(row, 1.0)), round(1410 * held_clock_share(row, 0.0))

    assert clocks_mhz(85.0, 4) == (1410, 1410)
    assert clocks_mhz(85.0, 1) == (1275, 1410)
    assert clocks_mhz(92.0, 5) == (1110, 1306)
    assert clocks_mhz(85.0, 20) == (1110, 1306)
    assert clocks_mhz(82.0, 5) == (1275, 1410)
    assert clocks_mhz(76.0, 20) == (1275, 1410)
    assert clocks_mhz(74.0, 5) == (1410, 1410)


def test_graded_caps_spare_the_row_its_brake_and_slow_rented_gpus_more(
    fleet: Fleet, clock: Clock, load: Callable[..., GpuLoad], run_on: Callable[..., Model]
) -> None:
    """A row at 101 % of its budget, a brake that waits a minute: alone it cuts everybody to 20 %; graded caps come before it."""
    busy, ended = load(0.6, 0.4), {}
    rented = np.arange(len(busy.clock_share)) % 16 < 8
    free_w = run_on(Model(Settings(), fleet, clock, 86_400.0, (), 7), busy, 1800.0).observe().row_power_w
    # Hosts have no clock to slow down: their row has room.
    tight = replace(fleet, row_power_budgets_w=free_w / np.array([1.01, 1.01, 1.01, 0.5]))
    for name, graded in (("plain", None), ("graded", Graded())):
        model = Model(Settings(throttling=Throttling(graded=graded, brake_after_s=60.0)), tight, clock, 86_400.0, (), 7)
        model.set_opaque(rented)
        run_on(model, busy, 1800.0, tick_s=5.0)
        ended[name] = model
    plain, graded_ = ended["plain"].observe(), ended["graded"].observe()
    assert ended["plain"].arrays.rows["brake_clock_share"][:3].max() < 1.0
    assert (ended["graded"].arrays.rows["brake_clock_share"] == 1.0).all()
    assert (graded_.row_power_w <= graded_.row_budget_w).all()
    assert graded_.gpu_clock_share[rented].max() < graded_.gpu_clock_share[~rented].min()
    assert graded_.gpu_clock_share.min() > 0.75
    assert plain.row_power_w[:3].sum() <= plain.row_budget_w[:3].sum()


def test_servers_may_be_named_as_low_priority(fleet: Fleet, clock: Clock) -> None:
    graded = Graded(low_priority_servers=("server-1..server-2",))
    model = Model(Settings(throttling=Throttling(graded=graded)), fleet, clock, 86_400.0, (), 7)
    model.set_opaque(np.ones(len(fleet.gpu_servers), dtype=np.bool_))
    assert model.arrays.gpus.low_priority.sum() == 16.0
    with pytest.raises(ValueError, match=r"plant.throttling.graded: server 'server-99' is not in the fleet"):
        Model(Settings(throttling=Throttling(graded=Graded(low_priority_servers=("server-99",)))), fleet, clock, 60.0, (), 7)


def test_a_blocked_rack_throttles_and_its_gpus_stay_near_their_limit(
    plant: Callable[..., Model], load: Callable[..., GpuLoad], run_on: Callable[..., Model]
) -> None:
    model = run_on(plant([Fault(kind="rack_blocked", target="rack-1", from_s=0.0, severity=0.7)]), load(0.5, 0.5), 1800.0)
    seen = model.observe()
    rack = seen.gpu_servers < 2
    assert seen.gpu_clock_share[rack].min() < 1.0
    assert seen.gpu_temp_c[rack].max() < 89.0
    assert seen.gpu_clock_share[~rack].min() == 1.0


def test_a_server_that_overheats_switches_off_and_restarts(
    plant: Callable[..., Model], load: Callable[..., GpuLoad], run_on: Callable[..., Model]
) -> None:
    faults = [Fault(kind="rack_blocked", target="rack-7", from_s=0.0, until_s=900.0, severity=1.0)]
    model = plant(faults, inlet={"supply_offset_c": 25.0})
    run_on(model, load(1.0, 0.0), 900.0)
    off = model.observe().gpu_clock_share == 0.0
    assert off.any()
    assert (model.observe().gpu_power_w[off] == 0.0).all()
    model = run_on(model, load(0.0, 0.0), 1800.0)
    assert (model.observe().gpu_clock_share > 0.0).all()


def test_throttling_does_not_depend_on_the_tick(
    plant: Callable[..., Model], load: Callable[..., GpuLoad], run_on: Callable[..., Model]
) -> None:
    """The same hot hour at ticks of 10 and 5 s, after fine ticks at the fault's edge: within 0.2 C and 0.5 % of energy."""
    hottest, energy, busy = [], [], load(0.5, 0.5)
    for tick_s in (10.0, 5.0):
        model = run_on(plant([Fault(kind="rack_blocked", target="rack-1", from_s=0.0, severity=0.7)]), busy, 300.0, tick_s=1.0)
        model.arrays.gpus.peak_c[:] = 0.0
        model.arrays.servers["minute_j"] = 0.0
        run_on(model, busy, 3900.0, tick_s)
        hottest.append(model.arrays.gpus.peak_c.max())
        energy.append(model.arrays.servers["minute_j"][:2].sum())
        assert model.observe().gpu_clock_share.min() < 1.0
    assert hottest[0] == pytest.approx(hottest[1], abs=0.2)
    assert energy[0] == pytest.approx(energy[1], rel=0.005)


def test_clock_caps_hold(plant: Callable[..., Model], load: Callable[..., GpuLoad]) -> None:
    model, busy = plant(), load()
    caps = np.linspace(0.2, 1.0, len(busy.clock_share))
    model.advance(10.0, busy, caps)
    assert (model.gpu_clock_share <= caps).all()


def test_caps_and_brakes_hold_for_servers_that_throttle_as_well(
    plant: Callable[..., Model], load: Callable[..., GpuLoad], run_on: Callable[..., Model]
) -> None:
    faults = [
        Fault(kind="rack_blocked", target="rack-1", from_s=0.0, severity=0.7),
        Fault(kind="ups_loss", target="site", from_s=900.0),
    ]
    model, busy = plant(faults), load(0.6, 0.4)
    hot = np.arange(len(busy.clock_share)) < 16
    run_on(model, busy, 600.0)
    assert 0.3 < model.arrays.gpus.thermal_clock_share[hot].min() < 1.0
    model.advance(610.0, busy, np.where(hot, 0.25, 1.0))
    assert (model.arrays.servers["throttled_s"][:2] > 0.0).all()
    assert (model.gpu_clock_share[hot] == 0.25).all()
    run_on(model, busy, 900.0)
    run_on(model, busy, 910.0, tick_s=1.0)
    assert model.arrays.rows["brake_clock_share"][0] == 0.2
    assert (model.gpu_clock_share[:48] <= 0.2).all()

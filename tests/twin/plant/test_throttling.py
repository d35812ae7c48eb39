"""Protection of GPUs and rows."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from twin.faults import Fault
from twin.plant.hardware import server_model
from twin.plant.model import GpuLoad, Model
from twin.plant.throttling import Throttling, brake_row, budget_share_left, thermal_clock_share

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


def test_losing_one_of_four_ups_leaves_three_quarters() -> None:
    assert budget_share_left(1.0, 4) == 0.75


def test_row_power_stays_at_its_budget_when_a_ups_is_lost_and_nobody_helps(
    plant: Callable[..., Model], load: Callable[..., GpuLoad], run_on: Callable[..., Model]
) -> None:
    busy = load(prefill=0.6, decode=0.4)
    before = run_on(plant(), busy, 600.0).observe()
    after = run_on(plant([Fault(kind="ups_loss", target="site", from_s=600.0)]), busy, 1200.0, tick_s=1.0).observe()
    assert (after.row_budget_w == 0.75 * before.row_budget_w).all()
    assert (after.row_power_w <= after.row_budget_w).all()
    assert after.gpu_clock_share[: 6 * 8].max() < 1.0 < before.row_power_w[0] / after.row_budget_w[0]


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

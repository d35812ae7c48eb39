"""Temperature of GPUs."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from twin.clock import Clock
from twin.fleet_file import build
from twin.fleet_spec import FleetSpec
from twin.plant import heat
from twin.plant.airflow import Airflow
from twin.plant.cooling import Cooling
from twin.plant.hardware import server_model
from twin.plant.inlet import Inlet
from twin.plant.layout import site_record
from twin.plant.model import GpuLoad, Model, Settings
from twin.plant.throttling import Throttling, thermal_clock_share


def _step_response(dt_s: float, until_s: float, before_w: float = 82.0, after_w: float = 294.0) -> float:
    """Temperature above inlet after a step of power, in ticks of dt, at full airflow."""
    model = server_model("a100")
    sink_c, die_c = model.r_sink_c_per_w * before_w, model.r_die_c_per_w * before_w
    sink_gain, die_gain = heat.relaxation(dt_s, model.tau_sink_s), heat.relaxation(dt_s, model.tau_die_s)
    resistance = heat.sink_resistance_c_per_w(model, 1.0, 0.8)
    for _ in range(round(until_s / dt_s)):
        sink_c = heat.toward(sink_c, resistance * after_w, sink_gain)
        die_c = heat.toward(die_c, model.r_die_c_per_w * after_w, die_gain)
    return sink_c + die_c


@pytest.mark.parametrize("dt_s", [1.0, 5.0, 60.0])
def test_the_step_is_the_analytic_one_at_any_tick(dt_s: float) -> None:
    """Two first-order nodes after a step of power from 82 to 294 W: R 0.045 and 0.063 C/W, tau 1.4 and 24 s (measured A100)."""
    until_s = 60.0
    rise_w = 294.0 - 82.0
    analytic = 82.0 * 0.108 + rise_w * (0.045 * (1 - np.exp(-until_s / 1.4)) + 0.063 * (1 - np.exp(-until_s / 24.0)))
    assert _step_response(dt_s, until_s) == pytest.approx(analytic, abs=1e-9)


def test_the_measured_step_of_an_a100_comes_out() -> None:
    """Public 4 Hz trace, 82 to 294 W at 24.2 C effective inlet: 33 C before, about 56 C once both nodes have settled."""
    assert 24.2 + _step_response(1.0, 0.0) == pytest.approx(33.1, abs=0.1)
    assert 24.2 + _step_response(1.0, 4.0) - (24.2 + _step_response(1.0, 0.0)) == pytest.approx(
        212 * (0.045 * 0.943 + 0.063 * 0.154), abs=0.1
    )
    assert 24.2 + _step_response(1.0, 300.0) == pytest.approx(55.95, abs=0.1)


def test_an_h100_at_full_prefill_stays_below_its_limit_at_30_c_inlet() -> None:
    model = server_model("h100")
    hottest_offset_c = max(heat.Heat().preheat_c) + 3.0 * heat.Heat().gpu_spread_c
    assert heat.steady_gpu_temp_c(model, 30.0, model.tdp_w, 1.0) + hottest_offset_c < heat.limit_c(model) == 87.0


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["a100", "h100"]), st.floats(10, 45), st.floats(50, 399), st.floats(0.2, 0.95))
def test_temperature_rises_with_inlet_and_power_and_falls_with_airflow(name: str, inlet_c: float, power_w: float, flow: float) -> None:
    model = server_model(name)
    here = heat.steady_gpu_temp_c(model, inlet_c, power_w, flow)
    assert heat.steady_gpu_temp_c(model, inlet_c + 1.0, power_w, flow) > here
    assert heat.steady_gpu_temp_c(model, inlet_c, power_w + 1.0, flow) > here
    assert heat.steady_gpu_temp_c(model, inlet_c, power_w, flow + 0.05) < here


@settings(max_examples=40, deadline=None)
@given(st.floats(0.1, 600), st.floats(0.1, 600), st.floats(1, 60))
def test_two_steps_go_as_far_as_one(first_s: float, second_s: float, tau_s: float) -> None:
    once = heat.toward(20.0, 70.0, heat.relaxation(first_s + second_s, tau_s))
    twice = heat.toward(heat.toward(20.0, 70.0, heat.relaxation(first_s, tau_s)), 70.0, heat.relaxation(second_s, tau_s))
    assert twice == pytest.approx(once, abs=1e-9)


def test_the_twins_own_a100_answers_a_step_as_the_measured_one(clock: Clock) -> None:
    """Fitted like the public trace (82 to 294 W): tau 1.4 and 24 s, R 0.045 and 0.063 C/W, each within 2 %."""
    row = {"id": "row-1", "kind": "gpu", "aisle": "aisle-1", "racks": 1, "first_rack": "rack-1", "per_rack": 1}
    row |= {"first_server": "server-1", "model": "a100", "power_budget_w": 9e3}
    spec = {
        "name": "one",
        "site_power_budget_w": 9e3,
        "aisle": [{"id": "aisle-1"}],
        "row": [row | {"model": "a100", "power_budget_w": 9e3}],
    }
    # Fans at full speed throughout, as R is given at full airflow; the trace's fans cannot be told.
    model = Model(
        Settings.model_validate({"airflow": {"fan_floor_share": 1.0}}), build(FleetSpec.model_validate(spec)), clock, 3600.0, (), 7
    )
    every = np.ones(8)

    def at(opaque: float) -> GpuLoad:
        return GpuLoad(0 * every, 0 * every, every, opaque * every, np.ones(8, dtype=np.bool_), every, np.zeros(0))

    model.advance(600.0, at(0.0), every)
    assert model.arrays.gpus.power_w[0] == 82.0
    times, rises = [], []
    for _ in range(600):
        model.advance(model.t_s + 0.2, at((294.0 - 82.0) / (0.8 * 400.0 - 82.0)), every)
        times.append(model.t_s - 600.0)
        rises.append(model.arrays.gpus.temp_c[0] - model.arrays.gpus.inlet_c[0] - model.arrays.gpus.offset_c[0])
    assert model.arrays.gpus.power_w[0] == pytest.approx(294.0)

    def law(t_s: Any, base_c: float, die_r: float, die_tau_s: float, sink_r: float, sink_tau_s: float) -> Any:
        return base_c + 212.0 * (die_r * (1 - np.exp(-t_s / die_tau_s)) + sink_r * (1 - np.exp(-t_s / sink_tau_s)))

    fitted = curve_fit(law, np.array(times), np.array(rises), p0=(9.0, 0.03, 1.0, 0.05, 20.0))[0]
    assert fitted == pytest.approx([82.0 * 0.108, 0.045, 1.4, 0.063, 24.0], rel=0.02)


def test_memory_is_eight_degrees_above_the_die_and_throttles_where_it_is_nearer_its_limit() -> None:
    """HBM: die + 8 C, at most 95 C (facts sheet on heat and power, 5e): binds at 87 C, above the A100's 85 C."""
    a100, h100 = server_model("a100"), server_model("h100")
    assert heat.memory_temp_c(a100, 80.0) == 88.0
    assert heat.over_limit_c(a100, 85.0) == 0.0
    assert heat.limit_c(a100) == 85.0
    assert heat.over_limit_c(h100, 87.0) == 0.0
    hotter = server_model("h100").copy()
    hotter["memory_rise_c"] = 15.0
    assert heat.limit_c(hotter) == 80.0
    assert heat.over_limit_c(hotter, 82.0) == 2.0


def test_a_gpu_whose_memory_is_too_hot_slows_down_though_its_die_is_not() -> None:
    site, model = site_record(Airflow(), Inlet(), heat.Heat(), Throttling(), Cooling())[0], server_model("h100").copy()
    assert thermal_clock_share(model, site, 1.0, 1.0, 82.0, 1.0) == 1.0
    model["memory_rise_c"] = 15.0
    assert thermal_clock_share(model, site, 1.0, 1.0, 82.0, 1.0) == pytest.approx(0.95)
    # Back only once the memory is cooler than its limit by the hysteresis.
    assert thermal_clock_share(model, site, 0.5, 0.5, 78.0, 1.0) == 0.5
    assert thermal_clock_share(model, site, 0.5, 0.5, 76.0, 1.0) == pytest.approx(0.52)

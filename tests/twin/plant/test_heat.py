"""Temperature of GPUs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.plant import heat
from twin.plant.hardware import server_model


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

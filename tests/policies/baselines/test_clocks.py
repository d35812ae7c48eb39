"""The planners' law of clocks is the twin's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.baselines.clocks import clock_for, power_share
from twin.sources import calibration

SHARES = st.floats(0.2, 1.0)


@pytest.mark.parametrize("model", ["h100", "a100"])
def test_planners_and_twin_share_one_law(model):
    a = calibration("hardware")["server"][model]["dynamic_linear_share"]["value"]
    clock = np.linspace(0.2, 1.0, 9)
    np.testing.assert_allclose(power_share(clock), a * clock + (1.0 - a) * clock**3)


@settings(max_examples=30)
@given(clock=SHARES)
def test_the_clock_for_a_power_is_the_inverse_of_the_power_at_a_clock(clock):
    assert abs(float(clock_for(power_share(np.array(clock)))) - clock) < 1e-4


@settings(max_examples=30)
@given(low=SHARES, high=SHARES)
def test_a_faster_clock_never_draws_less(low, high):
    low, high = min(low, high), max(low, high)
    assert power_share(np.array(low)) <= power_share(np.array(high))

"""Robust least squares on telemetry."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.plant import fitting


def _all(count: int) -> np.ndarray:
    return np.ones(count, dtype=np.bool_)


@settings(max_examples=20, deadline=None)
@given(st.floats(-20, 20), st.floats(-2, 2), st.integers(0, 10_000))
def test_a_line_without_noise_comes_back(offset: float, slope: float, seed: int) -> None:
    x = np.random.default_rng(seed).uniform(50, 400, (60, 3))
    found = fitting.line(x, offset + slope * x, _all(60))
    np.testing.assert_allclose(found[0], offset, atol=1e-6)
    np.testing.assert_allclose(found[1], slope, atol=1e-8)


def test_a_tenth_of_broken_readings_moves_a_line_little() -> None:
    random = np.random.default_rng(1)
    x = random.uniform(50, 400, (400, 1))
    y = 20.0 + 0.1 * x + random.normal(0, 0.3, x.shape)
    y[::10] = 85.0
    offset, slope = fitting.line(x, y, _all(400))
    assert abs(slope[0] - 0.1) < 0.002
    assert abs(offset[0] - 20.0) < 0.5
    assert abs(np.polynomial.Polynomial.fit(x[:, 0], y[:, 0], 1).convert().coef[0] - 20.0) > 2.0


def test_the_piecewise_inlet_of_tapas_comes_back_per_server() -> None:
    """Flat below 15 C, then 0.6 C per degree to 25 C, then 0.2 C; 2 C at full load (arXiv:2501.02600, equation 1)."""
    random = np.random.default_rng(2)
    outside, load = random.uniform(5, 40, 500), random.uniform(0.2, 1.0, 500)
    x = np.column_stack([fitting.pieces(outside, 15.0, 25.0), load])
    offsets = np.array([-1.0, 0.0, 2.5])
    y = np.column_stack([18.0 + offset + x[:, 1] * 0.6 + x[:, 2] * 0.2 + load * 2.0 for offset in offsets]) + random.normal(
        0, 0.2, (500, 3)
    )
    found = fitting.plane(x, y, _all(500))
    np.testing.assert_allclose(found[:, 0], 18.0 + offsets, atol=0.15)
    np.testing.assert_allclose(found[:, 1:], [[0.6, 0.2, 2.0]] * 3, atol=0.15)


def test_what_has_too_few_samples_is_not_fitted() -> None:
    x = np.random.default_rng(3).uniform(0, 1, (100, 2))
    y = 2.0 * x
    y[fitting.LEAST_SAMPLES - 1 :, 1] = np.nan
    offset, slope = fitting.line(x, y, _all(100))
    assert slope[0] == pytest.approx(2.0)
    assert np.isnan([offset[1], slope[1]]).all()
    plane = fitting.plane(np.column_stack([np.ones(100), x[:, 0]]), y, _all(100))
    assert np.isfinite(plane[0]).all()
    assert np.isnan(plane[1]).all()


def test_a_regressor_that_stands_still_gets_no_effect() -> None:
    x = np.column_stack([np.ones(80), np.full(80, 3.0), np.linspace(0, 1, 80)])
    found = fitting.plane(x, (5.0 + 2.0 * x[:, 2])[:, None], _all(80))[0]
    assert found[2] == pytest.approx(2.0, abs=1e-3)
    assert x[0] @ found == pytest.approx(5.0, abs=1e-3)


def test_held_out_hours_are_whole_and_a_quarter() -> None:
    t_s = np.arange(0.0, 48 * 3600.0, 60.0)
    judged = fitting.held_out(t_s)
    assert judged.mean() == 0.25
    assert (np.diff(np.flatnonzero(np.diff(judged.astype(int)))) % 60 == 0).all()


def test_a_held_load_settles_as_the_analytic_step_does() -> None:
    x = np.zeros((5, 1))
    x[1:] = 10.0
    out = fitting.settled(x, np.full(5, 12.0), np.array([24.0]))
    np.testing.assert_allclose(out[:, 0], 10.0 * (1.0 - np.exp(-np.arange(5) * 0.5)), rtol=1e-12)

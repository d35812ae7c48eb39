"""Scores of columns between normal and anomalous windows, and onsets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.incidents.anomalies import detect_onset, levels, scores
from twin.incidents.series import Series

T, S = 200, 6
NORMAL = np.arange(T) < 160


def series(seed: int, shift: float = 0.0, fails: int = 1, gaps: float = 0.0) -> Series:
    """Six columns of noise round ten; the third moves by ``shift`` from row 170 on."""
    rng = np.random.default_rng(seed)
    values = rng.normal(10.0, 1.0, (T, S))
    values[170:, 2] += shift
    values[rng.random(values.shape) < gaps] = np.nan
    names = tuple(f"m{j}" for j in range(S))
    return Series(np.arange(T) * 60.0, values, ("e",), np.zeros(S, dtype=np.int64), names, np.full(S, fails))


def test_levels_of_a_known_column_are_its_median_and_scaled_mad() -> None:
    found = levels(np.array([[1.0], [2.0], [3.0], [4.0], [100.0]]))
    assert found.centre[0] == 3.0
    assert found.scale[0] >= 1.4826


def test_gaps_are_left_out_of_the_median() -> None:
    found = levels(np.array([[1.0, 1.0], [np.nan, 2.0], [3.0, 3.0], [np.nan, np.nan]]))
    assert found.centre.tolist() == [2.0, 2.0]
    assert found.samples.tolist() == [2, 3]


def test_a_column_that_never_moves_is_judged_by_its_floor() -> None:
    found = levels(np.full((50, 1), 100.0), 0.002)
    assert found.scale[0] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("shift", "fails", "loud"), [(8.0, 1, True), (-8.0, 1, False), (-8.0, -1, True), (8.0, -1, False), (-8.0, 0, True)]
)
def test_only_the_failing_direction_counts(shift: float, fails: int, loud: bool) -> None:
    found = scores(series(1, shift, fails), NORMAL, ~NORMAL)
    assert bool(found.median_shift[2] > 3.0) is loud


def test_the_onset_of_a_column_is_when_it_began_to_move() -> None:
    found = scores(series(2, 8.0), NORMAL, np.arange(T) >= 120)
    assert abs(found.onset_s[2] - 169 * 60.0) <= 60.0
    assert np.isnan(found.onset_s[[0, 1, 3, 4, 5]]).all()


@given(st.integers(0, 1000), st.permutations(range(S)), st.sampled_from([0.001, 3.0, 1000.0]))
@settings(max_examples=20, deadline=None)
def test_order_and_units_of_columns_change_no_score(seed: int, order: list[int], factor: float) -> None:
    one = series(seed, 5.0, gaps=0.1)
    other = Series(one.t_s, one.values[:, order] * factor, one.entity_ids, one.entity, tuple(one.metrics[j] for j in order), one.fails)
    a, b = scores(one, NORMAL, ~NORMAL), scores(other, NORMAL, ~NORMAL)
    for name in ("robust_z", "n_sigma", "median_shift", "onset_s"):
        np.testing.assert_allclose(getattr(a, name)[order], getattr(b, name), rtol=1e-6, atol=1e-9)


def test_a_column_without_a_sample_has_no_score() -> None:
    one = series(3)
    one.values[:, 4] = np.nan
    assert np.isnan(scores(one, NORMAL, ~NORMAL).robust_z[4])


def test_the_onset_of_a_symptom_is_found_where_it_recovers_too() -> None:
    y = np.random.default_rng(4).normal(5.0, 0.1, 60)
    y[30:36] += 2.0
    assert detect_onset(np.arange(60) * 60.0, y, 5.0, 0.1, 1) == 29 * 60.0


def test_no_onset_is_found_in_noise() -> None:
    calm = [detect_onset(np.arange(20) * 60.0, np.random.default_rng(s).normal(5.0, 0.1, 20), 5.0, 0.1, 1) for s in range(50)]
    assert sum(each is not None for each in calm) <= 2

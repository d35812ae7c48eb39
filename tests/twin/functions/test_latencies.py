"""Quantiles and tails of binned latencies against the calls themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.functions.latencies import BIN_RATIO, TAIL_SHARE, low_s, quantile_s, quantiles_s, tail_weights


def _binned(latency_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    bins, counts = np.unique(np.floor(np.log(latency_s) / np.log(BIN_RATIO)).astype(np.int64), return_counts=True)
    return low_s(bins), counts.astype(np.float64)


@given(seed=st.integers(0, 1_000), sigma=st.floats(0.01, 2.0), share=st.sampled_from([0.5, 0.9, 0.99]))
@settings(max_examples=25, deadline=None)
def test_a_quantile_of_bins_is_that_of_the_calls_within_a_bin(seed: int, sigma: float, share: float) -> None:
    latency_s = 1e-3 * np.exp(sigma * np.random.default_rng(seed).standard_normal(5_000))
    exact = float(np.quantile(latency_s, share, method="inverted_cdf"))
    assert quantile_s(*_binned(latency_s), share) == pytest.approx(exact, rel=2 * (BIN_RATIO - 1))


def test_groups_have_their_own_quantiles() -> None:
    one, other = (_binned(np.random.default_rng(seed).exponential(scale, 1_000)) for seed, scale in ((1, 1e-3), (2, 1.0)))
    lows, counts = (np.concatenate(pair) for pair in zip(one, other, strict=True))
    found = quantiles_s(lows, counts, np.array([0, len(one[0])]), 0.99)
    assert found == pytest.approx([quantile_s(*one, 0.99), quantile_s(*other, 0.99)], rel=1e-12)


def test_a_tail_is_the_slowest_hundredth_of_each_group() -> None:
    counts = np.array([990.0, 5.0, 5.0, 40.0, 60.0])
    weights = tail_weights(counts, np.array([0, 3]))
    assert weights[:3] == pytest.approx([0.0, 1.0, 1.0])
    assert weights[3:] == pytest.approx([0.0, 1.0 / 60.0])
    assert (weights * counts).sum() == pytest.approx(TAIL_SHARE * counts.sum())

"""Predicting outputs by prompt length, and what errors add up to."""

import numpy as np
import pytest

from policies.systems.aladdin import routes
from policies.systems.aladdin.lengths import BUCKETS, Drift, Lengths, Sizes, bucket


def test_the_compiled_bucket_is_the_same():
    prompts = np.unique(np.concatenate([np.arange(1, 300), 2 ** np.arange(21), 2 ** np.arange(1, 21) - 1, [10**6, 10**7]]))
    assert [routes.prompt_bucket(int(tokens)) for tokens in prompts] == bucket(prompts).tolist()
    assert routes.BUCKETS == BUCKETS


def test_before_any_has_finished_the_prior_is_predicted():
    assert (Lengths(2, 123.0).table() == 123.0).all()


def test_predictions_of_a_steady_stream_are_unbiased(ended):
    rng, lengths, errors, outputs = np.random.default_rng(5), Lengths(1, 900.0), [], []
    for window in range(120):
        prompt = np.clip(rng.lognormal(6.5, 1.2, 200), 2, 30_000).astype(np.int64)
        output = np.clip(rng.exponential(40.0 + 20.0 * np.log2(prompt)), 1, 4000).astype(np.int64)
        error = lengths.learn(ended(prompt, output), 60.0)
        if window >= 20:
            errors.append(error)
            outputs.append(output)
    assert abs(np.concatenate(errors).mean()) < 0.02 * np.concatenate(outputs).mean()


def test_longer_prompts_are_told_apart(ended):
    lengths = Lengths(1, 200.0)
    for _ in range(50):
        lengths.learn(ended([100] * 10 + [4000] * 10, [20] * 10 + [600] * 10), 60.0)
    table = lengths.table()[0]
    assert table[bucket(np.array([100]))[0]] == pytest.approx(20.0, abs=8.0)
    assert table[bucket(np.array([4000]))[0]] == pytest.approx(600.0, abs=8.0)


def test_a_new_kind_of_demand_is_learned_within_hours(ended):
    lengths = Lengths(1, 200.0)
    for output in [100] * 60 + [400] * 240:
        lengths.learn(ended([1000] * 20, [output] * 20), 60.0)
    assert 320.0 < lengths.table()[0, bucket(np.array([1000]))[0]] < 400.0


def test_the_mean_context_counts_each_request_as_long_as_it_stays(ended):
    sizes = Sizes(1, 200.0)
    sizes.learn(ended([100, 1000], [10, 990]), 60.0)
    assert sizes.prompt_tokens[0] == pytest.approx(550.0, rel=1e-3)
    assert sizes.context_tokens[0] == pytest.approx((10 * 105 + 990 * 1495) / 1000, rel=1e-3)


def test_errors_cancel_and_fade():
    drift = Drift(2, 60.0)
    drift.learn(np.array([0, 0, 1]), np.array([50.0, -50.0, 80.0]), 60.0)
    assert drift.tokens.tolist() == [0.0, 80.0]
    drift.learn(np.zeros(0, dtype=np.int64), np.zeros(0), 600.0)
    assert drift.tokens[1] < 0.01

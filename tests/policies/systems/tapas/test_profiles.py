"""The profile table keeps to the physics it is made of."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.systems.tapas.profiles import BATCHES, Mix, Profiles
from twin.plant.hardware import server_model
from twin.serving.latency import profile

CLOCKS = np.array([0.2, 0.4, 0.6, 0.8, 1.0])
CHAT = Mix(prompt_tokens=1000.0, output_tokens=200.0, ttft_s=2.0, atgt_s=0.1)


def table(mix=CHAT, models=("70b", "8b"), quality=(1.0, 0.66), gpu="h100", tdp_w=700.0):
    latency = np.array([[profile(gpu, "vllm", model, 8).coefficients] for model in models])
    return Profiles.of(latency, np.array(quality), np.array([tdp_w]), mix, CLOCKS)


def test_a_faster_clock_never_carries_less_and_never_draws_less():
    known = table()
    assert (np.diff(known.goodput_per_s, axis=1) >= 0.0).all()
    assert (np.diff(known.gpu_w, axis=1) > 0.0).all()


def test_a_larger_batch_limit_never_carries_less():
    assert (np.diff(table().goodput_per_s, axis=2) >= 0.0).all()


def test_the_smaller_model_carries_more_with_worse_answers():
    known = table()
    assert (known.goodput_per_s[1] > known.goodput_per_s[0]).all()
    assert known.quality_share[1] < known.quality_share[0]


def test_no_point_draws_more_than_the_rating_or_less_than_an_idle_gpu():
    for gpu, tdp_w in (("h100", 700.0), ("a100", 400.0)):
        known = table(gpu=gpu, tdp_w=tdp_w)
        assert (known.gpu_w <= tdp_w).all()
        assert (known.gpu_w >= server_model(gpu).resident_w).all()


def test_the_hottest_gpu_of_a_point_follows_its_power_by_what_was_learned():
    latency, line = np.array([[profile("h100", "vllm", "70b", 8).coefficients]]), np.array([[8.0, 42.0]])
    known = Profiles.of(latency, np.ones(1), np.array([700.0]), CHAT, CLOCKS, line)
    np.testing.assert_allclose(known.rise_c, 8.0 + 42.0 * known.gpu_w / 700.0)
    assert (np.diff(known.rise_c, axis=1) > 0.0).all(), "a faster clock is hotter"
    np.testing.assert_allclose(known.rise_at(known.gpu_w), known.rise_c)


def test_a_tighter_objective_carries_no_more():
    tight = table(Mix(1000.0, 200.0, 2.0, 0.03))
    assert (tight.goodput_per_s <= table().goodput_per_s).all()
    assert tight.goodput_per_s[0, -1, -1, 0] < table().goodput_per_s[0, -1, -1, 0]


def test_an_objective_that_no_batch_meets_leaves_no_goodput():
    assert (table(Mix(1000.0, 200.0, 2.0, 1e-4)).goodput_per_s == 0.0).all()


def test_what_does_not_fit_has_no_goodput():
    latency = np.array([[profile("h100", "vllm", "70b", 8).coefficients]] * 2)
    latency[1] = np.nan
    known = Profiles.of(latency, np.array([1.0, np.nan]), np.array([700.0]), CHAT, CLOCKS)
    assert (known.goodput_per_s[1] == 0.0).all()
    assert (known.goodput_per_s[0, -1] > 0.0).any()


def test_one_request_at_a_time_takes_as_long_as_its_parts():
    latency = np.array(profile("h100", "vllm", "70b", 8).coefficients)
    from twin.serving.latency import decode_s, prefill_s

    alone_s = float(prefill_s(latency, 1000.0, 1000.0**2)) + 200.0 * float(decode_s(latency, 1, 1100.0))
    assert table().goodput_per_s[0, -1, 0, 0] == pytest.approx(1.0 / alone_s)


@settings(max_examples=20, deadline=None)
@given(per_s=st.floats(0.0, 50.0), more=st.floats(0.0, 10.0))
def test_power_grows_with_what_is_asked_up_to_what_can_be_carried(per_s, more):
    known = table()
    less, most = known.power_w(np.array([per_s])), known.power_w(np.array([per_s + more]))
    assert (most >= less - 1e-9).all()
    assert (most <= known.gpu_w + 1e-9).all()
    assert len(BATCHES) == known.goodput_per_s.shape[2]

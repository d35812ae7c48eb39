"""What an instance sustains: known numbers, then laws of the coefficients."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.systems.modserve.profile import Mix, Objectives, decode_capacity, encode_capacity, prefill_capacity, whole_capacity
from twin.serving.latency import OVERHEAD_S, profile

GOALS = Objectives(ttft_s=2.0, atgt_s=0.1, busy_limit_share=0.85)
BATCH = np.array([256])


def latency(model="70b", tp=8):
    row = np.array(profile("h100", "vllm", model, tp).coefficients)
    row[OVERHEAD_S] = 0.003
    return row[None]


def test_encoding_is_bound_by_the_encoder_when_there_is_time():
    # ViT-H/14 on an H100: 1.75 ms and 4.34 ms a tile (facts sheet, derived from kernel tables). Pieces of 4 tiles take 19.1 ms.
    found = encode_capacity(np.array([[0.00175, 0.00434]]), Mix(tiles=4.0), 1, 60.0, 0.85)
    assert found.fits[0]
    np.testing.assert_allclose(found.per_s, 0.85 * 4.0 / 0.01911, rtol=1e-3)


def test_the_ninety_ninth_percentile_of_wait_and_work_fits_the_budget():
    # In an M/M/1 queue it is s / (1 - r) ln 100 at a busy share r (textbook); two-moment approximations are a few percent off.
    service_s, budget_s = 0.1, 1.5
    times = Mix(tiles=1.0, tile_scv=1.0, long_tiles=float(np.log(100.0)))
    found = encode_capacity(np.array([[0.0, service_s]]), times, 1, budget_s, 0.98)
    busy = float(found.per_s[0]) * service_s
    assert service_s / (1.0 - busy) * np.log(100.0) == pytest.approx(budget_s, rel=0.08)


@settings(max_examples=25)
@given(prompt=st.floats(64.0, 8000.0), scv=st.floats(0.0, 6.0), ttft_s=st.floats(0.3, 8.0), share=st.floats(0.0, 1.0))
def test_the_more_share_what_comes_the_more_each_sustains(prompt, scv, ttft_s, share):
    counts = np.arange(1.0, 17.0)
    rows, encode_s = np.repeat(latency(), len(counts), axis=0), np.tile([[0.005, 0.0154]], (len(counts), 1))
    mix, goals = Mix(prompt_tokens=prompt, prompt_scv=scv, image_share=share, tile_scv=scv), Objectives(ttft_s, 0.1, 0.85)
    batch = np.full(len(counts), 256)
    for found in (
        encode_capacity(encode_s, mix, 4, ttft_s, 0.85, counts),
        prefill_capacity(rows, mix, goals, encode_s, counts),
        whole_capacity(rows, mix, goals, batch, encode_s, counts),
    ):
        assert (np.diff(found.per_s) >= -1e-6 * found.per_s[:-1]).all()


def test_a_long_tail_of_prompts_asks_for_instances_that_read_it_in_time():
    usual = Mix(prompt_tokens=1000.0)
    found = [
        whole_capacity(latency("8b", 1), usual, GOALS, BATCH),
        whole_capacity(latency("8b", 1), replace(usual, long_prompt_tokens=120_000.0), GOALS, BATCH),
    ]
    assert found[0].fits[0]
    assert not found[1].fits[0]


def test_splitting_lets_large_requests_meet_their_objective():
    large = Mix(tiles=32.0)
    whole, split = (encode_capacity(np.array([[0.0, 0.02]]), large, pieces, 0.5, 0.85) for pieces in (1, 8))
    assert not whole.fits[0]
    assert split.fits[0]


def test_an_objective_that_cannot_be_met_asks_for_no_crowd_of_instances():
    found = prefill_capacity(latency(), Mix(prompt_tokens=4000.0), Objectives(0.01, 0.1, 0.85))
    assert not found.fits[0]
    assert found.per_s[0] > 0.0


def test_decoding_takes_what_keeps_each_token_within_its_time():
    mix, wide = Mix(prompt_tokens=1000.0, output_tokens=400.0), latency(tp=8)
    tight, loose = (decode_capacity(wide, mix, Objectives(2.0, atgt_s, 0.85), BATCH).per_s[0] for atgt_s in (0.016, 0.1))
    assert tight < loose
    # All requests of a full batch get a token per iteration of at most 16 ms.
    assert tight * 0.016 <= 256


def test_whole_instances_lose_to_images_what_they_encode():
    encode_s, mix = np.array([[0.005, 0.0154]]), Mix(image_share=0.5, tiles=7.0)
    alone = whole_capacity(latency("8b", 1), mix, GOALS, BATCH).per_s[0]
    assert whole_capacity(latency("8b", 1), mix, GOALS, BATCH, encode_s).per_s[0] < 0.8 * alone


@settings(max_examples=25)
@given(
    tiles=st.floats(1.0, 40.0),
    scv=st.floats(0.0, 5.0),
    budget_s=st.floats(0.05, 5.0),
    slower=st.floats(1.05, 4.0),
)
def test_a_slower_encoder_never_sustains_more(tiles, scv, budget_s, slower):
    times, mix = np.array([[0.005, 0.0154]]), Mix(tiles=tiles, tile_scv=scv)
    fast, slow = (encode_capacity(times * factor, mix, 4, budget_s, 0.85) for factor in (1.0, slower))
    if fast.fits[0] and slow.fits[0]:
        assert slow.per_s[0] <= fast.per_s[0] * (1.0 + 1e-6)
    assert fast.fits[0] or not slow.fits[0]


@pytest.mark.parametrize("capacity", [prefill_capacity, lambda *a: whole_capacity(*a, BATCH), lambda *a: decode_capacity(*a, BATCH)])
@settings(max_examples=15)
@given(
    prompt=st.floats(64.0, 8000.0),
    output=st.floats(2.0, 1000.0),
    ttft_s=st.floats(0.2, 8.0),
    atgt_s=st.floats(0.012, 0.2),
    tighter=st.floats(0.5, 1.0),
)
def test_tighter_objectives_never_give_more_capacity(capacity, prompt, output, ttft_s, atgt_s, tighter):
    mix = Mix(prompt_tokens=prompt, output_tokens=output)
    loose = capacity(latency(), mix, Objectives(ttft_s, atgt_s, 0.85))
    tight = capacity(latency(), mix, Objectives(ttft_s * tighter, atgt_s * tighter, 0.85))
    if loose.fits[0] and tight.fits[0]:
        assert tight.per_s[0] <= loose.per_s[0] * (1.0 + 1e-6)
    assert loose.fits[0] or not tight.fits[0]

"""Customers who come and go: the population of the steady state, the wave of arrivals, the law of lifetimes."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from twin.clock import DAY_S, HOUR_S, Clock
from twin.workloads.streams import SIZES, VmStream, draw

MONDAY = Clock(datetime(2026, 7, 13, tzinfo=UTC))
WEEK_S = 7 * DAY_S


def _held(drawn, t_s: float) -> int:
    return int(drawn.gpus[(drawn.arrive_s <= t_s) & (drawn.end_s > t_s)].sum())


def test_a_stream_holds_the_share_of_gpus_that_was_asked_for_from_the_start_to_the_end():
    asked = VmStream(workload="rented", gpus_share=0.5)
    held = np.array(
        [
            [_held(draw(asked, asked.mean_rate_per_s(8000), MONDAY, WEEK_S, seed, "rented"), t) for t in (0.0, WEEK_S - 1.0)]
            for seed in range(6)
        ]
    )
    # Poisson populations: one standard deviation of such a mean is below 3 percent.
    assert held.mean(axis=0) == pytest.approx([4000.0, 4000.0], rel=0.08)


@pytest.mark.parametrize(
    ("short_mean_s", "long_mean_s", "long_share"), [(600.0, 600.0, 0.0), (600.0, 3600.0, 0.5), (21_600.0, 86_400.0, 0.1)]
)
def test_littles_law_holds_at_every_moment_however_short_lives_are(short_mean_s, long_mean_s, long_share):
    life = {"short_mean_s": short_mean_s, "long_mean_s": long_mean_s, "long_share": long_share}
    asked = VmStream(workload="rented", gpus_share=0.5, lifetime=life, arrival_swing_share=0.0, arrival_weekend_share=1.0)
    moments_s = (0.0, 300.0, 1200.0, DAY_S / 2, DAY_S - 1.0)
    held = np.array(
        [
            [_held(drawn, t_s) for t_s in moments_s]
            for drawn in (draw(asked, asked.mean_rate_per_s(16_000), MONDAY, DAY_S, seed, "rented") for seed in range(8))
        ]
    )
    # Poisson populations of VMs with 4 GPUs on average: one standard deviation of such a mean is 1 percent.
    assert held.mean(axis=0) == pytest.approx([8000.0] * len(moments_s), rel=0.04)
    assert asked.held_gpus(16_000) == pytest.approx(8000.0)


def test_most_vms_are_short_and_few_hold_most_of_the_gpus():
    asked = VmStream(workload="rented", rate_per_h=200.0)
    drawn = draw(asked, asked.mean_rate_per_s(8000), MONDAY, WEEK_S, 3, "rented")
    life_s = (drawn.end_s - drawn.arrive_s)[drawn.arrive_s > 0.0]
    assert np.median(life_s) < 6 * HOUR_S
    assert life_s.mean() == pytest.approx(asked.lifetime.mean_s, rel=0.1)
    assert np.sort(life_s)[-len(life_s) // 10 :].sum() > 0.7 * life_s.sum()


def test_arrivals_follow_the_day_and_rest_at_weekends_and_keep_their_mean():
    asked = VmStream(workload="rented", rate_per_h=400.0)
    drawn = draw(asked, asked.mean_rate_per_s(8000), MONDAY, WEEK_S, 1, "rented")
    arrive_s = drawn.arrive_s[drawn.arrive_s > 0.0]
    assert len(arrive_s) == pytest.approx(400 * 168, rel=0.02)
    hour = (arrive_s // HOUR_S) % 24
    assert np.sum((hour >= 13) & (hour < 15)) > 2.2 * np.sum((hour >= 1) & (hour < 3))
    weekend = arrive_s >= 5 * DAY_S
    assert weekend.sum() / 2 == pytest.approx(0.6 * (~weekend).sum() / 5, rel=0.05)


def test_sizes_come_in_their_shares():
    asked = VmStream(workload="rented", rate_per_h=300.0, size_shares={1: 0.5, 8: 0.5})
    drawn = draw(asked, asked.mean_rate_per_s(8000), MONDAY, DAY_S, 1, "rented")
    assert set(drawn.gpus) == {1, 8}
    assert drawn.gpus.mean() == pytest.approx(4.5, rel=0.05)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), share=st.floats(0.05, 1.0), days=st.integers(1, 3))
def test_a_longer_horizon_leaves_the_vms_it_shares_as_they_were(seed, share, days):
    asked = VmStream(workload="rented", gpus_share=share)
    short, long = (
        draw(asked, asked.mean_rate_per_s(800), MONDAY, horizon, seed, "rented") for horizon in (days * DAY_S, (days + 2) * DAY_S)
    )
    shared = long.arrive_s < days * DAY_S
    for name in ("arrive_s", "end_s", "gpus", "mean_shift_share", "peak_shift_h"):
        assert np.array_equal(getattr(short, name), getattr(long, name)[shared]), name
    assert (short.end_s > short.arrive_s).all()
    assert set(short.gpus) <= set(SIZES)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "write gpus_share or rate_per_h"),
        ({"gpus_share": 0.5, "rate_per_h": 3.0}, "write gpus_share or rate_per_h"),
        ({"gpus_share": 0.5, "size_shares": {3: 1.0}}, "1, 2, 4 or 8 GPUs"),
        ({"gpus_share": 0.5, "size_shares": {1: 0.5}}, "size_shares sum to 0.5; make it 1"),
    ],
)
def test_what_cannot_be_is_one_line(values, words):
    with pytest.raises(ValidationError, match=words):
        VmStream.model_validate({"workload": "rented", **values})

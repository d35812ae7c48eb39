"""VMs on hosts come, live and leave as their stream says."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.clock import DAY_S, HOUR_S, Clock
from twin.workloads.host_streams import GIB, HostLifetime, HostStream, default_memory_bytes, draw

MONDAY = Clock(datetime(2026, 7, 13, tzinfo=UTC))
LIFE = {"exponent": 0.5, "shortest_s": 600.0, "longest_s": 86_400.0}


def _held(drawn, t_s: float) -> float:
    return float(drawn.vcpus[(drawn.arrive_s <= t_s) & (drawn.end_s > t_s)].sum())


def test_the_default_mix_is_that_of_the_azure_trace():
    """Facts sheet on CXL pods, 5: sizes 1 to 16, 96 % at 1.75 GB a vCPU, 2.5 % at 7; survival as counted in the trace."""
    asked = HostStream(workload="a", rate_per_h=4000.0)
    drawn = draw(asked, asked.mean_rate_per_s(1), MONDAY, 5 * DAY_S, 1, "a")
    came = drawn.arrive_s > 0.0
    per_vcpu = drawn.memory_bytes[came] / drawn.vcpus[came] / GIB
    assert np.mean(np.isclose(per_vcpu, 1.75)) == pytest.approx(0.96, abs=0.005)
    assert np.mean(np.isclose(per_vcpu, 7.0)) == pytest.approx(0.025, abs=0.005)
    for vcpus, share in ((1, 0.584), (2, 0.196), (4, 0.101), (8, 0.119)):
        assert np.mean(drawn.vcpus[came] == vcpus) == pytest.approx(share, abs=0.015)
    life_s = (drawn.end_s - drawn.arrive_s)[came]
    for over_s, share in ((1800.0, 0.48), (HOUR_S, 0.354), (6 * HOUR_S, 0.18), (DAY_S, 0.059), (5 * DAY_S, 0.023)):
        assert np.mean(life_s > over_s) == pytest.approx(share, abs=0.065)
    assert life_s.min() >= 600.0
    # "Most are short-lived, few hold most of the memory."
    held = np.sort(drawn.memory_bytes[came] * life_s)[::-1].cumsum()
    assert held[len(held) // 10] > 0.6 * held[-1]


@settings(max_examples=20, deadline=None)
@given(exponent=st.floats(0.1, 0.9), shortest_s=st.floats(600.0, 7200.0), times=st.floats(2.0, 500.0))
def test_the_mean_lifetime_is_that_of_the_law(exponent, shortest_s, times):
    life = HostLifetime(exponent=exponent, shortest_s=shortest_s, longest_s=shortest_s * times)
    level = (np.arange(200_000) + 0.5) / 200_000
    lives_s = life.lives_s(level)
    assert lives_s.mean() == pytest.approx(life.mean_s, rel=0.01)
    assert (lives_s.min(), lives_s.max()) == pytest.approx((shortest_s, shortest_s * times), rel=0.02)


def test_what_is_left_of_standing_lives_has_the_density_of_survival():
    """In a steady state the remaining life has density P(life > x) / mean life, whatever the law."""
    life, random = HostLifetime.model_validate(LIFE), np.random.default_rng(1)
    left_s, lives_s = life.left_s(random.random(400_000), random.random(400_000)), np.sort(life.lives_s(random.random(400_000)))
    for x_s in (300.0, 1800.0, 4 * HOUR_S, 12 * HOUR_S):
        expected = np.minimum(lives_s, x_s).mean() / life.mean_s
        assert np.mean(left_s <= x_s) == pytest.approx(expected, abs=0.005)


def test_one_that_has_lived_lives_on_as_others_of_its_age():
    life, random = HostLifetime.model_validate(LIFE), np.random.default_rng(1)
    lives_s = life.lives_s(random.random(400_000))
    later_s = life.later_s(np.full(200_000, 7200.0), random.random(200_000))
    old = lives_s[lives_s > 7200.0]
    assert (later_s >= 7200.0).all()
    assert np.quantile(later_s, [0.25, 0.5, 0.75]) == pytest.approx(np.quantile(old, [0.25, 0.5, 0.75]), rel=0.03)


def test_the_population_of_a_run_is_steady_from_its_first_moment():
    """Little's law: the VMs that stand are the rate times the mean lifetime, at the start as later."""
    even = {"batch_largest": 1, "arrival_swing_share": 0.0, "arrival_weekend_share": 1.0}
    asked = HostStream.model_validate({"workload": "a", "vcpus_share": 0.5, "lifetime": LIFE, **even})
    held = np.array([[_held(drawn, t_s) for t_s in (0.0, 2 * HOUR_S, 24 * HOUR_S)] for drawn in _seeds(asked, 20_000)])
    assert asked.held_vcpus(20_000) == pytest.approx(10_000)
    # Each is a sum over some 4,500 VMs: one standard deviation of the mean of ten seeds is less than one per cent.
    assert held.mean(axis=0) == pytest.approx(np.full(3, 10_000.0), rel=0.03)


def _seeds(asked: HostStream, vcpus: int):
    return [draw(asked, asked.mean_rate_per_s(vcpus), MONDAY, 26 * HOUR_S, seed, "a") for seed in range(10)]


def test_batches_bring_as_many_vms_in_fewer_larger_steps():
    values = {"workload": "a", "vcpus_share": 0.5, "lifetime": LIFE, "arrival_swing_share": 0.0}
    single, batched = (_seeds(HostStream.model_validate({**values, "batch_largest": largest}), 20_000) for largest in (1, 64))
    vms = [sum((drawn.arrive_s > 0.0).sum() for drawn in drawns) for drawns in (single, batched)]
    assert vms[1] == pytest.approx(vms[0], rel=0.1)
    sizes = np.concatenate([np.unique(drawn.arrive_s[drawn.arrive_s > 0.0], return_counts=True)[1] for drawn in batched])
    assert sizes.max() == 64
    for more in (1, 4, 16):
        # Counted in the trace: 0.428, 0.144, 0.044.
        assert np.mean(sizes > more) == pytest.approx((more + 1) ** -1.1, abs=0.02)
    for drawn in batched[:2]:
        _, first, count = np.unique(drawn.arrive_s[drawn.arrive_s > 0.0], return_index=True, return_counts=True)
        ends = drawn.end_s[drawn.arrive_s > 0.0]
        assert all(len(np.unique(ends[at : at + number])) == 1 for at, number in zip(first, count, strict=True))
    spread = [np.std([_held(drawn, HOUR_S) for drawn in drawns]) for drawns in (single, batched)]
    assert spread[1] > 2.0 * spread[0]


def test_a_longer_horizon_has_the_same_first_day():
    asked = HostStream(workload="a", rate_per_h=100.0)
    short, long = (draw(asked, asked.mean_rate_per_s(1), MONDAY, days * DAY_S, 4, "a") for days in (1, 3))
    here = long.arrive_s < DAY_S
    for name in ("arrive_s", "end_s", "vcpus", "memory_bytes"):
        assert np.array_equal(getattr(short, name), getattr(long, name)[here])


def test_arrivals_follow_the_day_and_rest_at_the_weekend():
    asked = HostStream(
        workload="a", rate_per_h=2000.0, batch_largest=1, arrival_swing_share=0.6, arrival_peak_hour=15.0, arrival_weekend_share=0.5
    )
    drawn = draw(asked, asked.mean_rate_per_s(1), MONDAY, 7 * DAY_S, 1, "a")
    day, hour = np.divmod(drawn.arrive_s[drawn.arrive_s > 0.0] / HOUR_S, 24.0)
    count = np.bincount(hour[day < 5].astype(int), minlength=24)
    assert count[15] / count[3] == pytest.approx(1.6 / 0.4, rel=0.1)
    assert (day >= 5).sum() / 2 == pytest.approx(0.5 * (day < 5).sum() / 5, rel=0.03)
    assert len(day) == pytest.approx(2000 * 168, rel=0.02)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "write vcpus_share or rate_per_h"),
        ({"vcpus_share": 0.1, "rate_per_h": 1.0}, "write vcpus_share or rate_per_h"),
        ({"rate_per_h": 1.0, "size_shares": {1: 0.5}}, "size_shares sum to 0.5; make it 1"),
        ({"rate_per_h": 1.0, "memory_gb_per_vcpu": {"2": 0.5, "4": 0.6}}, "memory_gb_per_vcpu sum to 1.1; make it 1"),
        ({"rate_per_h": 1.0, "lifetime": {"shortest_s": 7200, "longest_s": 3600}}, "longest_s is no longer than shortest_s"),
    ],
)
def test_a_stream_that_cannot_be_is_one_line(values, said):
    with pytest.raises(ValueError, match=said):
        HostStream.model_validate({"workload": "a", **values})


def test_a_vm_of_which_nothing_is_said_has_the_mean_memory_of_the_mix():
    assert default_memory_bytes(40) / GIB == pytest.approx(40 * (0.96 * 1.75 + 0.025 * 7 + 0.015 * 0.75))

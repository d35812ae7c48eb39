"""Queues, time-outs and retries: known waits, simulated queues, laws, storms."""

import heapq
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from twin.incidents import services as k

Floats = NDArray[np.float64]


def _erlang_c(servers: int, load: float) -> float:
    """Return the share of requests that wait in M/M/c at an offered load in Erlang (Erlang 1917)."""
    terms = [load**n / math.factorial(n) for n in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(terms) + last)


class Chain:
    """Services that call each other in a row, the last of them the narrowest; one window a call of ``go``."""

    def __init__(self, retries: float, queue_s: float = 30.0, budget: float = 10.0, rate_per_s: float = 700.0, dt_s: float = 60.0) -> None:
        self.services, self.calls = np.zeros((3, k.SERVICE_COLUMNS)), np.zeros((2, k.CALL_COLUMNS))
        self.services[:, k.CORES], self.services[:, k.SERVICE_S] = (8.0, 8.0, 4.0), 0.004
        self.services[:, k.QUEUE_S], self.services[:, k.CLIENT_TIMEOUT_S], self.services[:, k.SERVICE_CV2] = queue_s, 5.0, 1.0
        self.calls[:, k.TIMES], self.calls[:, k.TIMEOUT_S], self.calls[:, k.RETRIES], self.calls[:, k.BUDGET] = 1.0, 1.0, retries, budget
        self.failing, self.state, self.rate_per_s, self.dt_s = np.zeros(2), np.zeros((3, k.STATE_COLUMNS)), rate_per_s, dt_s

    def go(self, times: float = 1.0) -> Floats:
        found = np.zeros((3, k.FOUND_COLUMNS))
        self.services[0, k.OUTSIDE] = self.rate_per_s * times
        order, callers, callees = np.arange(3), np.array([0, 1]), np.array([1, 2])
        k.step(self.dt_s, order, self.services, callers, callees, self.calls, self.failing, self.state, found)
        return found

    def errors(self, burst: range, windows: int) -> Floats:
        return np.array([self.go(2.0 if w in burst else 1.0)[0, k.ERROR] for w in range(windows)])


@pytest.mark.parametrize("busy", [0.3, 0.6, 0.9])
def test_one_server_waits_and_takes_exactly_as_m_m_1_does(busy: float) -> None:
    mean_s, var = k.waits(busy / 0.01, 1.0, 0.01, 1.0)
    assert mean_s == pytest.approx(0.01 * busy / (1 - busy))
    assert var + 0.01**2 == pytest.approx((0.01 / (1 - busy)) ** 2)


@pytest.mark.parametrize("servers", [2, 4, 8, 16])
@pytest.mark.parametrize("busy", [0.5, 0.7, 0.9])
def test_many_servers_wait_as_erlang_says(servers: int, busy: float) -> None:
    exact_s = _erlang_c(servers, busy * servers) * 0.01 / (servers * (1 - busy))
    assert k.waits(busy * servers / 0.01, float(servers), 0.01, 1.0)[0] == pytest.approx(exact_s)


def _simulated(rng: np.random.Generator, rate_per_s: float, servers: int, times: Floats) -> Floats:
    """Return how long each request takes that comes at random to so many servers, first come first served."""
    free = [0.0] * servers
    out, now = np.empty(len(times)), 0.0
    for n, (gap, each) in enumerate(zip(rng.exponential(1 / rate_per_s, len(times)), times, strict=True)):
        now += gap
        end = max(heapq.heappop(free), now) + each
        heapq.heappush(free, end)
        out[n] = end - now
    return out[len(out) // 10 :]


@pytest.mark.parametrize("servers", [1, 4])
@pytest.mark.parametrize("cv2", [1.0, 3.0])
def test_answers_take_as_long_as_in_a_simulated_queue(servers: int, cv2: float) -> None:
    """Means within 8 %, the 99th percentile within 20 %: its shape is taken as lognormal. Some cores are slow, as beside a neighbour."""
    rng = np.random.default_rng(5)
    fast = 0.5 * (1.0 + math.sqrt((cv2 - 1.0) / (cv2 + 1.0)))
    times = 0.01 * rng.exponential(1.0, 120_000) / np.where(rng.random(120_000) < fast, 2.0 * fast, 2.0 * (1.0 - fast))
    took = _simulated(rng, 0.7 * servers / 0.01, servers, times)
    services, state, found = np.zeros((1, k.SERVICE_COLUMNS)), np.zeros((1, k.STATE_COLUMNS)), np.zeros((1, k.FOUND_COLUMNS))
    services[0, [k.OUTSIDE, k.CORES, k.SERVICE_S, k.QUEUE_S, k.CLIENT_TIMEOUT_S]] = 0.7 * servers / 0.01, servers, 0.01, 30.0, 60.0
    services[0, k.SERVICE_CV2] = cv2
    none = np.zeros(0, dtype=np.int64)
    k.step(60.0, np.arange(1), services, none, none, np.zeros((0, k.CALL_COLUMNS)), np.zeros(0), state, found)
    assert found[0, k.MEAN_S] == pytest.approx(took.mean(), rel=0.08)
    assert k.quantile_s(found[:, k.MEAN_S], found[:, k.VAR], 0.99)[0] == pytest.approx(np.quantile(took, 0.99), rel=0.20)


@given(st.floats(0, 1), st.integers(0, 6), st.floats(0, 10))
@settings(max_examples=60, deadline=None)
def test_repetitions_stay_within_number_and_budget(failing: float, retries: int, budget: float) -> None:
    tries, lost = k.attempts(failing, float(retries), budget), k.given_up(failing, float(retries), budget)
    assert 1.0 <= tries <= 1.0 + min(retries, budget) + 1e-9
    assert failing ** (retries + 1) - 1e-12 <= lost <= failing + 1e-12


def test_three_attempts_of_which_half_fail() -> None:
    assert k.attempts(0.5, 2.0, 10.0) == pytest.approx(1.75)
    assert k.given_up(0.5, 2.0, 10.0) == pytest.approx(0.125)
    assert k.attempts(1.0, 2.0, 10.0) == 3.0
    assert k.attempts(1.0, 2.0, 0.2) == pytest.approx(1.11)


@given(st.lists(st.floats(0.0, 4.0), min_size=3, max_size=12), st.integers(0, 3), st.floats(0.1, 30.0))
@settings(max_examples=30, deadline=None)
def test_no_request_is_made_of_nothing_and_none_is_lost(load: list[float], retries: int, queue_s: float) -> None:
    chain = Chain(retries, queue_s)
    for times in load:
        before = chain.state[:, k.BACKLOG].copy()
        found = chain.go(times)
        came = before + found[:, k.OFFERED] * 60.0
        away = found[:, k.TURNED_AWAY] * found[:, k.OFFERED] * 60.0
        assert found[:, k.SERVED] * 60.0 + chain.state[:, k.BACKLOG] + away == pytest.approx(came, rel=1e-9, abs=1e-6)
        assert (found[:, k.BUSY] <= chain.services[:, k.CORES] + 1e-9).all()
        assert ((found[:, k.ERROR] >= 0.0) & (found[:, k.ERROR] <= 1.0)).all()


def test_retries_amplify_what_the_last_of_a_row_is_asked() -> None:
    """Two layers of three attempts each: up to nine times, though the middle one can pass on only what it serves."""
    asked = []
    for retries in (0, 1, 2):
        chain = Chain(retries)
        chain.calls[1, k.REFUSED] = 0.8
        for _ in range(20):
            found = chain.go()
        asked.append(found[1, k.OFFERED])
    assert asked[0] == pytest.approx(700.0)
    assert asked[0] < asked[1] < asked[2]


def test_a_retry_storm_outlives_its_trigger() -> None:
    """Fifteen minutes of twice the load; hours later three retries keep it down (metastable: Bronson et al. 2021)."""
    errors = Chain(retries=3).errors(range(60, 75), 400)
    assert errors[:60].max() < 0.01
    assert errors[75:].min() > 0.99


@pytest.mark.parametrize("ended_by", [{"retries": 0}, {"retries": 3, "queue_s": 0.1}, {"retries": 3, "budget": 0.2}])
def test_without_retries_with_short_queues_or_a_budget_it_ends_with_its_trigger(ended_by: dict[str, Any]) -> None:
    errors = Chain(**ended_by).errors(range(60, 75), 120)
    assert errors[70:75].min() > 0.2
    assert errors[85:].max() < 0.01


def test_shorter_windows_tell_the_same_story() -> None:
    """Means over an hour with ten minutes of overload move by less than 5 % between windows of 30 and 60 s."""
    means = []
    for dt_s in (30.0, 60.0):
        chain, steps = Chain(retries=1, queue_s=5.0, budget=0.2, dt_s=dt_s), int(3600 / dt_s)
        rows = np.array([chain.go(1.6 if 0.3 < w / steps < 0.47 else 1.0) for w in range(steps)])
        means.append(rows[:, :, [k.SERVED, k.OFFERED, k.BUSY]].mean(axis=0))
    assert means[0] == pytest.approx(means[1], rel=0.05)


def test_a_circle_of_calls_is_served_a_window_later() -> None:
    services, calls = np.zeros((2, k.SERVICE_COLUMNS)), np.zeros((2, k.CALL_COLUMNS))
    services[:, k.CORES], services[:, k.SERVICE_S], services[:, k.QUEUE_S], services[:, k.CLIENT_TIMEOUT_S] = 8.0, 0.004, 30.0, 5.0
    services[:, k.SERVICE_CV2], services[0, k.OUTSIDE] = 1.0, 100.0
    calls[:, k.TIMES], calls[:, k.TIMEOUT_S] = (1.0, 0.5), 2.0
    failing, state = np.zeros(2), np.zeros((2, k.STATE_COLUMNS))
    for _ in range(60):
        found = np.zeros((2, k.FOUND_COLUMNS))
        k.step(60.0, np.arange(2), services, np.array([0, 1]), np.array([1, 0]), calls, failing, state, found)
    # Each asks the other: 100 from outside, and half of what the second serves comes back to the first.
    assert found[:, k.SERVED] == pytest.approx([200.0, 200.0], rel=1e-6)
    assert found[0, k.MEAN_S] > found[1, k.MEAN_S]

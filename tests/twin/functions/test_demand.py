"""Who calls when: rates, waves, bursts, clocks, the published mix."""

from datetime import datetime

import numpy as np
import pytest

from twin.clock import DAY_S, Clock
from twin.functions import queueing as q
from twin.functions.demand import burr, generated, population, weekly_wave
from twin.functions.settings import Function, Settings

MONDAY = Clock.of(datetime.fromisoformat("2025-07-07"), "UTC")


def _times(function: Function, until_s: float, seed: int = 1, beside: tuple[Function, ...] = ()) -> np.ndarray:
    """Return when a function is called, from the compiled law alone."""
    people = population(Settings(functions=(*beside, function), hosts=("h",)), MONDAY, seed, 1)
    f, count = len(beside), len(beside) + 1
    due, order, whose = np.zeros(count), np.zeros(count, dtype=np.int64), people.whose.copy()
    q.begin_arrivals(people.numbers, whose, people.keys, due, order, people.wave, people.trace_s)
    times = [due[f]]
    while times[-1] < until_s:
        q.again(people.numbers, whose, people.keys, due, people.wave, people.trace_s, f)
        times.append(due[f])
    return np.array(times[:-1])


def test_calls_at_random_come_at_their_rate_and_without_memory() -> None:
    gaps = np.diff(_times(Function(id="f", trigger="others", rate_per_s=2.0), 20_000.0))
    assert gaps.mean() == pytest.approx(0.5, rel=0.02)
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, rel=0.03)


def test_queues_come_in_bursts_at_the_same_mean_rate() -> None:
    gaps = np.diff(_times(Function(id="f", trigger="queue", rate_per_s=2.0), 60_000.0))
    assert gaps.mean() == pytest.approx(0.5, rel=0.05)
    assert gaps.std() / gaps.mean() == pytest.approx(3.0, rel=0.05)


def test_http_follows_the_day_and_the_week() -> None:
    times = _times(Function(id="f", trigger="http", rate_per_s=0.2), 7 * DAY_S)
    assert len(times) == pytest.approx(0.2 * 7 * DAY_S, rel=0.02)
    hours, days = (times % DAY_S) // 3600, times // DAY_S
    by_hour = np.bincount(hours.astype(int), minlength=24)
    assert by_hour[13:15].mean() / by_hour[1:3].mean() == pytest.approx(1.3 / 0.7, rel=0.1)
    by_day = np.bincount(days.astype(int), minlength=7)
    assert by_day[5:].mean() / by_day[:5].mean() == pytest.approx(0.8, rel=0.05)


def test_the_wave_keeps_the_mean_of_a_week() -> None:
    peak, wave = weekly_wave(MONDAY)
    assert wave.max() == 1.0
    assert peak * wave.mean() == pytest.approx(1.0)


def test_a_timer_fires_by_the_clock() -> None:
    times = _times(Function(id="f", trigger="timer", rate_per_s=1 / 300), DAY_S)
    assert len(times) == 288
    assert np.allclose(np.diff(times), 300.0)
    assert times[0] % 60.0 == 0.0


def test_a_function_beside_it_changes_nothing() -> None:
    function = Function(id="f", trigger="event", rate_per_s=1.0)
    assert (_times(function, 500.0) == _times(function, 500.0, beside=(Function(id="g"),))).all()
    assert (_times(function, 500.0)[:50] != _times(function, 500.0, seed=2)[:50]).all()


def test_whoever_is_never_called_has_no_calls() -> None:
    assert len(_times(Function(id="f", rate_per_s=0.0), DAY_S)) == 0


def test_generated_functions_have_the_published_mix() -> None:
    """ATC 2020: HTTP 55.0 % of functions and 35.9 % of calls, queues 15.2 and 33.5, timers 15.6 and 2.0."""
    made = generated(4_000, 50.0, 3)
    rates = np.array([each.rate_per_s for each in made])
    assert rates.sum() == pytest.approx(50.0)
    for trigger, functions, calls in (("http", 0.55, 0.359), ("queue", 0.152, 0.335), ("timer", 0.156, 0.02)):
        mine = np.array([each.trigger == trigger for each in made])
        assert mine.mean() == pytest.approx(functions, abs=0.02)
        assert rates[mine].sum() / rates.sum() == pytest.approx(calls, rel=0.002)
    # Few functions make most of the calls.
    assert np.sort(rates)[-800:].sum() / rates.sum() > 0.95
    runs = np.log([each.run_median_s for each in made])
    assert np.median(runs) == pytest.approx(-0.38 - 0.5 * np.log(1.25), abs=0.15)
    assert all(each.id.startswith("synthetic-") for each in made)


def test_more_generated_functions_or_another_seed_are_others() -> None:
    assert generated(0, 1.0, 1) == ()
    assert generated(20, 1.0, 1) == generated(20, 1.0, 1)
    assert generated(20, 1.0, 1) != generated(20, 1.0, 2)
    assert sum(each.rate_per_s for each in generated(3, 5.0, 1)) == pytest.approx(5.0)


def test_memory_follows_the_published_law() -> None:
    level = np.linspace(0.001, 0.999, 999)
    memory = burr(level, 11.652, 0.221, 107.083)
    assert (np.diff(memory) > 0).all()
    again = 1.0 - (1.0 + (memory / 107.083) ** 11.652) ** -0.221
    assert again == pytest.approx(level)

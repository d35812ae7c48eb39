"""The reserve: a known law, and nothing that a tick or a longer run changes."""

from datetime import datetime

import numpy as np
import pytest

from twin.clock import Clock
from twin.workloads.negotiation.reserve import GRID_S, Reserve
from twin.workloads.negotiation.settings import Settings

CLOCK = Clock.of(datetime(2026, 7, 14), "UTC")  # noqa: DTZ001  # the zone is given beside it
HOUR_S = 3600.0


def _settings(**reserve: float) -> Settings:
    return Settings.model_validate({"reserve": reserve})


def test_it_wanders_as_an_ornstein_uhlenbeck_process_does() -> None:
    # Gillespie 1996: stationary deviation sd, autocorrelation exp(-lag / return time).
    asked = _settings(mean_share=0.5, sd_share=0.04, return_s=7200, swing_share=0)
    rows = [[Reserve(asked, CLOCK, 60 * 86400.0, seed).share(t) for t in np.arange(0, 60 * 86400.0, HOUR_S)] for seed in (1, 2, 3)]
    away = np.array(rows) - 0.5
    assert away.mean() == pytest.approx(0.0, abs=0.004)
    assert away.std() == pytest.approx(0.04, rel=0.05)
    for lag in (1, 2, 4):
        assert (away[:, lag:] * away[:, :-lag]).mean() / away.var() == pytest.approx(np.exp(-lag / 2.0), abs=0.06)


def test_without_chance_it_is_the_daily_wave() -> None:
    reserve = Reserve(_settings(mean_share=0.2, sd_share=0, swing_share=0.06, peak_hour=14), CLOCK, 86400.0, 1)
    assert reserve.share(14 * HOUR_S) == pytest.approx(0.26)
    assert reserve.share(2 * HOUR_S) == pytest.approx(0.14)


def test_the_highest_is_no_less_than_any_between_and_reached() -> None:
    reserve = Reserve(Settings(), CLOCK, 86400.0, 3)
    random = np.random.default_rng(5)
    for from_s in random.uniform(0, 80_000, 30):
        to_s = from_s + random.uniform(0, 900)
        between = [reserve.share(t) for t in np.linspace(from_s, to_s, 200)]
        assert max(between) <= reserve.highest(from_s, to_s) + 1e-12
        assert reserve.highest(from_s, to_s) <= max(between) + 0.01
        assert reserve.highest(from_s, from_s) == reserve.share(from_s)


def test_a_longer_run_has_the_same_hours_and_another_seed_others() -> None:
    short, long = (Reserve(Settings(), CLOCK, horizon_s, 7) for horizon_s in (3600.0, 86400.0))
    times = np.arange(0.0, 3600.0, 7.0)
    assert [short.share(t) for t in times] == [long.share(t) for t in times]
    assert short.share(600.0) != Reserve(Settings(), CLOCK, 3600.0, 8).share(600.0)


def test_it_is_a_share_of_the_cores_to_the_last_second_and_an_hour_beyond() -> None:
    reserve = Reserve(_settings(mean_share=0.05, sd_share=0.5, swing_share=0.3), CLOCK, 3600.0, 1)
    found = [reserve.share(t) for t in np.arange(0.0, 7200.0, GRID_S / 3)]
    assert min(found) == 0.0
    assert max(found) <= 1.0

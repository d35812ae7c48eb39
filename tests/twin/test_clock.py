from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.clock import Clock, Window

TUESDAY = Clock.of(datetime(2026, 7, 14), "America/Phoenix")  # noqa: DTZ001  (the zone is attached by Clock)


def test_a_start_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Clock(datetime(2026, 7, 14))  # noqa: DTZ001


def test_hours_and_days_follow_the_local_start() -> None:
    assert TUESDAY.hour(5400.0) == pytest.approx(1.5)
    assert int(TUESDAY.weekday(0.0)) == 1
    assert int(TUESDAY.weekday(86400.0 * 6)) == 0


@pytest.mark.parametrize(
    ("window", "hour", "inside"),
    [
        (Window.of("12:00", "18:00"), 12.0, True),
        (Window.of("12:00", "18:00"), 18.0, False),
        (Window.of("22:00", "06:00"), 23.0, True),
        (Window.of("22:00", "06:00"), 5.9, True),
        (Window.of("22:00", "06:00"), 6.0, False),
        (Window.of("18:00", "24:00"), 23.99, True),
        (Window.of(None, None, ["tue"]), 3.0, True),
        (Window.of(None, None, ["wed"]), 3.0, False),
        (None, 3.0, True),
    ],
)
def test_windows_take_their_beginning_and_leave_their_end(window: Window | None, hour: float, inside: bool) -> None:
    assert bool(TUESDAY.inside(hour * 3600.0, window)) is inside


def test_an_overnight_window_belongs_to_the_day_it_begins() -> None:
    tuesday_night = Window.of("22:00", "06:00", ["tue"])
    assert bool(TUESDAY.inside(23 * 3600.0, tuesday_night))
    assert bool(TUESDAY.inside(29 * 3600.0, tuesday_night))
    assert not bool(TUESDAY.inside(3 * 3600.0, tuesday_night))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 23), st.integers(0, 23))
def test_a_window_and_its_complement_share_out_the_day(begin: int, end: int) -> None:
    times = np.arange(0, 86400, 600.0)
    if begin == end:
        return
    one = TUESDAY.inside(times, Window(float(begin), float(end)))
    other = TUESDAY.inside(times, Window(float(end), float(begin)))
    assert np.array_equal(one, ~other)


@pytest.mark.parametrize("text", ["25:00", "7", "12:60", "noon", "24:30"])
def test_a_time_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HH:MM"):
        Window.of(text, "18:00")


def test_a_window_begins_and_ends_on_the_minute_whenever_the_run_starts() -> None:
    for start in (0, 7, 20 * 60 + 50):
        clock = Clock.of(datetime(2026, 7, 14, *divmod(start, 60)), "America/Phoenix")  # noqa: DTZ001
        for minute in range(1, 1440):
            t_s = ((minute - start) % 1440) * 60.0
            text = f"{minute // 60:02d}:{minute % 60:02d}"
            assert clock.inside(t_s, Window.of(text, "24:00"))
            assert not clock.inside(t_s, Window.of("00:00", text))

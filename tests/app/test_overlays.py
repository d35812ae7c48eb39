"""Bounds of intents on the time axis of a run."""

from datetime import datetime

from app.overlays import Overlay, of, spans
from twin.clock import Clock, Window
from twin.metrics import Scope

DAY_S = 86_400.0
CLOCK = Clock.of(datetime(2026, 7, 14), "America/Phoenix")  # noqa: DTZ001 - local by definition


def _bound(value: float, scope: tuple[Scope, ...] = (), op: str = "<=") -> Overlay:
    return Overlay("I-01", "plant.gpu_temp_max_c", op, value, scope, ((0.0, DAY_S),), "met")


def test_an_afternoon_is_six_hours_of_the_day() -> None:
    assert spans(CLOCK, Window.of("12:00", "18:00"), 0.0, DAY_S) == ((43_200.0, 64_800.0),)


def test_a_night_is_two_spans_of_one_day() -> None:
    assert spans(CLOCK, Window.of("22:00", "06:00"), 0.0, DAY_S) == ((0.0, 21_600.0), (79_200.0, DAY_S))


def test_always_is_the_whole_run_and_another_weekday_is_never() -> None:
    assert spans(CLOCK, None, 600.0, 1200.0) == ((600.0, 1200.0),)
    assert spans(CLOCK, Window.of("12:00", "18:00", ["sun"]), 0.0, DAY_S) == ()  # 14 July 2026 is a Tuesday


def test_the_strictest_bound_comes_first_and_those_of_other_places_stay_out() -> None:
    row = (Scope("row", "row-3"),)
    found = of([_bound(82.0), _bound(79.0, row), _bound(80.0)], "plant.gpu_temp_max_c")
    assert [item.value for item in found] == [80.0, 82.0]
    assert _bound(79.0, row).words == "I-01 row-3 ≤ 79.0\u00a0°C"

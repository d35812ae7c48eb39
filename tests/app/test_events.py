"""Events close in time are one mark, so that a lane can be read."""

import polars as pl

from app.charts.events import gathered
from twin.tables import EVENTS


def _events(rows: list[tuple[float, str, str, str, str, float]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=EVENTS.schema(), orient="row")


def test_throttles_of_one_spell_are_one_interval_with_their_places_counted() -> None:
    rows = [(60.0 * minute, "plant", "thermal_throttle", "server", f"server-{minute % 3 + 1}", 1.0) for minute in range(10)]
    marks = gathered(_events([*rows, (40_000.0, "plant", "thermal_throttle", "server", "server-9", 2.0)]), 86_400.0)
    assert [(mark.from_s, mark.to_s, mark.words) for mark in marks] == [
        (0.0, 540.0, "3 servers throttle on heat"),
        (40_000.0, 40_000.0, "server-9 throttles on heat"),
    ]
    assert all(mark.harm for mark in marks)


def test_an_unknown_kind_keeps_its_own_words() -> None:
    assert gathered(_events([(1.0, "serving", "cache_flush", "endpoint", "chat-8b", 1.0)]), 60.0)[0].words == "cache flush chat-8b"


def test_no_events_give_no_marks() -> None:
    assert gathered(_events([]), 60.0) == []


def test_a_fault_lasts_from_its_beginning_to_its_end_or_to_the_end_of_the_run() -> None:
    rows = [(100.0, "plant", "ahu_loss", "aisle", "aisle-2", 0.5), (900.0, "plant", "ahu_loss", "aisle", "aisle-2", 0.0)]
    later = (5000.0, "plant", "rack_blocked", "rack", "rack-7", 1.0)
    marks = gathered(_events([*rows, later]), 86_400.0)
    assert [(mark.from_s, mark.to_s, mark.words) for mark in marks] == [
        (100.0, 900.0, "air handlers lost in aisle-2"),
        (5000.0, 86_400.0, "rack-7 blocked"),
    ]

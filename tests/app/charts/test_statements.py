import numpy as np
import polars as pl
import pytest

from app.charts.day import Day
from app.charts.heatmap import Plan
from app.charts.statements import count, event_words, floor_title, marks, outages, rack_title, worst_place
from app.charts.timeline import Span

LIMITS = np.full(1280, 85.0)


def test_the_worst_place_is_the_one_nearest_its_own_limit(plan: Plan, hot_day: Day) -> None:
    place = worst_place(hot_day, plan, LIMITS)
    assert place is not None
    assert (plan.rows[place.row].id, place.rack.id, place.minute) == ("row-4", "rack-36", 7)
    assert place.over_c == pytest.approx(3.4, abs=1e-4)
    raised = LIMITS.copy()
    raised[8 * plan.server_ids.index("server-143") + 5] = 200.0
    elsewhere = worst_place(hot_day, plan, raised)
    assert elsewhere is not None
    assert elsewhere.over_c == pytest.approx(-25.0)


def test_the_page_says_what_the_day_comes_to(plan: Plan, span: Span, hot_day: Day) -> None:
    over = floor_title(hot_day, plan, LIMITS, span.clock)
    assert over == "Rack 36 is 3.4\u00a0°C over its limit at 00:07; row 4 runs 12.0\u00a0kW under its budget"
    calm = floor_title(hot_day, plan, np.full(1280, 90.0), span.clock)
    assert calm == "Row 4 runs 12.0\u00a0kW under its budget and reaches 88.4\u00a0°C at 00:07"


def test_a_rack_says_how_many_are_over_or_how_far_it_is(hot_day: Day) -> None:
    assert rack_title(np.array([84.0, 86.0, 88.0]), np.full(3, 85.0), "rack-36") == "Rack 36: two GPUs over the limit"
    assert rack_title(np.array([80.0, 81.8]), np.full(2, 85.0), "rack-36") == "Rack 36 is 3.2\u00a0°C under its limit"
    assert rack_title(np.array([np.nan]), np.full(1, 85.0), "rack-36") == "Rack 36 has no reading now"


def test_events_become_words_and_a_fault_ends() -> None:
    assert event_words("power_brake", "row-4", 1.0) == "row-4 brakes on power"
    assert event_words("ahu_loss", "aisle-2", 0.0).endswith(": over")
    assert [count(number, "GPU") for number in (1, 3, 12)] == ["one GPU", "three GPUs", "12 GPUs"]


def test_outages_span_from_severity_to_zero_or_the_end() -> None:
    events = pl.DataFrame(
        {
            "t_s": [100.0, 400.0, 500.0],
            "domain": ["plant"] * 3,
            "kind": ["ahu_loss"] * 3,
            "entity_kind": ["aisle"] * 3,
            "entity_id": ["aisle-1", "aisle-1", "aisle-2"],
            "value": [0.25, 0.0, 0.5],
        }
    )
    found = [(one.aisle, one.from_s, one.to_s) for one in outages(events, 900.0)]
    assert found == [("aisle-1", 100.0, 400.0), ("aisle-2", 500.0, 900.0)]
    assert [mark.bad for mark in marks(events)] == [True, False, True]
    assert marks(pl.DataFrame()) == []

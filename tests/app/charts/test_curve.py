"""Curves for a file: no address in them, every point readable again."""

import json
import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from app.charts.curve import Bound, Curve, clock_axis, draw, value_axis
from app.charts.quantity import Measure
from app.charts.tokens import LIGHT
from twin.clock import Clock

CLOCK = Clock(datetime(2026, 7, 14, 13, tzinfo=UTC))
DEGREES = Measure.of("plant.gpu_temp_max_c", 80.0)


def _drawn() -> str:
    curves = [Curve("today", (0.0, 900.0, 1800.0), (74.0, None, 81.5)), Curve("candidate", (0.0, 900.0, 1800.0), (73.0, 74.5, 76.0))]
    x, y = clock_axis(CLOCK, 0.0, 1800.0), value_axis([73.0, 81.5, 80.0], DEGREES)
    return draw(curves, x, y, LIGHT, "hot <day>", DEGREES, [Bound(80.0, "I-01 ≤ 80.0 °C", ((0.0, 900.0),))])


def test_a_drawing_names_no_address_and_escapes_its_words() -> None:
    drawn = _drawn()
    assert "http" not in drawn
    assert "hot &lt;day&gt;" in drawn
    assert "I-01 ≤ 80.0 °C" in drawn


def test_every_point_can_be_read_out_again() -> None:
    found = re.search(r'data-figure="([^"]*)"', _drawn())
    assert found is not None
    data = json.loads(found[1].replace("&quot;", '"'))
    assert [curve["y"] for curve in data["curves"]] == [["74.0", None, "81.5"], ["73.0", "74.5", "76.0"]]
    assert data["curves"][0]["x"] == [0.0, 0.5, 1.0]


def test_a_gap_breaks_the_line() -> None:
    assert _drawn().count("M") >= 3


def test_ticks_stand_on_the_sites_clock() -> None:
    words = [words for _, words in clock_axis(CLOCK, 0.0, 6 * 3600.0).ticks]
    assert words == ["13:00", "14:00", "15:00", "16:00", "17:00", "18:00", "19:00"]


@given(low=st.floats(-1e6, 1e6), span=st.floats(0.0, 1e6))
def test_a_value_axis_holds_its_values_in_few_round_steps(low: float, span: float) -> None:
    axis = value_axis([low, low + span], Measure.of("x", 1.0))
    # A millionth of what is drawn is nothing that an axis shows.
    nothing = 1e-6 * max(1.0, abs(low), span)
    assert axis.low <= low + nothing
    assert axis.high >= low + span - nothing
    assert 2 <= len(axis.ticks) <= 8

import json

import numpy as np
import polars as pl
import pytest

from app.charts.template import CONFIG
from app.charts.timeline import Span, over_time
from app.charts.tokens import DARK, LIGHT

MINUTES = pl.DataFrame({"t_s": np.arange(0.0, 86_400.0, 60.0), "power_w": np.linspace(200e3, 280e3, 1440)})


@pytest.mark.parametrize("tokens", [LIGHT, DARK])
def test_today_is_grey_and_dashed_and_the_candidate_blue_and_solid(span: Span, tokens) -> None:
    fig = over_time({"today": MINUTES, "candidate": MINUTES}, "power_w", tokens, span, limit=300e3)
    today, candidate = fig.data
    assert (today.line.color, candidate.line.color) == (tokens.today, tokens.candidate)
    assert today.line.dash != "solid"
    assert candidate.line.dash == "solid"
    assert fig.layout.shapes[0].line.color == tokens.limit
    assert fig.layout.annotations[-1].text == "limit 300\u00a0kW"


def test_values_are_in_the_unit_of_the_axis_and_times_are_local(span: Span) -> None:
    fig = over_time({"candidate": MINUTES}, "power_w", LIGHT, span, cursor_s=51_600.0)
    assert float(np.asarray(fig.data[0].y)[-1]) == pytest.approx(280.0)
    assert fig.layout.yaxis.ticksuffix == " kW"
    assert fig.data[0].x0.startswith("2026-07-14T00:00")
    assert fig.data[0].dx == 60_000.0
    assert fig.layout.shapes[-1].x0.startswith("2026-07-14T14:20")


def test_a_day_of_minutes_stays_small(span: Span) -> None:
    assert len(over_time({"today": MINUTES, "candidate": MINUTES}, "power_w", LIGHT, span).to_json()) < 40_000


def test_a_run_that_is_not_there_is_left_out(span: Span) -> None:
    assert len(over_time({"today": None, "candidate": MINUTES}, "power_w", LIGHT, span).data) == 1


def test_no_figure_can_be_sent_anywhere_or_holds_a_placeholder_colour(span: Span) -> None:
    assert CONFIG["showSendToCloud"] is False
    assert CONFIG["plotlyServerURL"] == ""
    assert CONFIG["displaylogo"] is False
    for tokens in (LIGHT, DARK):
        text = json.dumps(json.loads(over_time({"candidate": MINUTES}, "power_w", tokens, span, limit=1.0).to_json()))
        assert "#0000" not in text

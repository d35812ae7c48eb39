"""Cold starts, cores and room over the day."""

import numpy as np
import polars as pl
import pytest

from app.charts.burnt import cold_starts, cores, headroom
from app.charts.timeline import Span
from app.charts.tokens import LIGHT

DAY = pl.DataFrame(
    {
        "t_s": [300.0, 600.0, 900.0], "window_s": [300.0] * 3, "cold_starts": [6, 0, 2], "busy_cores": [0.5, 0.6, 0.4],
        "polling_cores": [2.0] * 3, "cores": [16.0] * 3, "saturation_per_s": [1500.0] * 3, "arrived_per_s": [55.0, 0.0, 60.0],
    }
)  # fmt: skip
TODAY = DAY.with_columns(pl.lit(0.0).alias("polling_cores"))


def test_a_bar_of_cold_starts_covers_its_window(span: Span) -> None:
    fig = cold_starts(DAY, TODAY, LIGHT, span, cursor_s=0.0, is_today=False)
    bars, today = fig.data
    assert list(bars.y) == [6, 0, 2]
    assert bars.x[0].endswith("00:02:30.000")
    assert set(bars.width) == {300_000.0}
    assert today.line.dash is not None


def test_spinning_stands_on_busy_and_the_limit_says_what_there_is(span: Span) -> None:
    fig = cores(DAY, TODAY, LIGHT, span, cursor_s=0.0, is_today=False)
    busy, spinning, today = fig.data
    assert np.allclose(np.asarray(spinning.y) - np.asarray(busy.y), 2.0)
    assert list(today.y) == pytest.approx([0.5, 0.6, 0.4])
    assert any(note.text == "functions have 16" for note in fig.layout.annotations)


def test_a_runtime_that_does_not_poll_has_no_amber(span: Span) -> None:
    assert [trace.name for trace in cores(TODAY, None, LIGHT, span, cursor_s=0.0, is_today=True).data] == ["busy"]


def test_a_window_without_calls_is_a_gap_on_an_axis_of_powers(span: Span) -> None:
    came = headroom(DAY, None, LIGHT, span, cursor_s=0.0, is_today=False).data[-1]
    assert np.isnan(came.y[1])
    assert came.y[2] == 60.0

import numpy as np
import polars as pl
import pytest

from app.charts.cube import unpack
from app.charts.day import Day, Mark, message, over_spans, read_day, worst
from app.charts.heatmap import Plan
from app.charts.timeline import Span

LIMITS = {"gpu_temp_c": np.where(np.arange(1280) < 640, 87.0, 85.0)}


def test_a_reading_belongs_to_the_minute_that_it_ends(plan: Plan) -> None:
    gpus = pl.DataFrame({"t_s": [60.0, 120.0], "gpu_id": ["server-2/gpu-3"] * 2, "temp_max_c": [70.0, 71.0]})
    rows = pl.DataFrame({"t_s": [10.0, 60.0, 70.0], "row_id": ["row-1"] * 3, "power_w": [1.0, 3.0, 2.0], "budget_w": [9.0] * 3})
    day = read_day({"gpus": gpus.lazy(), "rows": rows.lazy()}, plan, 0.0, 120.0)
    assert day.values["gpu_temp_c"][:, 8 + 3].tolist() == [70.0, 71.0]
    assert np.isnan(day.values["gpu_temp_c"][:, 0]).all()
    assert day.row_power_w[:, 0].tolist() == [3.0, 2.0]
    assert day.row_budget_w[0].tolist() == [9.0, 326_400.0, 208_000.0, 208_000.0]


def test_the_cursor_stays_inside_the_day(hot_day: Day) -> None:
    assert [hot_day.minute(t_s) for t_s in (-5.0, 0.0, 59.0, 60.0, 1e9)] == [0, 0, 0, 1, 9]


def test_spans_over_the_limit_are_found(hot_day: Day) -> None:
    assert over_spans(hot_day.values["gpu_temp_c"], LIMITS["gpu_temp_c"]) == [(7, 7)]
    assert worst(hot_day.values["gpu_temp_c"])[7] == pytest.approx(88.4, abs=1e-5)


def test_the_browser_gets_the_day_whole_and_small(plan: Plan, span: Span, hot_day: Day) -> None:
    sent = message({"today": hot_day, "candidate": hot_day}, "candidate", plan, LIMITS, [Mark(420.0, "row-4 brakes", True)], span.clock)
    gpu = sent["quantities"][0]
    codes = unpack(gpu["codes"], gpu["places"])
    assert codes.shape == (10, 1280)
    assert gpu["low"] + codes[7].max() * gpu["step"] == pytest.approx(88.4, abs=gpu["step"])
    assert gpu["limit_words"] == "limit 85 / 87\u00a0°C"
    assert [line["value"] for line in gpu["lines"]] == [85.0, 87.0]
    assert gpu["says"] == "The hottest GPU is over its limit from 00:07 to 00:07"
    assert sent["events"] == [{"minute": 7, "words": "row-4 brakes", "bad": True}]
    assert [quantity["unit"] for quantity in sent["quantities"]] == ["°C", "°C", "kW", "%", "%"]
    assert set(sent["power"]) == {"today", "candidate"}


def test_a_day_that_never_throttles_says_so(plan: Plan, span: Span, hot_day: Day) -> None:
    sent = message({"today": hot_day}, "today", plan, LIMITS, [], span.clock)
    assert sent["quantities"][-1]["says"] == "No GPU is throttled all day"

"""Jobs over time: bars never lie on one another, both jobs on one scale, use below."""

import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from app.charts.gantt import NARROW, Bar, Row, Strip, Used, gantt_svg, lanes
from app.charts.tokens import LIGHT

_TIMES = st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 50)), max_size=40)


def _bar(begin_s: float, end_s: float, ready_s: float | None = None) -> Bar:
    return Bar(begin_s if ready_s is None else ready_s, begin_s, end_s, 1, "by somebody")


def _strip(*bars: Bar, today: bool = False, end_s: float = 100.0) -> Strip:
    used = Used("GPUs", ((0.0, 8.0), (50.0, 0.0)), 16.0)
    return Strip("Candidate", today, end_s, (Row("summary", "Scene summary", 3, bars),), (used,))


@settings(max_examples=80, deadline=None)
@given(_TIMES)
def test_no_two_bars_of_a_lane_overlap_and_there_are_no_more_lanes_than_bars_at_once(times: list[tuple[float, float]]) -> None:
    bars = [_bar(begin, begin + took) for begin, took in times]
    placed = lanes(bars)
    for lane in set(placed):
        mine = sorted((bar.start_s, bar.end_s) for bar, at in zip(bars, placed, strict=True) if at == lane)
        assert all(before[1] <= after[0] + 1e-9 for before, after in pairwise(mine))
    at_once = max((sum(other.start_s <= bar.start_s < other.end_s for other in bars) for bar in bars), default=0)
    assert 1 + max(placed, default=-1) <= at_once


def test_two_jobs_share_one_scale_of_time() -> None:
    svg = gantt_svg([_strip(_bar(0, 100)), _strip(_bar(0, 200), today=True, end_s=200.0)], LIGHT, "x")
    hue = LIGHT.series[3]
    widths = [float(width) for width in re.findall(rf'width="([\d.]+)" height="[\d.]+" fill="{hue}"', svg)]
    assert len(widths) == 2
    assert abs(widths[1] / widths[0] - 2.0) < 0.01


def test_waiting_is_a_paler_bar_of_the_same_hue() -> None:
    svg = gantt_svg([_strip(_bar(40, 90, ready_s=10))], LIGHT, "x")
    assert svg.count("rgba(84,91,21,0.34)") == 1
    assert "waiting 30.0\u00a0s" in svg


def test_waiting_of_items_done_side_by_side_is_one_pale_stretch() -> None:
    svg = gantt_svg([_strip(_bar(40, 90, ready_s=10), _bar(60, 95, ready_s=20), _bar(60, 95, ready_s=60))], LIGHT, "x")
    pale = re.findall(r'width="([\d.]+)" height="[\d.]+" fill="rgba\(84,91,21,0.34\)"', svg)
    whole = (1120.0 - 158.0) / 100.0
    assert [round(float(width) / whole) for width in pale] == [50]


def test_a_limit_on_time_is_a_red_line_with_its_value_even_past_the_end_of_the_job() -> None:
    svg = gantt_svg([_strip(_bar(0, 50), end_s=50.0)], LIGHT, "x", limit_s=120.0)
    assert f'stroke="{LIGHT.limit}"' in svg
    assert "limit 2.00\u00a0min" in svg


def test_a_stage_of_a_thousand_batches_is_drawn_as_their_number_over_time() -> None:
    many = gantt_svg([_strip(*(_bar(i / 50, 60 + i / 50) for i in range(1000)))], LIGHT, "x")
    assert many.count("<rect") < 20
    assert len(many) < 60_000


def test_what_all_workflows_held_is_written_beside_what_the_job_used_on_a_narrow_figure_too() -> None:
    for width in (NARROW, 1120.0):
        assert "GPUs: 8 of 16 held" in gantt_svg([_strip(_bar(0, 100))], LIGHT, "x", width=width)


def test_no_job_is_an_empty_figure() -> None:
    assert gantt_svg([], LIGHT, "nothing").startswith("<svg")
    assert "nothing was done" in gantt_svg([_strip()], LIGHT, "x")

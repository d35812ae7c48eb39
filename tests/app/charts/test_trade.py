"""The trade-off of plans and the dots of jobs, as the browser gets them."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from app.charts.job_dots import job_dots, thinned
from app.charts.timeline import Span
from app.charts.tokens import LIGHT
from app.charts.trade import AXES, COST, ENERGY, QUALITY, TIME, Planned, spread, trade
from twin.clock import Clock

FAST = Planned("v-1", "fast", {TIME: 76.0, COST: 1.0, ENERGY: 150e3, QUALITY: 1.0})
CHEAP = Planned("v-2", "cheap", {TIME: 83.0, COST: 0.8, ENERGY: 125e3, QUALITY: 1.0})
SMALL = Planned("v-3", "small", {TIME: 34.0, COST: 0.1, ENERGY: 18e3, QUALITY: 0.93})
TODAY = Planned("measured today", "today", {TIME: 283.0, COST: 4.3, ENERGY: 560e3, QUALITY: 1.0}, "today")
SPAN = Span(Clock(datetime(2026, 7, 14, tzinfo=UTC)), 86_400.0)


def _points(fig: Any, name: str) -> Any:
    return next(trace for trace in fig.data if trace.customdata is not None and any(each[0] == name for each in trace.customdata))


@pytest.mark.parametrize("pair", AXES)
def test_each_pair_of_axes_names_both_in_its_unit_and_points_carry_their_plan(pair: str) -> None:
    fig = trade([FAST, CHEAP, SMALL, TODAY], AXES[pair], LIGHT)
    assert [each[0] for each in _points(fig, "v-1").customdata] == ["v-1", "v-2", "v-3"]
    words = {TIME: "time of a job, min", COST: "cost of a job, USD", ENERGY: "energy of a job, kJ", QUALITY: "quality of a job, %"}
    assert fig.layout.xaxis.title.text == words[AXES[pair][0]]
    assert fig.layout.yaxis.title.text == words[AXES[pair][1]]


def test_figures_that_lie_far_apart_stand_on_a_logarithmic_axis() -> None:
    wide = Planned("v-9", "held", {TIME: 40.0, COST: 20.0, QUALITY: 1.0})
    assert trade([SMALL, wide], AXES["cost over time"], LIGHT).layout.yaxis.type == "log"
    assert trade([FAST, CHEAP], AXES["cost over time"], LIGHT).layout.yaxis.type is None


def test_lower_quality_is_paler_and_a_missed_limit_hollow() -> None:
    missed = Planned("v-4", "slow", {TIME: 90.0, COST: 0.7, ENERGY: 1e5, QUALITY: 1.0}, misses="makespan_s: 90 s, asked is 80 s")
    colours = _points(trade([FAST, SMALL, missed], AXES["cost over time"], LIGHT), "v-1").marker.color
    assert colours == (LIGHT.candidate, "rgba(23,105,210,0.42)", LIGHT.surface)


def test_the_plan_looked_at_is_ringed_the_planned_one_named_and_a_limit_written() -> None:
    fig = trade([FAST, CHEAP], AXES["cost over time"], LIGHT, here="v-2", chosen="v-1", bounds={TIME: 80.0})
    rings = [trace for trace in fig.data if trace.marker.symbol == "circle-open"]
    assert [(ring.x, ring.y) for ring in rings] == [((83.0,), (0.8,))]
    told = [note.text for note in fig.layout.annotations]
    assert "planned" in told
    assert any("80.0" in text or "1.33" in text for text in told)


def test_the_spread_names_both_ends_or_that_one_plan_is_both() -> None:
    assert spread([FAST, CHEAP, TODAY]).replace("\u00a0", " ") == "From 1.27 min for 1.00 USD to 1.38 min for 0.800 USD"
    assert spread([SMALL, FAST]).endswith("is both the fastest and the cheapest")
    assert spread([TODAY]) == ""


def _jobs(count: int, refused: int = 0) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "job_id": f"v-{i}", "submit_s": 60.0 * i, "items": 16, "outcome": "refused" if i < refused else "done",
                "makespan_s": 80.0 + i % 7, "why": "gpus: none is left" if i < refused else "",
            }
            for i in range(count)
        ]
    )  # fmt: skip


def test_refused_jobs_are_red_crosses_on_zero_that_say_why() -> None:
    fig = job_dots({"candidate": _jobs(9, refused=2)}, "makespan_s", LIGHT, SPAN)
    cross = next(trace for trace in fig.data if trace.marker.symbol == "x-thin")
    assert list(cross.y) == [0.0, 0.0]
    assert cross.marker.line.color == LIGHT.limit
    assert "gpus: none is left" in cross.customdata[0][2]


def test_todays_jobs_are_grey_rings_under_the_candidates_blue_dots() -> None:
    fig = job_dots({"today": _jobs(5), "candidate": _jobs(5)}, "makespan_s", LIGHT, SPAN, chosen="v-3")
    assert [(trace.marker.color, trace.marker.symbol) for trace in fig.data] == [
        (LIGHT.today, "circle-open"), (LIGHT.candidate, "circle"), (LIGHT.text, "circle-open"),
    ]  # fmt: skip


def test_of_very_many_jobs_every_nth_is_drawn() -> None:
    assert 2000 <= thinned(_jobs(10_000)).height <= 4000
    assert thinned(_jobs(100)).height == 100

from datetime import UTC, datetime

import polars as pl

from app.charts.day import Mark
from app.charts.pool import devices, hosts, pool
from app.charts.timeline import Span
from app.charts.tokens import LIGHT
from twin.clock import Clock

SPAN = Span(Clock(datetime(2026, 7, 14, tzinfo=UTC)), 900.0)
POOL = pl.DataFrame(
    {
        "t_s": [300.0, 600.0, 900.0],
        "wanted_bytes": [3e12, 4.2e12, 4e12],
        "held_bytes": [3e12, 4e12, 4e12],
        "capacity_bytes": [4e12, 4e12, 3.9e12],
        "migrated_bytes": [0, 10**10, 0],
        "overflow_events": [0, 2, 0],
        "overflow_bytes": [0, 2 * 10**11, 0],
    }
)
SPREAD = pl.DataFrame(
    {
        "t_s": [300.0, 600.0],
        "least_bytes": [1e9, 0.0],
        "median_bytes": [5e9, 6e9],
        "most_bytes": [9e9, 10e9],
        "fullest_bytes": [9e9, 10e9],
        "capacity_bytes": [10e9, 10e9],
    }
)


def _named(fig) -> dict[str, object]:
    return {trace.name: trace for trace in fig.data}


def test_the_pool_is_drawn_in_terabytes_under_its_red_capacity_with_overflow_and_moves() -> None:
    marks = [Mark(120.0, "memory device-7 lost", True), Mark(400.0, "memory device-7 lost: over", False)]
    fig = pool(POOL, marks, LIGHT, SPAN, cursor_s=400.0, today=False)
    found = _named(fig)
    assert list(found["wanted"].y) == [3.0, 4.2, 4.0]
    assert found["capacity"].line.color == LIGHT.limit
    assert len(found["overflow"].x) == 1
    assert found["overflow"].marker.color == LIGHT.limit
    assert list(found["moved aside"].y) == [0.0, 10.0, 0.0]
    assert [trace.customdata[0][0] for trace in fig.data if trace.name == "events"] == [
        "memory device-7 lost: over",
        "memory device-7 lost",
    ]
    assert fig.layout.yaxis.range[1] > 4.2


def test_nothing_moved_and_nothing_turned_away_leaves_no_mark() -> None:
    calm = POOL.with_columns(pl.lit(0).alias("migrated_bytes"), pl.lit(0).alias("overflow_events"))
    assert set(_named(pool(calm, [], LIGHT, SPAN, cursor_s=0.0, today=True))) == {"capacity", "wanted"}


def test_todays_pool_is_grey_and_dashed() -> None:
    line = _named(pool(POOL, [], LIGHT, SPAN, cursor_s=0.0, today=True))["wanted"].line
    assert (line.color, bool(line.dash)) == (LIGHT.today, True)


def test_devices_spread_between_the_emptiest_and_the_fullest_and_one_is_followed() -> None:
    mine = pl.DataFrame({"t_s": [300.0, 600.0], "device_id": ["device-3"] * 2, "used_bytes": [2e9, 3e9]})
    found = _named(devices(SPREAD, mine, LIGHT, SPAN, cursor_s=400.0, today=False))
    assert list(found["device-3"].y) == [2.0, 3.0]
    assert found["most"].fill == "tonexty"
    assert set(found) == {"least", "most", "median", "fullest", "capacity", "device-3"}


def test_words_at_the_right_end_never_lie_on_one_another() -> None:
    close = SPREAD.with_columns(pl.col("fullest_bytes").alias("median_bytes"))
    words = [note.text for note in devices(close, None, LIGHT, SPAN, cursor_s=0.0, today=False).layout.annotations]
    assert words == [" median"]


def test_without_a_pool_hosts_are_drawn_as_they_need() -> None:
    mine = pl.DataFrame({"t_s": [300.0, 600.0], "host_id": ["host-3"] * 2, "demand_bytes": [2e9, 3e9]})
    found = _named(hosts(SPREAD, mine, LIGHT, SPAN, cursor_s=0.0, today=True))
    assert set(found) == {"least", "most", "median", "host-3"}

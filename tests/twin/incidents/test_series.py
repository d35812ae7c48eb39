"""Aligned series: what a long table becomes."""

import numpy as np
import polars as pl
import pytest

from twin.incidents.series import Series, from_table, kind_of

LONG = pl.DataFrame(
    {
        "t_s": [120, 60, 60, 180],
        "entity_id": ["b", "a", "b", "a"],
        "metric": ["latency", "availability", "latency", "availability"],
        "value": [2.0, 99.0, None, 97.0],
    }
)


def test_a_long_table_becomes_columns_on_one_clock_with_gaps() -> None:
    series = from_table(LONG)
    assert series.t_s.tolist() == [60.0, 120.0, 180.0]
    assert series.entity_ids == ("a", "b")
    assert series.metrics == ("availability", "latency")
    np.testing.assert_array_equal(series.values, [[99.0, np.nan], [np.nan, 2.0], [97.0, np.nan]])
    assert series.fails.tolist() == [-1, 1]


def test_the_order_of_rows_does_not_matter() -> None:
    one, other = from_table(LONG), from_table(LONG.reverse())
    np.testing.assert_array_equal(one.values, other.values)
    assert one.metrics == other.metrics


def test_a_direction_that_is_given_counts() -> None:
    assert from_table(LONG, {"latency": 0}).fails.tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (LONG.drop("value"), "no column 'value'"),
        (LONG.clear(), "no row"),
        (pl.concat([LONG, LONG]), "two values"),
        (LONG.with_columns(metric=pl.lit(None, dtype=pl.String)), "empty t_s, entity_id or metric"),
    ],
)
def test_a_bad_table_is_one_clear_line(table: pl.DataFrame, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        from_table(table)


def test_a_metric_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ValueError, match="it has availability"):
        from_table(LONG).column("a", "latency")


def test_times_that_go_back_are_refused() -> None:
    with pytest.raises(ValueError, match="not ascending"):
        Series(np.array([2.0, 1.0]), np.zeros((2, 1)), ("a",), np.array([0]), ("latency",), np.array([1]))


@pytest.mark.parametrize(
    ("metric", "kind"),
    [("PodWorkload(Ops)", "requests"), ("PodSuccessRate(%)", "availability"), ("lat_50", "latency"), ("MemoryUsage(Mi)", "resource")],
)
def test_public_names_of_metrics_are_understood(metric: str, kind: str) -> None:
    assert kind_of(metric) == kind

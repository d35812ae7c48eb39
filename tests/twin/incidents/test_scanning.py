"""Scans of all series at once, and the point of a change."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.incidents.scanning import ROWS, block, medians, scan, step


def rows(times, entities, values, metric="m"):
    return block(
        np.array(times, dtype=float), pl.Series(entities, dtype=pl.String), {metric: np.array(values, dtype=float)}, {metric: "s"}, "host"
    )


def test_two_readings_of_a_minute_are_their_mean_and_gaps_stay_gaps():
    found = rows([60, 60, 60, 120], ["a", "a", "b", "b"], [1.0, 3.0, np.nan, 4.0]).series
    assert found.entity_ids == ("a", "b")
    assert found.values.tolist() == [[2.0, pytest.approx(np.nan, nan_ok=True)], [pytest.approx(np.nan, nan_ok=True), 4.0]]


def test_a_metric_that_nobody_reports_is_no_column():
    found = block(np.array([60.0]), pl.Series(["a"]), {"m": np.array([1.0]), "n": np.array([np.nan])}, {"m": "s", "n": "W"})
    assert found.series.metrics == ("m",)
    assert found.units == ("s",)


def test_a_scan_is_no_different_for_the_company_that_a_series_has():
    random, times = np.random.default_rng(2), np.arange(60.0, 7_201.0, 60.0)
    quiet, loud = random.normal(10.0, 1.0, len(times)), random.normal(5.0, 0.1, len(times)) + 3.0 * (times > 6_000.0)
    alone = scan(rows(times, ["b"] * len(times), loud), 5_400.0, 7_200.0)
    both = scan(rows(np.tile(times, 2), ["a"] * len(times) + ["b"] * len(times), np.concatenate([quiet, loud])), 5_400.0, 7_200.0)
    assert both.filter(pl.col("entity") == "b").equals(alone)
    row = alone.row(0, named=True)
    assert (row["onset_s"], row["unit"], row["kind"]) == (6_000.0, "s", "host")
    assert row["after"] == pytest.approx(8.0, abs=0.1)
    assert both.sort("clear", descending=True)["entity"][0] == "b"


def test_nothing_normal_means_nothing_to_hold_it_against():
    assert scan(rows([60, 120], ["a", "a"], [1.0, 2.0]), 0.0, 200.0).schema == ROWS
    assert scan(rows([60, 120], ["a", "a"], [1.0, 2.0]), 0.0, 200.0).is_empty()


@settings(max_examples=40)
@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=9))
def test_medians_are_those_of_numpy_over_what_is_known(values):
    column = np.array([np.nan if value is None else value for value in values])
    known = column[np.isfinite(column)]
    found = medians(column[:, None])[0]
    assert np.isnan(found) if not len(known) else found == np.median(known)


@settings(max_examples=25)
@given(st.integers(3, 50), st.floats(0.5, 100.0), st.booleans())
def test_a_step_is_found_where_it_is(at, height, down):
    times = np.arange(60.0, 60.0 * 61.0, 60.0)
    sign = -1.0 if down else 1.0
    values = 200.0 + sign * height * (np.arange(60) >= at)
    found = step(times, values)
    assert found is not None
    assert found[0] == times[at - 1]
    assert found[2] - found[1] == pytest.approx(sign * height)
    assert np.sign(found[3]) == sign


def test_a_few_values_have_no_step():
    assert step(np.arange(5.0), np.arange(5.0)) is None
    assert step(np.arange(9.0), np.full(9, np.nan)) is None

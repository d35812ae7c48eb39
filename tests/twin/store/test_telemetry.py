from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twin.run import Run
from twin.store import runs, views
from twin.store.telemetry import metric_names, telemetry, view_sql

RUN = "0123456789ab"


@pytest.fixture
def home(make_run: Callable[..., Run], tmp_path: Path) -> Path:
    runs.save(make_run(RUN), tmp_path)
    return tmp_path


def test_every_number_of_an_observable_table_is_there_with_its_unit(home: Path) -> None:
    found = telemetry(RUN, home)
    assert found.columns == ["time", "entity", "metric", "value", "unit"]
    assert found.height == 40
    assert set(found.select("metric", "unit").rows()) == {("rows.power_w", "W"), ("rows.throttled", "")}
    one = found.filter(pl.col("metric") == "rows.power_w", pl.col("entity") == "row-2", pl.col("time") == 60.0)
    assert one["value"].to_list() == [3_001.0]
    assert found.equals(found.sort("time", "metric", "entity"))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(as_of_s=st.floats(-10.0, 700.0))
def test_nothing_of_the_future_is_seen_and_nothing_of_the_past_is_lost(home: Path, as_of_s: float) -> None:
    seen, everything = telemetry(RUN, home, as_of_s=as_of_s), telemetry(RUN, home)
    assert seen.equals(everything.filter(pl.col("time") <= as_of_s))


def test_metrics_and_entities_narrow_it(home: Path) -> None:
    found = telemetry(RUN, home, metrics=["rows.power_w"], entities=["row-1"])
    assert set(found["entity"]) == {"row-1"}
    assert set(found["metric"]) == {"rows.power_w"}
    assert telemetry(RUN, home, entities=[]).is_empty()
    with pytest.raises(ValueError, match=r"records no 'faults_truth.severity_share'; it records: rows.power_w, rows.throttled"):
        telemetry(RUN, home, metrics=["faults_truth.severity_share"])


def test_the_truth_about_faults_and_single_requests_are_out_of_its_reach(home: Path) -> None:
    tables = runs.manifest_of(RUN, home)["tables"]
    sql = view_sql(tables, {name: name for name in tables})
    assert "faults_truth" not in sql
    assert "requests" not in sql
    assert metric_names(tables) == ["rows.power_w", "rows.throttled"]
    seen = views.query("SELECT DISTINCT metric FROM telemetry ORDER BY 1", [RUN], home)
    assert seen["metric"].to_list() == ["rows.power_w", "rows.throttled"]


def test_a_run_without_observable_tables_has_an_empty_long_form(home: Path) -> None:
    assert "WHERE false" in view_sql({}, {})


def test_a_value_is_known_at_the_end_of_its_interval_and_belongs_to_the_first_id() -> None:
    columns = [
        {"name": n, "type": t, "entity": None}
        for n, t in (("t_s", "Float64"), ("server_id", "String"), ("row_id", "String"), ("wait_s", "Float64"))
    ]
    table = {"telemetry": True, "ahead_s": 300.0, "columns": columns}
    windowed = {"telemetry": True, "columns": [*columns, {"name": "window_s", "type": "Float32", "entity": None}]}
    by_table = (
        "CAST(\"t_s\" AS DOUBLE) + CAST('300.0' AS DOUBLE) AS time, CAST(\"server_id\" AS VARCHAR) AS entity, 'waits.wait_s' AS metric"
    )
    assert by_table in view_sql({"waits": table}, {"waits": "waits"})
    assert 'CAST("t_s" AS DOUBLE) + "window_s" AS time' in view_sql({"waits": windowed}, {"waits": "waits"})
    assert metric_names({"waits": windowed}) == ["waits.wait_s"]
    assert "'s' AS unit" in view_sql({"waits": table}, {"waits": "waits"})


def test_an_interval_that_is_not_over_is_not_seen(make_run: Callable[..., Run], tmp_path: Path) -> None:
    run = make_run("ffffffffffff")
    run.manifest["tables"]["rows"]["ahead_s"] = 60.0
    runs.save(run, tmp_path)
    assert telemetry("ffffffffffff", tmp_path, as_of_s=59.0).is_empty()
    assert telemetry("ffffffffffff", tmp_path, as_of_s=60.0, metrics=["rows.power_w"])["value"].to_list() == [1.0, 1001.0]

"""A stored run as a case: its tables in their places, the truth in none."""

from dataclasses import replace

import polars as pl
import pytest

from twin.incidents.case import TABLES
from twin.incidents.watching import ALERTS, INCIDENTS
from twin.run import describe
from twin.store import case_of_run, runs
from twin.store.case_frames import small
from twin.store.telemetry import telemetry
from twin.store.toolbox import CaseToolbox
from twin.tables import EVENTS

RUN = "0123456789ab"


def rows(table, given):
    return pl.DataFrame(given, schema=table.schema(), orient="row").lazy()


@pytest.fixture
def home(tmp_path, make_run):
    plain = make_run()
    own = {
        "incidents": (INCIDENTS, [
            (300.0, "incident-1", "Row 1 hot", "[major] row-1", "major", "row", "row-1", "rows.power_w", 240.0, "row-1,row-2"),
        ]),
        "alerts": (ALERTS, [
            (300.0, "fired", 0, "incident-1", 240.0, "row", "row-1", "rows.power_w", 9_000.0, 8_000.0, "major", "power high"),
            (480.0, "cleared", 0, "incident-1", 240.0, "row", "row-1", "rows.power_w", 7_000.0, 8_000.0, "major", "power high"),
        ]),
        "events": (EVENTS, [(200.0, "plant", "power_brake", "row", "row-1", 1.0)]),
    }  # fmt: skip
    tables = dict(plain.tables) | {name: rows(table, given) for name, (table, given) in own.items()}
    tables["topology"] = pl.DataFrame({"source": ["row-1"], "target": ["ups-1"], "kind": ["fed by"]}).lazy()
    tables["entities"] = pl.DataFrame({"entity": ["row-1", "ups-1"], "kind": ["row", "ups"]}).lazy()
    declared = dict(plain.manifest["tables"]) | {name: describe(table) for name, (table, _) in own.items()}
    # A manifest that calls the truth telemetry is not believed.
    declared["faults_truth"] = declared["faults_truth"] | {"telemetry": True}
    schedule = [
        {"from_s": 0.0, "policy": {"emergency": [{"system": "uniform_cap", "scope": [], "knobs": {}}]}},
        {"from_s": 360.0, "policy": {"emergency": [{"system": "tapas", "scope": ["row-1"], "knobs": {}}]}},
    ]
    runs.save(replace(plain, tables=tables, manifest=dict(plain.manifest) | {"tables": declared, "schedule": schedule}), tmp_path)
    return tmp_path


def test_incidents_count_from_1970_by_the_runs_start(home):
    (incident,) = case_of_run.incidents_of(RUN, home)
    assert (incident.incident_id, incident.onset_s, incident.detected_s, incident.affected) == (
        "incident-1",
        240.0,
        300.0,
        ("row-1", "row-2"),
    )
    assert incident.began == 1_782_864_000.0 + 240.0  # 2026-07-01 00:00 UTC


def test_a_run_that_watches_nothing_has_no_incidents(tmp_path, make_run):
    runs.save(make_run(), tmp_path)
    assert case_of_run.incidents_of(RUN, tmp_path) == ()
    with pytest.raises(ValueError, match="has no incident 'incident-1'; it has: none"):
        case_of_run.read(RUN, tmp_path, "incident-1")


def test_the_long_form_of_the_case_is_that_of_the_run_without_the_truth(home):
    case = case_of_run.read(RUN, home, "incident-1")
    known = telemetry(RUN, home, metrics=["rows.power_w", "rows.throttled"])
    found = case.frames["telemetry"].collect().sort("time", "metric", "entity")
    assert found.equals(known)
    assert set(case.frames) <= set(TABLES)
    with CaseToolbox(case, 600.0) as tools:
        told = tools.call("sql", {"query": "SELECT DISTINCT metric FROM telemetry ORDER BY 1"}).rows["metric"].to_list()
        assert told == ["rows.power_w", "rows.throttled"]
        for name in ("faults_truth", "requests"):
            assert "there is no table" in tools.call("sql", {"query": f"SELECT * FROM {name}"}).error


def test_alerts_end_when_they_are_over_and_no_sooner(home):
    case = case_of_run.read(RUN, home, "incident-1")
    early, late = (small(case.frames, ["alerts"], as_of_s)["alerts"].row(0, named=True) for as_of_s in (479.0, 480.0))
    assert (early["time"], early["until"]) == (300.0, None)
    assert (late["time"], late["until"], late["metric"], late["severity"]) == (300.0, 480.0, "rows.power_w", "major")


def test_a_change_of_policy_is_in_the_change_log_from_then_on(home):
    case = case_of_run.read(RUN, home, "incident-1")
    with CaseToolbox(case, 359.0) as before, CaseToolbox(case, 360.0) as after:
        assert before.call("change_log", {"from_s": 0, "to_s": 600}).rows.is_empty()
        row = after.call("change_log", {"from_s": 0, "to_s": 600}).rows.row(0, named=True)
    assert (row["time"], row["entity"], row["kind"]) == (360.0, "site", "policy")
    assert row["words"] == "policy set changed: emergency: uniform_cap → tapas (row-1)"


def test_events_say_what_happened_where(home):
    case = case_of_run.read(RUN, home, "incident-1")
    with CaseToolbox(case, 600.0) as tools:
        told = tools.call("events", {"from_s": 0, "to_s": 600, "least": "warning", "cone_of": "row-1"}).rows
    assert told.select("time", "entity", "source", "level", "words").rows() == [
        (200.0, "row-1", "event", "warning", "power_brake of row row-1: 1.0"),
        (300.0, "row-1", "alert", "error", "power high"),
    ]


def test_tools_know_what_hangs_on_what(home):
    with CaseToolbox(case_of_run.read(RUN, home, "incident-1"), 600.0) as tools:
        assert tools.call("topology", {"entity": "row-1"}).rows.row(0) == ("row-1", "row", "ups-1", "ups", "fed by", 1)
        assert tools.call("list_metrics", {"entity": "row-1"}).rows.select("metric", "unit", "samples").rows() == [
            ("rows.power_w", "W", 10),
            ("rows.throttled", "", 10),
        ]

"""Resolved incidents of a user."""

import polars as pl
import pytest

from twin.incidents.case import HISTORY
from twin.store.importers import import_file
from twin.store.incidents_file import read

HEAD = "Incident,Opened,Closed,Summary,Description,Root cause,Priority,owner\n"
GOOD = HEAD + (
    'B,2026-02-01T00:00:00Z,2026-02-01T03:00:00Z,search errs,"x509, expired",certificate_expired,P1,jo\n'
    "A,2026-01-01T00:00:00Z,2026-01-01T02:00:00Z,cart is slow,heap grows,somebody pulled a plug,,mo\n"
)


def written(folder, text, name="ours.csv"):
    path = folder / name
    path.write_text(text)
    return path


def test_a_tickets_export_becomes_history(tmp_path):
    history, notes = read(written(tmp_path, GOOD))
    assert history.columns == list(HISTORY)
    assert history["incident_id"].to_list() == ["A", "B"]
    assert history["severity"].to_list() == ["", "critical"]
    assert history["resolved"].to_list() == [1_767_232_800.0, 1_769_914_800.0]
    assert notes == (
        "2 resolved incidents over 31 days; 1 name a class of cause of this program",
        "1 are compared by their words alone",
        "not used: owner",
    )


def test_parquet_json_and_json_lines_say_the_same(tmp_path):
    history, _ = read(written(tmp_path, GOOD))
    history.write_parquet(tmp_path / "a.parquet")
    history.write_ndjson(tmp_path / "a.jsonl")
    history.write_json(tmp_path / "a.json")
    for name in ("a.parquet", "a.jsonl", "a.json"):
        assert read(tmp_path / name)[0].equals(history)


def test_an_import_is_kept_by_name(tmp_path):
    report = import_file("incidents", written(tmp_path, GOOD), "tickets", tmp_path)
    assert (report.rows, report.span_s) == (2, 31 * 86_400.0 + 3 * 3600.0)
    assert pl.read_parquet(tmp_path / "imports" / "incidents" / "tickets.parquet")["cause"][1] == "certificate_expired"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            "C,2026-02-01T00:00:00Z,2026-01-01T00:00:00Z,a,b,c,P1,",
            "row 4, column closed: the value is '2026-01-01T00:00:00Z'; an incident is",
        ),
        ("A,2026-01-01T00:00:00Z,2026-01-02T00:00:00Z,a,b,c,P1,", "row 4, column incident: the value is 'A'; each incident comes once"),
        (",2026-01-01T00:00:00Z,2026-01-02T00:00:00Z,a,b,c,P1,", "row 4, column incident: the value is missing"),
        ("C,2026-01-01T00:00:00Z,soon,a,b,c,P1,", "row 4, column closed: the time is 'soon'"),
        ("C,2026-01-01T00:00:00Z,2026-01-02T00:00:00Z,a,b,,P1,", "row 4, column root_cause: the value is missing"),
        ("C,2026-01-01T00:00:00Z,2026-01-02T00:00:00Z,a,b,c,urgent,", "row 4, column priority: the value is 'urgent'; write critical"),
    ],
)
def test_what_is_wrong_is_one_line_with_row_and_column(tmp_path, row, says):
    with pytest.raises(ValueError, match=r"ours\.csv") as error:
        read(written(tmp_path, GOOD + row + "\n"))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_seconds_since_a_start_are_no_dates_of_incidents(tmp_path):
    with pytest.raises(ValueError, match="row 2, column began: the value is '60'; write a date, or seconds since 1970"):
        read(written(tmp_path, "incident_id,began,resolved,title,cause\nA,60,120,a,b\n"))

"""Cases as folders, and from plain long tables."""

import json
from dataclasses import asdict

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from twin.incidents.case import HISTORY, Case, Incident
from twin.store import case_files, long_file
from twin.store.toolbox import CaseToolbox

INCIDENT = Incident("i-1", "slow", "p99 high", "minor", "service", "cart", "latency", 600.0, 660.0, 1.7e9, ("cart",))
LONG = "Timestamp,service,metric,value,unit\n" + "".join(f"{60 * i},cart,latency,{0.1 + (i > 10)},s\n" for i in range(1, 21))
EDGES = '[{"caller": "cart", "callee": "db", "kind": "calls"}, {"caller": "front", "callee": "cart"}]'


@pytest.fixture
def folder(tmp_path):
    there = tmp_path / "ours"
    (there / "runbooks").mkdir(parents=True)
    (there / "incident.json").write_text(json.dumps(asdict(INCIDENT)))
    (there / "telemetry.csv").write_text(LONG)
    (there / "topology.json").write_text(EDGES)
    pl.DataFrame({"time": [590], "entity": ["db"], "kind": ["deployment"]}).write_parquet(there / "changes.parquet")
    (there / "history.csv").write_text("id,opened,closed,summary,root_cause\nA,2020-01-01 00:00,2020-01-01 01:00,cart slow,disk\n")
    (there / "runbooks" / "slow.md").write_text("1. look\n")
    return there


def test_plain_tables_in_any_form_are_a_case(folder):
    case = case_files.load(folder)
    with CaseToolbox(case, 1_200.0) as tools:
        assert tools.call("topology", {"entity": "front"}).rows.select("source", "target").rows() == [("front", "cart"), ("cart", "db")]
        assert tools.call("change_log", {"from_s": 0, "to_s": 900}).rows["entity"].to_list() == ["db"]
        assert tools.call("history_search", {"query": "cart"}).rows["cause"].to_list() == ["disk"]
        assert tools.call("runbook_plan", {"name": "slow"}).rows["words"].to_list() == ["look"]
        scan = tools.call("anomaly_scan", {"from_s": 480, "to_s": 1_200}).rows.row(0, named=True)
    assert (scan["entity"], scan["before"], scan["after"], scan["onset_s"], scan["unit"]) == ("cart", 0.1, 1.1, 600.0, "s")


def test_a_case_comes_back_as_it_was_saved(folder, tmp_path):
    case = case_files.load(folder)
    again = case_files.load(case_files.save(case, tmp_path / "kept"))
    assert again.incident == case.incident
    assert again.runbooks == case.runbooks
    assert_frame_equal(again.history, case.history)
    assert set(again.frames) == set(case.frames)
    for name, frame in case.frames.items():
        assert_frame_equal(again.frames[name].collect(), frame.collect(), check_row_order=False, check_column_order=False)
    twice = case_files.save(again, tmp_path / "twice")
    files = sorted(path.relative_to(twice) for path in twice.rglob("*") if path.is_file())
    assert [(tmp_path / "kept" / name).read_bytes() == (twice / name).read_bytes() for name in files] == [True] * len(files)
    with pytest.raises(ValueError, match="is there already"):
        case_files.save(case, twice)


def test_dates_are_seconds_since_1970(tmp_path):
    (tmp_path / "t.csv").write_text("time,entity,metric,value\n2026-01-01T00:00:00+01:00,a,m,1\n2026-01-01T00:01:00+01:00,a,m,\n")
    assert long_file.read(tmp_path / "t.csv", "telemetry").rows() == [(1_767_222_000.0, "a", "m", 1.0, "")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("entity,metric,value\na,m,1\n", "row 1: no column time; telemetry has time, entity, metric, value, unit"),
        ("time,entity,metric,value\n60,a,m,1\nnoon,a,m,1\n", "row 3, column time: the time is 'noon'"),
        ("time,entity,metric,value\n60,,m,1\n", "row 2, column entity: the value is missing; fill it in or remove the row"),
        ("time,entity,metric,value\n60,a,m,x\n", "row 2, column value: the value is 'x'; write a number, or leave it empty"),
        ("time,entity,metric,value\n60,a,m,1\n60,a,m,2\n", "'m' of 'a' has two values at 60 s; keep one or average them"),
        ("time,entity,metric,value\n", "no row below the header"),
        ("", "the file is empty"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_line_with_row_and_column(tmp_path, text, says):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=r"t\.csv") as error:
        long_file.read(tmp_path / "t.csv", "telemetry")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("incident.json", None, "no incident.json"),
        ("incident.json", "{", "is not valid JSON"),
        ("incident.json", "[]", "holds no object"),
        ("incident.json", '{"case": 2}', "newer Intentwin"),
        ("incident.json", '{"incident_id": "x"}', "title: "),
        ("telemetry.csv", None, "no telemetry"),
        ("telemetry.json", "[]", "are the same table"),
        ("topology.json", "nonsense", "topology.json: cannot be read"),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_line(folder, name, text, says):
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)
    with pytest.raises(ValueError) as error:  # noqa: PT011
        case_files.load(folder)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_single_files_are_a_case_too(tmp_path):
    (tmp_path / "readings.csv").write_text(LONG)
    case = case_files.of_tables(INCIDENT, {"telemetry": tmp_path / "readings.csv"}, "import")
    with CaseToolbox(case, 900.0) as tools:
        assert tools.call("query_metric", {"entity": "cart", "metric": "latency", "from_s": 0}).rows.height == 15
    with pytest.raises(ValueError, match="'faults' is no table of a case"):
        case_files.of_tables(INCIDENT, {"faults": tmp_path / "readings.csv"}, "import")
    with pytest.raises(ValueError, match="needs telemetry"):
        case_files.of_tables(INCIDENT, {}, "import")


def test_a_runbooks_name_cannot_lead_out_of_the_folder(tmp_path):
    case = Case("x", INCIDENT, {}, pl.DataFrame(schema=dict.fromkeys(HISTORY, pl.String)), {"../x": "1. look"})
    with pytest.raises(ValueError, match="cannot be that of a file"):
        case_files.save(case, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()

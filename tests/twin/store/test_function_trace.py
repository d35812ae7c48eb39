"""Traces of functions as their publishers write them, and what is said of a bad row."""

import gzip
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from app.commands.files import import_ as import_command
from twin.functions.settings import Function
from twin.functions.traces import COLUMNS, replayed
from twin.store.function_trace import read, span_s
from twin.store.importers import import_file

# AzureFunctionsInvocationTrace2021.md: func is unique within its app alone.
OF_2021 = "app,func,end_timestamp,duration\naa,f1,130.5,10.5\nbb,f1,125,0.001\naa,f2,200,0\naa,f1,300.25,0.25\n"
A, B, C = ("a" * 64, "b" * 64, "c" * 64)
RUNS = (
    "HashOwner,HashApp,HashFunction,Average,Count,Minimum,Maximum,percentile_Average_0,percentile_Average_50\n"
    f"{A},{B},{A},1500,3,1,4000,1,1400\n{A},{B},{A},500,1,1,900,1,400\n{A},{B},{B},20,9,1,90,1,19\n"
)


def _day(*rows: tuple[str, str, str, dict[int, object]]) -> str:
    """Return a day as AzureFunctionsDataset2019.md has it: calls in each of 1,440 minutes."""
    lines = ["HashOwner,HashApp,HashFunction,Trigger," + ",".join(str(minute) for minute in range(1, 1441))]
    for app, function, trigger, calls in rows:
        lines.append(f"{A},{app},{function},{trigger}," + ",".join(str(calls.get(minute, 0)) for minute in range(1, 1441)))
    return "\n".join(lines) + "\n"


DAY = _day((B, A, "http", {1: 3, 540: 7}), (B, B, "timer", {60: 1, 120: 1}), (C, C, "queue", {1440: 12}), (C, A, "http", {}))


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_call_of_2021_begins_its_duration_before_its_end(tmp_path):
    frame, notes = read(_write(tmp_path / "trace.txt", OF_2021))
    assert tuple(frame.columns) == COLUMNS
    assert frame["t_s"].to_list() == pytest.approx([0.0, 4.999, 80.0, 180.0]), "from the whole minute of the first call"
    assert frame["function_id"].to_list() == ["aa-f1", "bb-f1", "aa-f2", "aa-f1"], "the same name in another app is another function"
    assert frame["duration_s"].to_list() == [10.5, 0.001, 0.0, 0.25]
    assert frame["calls"].to_list() == [1] * 4
    assert frame["span_s"].to_list() == [0.0] * 4
    assert span_s(frame) == pytest.approx(180.0)
    assert notes[:3] == ("Azure 2021 trace", "4 calls of 3 functions", "most called: aa-f1 (2), aa-f2 (1), bb-f1 (1)")
    packed = tmp_path / "trace.csv.gz"
    packed.write_bytes(gzip.compress(OF_2021.encode()))
    assert read(packed)[0].equals(frame)


def test_calls_that_had_begun_before_the_recording_are_taken_at_its_beginning(tmp_path):
    frame, notes = read(_write(tmp_path / "t.csv", "app,func,end_timestamp,duration\na,f,5,30\na,f,90,1\n"))
    assert frame["t_s"].to_list() == [0.0, 89.0]
    assert "1 calls had begun before the recording and are taken at its beginning" in notes


def test_a_day_of_2019_counts_calls_by_the_minute(tmp_path):
    frame, notes = read(_write(tmp_path / "invocations_per_function_md.anon.d01.csv", DAY))
    assert frame["t_s"].to_list() == [0.0, 59 * 60.0, 119 * 60.0, 539 * 60.0, 1439 * 60.0], "times count from midnight"
    assert frame["calls"].to_list() == [3, 1, 1, 7, 12]
    assert set(frame["span_s"]) == {60.0}
    assert frame["duration_s"].null_count() == 5
    assert span_s(frame) == 86_400.0
    assert notes[1] == "24 calls of 3 functions"
    assert "called by queue 50%, http 42%, timer 8%" in notes
    assert any("--durations" in note for note in notes)


def test_a_day_in_gzip_or_with_quotes_and_blanks_is_the_same(tmp_path):
    plain = read(_write(tmp_path / "day.csv", DAY))[0]
    packed = tmp_path / "day.csv.gz"
    packed.write_bytes(gzip.compress(DAY.encode()))
    assert read(packed)[0].equals(plain)
    loose = DAY.replace(B, f'"{B}"').replace(",12\n", ", 12 \n").replace("\n", "\r\n") + "\r\n"
    (tmp_path / "loose.csv").write_bytes(loose.encode())
    assert read(tmp_path / "loose.csv")[0].equals(plain)
    packed.write_bytes(gzip.compress(DAY.encode())[:-20])
    with pytest.raises(ValueError, match=r"day\.csv\.gz: cannot be read to its end"):
        read(packed)


def test_run_times_of_the_same_day_are_joined_in_seconds(tmp_path):
    day, runs = _write(tmp_path / "day.csv", DAY), _write(tmp_path / "runs.csv", RUNS)
    report = import_file("function-trace", day, "day", tmp_path, {"durations": str(runs)})
    frame = pl.read_parquet(tmp_path / "imports" / "function-trace" / "day.parquet")
    # (1500 x 3 + 500) / 4 milliseconds.
    assert frame["duration_s"].to_list() == [1.25, 0.02, 0.02, 1.25, None]
    assert "no run time is known for 50% of calls" in report.notes
    assert report.span_s == 86_400.0


def test_ids_are_such_as_a_scenario_takes_and_tell_all_functions_apart(tmp_path):
    same = "0123456789abcdef" * 3
    rows = [(app, name) for app in (same + "0", same + "1", "App One") for name in (same + "x", same + "y", "Resize_Image")]
    text = "app,func,end_timestamp,duration\n" + "".join(f"{app},{name},{60 + at},1\n" for at, (app, name) in enumerate(rows))
    ids = read(_write(tmp_path / "t.csv", text))[0]["function_id"].to_list()
    assert len(set(ids)) == len(rows)
    assert [Function(id=each).id for each in ids] == ids
    assert ids == read(_write(tmp_path / "t.csv", text))[0]["function_id"].to_list()
    one = read(_write(tmp_path / "one.csv", "t_s,function\n5,Resize_Image\n"))[0]
    assert one["function_id"].to_list() == ["resize-image"]


def test_a_plain_table_may_leave_out_what_is_not_known(tmp_path):
    frame, notes = read(_write(tmp_path / "plain.csv", "t_s,function,duration_s\n7200.5,send,\n7210,send,0.3\n"))
    assert frame["t_s"].to_list() == [0.5, 10.0]
    assert frame["duration_s"].to_list() == [None, 0.3]
    assert notes[0] == "plain trace"
    counted = read(_write(tmp_path / "counted.csv", "t_s,function,calls,span_s\n0,send,30,60\n60,send,0,60\n"))[0]
    assert counted["calls"].to_list() == [30]
    # What was imported can be written out and read again.
    whole = tmp_path / "again.csv"
    frame.write_csv(whole)
    assert read(whole)[0].equals(frame)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OF_2021.replace("200,0", "then,0"), r"row 4, column end_timestamp: the value is 'then'; write seconds from 0 on"),
        (OF_2021.replace("200,0", "200,-1"), r"row 4, column duration: the value is '-1'; write seconds from 0 to 30 days"),
        (OF_2021.replace("200,0", "200,"), r"row 4, column duration: the value is missing"),
        (OF_2021.replace("200,0", "nan,0"), r"row 4, column end_timestamp: the value is 'nan'"),
        (OF_2021.replace("aa,f2", "aa,"), r"row 4, column func: the value is missing; name the function"),
        (OF_2021.replace("duration", "took"), r"row 1: no column duration; Azure's of 2021 has app, func, end_timestamp, duration"),
        (OF_2021.replace("app,", "apps,"), r"row 1: no column app; Azure's of 2021"),
        (DAY.replace("HashOwner,", "Owner,"), r"row 1: no column HashOwner; a day of Azure's of 2019 has HashOwner, HashApp"),
        (RUNS, r"row 1: no column 1; a day of Azure's of 2019 has"),
        ("time,function\n1,a\n", r"row 1: no column t_s; write it as CSV"),
        ("t_s,name\n1,a\n", r"row 1: no column function"),
        ("t_s,function,calls\n1,a,1.5\n", r"row 2, column calls: the value is '1.5'; write a whole number"),
        ("t_s,function,calls\n1,a,0\n", r"holds no call"),
        (_day((B, A, "http", {7: 2}), (B, B, "http", {9: "many"})), r"row 3, column 9: the value is 'many'; write a whole number of calls"),
        (_day((B, A, "http", {7: -2})), r"row 2, column 7: the value is '-2'"),
        (_day((B, A, "http", {7: ""})), r"row 2, column 7: the value is missing"),
        (_day((B, A, "http", {})), r"holds no call"),
        (_day((B, A, "http", {7: "1,2"})), r"row 2: 1445 values where the header has 1444"),
        (DAY.replace(",1440\n", ",1441\n"), r"row 1: the minutes are not 1 to 1440 in order"),
        ("", "the file is empty"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_kept(tmp_path, text, said):
    path = _write(tmp_path / "bad.csv", text)
    with pytest.raises(ValueError, match=said) as caught:
        import_file("function-trace", path, "bad", tmp_path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("bad.csv")
    assert not (tmp_path / "imports").exists()


def test_run_times_are_checked_too_and_belong_to_a_day_of_2019(tmp_path):
    day = _write(tmp_path / "day.csv", DAY)
    for text, said in (
        (RUNS.replace("20,9", "soon,9"), r"runs.csv: row 4, column Average: the value is 'soon'; write milliseconds"),
        (RUNS.replace("Average,Count", "Mean,Count"), r"runs.csv: row 1: no column Average"),
    ):
        with pytest.raises(ValueError, match=said):
            read(day, _write(tmp_path / "runs.csv", text))
    with pytest.raises(ValueError, match="no such file"):
        read(day, tmp_path / "none.csv")
    with pytest.raises(ValueError, match="goes with a day of 2019 alone"):
        read(_write(tmp_path / "t.csv", OF_2021), _write(tmp_path / "runs.csv", RUNS))


@pytest.mark.parametrize("content", [b"PAR1\x00\x01", b"\xff\xfeapp", b"\x1f\x8b broken", b"PK\x03\x04zip"])
def test_what_is_no_table_is_one_line(tmp_path, content):
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape("odd.csv")) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_imported_calls_are_replayed_when_they_were_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    import_file("function-trace", _write(tmp_path / "day.csv", DAY), "day", tmp_path, {"durations": str(_write(tmp_path / "r.csv", RUNS))})
    import_file("function-trace", _write(tmp_path / "t.csv", OF_2021), "exact", tmp_path)
    times, runs, period_s = replayed("import:day", "bbbbbbbb-aaaaaaaa", 1)
    assert np.histogram(times, [0, 60, 539 * 60, 540 * 60, 86_400])[0].tolist() == [3, 0, 7, 0]
    assert set(runs) == {1.25}
    assert period_s == 86_400.0, "it comes back a day later, though its own last call was at nine"
    times, runs, period_s = replayed("import:exact", "aa-f1", 1)
    assert times.tolist() == pytest.approx([0.0, 180.0])
    assert period_s == 240.0
    assert len(replayed("import:exact", "any-other", 1)[0]) == 4


def test_an_import_says_how_a_scenario_uses_it(tmp_path, monkeypatch):
    from app.cli import parser

    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    path, runs = _write(tmp_path / "day.csv", DAY), _write(tmp_path / "runs.csv", RUNS)
    answer = import_command(parser().parse_args(["import", "function-trace", str(path), "--name", "calls", "--durations", str(runs)]))
    assert any('trace = "import:calls"' in line for line in answer.lines)

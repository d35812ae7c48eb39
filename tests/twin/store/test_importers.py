import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from twin.clock import Clock
from twin.plant.sensed import on_clock
from twin.store import doctor
from twin.store.importers import import_file

ROWS = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0319600,3180,8\n"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text(ROWS)
    return path


def test_a_trace_is_kept_under_its_name(trace: Path, tmp_path: Path) -> None:
    report = import_file("llm-trace", trace, "azure-conv", tmp_path)
    assert (report.kind, report.name, report.rows) == ("llm-trace", "azure-conv", 2)
    assert report.span_s == pytest.approx(0.052)
    assert report.notes == ("Azure trace", "no request carries an image")
    assert report.dropped == 0
    kept = pl.read_parquet(tmp_path / "imports" / "llm-trace" / "azure-conv.parquet")
    assert kept["prompt_tokens"].to_list() == [4808, 3180]
    assert import_file("llm-trace", trace, "azure-conv", tmp_path) == report


def test_a_taken_name_is_not_overwritten(trace: Path, tmp_path: Path) -> None:
    import_file("llm-trace", trace, "conv", tmp_path)
    before = (tmp_path / "imports/llm-trace/conv.parquet").read_bytes()
    trace.write_text(ROWS.replace("4808", "4809"))
    with pytest.raises(ValueError, match="there already with other contents; choose another name"):
        import_file("llm-trace", trace, "conv", tmp_path)
    assert (tmp_path / "imports/llm-trace/conv.parquet").read_bytes() == before
    assert os.listdir(tmp_path / "imports" / "llm-trace") == ["conv.parquet"]


@pytest.mark.parametrize(
    "spoiled", ["", "a,b\n1,2\n", ROWS + "2023-11-16 18:17:05,many,8\n", ROWS + "2023-11-16 18:17:05,-4,8\n", "\0\1\2"]
)
def test_a_malformed_trace_writes_nothing(trace: Path, tmp_path: Path, spoiled: str) -> None:
    trace.write_text(spoiled)
    with pytest.raises(ValueError, match=r".") as caught:
        import_file("llm-trace", trace, "conv", tmp_path)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "imports").rglob("*")) if (tmp_path / "imports").exists() else True


@pytest.mark.parametrize("kind", ["llm-trace", "latency-profile"])
def test_a_file_that_is_no_text_is_met_with_the_accepted_forms(tmp_path: Path, kind: str) -> None:
    """Published traces are passed on as Parquet, and tables as spreadsheets."""
    accepted = {
        "llm-trace": "write it as the CSV of Azure or BurstGPT or the JSON lines of Mooncake, in UTF-8, plain or in gzip",
        "latency-profile": "write it as CSV in UTF-8, plain or in gzip",
    }[kind]
    table = pl.DataFrame({"TIMESTAMP": ["2023-11-16 18:17:03"] * 500, "ContextTokens": range(500), "GeneratedTokens": range(500)})
    table.write_parquet(tmp_path / "trace.parquet")
    (tmp_path / "trace.xlsx").write_bytes(b"PK\x03\x04\x14\x00\xff\xfe\xfa\n" * 50)
    (tmp_path / "trace.csv").write_bytes(ROWS.encode() + b"2023-11-16 18:17:05,\xff\xfe,8\n")
    (tmp_path / "trace.csv.gz").write_bytes(b"\x1f\x8b\x08broken")
    for name, what in (
        ("trace.parquet", "this is Parquet"),
        ("trace.xlsx", "this is a spreadsheet or a zip archive"),
        ("trace.csv", ""),
        ("trace.csv.gz", ""),
    ):
        with pytest.raises(ValueError, match=r".") as caught:
            import_file(kind, tmp_path / name, "x", tmp_path)
        message = str(caught.value)
        assert message.startswith(f"{name}: {what}")
        assert message.endswith(f"; {accepted}")
        assert "\n" not in message
    assert not (tmp_path / "imports").exists()


def test_unknown_kinds_names_and_files_are_refused_in_one_line(trace: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"'recipes' cannot be imported; what can: device-prices, executors, fleet, function-trace, grid-carbon"
    ):
        import_file("recipes", trace, "x", tmp_path)
    for name in ("", "../x", "A", "a" * 41, "a/b"):
        with pytest.raises(ValueError, match="is not a name for an import"):
            import_file("llm-trace", trace, name, tmp_path)
    with pytest.raises(ValueError, match="no such file"):
        import_file("llm-trace", tmp_path / "missing.csv", "x", tmp_path)


def test_every_row_of_a_trace_is_kept_or_counted(trace: Path, tmp_path: Path) -> None:
    trace.write_text("Timestamp,Request tokens,Response tokens,Model\n1,10,20,GPT-4\n2,30,0,GPT-4\n3,0,5,GPT-4\n")
    report = import_file("llm-trace", trace, "burst", tmp_path)
    assert (report.rows, report.dropped, report.span_s) == (2, 1, 2.0)
    assert report.notes == (
        "BurstGPT trace", "no request carries an image", "1 rows left out: failed, without response tokens",
        "1 prompts of 0 counted as 1", "not used: Model",
    )  # fmt: skip
    trace.write_text('{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}\n')
    report = import_file("llm-trace", trace, "mooncake", tmp_path)
    assert (report.rows, report.notes[0], report.notes[-1]) == (1, "Mooncake trace", "not used: hash_ids")


def test_an_option_that_says_nothing_about_a_kind_is_refused(trace: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^--gpu says nothing about a llm-trace; leave it out$"):
        import_file("llm-trace", trace, "conv", tmp_path, {"gpu": "h100"})


def test_the_azure_conversation_trace_is_imported_whole(test_data: Path, tmp_path: Path) -> None:
    trace = test_data / "traces" / "AzureLLMInferenceTrace_conv.csv"
    report = import_file("llm-trace", trace, "azure-conv", tmp_path)
    with trace.open() as file:
        assert report.rows == sum(1 for line in file if line.strip()) - 1


def test_a_damaged_import_is_one_line_and_the_doctor_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    path = tmp_path / "a.csv"
    path.write_text("time,sensor,value\n0,site.outside_c,20\n60,site.outside_c,21\n")
    import_file("telemetry", path, "a", tmp_path)
    assert not [finding for finding in doctor.check(tmp_path) if finding.severity == "error"]
    kept = tmp_path / "imports" / "telemetry" / "a.parquet"
    kept.write_bytes(kept.read_bytes()[:-20])
    clock = Clock(datetime(2026, 7, 14, tzinfo=UTC))
    for reads in (lambda: import_file("telemetry", path, "a", tmp_path), lambda: on_clock("a", clock)):
        with pytest.raises(ValueError, match=r"imports/telemetry/a.parquet is damaged \(.*\); move it away and import its files again"):
            reads()
    assert [finding.subject for finding in doctor.check(tmp_path) if finding.severity == "error"] == ["imports/telemetry/a"]


def test_of_two_imports_at_once_one_takes_the_name_and_the_other_is_refused(tmp_path: Path) -> None:
    """Both have looked and found the name free: the folder's lock lets one in at a time."""
    texts = {
        side: "\n".join(["time,g_per_kwh", *(f"2024-03-01 {hour:02}:00,{grams}" for hour in range(24))])
        for side, grams in (("a", 400), ("b", 500))
    }
    for side, text in texts.items():
        (tmp_path / f"{side}.csv").write_text(text)
    script = "import sys; from pathlib import Path; from twin.store.importers import import_file; sys.stdin.readline(); "
    script += "import_file('grid-carbon', Path(sys.argv[1]), 'g', Path(sys.argv[2]))"
    code = [sys.executable, "-c", script]
    both = [
        subprocess.Popen([*code, str(tmp_path / f"{side}.csv"), str(tmp_path)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for side in texts
    ]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1]
    assert sum("is there already with other contents" in text for text in said) == 1


def test_a_name_is_one_word(trace: Path, tmp_path: Path) -> None:
    for name in ("abc\n", "", "a/b", "..", "A"):
        with pytest.raises(ValueError, match="is not a name for an import"):
            import_file("llm-trace", trace, name, tmp_path)


def test_an_import_that_is_killed_leaves_what_was_there(tmp_path: Path) -> None:
    path, kept = tmp_path / "a.csv", tmp_path / "imports" / "telemetry" / "a.parquet"
    path.write_text("time,sensor,value\n0,site.outside_c,20\n")
    import_file("telemetry", path, "a", tmp_path)
    before = kept.read_bytes()
    path.write_text("time,sensor,value\n60,site.outside_c,20\n")
    script = "import os, signal, sys; from pathlib import Path; from twin.store import files, importers; whole = files.write_parquet; "
    script += "files.write_parquet = lambda path, frame: (whole(path, frame), os.kill(os.getpid(), signal.SIGKILL)); "
    script += "importers.import_file('telemetry', Path(sys.argv[1]), 'a', Path(sys.argv[2]))"
    assert subprocess.run([sys.executable, "-c", script, str(path), str(tmp_path)], check=False, timeout=60).returncode == -signal.SIGKILL
    assert kept.read_bytes() == before
    assert [finding.severity for finding in doctor.check(tmp_path) if finding.subject.startswith("telemetry/")] == ["warning"]
    doctor.check(tmp_path, repair=True)
    assert [item.name for item in kept.parent.iterdir()] == ["a.parquet"]
    assert import_file("telemetry", path, "a", tmp_path).rows == 2  # no lock outlives its process

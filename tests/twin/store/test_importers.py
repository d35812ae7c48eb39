import os
from pathlib import Path

import polars as pl
import pytest

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
    with pytest.raises(ValueError, match=r"'incidents' cannot be imported; what can: fleet, grid-carbon, latency-profile, llm-trace"):
        import_file("incidents", trace, "x", tmp_path)
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

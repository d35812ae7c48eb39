"""Traces: each published form is read, each malformed row is named, nothing is lost silently."""

import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.serving.traces import read, read_azure


def written(folder: Path, text: str, name: str = "trace.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_form_of_2023_is_read(tmp_path: Path) -> None:
    path = written(
        tmp_path, "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n"
    )
    frame = read_azure(path)
    assert frame.columns == ["t_s", "prompt_tokens", "output_tokens", "images"]
    assert frame["t_s"].to_list() == pytest.approx([0.0, 4.314579], abs=1e-9)
    assert frame.row(1)[1:] == (396, 109, 0)


def test_the_form_of_2024_with_an_offset_is_read_in_order_of_time(tmp_path: Path) -> None:
    path = written(
        tmp_path, "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:01.5+00:00,7,1\n2024-05-10 00:00:00.009930+00:00,9,0\n"
    )
    frame = read_azure(path)
    assert frame["t_s"].to_list() == pytest.approx([0.0, 1.49007])
    assert frame["prompt_tokens"].to_list() == [9, 7]
    assert frame["output_tokens"].to_list() == [1, 1]


def test_the_form_of_2025_keeps_images_and_may_be_compressed(tmp_path: Path) -> None:
    path = tmp_path / "multimodal.csv.gz"
    path.write_bytes(
        gzip.compress(
            b"TIMESTAMP,NumImages,ContextTokens,GeneratedTokens\n2024-10-15T12:00:00.269Z,0,770,491\n2024-10-15T12:00:01Z,1,949,126\n"
        )
    )
    frame = read_azure(path)
    assert frame["images"].to_list() == [0, 1]
    assert frame["t_s"].to_list() == pytest.approx([0.0, 0.731])


GOOD = "2023-11-16 18:15:46.6805900,374,44\n"


@pytest.mark.parametrize(
    ("row", "names"),
    [
        ("2023-11-16 18:15:47,12x,44\n", "trace.csv: row 3, column ContextTokens: the value is '12x'; write a whole number"),
        ("2023-11-16 18:15:47,-5,44\n", "row 3, column ContextTokens: the value is '-5'"),
        ("2023-11-16 18:15:47,5,4.5\n", "row 3, column GeneratedTokens: the value is '4.5'"),
        ("2023-11-16 18:15:47,5,99999999999999999999\n", "row 3, column GeneratedTokens"),
        ("2023-11-16 18:15:47,5\n", "row 3, column GeneratedTokens: the value is missing"),
        ("2023-13-16 18:15:47,5,6\n", "row 3, column TIMESTAMP: the value is '2023-13-16 18:15:47'; write YYYY-MM-DD"),
        ("yesterday,5,6\n", "row 3, column TIMESTAMP: the value is 'yesterday'"),
        (
            "2023-11-16 18:15:47+01:00,5,6\n",
            "the value is '2023-11-16 18:15:47+01:00'; write every time with the same",
        ),
        (",5,6\n", "row 3, column TIMESTAMP: the value is missing"),
        ("2023-11-16 18:15:47,5,6,7,8\n", "row 3: 5 values where the header has 3; remove the row"),
    ],
)
def test_a_malformed_row_is_one_line_with_its_place_and_remedy(tmp_path: Path, row: str, names: str) -> None:
    path = written(tmp_path, f"TIMESTAMP,ContextTokens,GeneratedTokens\n{GOOD}{row}{GOOD}")
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        read_azure(path)
    assert names in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "the file is empty"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n", "no requests below the header"),
        ('"TIMESTAMP\nContextTokens,GeneratedTokens"\n1\n', "row 1: the columns are TIMESTAMP ContextTokens,GeneratedTokens"),
        ("TIMESTAMP, TIMESTAMP ,GeneratedTokens\n1,2,3\n", "row 1: the column TIMESTAMP is there twice; remove one"),
        ("time,tokens\n1,2\n", "row 1: the columns are time,tokens; an Azure LLM trace has TIMESTAMP,ContextTokens,GeneratedTokens or"),
    ],
)
def test_a_file_that_is_no_trace_says_what_one_has(tmp_path: Path, text: str, names: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        read_azure(written(tmp_path, text))
    assert names in str(caught.value)


def test_bytes_that_are_no_text_and_a_missing_file_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "binary.csv"
    path.write_bytes(b"TIMESTAMP,ContextTokens,GeneratedTokens\n\xff\xfe\x00,1,2\n")
    for bad in (path, tmp_path / "absent.csv"):
        with pytest.raises(ValueError, match=r"^(binary|absent)\.csv: [^\n]+$"):
            read_azure(bad)


def test_the_published_conversation_trace_is_read_whole(azure_conversation: Path) -> None:
    """19,366 requests over 3,501.7 s, 22.36 M prompt and 4.09 M output tokens (AzurePublicDataset)."""
    frame = read_azure(azure_conversation)
    assert frame.height == 19_366
    assert frame["t_s"][-1] == pytest.approx(3501.7, abs=0.1)
    assert frame["prompt_tokens"].sum() == pytest.approx(22.36e6, rel=0.001)
    assert frame["output_tokens"].sum() == pytest.approx(4.09e6, rel=0.001)


MOONCAKE = (
    '{"timestamp": 0, "input_length": 6755, "output_length": 500, "hash_ids": [0, 1, 2]}\n'
    '{"timestamp": 3000, "input_length": 7319, "output_length": 490, "hash_ids": [0, 14]}\n'
    '{"timestamp": 1500, "input_length": 10, "output_length": 0, "hash_ids": []}\n'
)
BURSTGPT = (
    "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,1,2.5,ChatGPT,472,18,490,Conversation log\n"
    "45,,3.1,GPT-4,1087,0,1087,API log\n"
    "118.5,2,4,GPT-4,417,276,693,Conversation log\n"
)


@pytest.mark.parametrize("packed", [False, True])
def test_a_mooncake_trace_is_read_by_its_contents(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "trace.bin"
    path.write_bytes(gzip.compress(MOONCAKE.encode()) if packed else MOONCAKE.encode())
    trace = read(path)
    assert (trace.form, trace.unused) == ("Mooncake", ("hash_ids",))
    assert trace.requests.rows() == [(0.0, 6755, 500, 0), (1.5, 10, 1, 0), (3.0, 7319, 490, 0)]
    assert trace.changed == {"answers of 0 counted as 1": 1}
    assert not trace.dropped


@pytest.mark.parametrize("packed", [False, True])
def test_failed_requests_of_burstgpt_are_left_out_and_counted(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "BurstGPT.csv"
    path.write_bytes(gzip.compress(BURSTGPT.encode()) if packed else BURSTGPT.encode())
    trace = read(path)
    assert trace.form == "BurstGPT"
    assert trace.requests.rows() == [(0.0, 472, 18, 0), (113.5, 417, 276, 0)]
    assert trace.dropped == {"failed, without response tokens": 1}
    assert trace.unused == ("Session ID", "Elapsed time", "Model", "Total tokens", "Log Type")


def test_an_older_burstgpt_without_sessions_is_read(tmp_path: Path) -> None:
    trace = read(written(tmp_path, "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,API log\n"))
    assert trace.requests.rows() == [(0.0, 472, 18, 0)]


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"])
def test_blank_lines_at_the_end_and_a_byte_order_mark_are_no_rows(tmp_path: Path, end: str) -> None:
    for text in ("\ufeffTimestamp,Request tokens,Response tokens\n7,2,3" + end, "\ufeff" + GOOD_LINE.replace(": 1", ": 3", 1) + end):
        assert read(written(tmp_path, text)).requests.height == 1


def test_an_azure_trace_is_read_as_before(tmp_path: Path) -> None:
    path = written(tmp_path, f"TIMESTAMP,ContextTokens,GeneratedTokens\n{GOOD}2023-11-16 18:15:47.0,0,44\n")
    trace = read(path)
    assert trace.form == "Azure"
    assert trace.requests.equals(read_azure(path))
    assert trace.changed == {"prompts of 0 counted as 1": 1}


GOOD_LINE = '{"timestamp": 0, "input_length": 1, "output_length": 1}\n'


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ('{"timestamp": 5, "input_length": 1\n', "line 2, column"),
        ("7\n", "line 2: not a JSON object; write one with timestamp, input_length, output_length"),
        ('{"timestamp": 5, "input_length": 1}\n', "line 2, output_length: the value is missing; write a whole number from 0"),
        ('{"timestamp": 5, "input_length": -1, "output_length": 1}\n', "line 2, input_length: the value is -1"),
        ('{"timestamp": 5, "input_length": 1.5, "output_length": 1}\n', "line 2, input_length: the value is 1.5"),
        ('{"timestamp": 5, "input_length": true, "output_length": 1}\n', "line 2, input_length: the value is true"),
        ('{"timestamp": "now", "input_length": 1, "output_length": 1}\n', 'line 2, timestamp: the value is "now"; write milliseconds'),
        ('{"timestamp": NaN, "input_length": 1, "output_length": 1}\n', "line 2, timestamp: the value is NaN"),
        ('{"timestamp": 1e999, "input_length": 1, "output_length": 1}\n', "line 2, timestamp"),
        ("[" * 100_000 + "\n", "line 2"),
    ],
)
def test_a_malformed_line_of_mooncake_is_named(tmp_path: Path, line: str, names: str) -> None:
    with pytest.raises(ValueError, match=r"^trace\.jsonl: [^\n]+$") as caught:
        read(written(tmp_path, GOOD_LINE + line + GOOD_LINE, "trace.jsonl"))
    assert names in str(caught.value)


@pytest.mark.parametrize(
    ("row", "names"),
    [
        ("noon,1,1\n", "row 3, column Timestamp: the value is 'noon'; write seconds"),
        ("-1,1,1\n", "row 3, column Timestamp: the value is '-1'"),
        ("inf,1,1\n", "row 3, column Timestamp"),
        ("1,1.5,1\n", "row 3, column Request tokens: the value is '1.5'"),
        ("1,1\n", "row 3, column Response tokens: the value is missing"),
        ("1,1,1,1\n", "row 3: 4 values where the header has 3"),
    ],
)
def test_a_malformed_row_of_burstgpt_is_named(tmp_path: Path, row: str, names: str) -> None:
    with pytest.raises(ValueError, match=r"^trace\.csv: [^\n]+$") as caught:
        read(written(tmp_path, f"Timestamp,Request tokens,Response tokens\n0,1,1\n{row}"))
    assert names in str(caught.value)


def test_a_burstgpt_trace_of_failures_only_or_without_times_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="all 1 requests failed"):
        read(written(tmp_path, "Timestamp,Request tokens,Response tokens\n0,1,0\n"))
    with pytest.raises(ValueError, match="row 1: no column Timestamp"):
        read(written(tmp_path, "Time,Request tokens,Response tokens\n0,1,1\n"))


@pytest.mark.parametrize(
    "content", [b"", b"\x1f\x8bbroken", b"{\xff\xfe", b"\x00\x01", gzip.compress(MOONCAKE.encode())[:40], b"{}", b"\n\n"]
)
def test_a_file_that_is_no_trace_at_all_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trace"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^trace: [^\n]+$"):
        read(path)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**6), st.integers(0, 10**4)), min_size=1, max_size=30), st.booleans())
def test_times_rise_tokens_are_there_and_every_row_is_accounted_for(rows: list[tuple[int, int, int]], mooncake: bool) -> None:
    names = ("timestamp", "input_length", "output_length") if mooncake else ("Timestamp", "Request tokens", "Response tokens")
    if mooncake:
        text = "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)
    else:
        rows = [*rows, (0, 1, 1)]
        text = "".join(",".join(map(str, row)) + "\n" for row in (names, *rows))
    with TemporaryDirectory() as folder:
        trace = read(written(Path(folder), text))
    assert trace.requests.height + sum(trace.dropped.values()) == len(rows)
    assert trace.requests["t_s"].is_sorted()
    assert trace.requests["t_s"][0] == 0.0
    assert trace.requests.select(pl.min_horizontal("prompt_tokens", "output_tokens").min()).item() >= 1
    kept = rows if mooncake else [row for row in rows if row[2] > 0]
    assert trace.requests["prompt_tokens"].sum() == sum(max(1, row[1]) for row in kept)
    assert trace.requests["output_tokens"].sum() == sum(max(1, row[2]) for row in kept)

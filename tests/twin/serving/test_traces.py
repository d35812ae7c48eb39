"""Azure traces: each published form is read, each malformed row is named."""

import gzip
from pathlib import Path

import pytest

from twin.serving.traces import read_azure


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

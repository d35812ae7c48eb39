"""Logs of hints and answers from outside."""

from pathlib import Path

import polars as pl
import pytest

from twin.store.hints_file import read
from twin.store.importers import import_file

GOOD = """t_s,what,scope,of_id,key,value,notice,answer
9.5,answer,vm,batch-7,,,eviction,accepted
0,hint,deployment,batch-a,stateless,Partial,,
0,hint,deployment,batch-a,preemptibility_share,0.25,,
1,hint,vm,batch-7,preemptible,yes,,
2,hint,vm,batch-7,preemptible,,,
12,answer,workload,batch,,,41,declined
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "monday.csv"
    path.write_text(text)
    return path


def test_values_are_read_in_words_and_numbers(tmp_path: Path) -> None:
    log, notes = read(written(tmp_path, GOOD))
    assert log["t_s"].to_list() == [0.0, 0.0, 1.0, 2.0, 9.5, 12.0]
    assert log["value"].to_list() == [1.0, 0.25, 1.0, None, None, None]
    assert log["notice"].to_list()[4:] == ["eviction", "41"]
    assert notes == ("4 hints (1 taken back) and 2 answers of 3 VMs, deployments and workloads",)


def test_parquet_reads_as_csv_does(tmp_path: Path) -> None:
    log, _ = read(written(tmp_path, GOOD))
    log.with_columns(vendor=pl.lit("x")).write_parquet(tmp_path / "monday.parquet")
    again, notes = read(tmp_path / "monday.parquet")
    assert again.equals(log)
    assert notes[1] == "not used: vendor"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("9.5,answer", "soon,answer", "row 2, column t_s: the value is 'soon'; write seconds since the start of the run"),
        ("9.5,answer", "nan,answer", "row 2, column t_s: the value is 'nan'"),
        ("1,hint", "-1,hint", "row 5, column t_s: the value is '-1'"),
        ("1,hint", "1,rumour", "row 5, column what: the value is 'rumour'; write hint or answer"),
        ("deployment", "rack", "row 3, column scope: the value is 'rack'; write one of workload, deployment, vm"),
        ("batch-a", "", "row 3, column of_id: the value is missing; name the workload"),
        ("stateless", "state", "row 3, column key: the value is 'state'; write one of stateless"),
        ("stateless", "", "row 3, column key: the value is missing"),
        (
            "Partial",
            "partly",
            "row 3, column value: the value is 'partly'; stateless is none, partial or full; leave it empty",
        ),
        ("Partial", "1.5", "row 3, column value: the value is '1.5'"),
        ("0.25", "1.25", "row 4, column value: the value is '1.25'; preemptibility_share is a number from 0 to 1"),
        ("0.25", "partial", "row 4, column value: the value is 'partial'"),
        ("0.25", "inf", "row 4, column value: the value is 'inf'"),
        ("yes", "2", "row 5, column value: the value is '2'; preemptible is yes or no"),
        ("0,hint,deployment,batch-a,pre", "0,hint,vm,batch-a,pre", "row 4, column key: .* it is of a deployment or workload"),
        ("yes,,", "yes,eviction,", "row 5, column notice: the value is 'eviction'; only an answer has one, leave it empty"),
        ("batch-7,,,eviction", "batch-7,stateless,,eviction", "row 2, column key: the value is 'stateless'; only a hint has one"),
        ("batch-7,,,eviction", "batch-7,,1,eviction", "row 2, column value: the value is '1'; only a hint has one"),
        ("eviction,accepted", "eviction,perhaps", "row 2, column answer: the value is 'perhaps'; write accepted or declined"),
        ("41,declined", "-41,declined", "row 7, column notice: the value is '-41'; write a message's number or one of eviction"),
        ("t_s,what", "time,what", "no column t_s; write it with t_s, what, scope"),
    ],
)
def test_the_first_wrong_value_is_named_and_nothing_is_written(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ValueError, match=rf"^monday\.csv: {said}") as caught:
        import_file("hints-log", path, "ours", tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "imports").exists()


def test_what_is_no_table_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 torn")
    for name, content in (("torn.parquet", b"PAR1 torn"), ("text.csv", b"\xff\xfet_s")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"^{name}: .*; write it as CSV or Parquet with t_s, what") as caught:
            read(tmp_path / name)
        assert "\n" not in str(caught.value)

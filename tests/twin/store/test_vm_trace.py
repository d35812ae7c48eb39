"""VM traces as their publishers write them, and what is said of a bad row."""

import gzip
import sqlite3
from pathlib import Path

import polars as pl
import pytest

from twin.store.importers import import_file
from twin.store.vm_trace import GIB, read

# Eleven values without a header: AzurePublicDatasetV1.md and V2.md.
V1 = "a1,s1,d1,0,2591700,91.7,0.7,20.2,Delay-insensitive,2,3.5\nb2,s1,d1,600,1200,9.0,1.1,5.0,Interactive,1,1.75\n"
V2 = V1 + 'c3,s2,d2,900,900,9.0,1.1,5.0,Unknown,>24,">64"\n'
PLAIN = "arrive_s,duration_s,vcpus,memory_gb,tenant\n100,600,2,8,x\n50,60.5,1,1.75,y\n"


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_azures_table_of_vms_is_read_without_a_header(tmp_path):
    frame, notes = read(_write(tmp_path / "vmtable.csv", V1))
    assert frame["arrive_s"].to_list() == [0.0, 600.0]
    assert frame["arrive_within_s"].to_list() == [0.0, 300.0], "those that stand at the beginning stand there at once"
    assert frame["life_s"].to_list() == [2591700.0, 600.0]
    assert frame["life_longest_s"].to_list() == [2592000.0, 900.0]
    assert frame["vcpus"].to_list() == [2, 1]
    assert frame["memory_bytes"].to_list() == [int(3.5 * GIB), int(1.75 * GIB)]
    assert frame["tenant"].n_unique() == 1
    assert frame["cut_off"].to_list() == [True, False]
    assert notes[0] == "Azure vmtable trace"
    packed = tmp_path / "vmtable.csv.gz"
    packed.write_bytes(gzip.compress(V1.encode()))
    assert read(packed)[0].equals(frame)


def test_the_buckets_of_2019_are_taken_at_their_edge_and_that_is_said(tmp_path):
    frame, notes = read(_write(tmp_path / "v2.csv", V2))
    assert frame.filter(frame["vcpus"] == 24)["memory_bytes"].to_list() == [64 * GIB]
    assert any("1 VMs lie above the last bucket" in note for note in notes)


def _packing(path: Path, rows: list[tuple[object, ...]]) -> Path:
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE vm (vmId, tenantId, vmTypeId, priority, starttime, endtime)")
        base.execute("CREATE TABLE vmType (id, vmTypeId, machineId, core, memory, hdd, ssd, nic)")
        base.executemany("INSERT INTO vm VALUES (?,?,?,?,?,?)", rows)
        base.executemany(
            "INSERT INTO vmType VALUES (?,?,?,?,?,?,?,?)",
            [(1, 7, 2, 0.5, 0.5, 0, 0, 0), (2, 7, 1, 0.25, 0.125, 0, 0, 0), (3, 8, 1, 0.01, 0.001, 0, 0, 0)],
        )
    base.close()
    return path


def test_the_packing_trace_counts_in_parts_of_a_machine_and_in_days(tmp_path):
    rows = [(1, 5, 7, 0, -3.0, 1.5), (2, 5, 8, 1, 0.5, 0.75), (3, 6, 7, 0, 2.0, None), (4, 6, 7, 0, -4.0, -1.0)]
    frame, notes = read(_packing(tmp_path / "trace.sqlite", rows))
    assert frame["arrive_s"].to_list() == [0.0, 43_200.0, 172_800.0]
    assert frame["life_s"].to_list() == [1.5 * 86_400.0, 0.25 * 86_400.0, 88 * 86_400.0]
    assert frame["vcpus"].to_list() == [10, 1, 10], "a quarter of 40 vCPUs, on the machine with the lowest id; never less than one"
    assert frame["memory_bytes"][0] == 32 * GIB
    assert frame["cut_off"].to_list() == [False, False, True]
    assert "1 VMs that ended before the recording began are left out" in notes
    assert "sizes are parts of a machine, taken as 40 vCPUs and 256 GB" in notes


def test_a_plain_table_needs_no_tenant_and_may_say_ends_bytes_or_be_parquet(tmp_path):
    frame, _ = read(_write(tmp_path / "plain.csv", PLAIN))
    assert frame["arrive_s"].to_list() == [0.0, 50.0]
    assert frame["life_s"].to_list() == [60.5, 600.0]
    assert frame["life_longest_s"].equals(frame["life_s"].rename("life_longest_s"))
    table = pl.DataFrame({"arrive_s": [50.0, 100.0], "end_s": [110.5, 700.0], "vcpus": [1, 2], "memory_bytes": [int(1.75 * GIB), 8 * GIB]})
    table.write_parquet(tmp_path / "plain.parquet")
    same, _ = read(tmp_path / "plain.parquet")
    assert same.drop("tenant").equals(frame.drop("tenant"))
    assert same["tenant"].n_unique() == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLAIN.replace("60.5", "-1"), r"row 3, column duration_s: the value is '-1'"),
        (PLAIN.replace("60.5", "0"), r"row 3, column duration_s: the value is '0'; a VM ends after it arrives"),
        (PLAIN.replace("2,8,x", "0,8,x"), r"row 2, column vcpus: the value is '0'; write a number above 0"),
        (PLAIN.replace("2,8,x", "2,,x"), r"row 2, column memory_gb: the value is missing"),
        (PLAIN.replace("2,8,x", "2,nan,x"), r"row 2, column memory_gb: the value is 'nan'"),
        (PLAIN.replace("vcpus", "cores"), r"row 1: no column vcpus"),
        (V1.replace("b2,s1,d1,600,1200", "b2,s1,d1,600,then"), r"row 2, column vmdeleted: the value is 'then'"),
        (V1.replace("600,1200", "1200,600"), r"row 2, column vmdeleted: the value is '600'; a VM ends after it arrives"),
        (V1.replace("1,1.75", "many,1.75"), r"row 2, column vmcorecountbucket: the value is 'many'"),
        ("", "the file is empty"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_kept(tmp_path, text, said):
    path = _write(tmp_path / "bad.csv", text)
    with pytest.raises(ValueError, match=said) as caught:
        import_file("vm-trace", path, "bad", tmp_path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("bad.csv")
    assert not (tmp_path / "imports").exists()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((1, 5, 9, 0, 0.0, 1.0), "row 1, column core: the value is missing"),
        ((1, 5, 7, 0, None, 1.0), "row 1, column starttime: the value is missing"),
        ((1, 5, 7, 0, 2.0, 1.0), "row 1, column endtime: the value is '1.0'; a VM ends after it arrives"),
    ],
)
def test_a_bad_row_of_the_packing_trace_is_named(tmp_path, row, said):
    with pytest.raises(ValueError, match=said):
        read(_packing(tmp_path / "trace.sqlite", [row]))


def test_a_database_of_something_else_is_one_line(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE things (a)")
    base.close()
    with pytest.raises(ValueError, match=r"cannot be read as a packing trace .no such table: vm.*; it has the tables vm and vmType"):
        read(path)


def test_the_real_trace_is_kept_whole(test_data, tmp_path):
    """669,435 VMs over 9.16 days, 5.6 % of them cut off (facts sheet on CXL pods, 5)."""
    path = test_data / "traces" / "azure_v1_vm_arrivals.parquet"
    report = import_file("vm-trace", path, "azure-v1", tmp_path)
    assert report.rows == 669_435
    assert report.span_s / 86_400.0 == pytest.approx(9.16, abs=0.01)
    kept = pl.read_parquet(tmp_path / "imports" / "vm-trace" / "azure-v1.parquet")
    assert kept["cut_off"].mean() == pytest.approx(0.056, abs=0.001)
    assert kept["tenant"].n_unique() == 136_055
    assert kept["arrive_s"].is_sorted()
    assert ((kept["memory_bytes"] / kept["vcpus"] / GIB - 1.75).abs() < 1e-9).mean() == pytest.approx(0.9585, abs=0.001)


def test_a_trace_that_begins_with_nobody_says_for_how_long_hosts_fill_up(tmp_path):
    """One VM comes each minute and stays ten hours: after nine of them nine tenths of all stand."""
    header = "arrive_s,duration_s,vcpus,memory_gb\n"
    empty = header + "".join(f"{60 * i},36000,2,4\n" for i in range(3000))
    steady = header + "".join(f"0,{60 * (i + 1)},2,4\n" for i in range(600)) + "".join(f"{60 * i},36000,2,4\n" for i in range(3000))
    fills = [[note for note in read(_write(tmp_path / "plain.csv", text))[1] if "fill up" in note] for text in (empty, steady)]
    assert len(fills[0]) == 1
    assert "hosts fill up for 9 h" in fills[0][0]
    assert not fills[1]


@pytest.mark.parametrize("content", [b"\x00\r\x01,\r\xff" * 40, b"arrive_s,end_s\r1,2\r"])
def test_what_is_no_table_at_all_is_one_line(tmp_path, content):
    file = tmp_path / "trace.csv"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"^trace\.csv: [^\n]+$"):
        read(file)

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from twin.run import Run
from twin.store import doctor, files, runs

Maker = Callable[..., Run]


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_comes_back_as_it_was_saved(make_run: Maker, tmp_path: Path) -> None:
    run = make_run()
    runs.save(run, tmp_path)
    again = runs.load(run.run_id, tmp_path)
    assert again.manifest == run.manifest
    assert again.metrics == run.metrics
    assert sorted(again.tables) == sorted(run.tables)
    for name, table in run.tables.items():
        assert again.tables[name].collect().equals(table.collect())
        assert again.tables[name].collect_schema() == table.collect_schema()
    assert list(again.snapshots) == [300]
    assert again.snapshots[300]["plant"]["temp_c"].tolist() == [51.0, 60.0]
    assert runs.load_snapshot(run.run_id, 300, tmp_path)["plant"]["queue"] == [1, 2.5, None, True]


def test_same_run_same_bytes_and_another_seed_other_bytes(make_run: Maker, tmp_path: Path) -> None:
    first = content(runs.save(make_run(), tmp_path / "a"))
    assert content(runs.save(make_run(), tmp_path / "b")) == first
    other = content(runs.save(make_run(seed=2), tmp_path / "c"))
    assert other["rows.parquet"] != first["rows.parquet"]
    assert other["manifest.json"] != first["manifest.json"]


def test_a_loaded_run_saves_to_the_same_bytes(make_run: Maker, tmp_path: Path) -> None:
    first = runs.save(make_run(), tmp_path / "a")
    assert content(runs.save(runs.load(first.name, tmp_path / "a"), tmp_path / "b")) == content(first)


def test_chunks_in_memory_do_not_reach_the_file(tmp_path: Path) -> None:
    whole = pl.DataFrame({"t_s": [float(i) for i in range(1000)], "name": [f"row-{i % 7}" for i in range(1000)]})
    pieces = pl.concat([whole[:313], whole[313:]], rechunk=False)
    files.write_parquet(tmp_path / "a.parquet", whole)
    files.write_parquet(tmp_path / "b.parquet", pieces)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_saving_again_leaves_the_run_and_other_contents_are_refused(make_run: Maker, tmp_path: Path) -> None:
    folder = runs.save(make_run(), tmp_path)
    before = content(folder)
    runs.save(make_run(), tmp_path)
    with pytest.raises(ValueError, match=r"stored already with other contents"):
        runs.save(make_run(seed=2), tmp_path)
    assert content(folder) == before
    assert os.listdir(tmp_path / "runs") == [folder.name]


def test_a_metric_that_is_not_a_number_is_named_and_nothing_is_stored(make_run: Maker, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"plant\.pue is not a finite number"):
        runs.save(make_run(**{"plant.pue": float("nan")}), tmp_path)
    assert os.listdir(tmp_path / "runs") == []


def test_runs_are_found_by_the_beginning_of_their_id(make_run: Maker, tmp_path: Path) -> None:
    for run_id in ("aaaa00000000", "aaab00000000"):
        runs.save(make_run(run_id), tmp_path)
    assert runs.resolve("aaab", tmp_path) == "aaab00000000"
    for prefix, said in (("aaa", "write more digits"), ("b", "no stored run"), ("../x", "not a run id")):
        with pytest.raises(ValueError, match=said):
            runs.resolve(prefix, tmp_path)
    with pytest.raises(ValueError, match="not a run id"):
        runs.load("../../etc", tmp_path)
    with pytest.raises(ValueError, match="not stored"):
        runs.load("cccc00000000", tmp_path)
    with pytest.raises(ValueError, match=r"no snapshot at 60 s \(there are: 300\)"):
        runs.load_snapshot("aaaa00000000", 60, tmp_path)


def test_a_list_of_runs_says_what_each_is_and_skips_damaged_ones(make_run: Maker, tmp_path: Path) -> None:
    for seed in range(1, 4):
        runs.save(make_run(f"aaaa0000000{seed}", seed), tmp_path)
    (tmp_path / "runs" / "aaaa00000002" / "manifest.json").write_text("{")
    listed = runs.list_runs(tmp_path)
    assert {(item.run_id, item.seed) for item in listed} == {("aaaa00000001", 1), ("aaaa00000003", 3)}
    assert listed[0].scenario == "tiny"
    assert listed[0].metrics == {"plant.pue": 1.25}
    assert runs.list_runs(tmp_path) == listed
    assert runs.list_runs(tmp_path / "nowhere") == []


def test_verify_names_what_was_changed_removed_and_added(make_run: Maker, tmp_path: Path) -> None:
    folder = runs.save(make_run(), tmp_path)
    assert runs.verify(folder.name, tmp_path) == []
    (folder / "metrics.json").write_text("{}")
    (folder / "requests.parquet").unlink()
    (folder / "note.txt").write_text("hello")
    assert runs.verify(folder.name, tmp_path) == ["requests.parquet is missing", "metrics.json has changed", "note.txt was added"]
    errors = [finding for finding in doctor.check(tmp_path) if finding.severity == "error"]
    assert [finding.subject for finding in errors] == [f"runs/{folder.name}"]


def test_workers_that_save_the_same_run_at_once_leave_it_whole(make_run: Maker, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as workers:
        folders = set(workers.map(lambda _: runs.save(make_run(), tmp_path), range(8)))
    assert len(folders) == 1
    assert runs.verify(folders.pop().name, tmp_path) == []
    assert len(os.listdir(tmp_path / "runs")) == 1


CRASH = """
import os, sys
from pathlib import Path
from twin.store import files
with files.aside(Path(sys.argv[1]) / "runs") as folder:
    (folder / "manifest.json").write_text("{}")
    print("writing", flush=True)
    sys.stdin.readline()
    os._exit(1)
"""


def test_a_crash_leaves_no_half_run_and_doctor_removes_what_it_left(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CRASH, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "writing\n"
    doctor.check(tmp_path, repair=True)
    assert len(os.listdir(tmp_path / "runs")) == 1, "what a living process writes is left alone"
    child.communicate("go\n")
    assert runs.list_runs(tmp_path) == []
    left = [finding for finding in doctor.check(tmp_path) if finding.severity == "warning" and "left behind" in finding.text]
    assert len(left) == 1
    assert not left[0].repaired
    assert all(f.repaired for f in doctor.check(tmp_path, repair=True) if "left behind" in f.text)
    assert os.listdir(tmp_path / "runs") == []


def test_a_home_without_anything_is_in_order(tmp_path: Path) -> None:
    assert {finding.severity for finding in doctor.check(tmp_path / "new") if finding.subject != "disk"} == {"ok"}


def test_the_manifest_is_canonical(make_run: Maker, tmp_path: Path) -> None:
    text = (runs.save(make_run(), tmp_path) / "manifest.json").read_text()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"

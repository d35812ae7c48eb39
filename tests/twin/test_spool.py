import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from policies import study
from policies.policy import TODAY, Schedule
from twin import run as twin_run
from twin.scenario import Scenario
from twin.spool import Spool, group_rows, leftovers, write_table
from twin.store import doctor, files, runs
from twin.tables import Column, Sink, Table, TooLargeError

Hall = Callable[..., Scenario]
COLUMNS = (
    Column("t_s", pl.Float64, "time"),
    Column("gpu_id", pl.String, "GPU", "gpu"),
    Column("temp_max_c", pl.Float32, "temperature"),
    Column("state", pl.String, "in words"),
)
GPUS, FEW = Table("gpus", "per minute", COLUMNS), Table("few", "per day", COLUMNS)
IDS = {"gpu": tuple(f"gpu-{g}" for g in range(1000))}
# Several row groups, in pieces that share no divisor with them.
PIECE, PIECES = 77_777, 7


def _piece(number: int, rows: int = PIECE) -> dict[str, np.ndarray]:
    random = np.random.default_rng(number)
    words = np.array(["cool", "hot"], dtype=object)
    return {
        "t_s": np.full(rows, 60.0 * number),
        "gpu_id": random.integers(0, 1000, rows).astype(np.uint32),
        "temp_max_c": random.normal(60.0, 5.0, rows),
        "state": words[random.integers(0, 2, rows)],
    }


def _filled(spool: Spool | None, hold_bytes: int) -> Sink:
    sink = Sink(IDS, spool, hold_bytes)
    for number in range(PIECES):
        sink.append(GPUS, _piece(number))
        sink.append(FEW, _piece(number, 3))
    return sink


@pytest.mark.parametrize("hold_bytes", [1, 5_000_000, 12_000_000])
def test_a_table_is_the_same_file_however_much_of_it_was_held(hold_bytes: int, tmp_path: Path) -> None:
    plain, spool = _filled(None, 1).frames(), Spool(tmp_path)
    tables = _filled(spool, hold_bytes).tables()
    assert set(spool.files) == {"gpus"}
    assert sorted(tables) == sorted(plain)
    for name, frame in tables.items():
        assert frame.collect_schema() == plain[name].schema
        assert frame.collect().equals(plain[name])
    write_table(tmp_path / "whole.parquet", plain["gpus"])
    assert spool.files["gpus"].read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_no_more_is_held_than_asked_for_and_what_is_short_of_a_row_group(tmp_path: Path) -> None:
    sink = Sink(IDS, Spool(tmp_path), hold_bytes=1)
    for number in range(3 * PIECES):
        sink.append(GPUS, _piece(number))
        assert sink.held_rows < group_rows(GPUS.schema()) + PIECE
    sink.append(FEW, _piece(0, 5))
    assert sink.tables()["gpus"].select(pl.len()).collect().item() == 3 * PIECES * PIECE


def test_nothing_is_written_while_all_of_it_may_be_held(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert _filled(spool, 1 << 30).tables()["gpus"].collect().height == PIECE * PIECES
    assert not spool.files
    assert not list(tmp_path.iterdir())


def test_files_go_with_the_last_who_holds_the_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    tables = _filled(spool, 1).tables()
    folder = spool.files["gpus"].parent
    assert folder.parent == tmp_path
    assert not leftovers(tmp_path)
    del spool, tables
    gc.collect()
    assert not folder.exists()


def test_a_discarded_sink_leaves_nothing(tmp_path: Path) -> None:
    sink = _filled(Spool(tmp_path), 1)
    assert list(tmp_path.iterdir())
    sink.discard()
    assert not list(tmp_path.iterdir())
    assert not sink.held_rows


def test_a_table_too_long_is_refused_with_what_the_disk_must_hold(tmp_path: Path) -> None:
    short = Table("gpus", "per minute", COLUMNS, max_rows=8 * PIECE)
    sink = Sink(IDS, Spool(tmp_path), 1)
    for number in range(8):
        sink.append(short, _piece(number))
    with pytest.raises(TooLargeError, match=r"would hold 699,993 rows \([1-9] MB on disk\), its limit is 622,216"):
        sink.append(short, _piece(8))


def test_what_killed_processes_left_among_temporary_files_goes_with_the_next_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / f"intentwin-{os.getuid()}" / ".saving-left"
    left.mkdir(parents=True)
    spool = Spool()
    assert spool.path("gpus").parent.parent == left.parent
    assert not left.exists()


# -- whole runs -----------------------------------------------------------------


def _simulate(scenario: Scenario, spool: Path, hold_bytes: int, **options: object) -> twin_run.Run:
    return twin_run.simulate(scenario, study.phases(Schedule.of(TODAY), scenario), spool=spool, hold_bytes=hold_bytes, **options)  # type: ignore[arg-type]


def test_a_run_is_the_same_whatever_it_holds(hall: Hall, tmp_path: Path) -> None:
    scenario = hall(1000, 2400.0)
    homes = tmp_path / "little", tmp_path / "all"
    little, everything = (_simulate(scenario, home / "runs", held) for home, held in zip(homes, (1, 1 << 40), strict=True))
    assert little.spool is not None
    assert set(little.spool.files) == {"gpus"}
    assert little.run_id == everything.run_id
    assert little.manifest == everything.manifest
    assert little.metrics == everything.metrics
    for name, frame in everything.tables.items():
        assert little.tables[name].collect().equals(frame.collect()), name
    stored = [runs.save(run, home) for run, home in zip((little, everything), homes, strict=True)]
    assert files.fingerprints(stored[0]) == files.fingerprints(stored[1])
    again = runs.load(little.run_id, homes[0])
    assert {name: twin_run.read(again, name) for name in again.metrics} == dict(little.metrics)
    del little
    gc.collect()
    assert [path.name for path in (homes[0] / "runs").iterdir()] == [again.run_id]
    assert again.tables["gpus"].collect().height == 40 * 8000


def test_a_cancelled_run_leaves_nothing(hall: Hall, tmp_path: Path) -> None:
    seen: list[bool] = []

    def cancel() -> bool:
        seen.append(any(tmp_path.glob(".saving-*/gpus.parquet")))
        return seen[-1]

    with pytest.raises(twin_run.Cancelled):
        _simulate(hall(1000, 3600.0), tmp_path, 1, cancel=cancel)
    assert seen[-1]
    assert not list(tmp_path.iterdir())


KILLED = """
import os, runpy, signal, sys
from pathlib import Path
from policies import study
from policies.policy import TODAY, Schedule
from twin import run
scenario, home = runpy.run_path(sys.argv[1])["hall"](1000, 3600.0), Path(sys.argv[2]) / "runs"
def cancel():
    if any(home.glob(".saving-*/gpus.parquet")):
        os.kill(os.getpid(), signal.SIGKILL)
run.simulate(scenario, study.phases(Schedule.of(TODAY), scenario), spool=home, hold_bytes=1, cancel=cancel)
"""


FULL = """
import resource, runpy, sys
from pathlib import Path
from policies import study
from policies.policy import TODAY, Schedule
from twin import run
from twin.store import runs
scenario, home = runpy.run_path(sys.argv[1])["hall"](1000, 3600.0), Path(sys.argv[2])
phases = study.phases(Schedule.of(TODAY), scenario)
def fill():
    # Kernels are compiled by then, and kept in files as well.
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
try:
    done = run.simulate(scenario, phases, spool=home / "runs", hold_bytes=int(sys.argv[3]), cancel=fill)
    print("simulated")
    runs.save(done, home)
except ValueError as error:
    print(error)
    # While the error is still held, and with it all that was under way.
    print(len(list((home / "runs").iterdir())))
"""


@pytest.mark.parametrize(("hold_bytes", "simulated"), [(1, False), (1 << 40, True)], ids=["while it runs", "while it is stored"])
def test_a_disk_that_is_full_is_one_line_and_leaves_nothing(hold_bytes: int, simulated: bool, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(root / "tests" / "hall.py"), str(tmp_path), str(hold_bytes)],
        env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    *before, said, left = done.stdout.splitlines()
    assert before == ["simulated"] * simulated
    assert said.startswith(str(tmp_path / "runs"))
    assert said.endswith("file too large; make room there, or shorten horizon_s; nothing of this run was kept")
    assert left == "0"


def test_what_a_killed_run_leaves_is_found_and_removed(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(root / "tests" / "hall.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    assert runs.run_ids(tmp_path) == []
    left = [finding for finding in doctor.check(tmp_path) if finding.severity == "warning"]
    assert len(left) == 1
    assert "left behind" in left[0].text
    assert any(finding.repaired for finding in doctor.check(tmp_path, repair=True))
    assert not list((tmp_path / "runs").iterdir())

"""Jobs run beside the server, say where they are, and can be stopped."""

import fcntl
import os
import signal
import time
from pathlib import Path

import pytest

from app import jobs


def _until(job_id: str, home: Path, states: set[str], patience_s: float = 60.0) -> jobs.Job:
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        job = jobs.status(job_id, home)
        assert job is not None
        if job.state in states:
            return job
        time.sleep(0.1)
    pytest.fail(f"job is still {job.state}: {(jobs.folder(home) / job_id / 'log.txt').read_text()}")


def _occupy(home: Path) -> list[int]:
    handles = []
    for number in range(jobs.AT_ONCE):
        handle = os.open(jobs.folder(home) / f"slot-{number}.lock", os.O_RDWR | os.O_CREAT)
        fcntl.flock(handle, fcntl.LOCK_EX)
        handles.append(handle)
    return handles


def test_a_job_that_cannot_be_done_says_why_in_one_line(tmp_path: Path) -> None:
    job = _until(jobs.submit("run", {"scenario": "exampel"}, tmp_path), tmp_path, {"failed"})
    assert job.error is not None
    assert "exampel" in job.error
    assert "\n" not in job.error


def test_a_waiting_job_is_cancelled_by_a_flag_and_asking_twice_gives_one_job(tmp_path: Path) -> None:
    handles = _occupy(tmp_path)
    first = jobs.submit("run", {"scenario": "example"}, tmp_path)
    assert jobs.submit("run", {"scenario": "example"}, tmp_path) == first
    assert _until(first, tmp_path, {"queued", "running"}).state == "queued"
    jobs.cancel(first, tmp_path)
    assert _until(first, tmp_path, {"cancelled"}).over
    for handle in handles:
        os.close(handle)


def test_a_worker_that_died_is_seen_as_failed(tmp_path: Path) -> None:
    handles = _occupy(tmp_path)
    job_id = jobs.submit("run", {"scenario": "example"}, tmp_path)
    progress = jobs.folder(tmp_path) / job_id / "progress.json"
    end = time.monotonic() + 30.0
    while "pid" not in jobs.read(progress) and time.monotonic() < end:
        time.sleep(0.1)
    os.kill(jobs.read(progress)["pid"], signal.SIGKILL)
    job = _until(job_id, tmp_path, {"failed"})
    assert job.error is not None
    assert "start it again" in job.error
    for handle in handles:
        os.close(handle)


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it is one of"):
        jobs.submit("dance", {}, tmp_path)


def test_the_newest_job_of_a_kind_is_found_by_its_spec(tmp_path: Path) -> None:
    handles = _occupy(tmp_path)
    job_id = jobs.submit("run", {"scenario": "example", "seed": 3}, tmp_path)
    assert jobs.latest(tmp_path, "run", seed=3) is not None
    assert jobs.latest(tmp_path, "run", seed=4) is None
    jobs.cancel(job_id, tmp_path)
    _until(job_id, tmp_path, {"cancelled"})
    for handle in handles:
        os.close(handle)


def test_what_two_jobs_share_is_done_by_one_of_them_at_a_time(tmp_path: Path) -> None:
    place = jobs.folder(tmp_path) / "other"
    place.mkdir()
    with jobs.alone(tmp_path, "begin-run", jobs.Reporter(place), "waiting for the other"):
        (place / "cancel").touch()
        with pytest.raises(jobs.CancelledError), jobs.alone(tmp_path, "begin-run", jobs.Reporter(place), "waiting for the other"):
            pytest.fail("two at once")
        with jobs.alone(tmp_path, "begin-another", jobs.Reporter(place), ""):
            pass
    (place / "cancel").unlink()
    with jobs.alone(tmp_path, "begin-run", jobs.Reporter(place), "waiting for the other"):
        pass
    assert not [job for job in jobs.list_jobs(tmp_path) if job.kind == "begin-run"]

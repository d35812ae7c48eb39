"""Long work outside the server's process: submit, follow, cancel."""

import fcntl
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from twin.store.files import locked

State = Literal["queued", "running", "done", "failed", "cancelled"]
KINDS: Final = (
    "example", "try", "explore", "run", "claims", "what_if", "ablation", "design", "front", "fillings", "hints", "load_curve", "plan",
    "investigate",
)  # fmt: skip
AT_ONCE: Final = 2
_PROGRESS: Final = "progress.json"


@dataclass(frozen=True, slots=True)
class Job:
    """What is known of one job. Times are seconds of the epoch; ``eta_s`` is None while nothing can be said."""

    job_id: str
    kind: str
    spec: Mapping[str, Any]
    state: State
    done_share: float
    text: str
    eta_s: float | None
    created_s: float
    result: Mapping[str, Any] | None
    error: str | None

    @property
    def over(self) -> bool:
        """Return whether the job will not change any more."""
        return self.state in {"done", "failed", "cancelled"}


def folder(home: Path) -> Path:
    """Return the folder of all jobs, made where it is missing."""
    path = home / "jobs"
    path.mkdir(parents=True, exist_ok=True)
    return path


def submit(kind: str, spec: Mapping[str, Any], home: Path) -> str:
    """Start a job in a process of its own and return its id. It goes on when the tab closes or the server stops.

    A job of the same kind and spec that is still under way is returned instead of a second one.
    """
    if kind not in KINDS:
        raise ValueError(f"job kind {kind!r} is unknown; it is one of {', '.join(KINDS)}")
    plain = json.loads(json.dumps(dict(spec)))
    for job in list_jobs(home):
        if not job.over and job.kind == kind and job.spec == plain:
            return job.job_id
    now = time.time()
    job_id = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{secrets.token_hex(3)}"
    place = folder(home) / job_id
    place.mkdir()
    write(place / "spec.json", {"kind": kind, "spec": plain, "home": str(home.resolve()), "created_s": now})
    write(place / _PROGRESS, {"state": "queued", "done_share": 0.0, "text": "waiting for a free worker"})
    _spawn(place)
    return job_id


def _spawn(place: Path) -> None:
    # The child inherits a locked file and keeps it open for life: a lock that can be taken means a dead worker, whatever became of its pid.
    alive = os.open(place / "alive", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(alive, fcntl.LOCK_EX)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "2", "INTENTWIN_ALIVE_FD": str(alive)}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path(__file__).resolve().parent.parent), os.environ.get("PYTHONPATH"))))
    try:
        with (place / "log.txt").open("ab") as log:
            child = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "app.jobs", "work", str(place)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(alive,),
                env=env,
            )
    finally:
        os.close(alive)
    threading.Thread(target=child.wait, daemon=True).start()


def write(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a JSON file as a whole: a reader sees the old one or the new one."""
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    aside.write_text(json.dumps(value), encoding="utf-8")
    aside.replace(path)


def read(path: Path) -> dict[str, Any]:
    """Return a JSON file, empty where it is not there."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return {}


def status(job_id: str, home: Path) -> Job | None:
    """Return where a job stands, None where there is no such job."""
    place = folder(home) / Path(job_id).name
    head = read(place / "spec.json")
    if not head:
        return None
    now = read(place / _PROGRESS)
    state: State = now.get("state", "queued")
    error = now.get("error")
    if state in {"queued", "running"} and not locked(place / "alive"):
        now = read(place / _PROGRESS)  # it may have ended between the two looks
        state, error = now.get("state", "queued"), now.get("error")
        if state in {"queued", "running"}:
            state, error = "failed", "the worker stopped before it was done; start it again"
    share = float(now.get("done_share", 0.0))
    return Job(
        job_id=place.name,
        kind=head["kind"],
        spec=head["spec"],
        state=state,
        done_share=share,
        text=str(now.get("text", "")),
        eta_s=_eta_s(now, share) if state == "running" else None,
        created_s=float(head["created_s"]),
        result=now.get("result"),
        error=error,
    )


def _eta_s(now: Mapping[str, Any], share: float) -> float | None:
    started = now.get("started_s")
    if started is None or share <= 0.02:
        return None
    elapsed = float(now.get("at_s", time.time())) - float(started)
    since = time.time() - float(now.get("at_s", time.time()))
    return max(0.0, elapsed * (1.0 - share) / share - since)


def cancel(job_id: str, home: Path) -> None:
    """Ask a job to stop; it does at its next report. A job that is over is left as it is."""
    place = folder(home) / Path(job_id).name
    if place.is_dir():
        (place / "cancel").touch()


def list_jobs(home: Path) -> list[Job]:
    """Return every job, newest first."""
    found = (status(place.name, home) for place in folder(home).iterdir() if place.is_dir())
    return sorted((job for job in found if job is not None), key=lambda job: (job.created_s, job.job_id), reverse=True)


def latest(home: Path, kind: str, **spec: object) -> Job | None:
    """Return the newest job of a kind whose spec holds these values."""
    for job in list_jobs(home):
        if job.kind == kind and all(job.spec.get(key) == value for key, value in spec.items()):
            return job
    return None


class CancelledError(Exception):
    """The operator asked the job to stop."""


class Reporter:
    """What a worker says of itself: how far it is, in words; and whether it was asked to stop."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._started_s = time.time()
        self._last_s = 0.0

    def cancelled(self) -> bool:
        """Return whether somebody asked the job to stop."""
        return (self._place / "cancel").exists()

    def __call__(self, share: float, text: str = "") -> None:
        """Report; at most five times a second reach the disk."""
        now = time.time()
        if now - self._last_s < 0.2 and share < 1.0:
            return
        self._last_s = now
        self.put("running", done_share=min(max(float(share), 0.0), 1.0), text=text)

    def put(self, state: State, **values: object) -> None:
        """Write the state of the job."""
        write(self._place / _PROGRESS, {"state": state, "started_s": self._started_s, "at_s": time.time(), **values})


def _slot(place: Path, report: Reporter) -> int:
    """Wait for one of the places to work in; return the open, locked file."""
    while True:
        for number in range(AT_ONCE):
            handle = os.open(place.parent / f"slot-{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
            else:
                return handle
        if report.cancelled():
            raise CancelledError
        time.sleep(0.3)


@contextmanager
def alone(home: Path, name: str, report: Reporter, words: str) -> Iterator[None]:
    """Do something that no other job of the same name does meanwhile; the others wait, say so in ``words``, and can be cancelled."""
    handle = os.open(folder(home) / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if report.cancelled():
                    raise CancelledError from None
                report(0.0, words)
                time.sleep(0.3)
        yield
    finally:
        os.close(handle)


def work(place: Path) -> int:
    """Do a job, in its own process: take a slot, run its kind, leave the result or the error behind."""
    if alive := os.environ.pop("INTENTWIN_ALIVE_FD", ""):
        os.set_inheritable(int(alive), False)
    os.nice(5)  # the console stays quick while the twin computes
    head = read(place / "spec.json")
    report = Reporter(place)
    report.put("queued", done_share=0.0, text="waiting for a free worker", pid=os.getpid())
    try:
        handle = _slot(place, report)
        report = Reporter(place)
        report.put("running", done_share=0.0, text="starting")
        from app.work import KINDS as workers

        result = workers[head["kind"]](head["spec"], Path(head["home"]), report)
        report.put("done", done_share=1.0, text="done", result=result)
        os.close(handle)
    except CancelledError:
        report.put("cancelled", text="cancelled")
    except Exception as error:
        if report.cancelled():
            report.put("cancelled", text="cancelled")
            return 0
        report.put("failed", text="failed", error=str(error) or type(error).__name__)
        raise
    return 0


if __name__ == "__main__":
    from app.jobs import work as _work  # so that exceptions raised by workers are this module's, not __main__'s

    sys.exit(_work(Path(sys.argv[2])))

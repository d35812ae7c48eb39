"""One live session on the server: a twin, a lock, a pace, a log."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from app.api.refusals import Conflict, Refused, TooMany

if TYPE_CHECKING:
    from policies.live import Live

# One request goes on for so long at most; then it says how far it came.
WORKS_S: Final = 20.0
MOST_SAID: Final = 100_000
_WAITS_S: Final = 30.0
# More requests than so many do not wait for one session: they would take the threads of all.
_QUEUE: Final = 2
_NAP_S: Final = 0.005


@dataclass(frozen=True)
class Question:
    """What a session was begun with, as it is said again to replay it: ``policy`` as it was written."""

    scenario: str
    policy: Any
    seed: int


class Session:
    """A live session that several requests may ask at once: one at a time gets to the twin."""

    def __init__(self, session_id: str, live: "Live", question: Question, now: Callable[[], float] = time.monotonic) -> None:
        self.session_id, self.live, self.question = session_id, live, question
        self._now, self._lock = now, threading.Lock()
        self._queue = threading.BoundedSemaphore(_QUEUE)
        self._pace: _Pace | None = None
        self._halted = False
        self.closed = False
        self.trouble = ""
        self.touched_s = now()

    @contextmanager
    def asked(self) -> Iterator["Live"]:
        """Have the twin to oneself as ``held`` says; refused as well where others wait for it already."""
        if not self._queue.acquire(blocking=False):
            raise TooMany(f"session {self.session_id}: {_QUEUE} requests are at work or wait; ask again", 1.0)
        try:
            with self.held() as live:
                yield live
        finally:
            self._queue.release()

    @contextmanager
    def held(self) -> Iterator["Live"]:
        """Have the twin to oneself; refused where it is busy for long, or closed."""
        self.touched_s = self._now()
        if not self._lock.acquire(timeout=_WAITS_S):
            raise Conflict(f"session {self.session_id} is busy; ask again")
        try:
            if self.closed:
                raise Refused(404, f"session {self.session_id} is closed")
            yield self.live
        finally:
            self.touched_s = self._now()
            self._lock.release()

    def touch(self) -> None:
        """Take note that somebody listens."""
        self.touched_s = self._now()

    @property
    def over(self) -> bool:
        """Return whether nothing more will be told: at the end, or closed."""
        return self.closed or self.live.t_s >= self.live.horizon_s

    # -- time -----------------------------------------------------------------------

    def advance(self, to_s: float | None, by_s: float | None, until_notice: bool) -> bool:
        """Go on in lock step; return whether the time was reached, or a notice where one was waited for."""
        if self._pace is not None:
            raise Conflict(f"session {self.session_id} goes at a pace; stop it first with speed 0")
        with self.asked() as live:
            goal_s = to_s if to_s is not None else min(live.t_s + (by_s or 0.0), live.horizon_s)
            before, late_s = live.last_notice, self._now() + WORKS_S

            def told() -> bool:
                return until_notice and live.last_notice > before

            live.advance(goal_s, lambda: told() or self._halted or self._now() > late_s)
            return live.t_s >= goal_s or told()

    def pace(self, speed: float) -> None:
        """Go on by itself from now on, so many seconds of the twin in a second; 0 to stand still."""
        with self.held():
            if self._pace is not None:
                self._pace.stop()
            self._pace = _Pace(self, speed) if speed > 0.0 else None

    def paced(self, pace: "_Pace") -> float:
        """Step once for a pace and return how many seconds of the twin that were; 0 where it is not to go on."""
        with self._lock:
            if pace is not self._pace or self._halted or self.over:
                return 0.0
            before_s = self.live.t_s
            self.live.tick()
            return self.live.t_s - before_s

    # -- what is kept -----------------------------------------------------------------

    def close(self, name: str, home: Path) -> int:
        """Import what was said as a log called ``name`` and let the twin go; return how many hints and answers, 0 without a log.

        What is under way ends with its tick. Where the log cannot be kept it goes on being open.
        """
        from twin.store.importers import import_file

        self._halted = True
        try:
            with self.held() as live, tempfile.TemporaryDirectory() as folder:
                if live.said:
                    live.write_log(Path(folder) / "session.parquet")
                    import_file("hints-log", Path(folder) / "session.parquet", name, home)
                self.closed = True
                return live.said
        finally:
            self._halted = self.closed

    def state(self) -> dict[str, Any]:
        """Return where it stands."""
        live, spec, pace = self.live, self.live.scenario.spec, self._pace
        return {
            "id": self.session_id,
            "scenario": self.question.scenario,
            "policy": self.question.policy,
            "seed": self.question.seed,
            "t_s": live.t_s,
            "at": live.scenario.clock.at(live.t_s).isoformat(timespec="seconds"),
            "tick_s": spec.tick_s,
            "horizon_s": live.horizon_s,
            "over": self.over,
            "trouble": self.trouble,
            "speed": 0.0 if pace is None else pace.speed,
            "behind_s": 0.0 if pace is None else pace.behind_s,
            "workloads": list(live.workload_ids),
            "said": live.said,
            "last_notice": live.last_notice,
        }


class _Pace:
    """A thread that steps a session when the clock says so. Where the twin is slower, it does not try to catch up.

    It steps, and then waits for as long as the tick lasts at its pace: so long there is to answer what the tick told.
    """

    def __init__(self, session: Session, speed: float) -> None:
        self.speed, self.behind_s = speed, 0.0
        self._session, self._stopped = session, threading.Event()
        threading.Thread(target=self._go, name=f"pace-{session.session_id}", daemon=True).start()

    def stop(self) -> None:
        """Stop after the tick that is under way."""
        self._stopped.set()

    def _go(self) -> None:
        try:
            self._step(time.monotonic())
        except Exception as error:
            self._session.trouble = f"{type(error).__name__}: {error}"[:200]
            raise

    def _step(self, due_s: float) -> None:
        while not self._stopped.is_set() and (length_s := self._session.paced(self)):
            due_s += length_s / self.speed
            late_s = time.monotonic() - due_s
            if late_s > 0.0:
                self.behind_s, due_s = self.behind_s + late_s, due_s + late_s
            # Even one that is late waits a little: who waits for the twin gets a turn.
            self._stopped.wait(max(-late_s, _NAP_S))

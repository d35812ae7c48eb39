"""All live sessions of the server: a few, bounded, closed when idle."""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from app.api.refusals import NotHere, Refused, TooMany
from app.api.session import Question, Session

if TYPE_CHECKING:
    from policies.policy import PolicySet
    from twin.scenario import Scenario

MOST: Final = 4
IDLE_S: Final = 1800.0
LONGEST_S: Final = 2 * 86_400.0
MOST_REQUESTS: Final = 5_000_000
MOST_VMS: Final = 200_000
_LOOKS_EVERY_S: Final = 30.0
_LOGGER: Final = logging.getLogger("intentwin.api")


class Sessions:
    """Opens, finds and closes sessions; one that nobody asks for half an hour is closed, and its log kept."""

    def __init__(self, home: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._home, self._now = home, now
        self._open: dict[str, Session | None] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._watch: threading.Thread | None = None

    @property
    def stopped(self) -> bool:
        """Return whether the server is about to end."""
        return self._stopped.is_set()

    def begin(self, name: str, policy: Any, seed: int | None) -> Session:
        """Open a session of a packaged scenario. Refused where there are enough already, or the scenario is too large."""
        session_id = secrets.token_hex(6)
        with self._lock:
            if len(self._open) >= MOST or self.stopped:
                raise TooMany(f"{MOST} sessions are open, no more can be; close one")
            self._open[session_id] = None
        try:
            session = self._made(session_id, name, policy, seed)
        except BaseException:
            with self._lock:
                del self._open[session_id]
            raise
        with self._lock:
            self._open[session_id] = session
            if self._watch is None:
                self._watch = threading.Thread(target=self._look, name="idle-sessions", daemon=True)
                self._watch.start()
        return session

    def _made(self, session_id: str, name: str, policy: Any, seed: int | None) -> Session:
        from policies import live
        from twin.scenario import load

        scenario = load(name)
        _bound(scenario)
        begun = live.begin(scenario, _policy(policy, self._home), seed)
        if begun.vms > MOST_VMS:
            raise Refused(422, f"scenario {name}: {begun.vms:,} VMs negotiate, a session has room for {MOST_VMS:,}; run it instead")
        return Session(session_id, begun, Question(name, policy, begun.seed), self._now)

    def get(self, session_id: str) -> Session:
        """Return an open session by its id."""
        with self._lock:
            session = self._open.get(session_id)
        if session is None or session.closed:
            raise NotHere("no such session is open; it may have been closed after half an hour without a request")
        return session

    def all(self) -> list[Session]:
        """Return the open sessions."""
        with self._lock:
            return [session for session in self._open.values() if session is not None]

    def close(self, session_id: str, name: str | None = None) -> dict[str, Any]:
        """Close a session, keep its log as an import, and return how to replay it. A name that is taken leaves it open."""
        session = self.get(session_id)
        called = name or f"live-{session_id}"
        said = session.close(called, self._home)
        self._forget(session_id)
        return {**session.state(), "over": True, **_replay(session.question, called if said else None)}

    def _forget(self, session_id: str) -> None:
        with self._lock:
            self._open.pop(session_id, None)

    def look(self) -> None:
        """Close the sessions that nobody has asked for half an hour."""
        for session in self.all():
            if self._now() - session.touched_s > IDLE_S:
                self._drop(session, "nobody asked for half an hour")

    def stopping(self) -> None:
        """Take note that the server is about to end: streams end, and no more sessions begin."""
        self._stopped.set()

    def stop(self) -> None:
        """Close all sessions: the server ends."""
        self._stopped.set()
        for session in self.all():
            self._drop(session, "the server ends")

    def _drop(self, session: Session, why: str) -> None:
        try:
            kept = self.close(session.session_id)
            _LOGGER.warning("session %s closed, %s; log: %s", session.session_id, why, kept["log"] or "nothing was said")
        except (Refused, ValueError, OSError):
            _LOGGER.exception("session %s: its log could not be kept", session.session_id)
            self._forget(session.session_id)

    def _look(self) -> None:
        while not self._stopped.wait(_LOOKS_EVERY_S):
            self.look()


def _policy(policy: Any, home: Path) -> "PolicySet":
    """Return the policy set that a body names or holds. Never a file: what it names is looked up in the ledger."""
    from app.commands.policies import in_ledger, parse
    from policies.policy import TODAY

    if policy == "today":
        return TODAY
    return in_ledger(policy, home) if isinstance(policy, str) else parse(policy, "policy")


def _bound(scenario: "Scenario") -> None:
    """Refuse a scenario that is too much for a session."""
    requests = scenario.horizon_s * sum(
        each.demand.mean_rate_per_s for each in scenario.spec.serving.endpoints if each.demand.kind == "synthetic"
    )
    if scenario.horizon_s > LONGEST_S or requests > MOST_REQUESTS:
        raise Refused(
            422,
            f"scenario {scenario.name}: {scenario.horizon_s / 3600:,.0f} h with {requests:,.0f} requests are too much for a session "
            f"({LONGEST_S / 3600:,.0f} h, {MOST_REQUESTS:,}); run it instead",
        )


def _replay(question: Question, log: str | None) -> dict[str, Any]:
    """Return the import's name, the line that a scenario replays it with, and the command that does."""
    if log is None:
        return {"log": None, "line": None, "command": None}
    inline = not isinstance(question.policy, str)
    command = f"intentwin run {question.scenario} --messages {log} --seed {question.seed} --policy "
    return {
        "log": log,
        "line": f'workloads.negotiation.messages = "import:{log}"',
        "command": command + ("policy.json" if inline else str(question.policy)),
        "note": "policy.json is to hold the session's policy" if inline else "",
    }

"""The ledger: intents, evidence, approvals, audit, by transaction."""

import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twin.store import audit, verdicts
from twin.store.records import (
    MIGRATIONS,
    Approval,
    AuditEntry,
    Evidence,
    IntentVersion,
    LoggedRun,
    Record,
    Verdict,
    names,
    record_of,
    row_of,
    utc,
)
from twin.store.sql import identifier, literal, literals

if TYPE_CHECKING:
    import duckdb

PATIENCE_S: Final = 10.0
_FIRST_WAIT_S: Final = 0.004
_LONGEST_WAIT_S: Final = 0.2
_INTENT_ID = re.compile(r"^I-\d{2,6}$")
_STATE = re.compile(r"^[a-z_]{1,40}$")


class Ledger:
    """The ledger of a home folder. It is open only inside ``transaction()``, so any number of processes share it."""

    def __init__(self, home: Path, patience_s: float = PATIENCE_S) -> None:
        self.path = home / "ledger.duckdb"
        self._lock, self._patience_s = home / "ledger.lock", patience_s

    @contextmanager
    def transaction(self) -> Iterator["Transaction"]:
        """Open the ledger for one transaction: committed whole at the end, rolled back on any exception.

        Waits for other users with growing, jittered pauses; ValueError when it was busy throughout.
        Transactions do not nest.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            connection = self._open(lock)
            try:
                connection.begin()
                _migrate(connection)
                yield Transaction(connection)
                connection.commit()
            finally:
                # Closing without a commit rolls back.
                connection.close()
        finally:
            os.close(lock)

    def _open(self, lock: int) -> "duckdb.DuckDBPyConnection":
        import duckdb  # tens of megabytes, which a run is not to carry beside its own

        random = secrets.SystemRandom()
        waited_s, wait_s = 0.0, _FIRST_WAIT_S
        while True:
            try:
                # The lock orders threads of one process as well, which DuckDB would let in together.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return duckdb.connect(str(self.path), config={"threads": "1"})
            except BlockingIOError:
                pass
            except duckdb.Error as error:
                if "lock" not in str(error):
                    raise ValueError(f"{self.path} cannot be opened ({_first_line(error)}); restore it from a backup") from error
                fcntl.flock(lock, fcntl.LOCK_UN)
            if waited_s >= self._patience_s:
                raise ValueError(f"the ledger was busy for {self._patience_s:g} s; close what else has {self.path} open and try again")
            pause_s = wait_s * random.uniform(0.5, 1.5)
            time.sleep(pause_s)
            waited_s, wait_s = waited_s + pause_s, min(2.0 * wait_s, _LONGEST_WAIT_S)

    def verify_audit(self) -> list[str]:
        """Return one line for each sign of tampering; empty where trail, decisions and what they approved agree.

        Cutting the newest entries off is seen where they recorded a decision; compare ``head`` with a kept copy for the rest.
        """
        with self.transaction() as ledger:
            trail = ledger.audit_trail()
            versions = {(item.intent_id, item.version): item for item in ledger.intents()}
            return audit.broken_links(trail) + audit.unbacked(trail, ledger.approvals(), versions)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _migrate(connection: "duckdb.DuckDBPyConnection") -> None:
    known = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'ledger_schema'").fetchall()[0][0]
    if not known:
        connection.execute("CREATE TABLE ledger_schema (version INTEGER NOT NULL)")
        connection.execute("INSERT INTO ledger_schema VALUES (0)")
    version = connection.execute("SELECT version FROM ledger_schema").fetchall()[0][0]
    if version > len(MIGRATIONS):
        raise ValueError(f"the ledger was written by a newer Intentwin (schema {version}, this one knows {len(MIGRATIONS)}); upgrade")
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    if version < len(MIGRATIONS):
        connection.execute(f"UPDATE ledger_schema SET version = {len(MIGRATIONS)}")  # noqa: S608


class Transaction:
    """What can be said to and asked of the ledger while it is open."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self._connection = connection

    # Intents

    def next_intent_id(self) -> str:
        """Return the first id that no intent has had, such as I-01."""
        rows = self._connection.execute("SELECT coalesce(max(CAST(substr(intent_id, 3) AS INTEGER)), 0) FROM intents").fetchall()
        return f"I-{rows[0][0] + 1:02d}"

    def add_intent(self, version: IntentVersion) -> None:
        """Add one version of an intent; the trail notes it. Versions of an intent count up from 1."""
        if not _INTENT_ID.match(version.intent_id):
            raise ValueError(f"{version.intent_id!r} is not an intent id; it looks like I-01")
        latest = max((item.version for item in self.intents(version.intent_id)), default=0)
        if version.version != latest + 1:
            raise ValueError(f"intent {version.intent_id} is at version {latest}; the next one is {latest + 1}, not {version.version}")
        _check_state(version.state)
        self._insert("intents", version)
        self._note_version(version, "intent.add")

    def replace_intent(self, version: IntentVersion) -> None:
        """Write a version anew while nobody has decided on it; an approved version never changes."""
        self.intent(version.intent_id, version.version)
        if any(item.version == version.version for item in self.approvals(version.intent_id)):
            raise ValueError(f"intent {version.intent_id} version {version.version} has been decided on and cannot change; add a version")
        _check_state(version.state)
        where = f"intent_id = {literal(version.intent_id)} AND version = {literal(version.version)}"
        self._connection.execute(f"DELETE FROM intents WHERE {where}")  # noqa: S608
        self._insert("intents", version)
        self._note_version(version, "intent.replace")

    def set_state(self, intent_id: str, version: int, state: str, at: datetime, actor: str) -> None:
        """Move a version to another state of its life cycle; the trail notes from where."""
        _check_state(state)
        was = self.intent(intent_id, version).state
        where = f"intent_id = {literal(intent_id)} AND version = {literal(version)}"
        self._connection.execute(f"UPDATE intents SET state = {literal(state)} WHERE {where}")  # noqa: S608
        self.audit(at, actor, "intent.state", audit.subject_of(intent_id, version), {"from": was, "to": state})

    def intents(self, intent_id: str | None = None) -> list[IntentVersion]:
        """Return every version of one intent, or of all, in order."""
        return self._list(IntentVersion, "intents", {"intent_id": intent_id}, "length(intent_id), intent_id, version")

    def intent(self, intent_id: str, version: int | None = None) -> IntentVersion:
        """Return one version of an intent, the latest by default."""
        found = [item for item in self.intents(intent_id) if version in {None, item.version}]
        if not found:
            raise ValueError(f"intent {intent_id}{'' if version is None else f' version {version}'} is unknown; see `intentwin intents`")
        return found[-1]

    def _note_version(self, version: IntentVersion, action: str) -> None:
        detail = {"state": version.state, "policy_id": version.policy_id, "version_sha256": audit.content_digest(version)}
        self.audit(version.created_at, version.actor, action, audit.subject_of(version.intent_id, version.version), detail)

    # Evidence and decisions

    def add_evidence(self, evidence: Evidence) -> None:
        """Keep what the twin showed for a version that is there."""
        self.intent(evidence.intent_id, evidence.version)
        self._insert("evidence", evidence)

    def evidence(self, intent_id: str | None = None, version: int | None = None) -> list[Evidence]:
        """Return the evidence for an intent, for one version of it, or all, oldest first."""
        return self._list(Evidence, "evidence", {"intent_id": intent_id, "version": version}, '"at"')

    def add_approval(self, approval: Approval) -> None:
        """Keep one decision; it must name the policy of the version that it is about. The trail notes both."""
        version = self.intent(approval.intent_id, approval.version)
        if approval.policy_id != version.policy_id:
            raise ValueError(
                f"intent {approval.intent_id} version {approval.version} carries policy {version.policy_id}, "
                f"the decision names {approval.policy_id}; look at it again"
            )
        self._insert("approvals", approval)
        subject = audit.subject_of(approval.intent_id, approval.version)
        self.audit(approval.at, approval.actor, audit.APPROVAL, subject, audit.approval_detail(approval, version))

    def approvals(self, intent_id: str | None = None) -> list[Approval]:
        """Return the decisions on one intent, or all, oldest first."""
        return self._list(Approval, "approvals", {"intent_id": intent_id}, '"at"')

    # What was said of named causes

    def add_verdict(self, verdict: Verdict) -> None:
        """Keep what somebody said of a named cause; the trail notes it. Nothing ever removes one: who errs says it anew.

        ValueError for one that contradicts itself.
        """
        verdicts.check(verdict)
        self._insert("verdicts", verdict)
        said = {"predicted": verdict.predicted_cause, "right": verdict.right, "cause": verdict.cause, "entity_id": verdict.entity_id}
        self.audit(verdict.at, verdict.actor, "incident.verdict", f"{verdict.run_id}/{verdict.incident_id}", said)

    def verdicts(self, run_id: str | None = None, incident_id: str | None = None) -> list[Verdict]:
        """Return all that was said of the causes of one run's incidents, of one incident, or of all, oldest first."""
        return self._list(Verdict, "verdicts", {"run_id": run_id, "incident_id": incident_id}, '"at"')

    # Audit and run log

    def audit(self, at: datetime, actor: str, action: str, subject: str, detail: Mapping[str, Any]) -> AuditEntry:
        """Append one entry to the trail and return it. Nothing ever removes or changes one."""
        last = self._connection.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchall()
        seq, previous = last[0] if last else (0, audit.GENESIS)
        bare = AuditEntry(seq + 1, utc(at), actor, action, subject, detail, previous, "")
        entry = AuditEntry(bare.seq, bare.at, actor, action, subject, detail, previous, audit.chained(bare))
        self._insert("audit", entry)
        return entry

    def audit_trail(self, subject: str | None = None) -> list[AuditEntry]:
        """Return the trail, or what it says of one subject, in order."""
        return self._list(AuditEntry, "audit", {"subject": subject}, "seq")

    def log_run(self, run: LoggedRun) -> None:
        """Keep when and at what price a run was computed."""
        self._insert("run_log", run)

    def run_log(self, run_id: str | None = None) -> list[LoggedRun]:
        """Return the log of one run, or of all, oldest first."""
        return self._list(LoggedRun, "run_log", {"run_id": run_id}, "started_at, run_id")

    def _insert(self, table: str, record: Any) -> None:
        self._connection.execute(f"INSERT INTO {table} VALUES ({literals(row_of(record))})")  # noqa: S608

    def _list(self, kind: type[Record], table: str, where: Mapping[str, Any], order: str) -> list[Record]:
        condition = " AND ".join(f"{name} = {literal(value)}" for name, value in where.items() if value is not None) or "true"
        columns = ", ".join(identifier(name) for name in names(kind))
        rows = self._connection.execute(f"SELECT {columns} FROM {table} WHERE {condition} ORDER BY {order}").fetchall()  # noqa: S608
        return [record_of(kind, row) for row in rows]


def _check_state(state: str) -> None:
    if not _STATE.match(state):
        raise ValueError(f"{state!r} is not a state; it is lower-case words joined by underscores")

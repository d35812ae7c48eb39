import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest

from twin.store import doctor
from twin.store.ledger import Ledger
from twin.store.records import Approval, Evidence, IntentVersion, LoggedRun

AT = datetime(2026, 7, 1, 14, 30, tzinfo=timezone(timedelta(hours=-7)))


def version(intent_id: str = "I-01", number: int = 1, **changes: Any) -> IntentVersion:
    fields = {
        "intent_id": intent_id,
        "version": number,
        "text": "keep GPUs under 80 °C",
        "intent": {"kind": "operational", "expectations": [{"value": 80.0}]},
        "findings": [],
        "policy": {"levers": {}},
        "policy_id": "abc",
        "state": "draft",
        "created_at": AT,
        "actor": "ann",
    }
    return IntentVersion(**{**fields, **changes})


def approval(intent_id: str = "I-01", number: int = 1, **changes: Any) -> Approval:
    fields = {"actor": "bob", "role": "operator", "decision": "approved", "note": "", "policy_id": "abc", "at": AT}
    return Approval(intent_id, number, **{**fields, **changes})


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    evidence = Evidence("I-01", 1, AT, ("a", "b"), ("c", "d"), {"plant.pue": {"a": 1.2, "b": None}}, [True, False])
    run = LoggedRun("0123456789ab", AT, AT + timedelta(seconds=9), 8.5, "today", "today", 1, "example")
    with Ledger(tmp_path).transaction() as ledger:
        assert ledger.next_intent_id() == "I-01"
        ledger.add_intent(version())
        ledger.add_evidence(evidence)
        ledger.add_approval(approval())
        ledger.log_run(run)
    with Ledger(tmp_path).transaction() as ledger:
        assert ledger.intents() == [version()]
        assert ledger.intent("I-01").created_at.tzinfo == UTC
        assert ledger.evidence("I-01", 1) == [evidence]
        assert ledger.approvals("I-01") == [approval()]
        assert ledger.run_log() == [run]
        assert ledger.run_log("nothing") == []
        assert ledger.next_intent_id() == "I-02"
        assert [entry.action for entry in ledger.audit_trail("I-01/1")] == ["intent.add", "intent.decision"]


def test_ids_go_on_after_ninety_nine(tmp_path: Path) -> None:
    with Ledger(tmp_path).transaction() as ledger:
        ledger.add_intent(version("I-99"))
        ledger.add_intent(version(ledger.next_intent_id()))
        assert [item.intent_id for item in ledger.intents()] == ["I-99", "I-100"]


def test_an_exception_takes_everything_back(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not an intent id"), Ledger(tmp_path).transaction() as ledger:
        assert (ledger.add_intent(version()), ledger.add_intent(version("x"))) == ()
    with Ledger(tmp_path).transaction() as ledger:
        assert ledger.intents() == []
        assert ledger.audit_trail() == []


def test_an_approved_version_never_changes_but_its_state_does(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with ledger.transaction() as open_:
        open_.add_intent(version())
        open_.replace_intent(version(text="keep them cool"))
        open_.add_approval(approval())
    with pytest.raises(ValueError, match="has been decided on and cannot change; add a version"), ledger.transaction() as open_:
        open_.replace_intent(version(text="warmer"))
    with pytest.raises(ValueError, match="the next one is 2, not 1"), ledger.transaction() as open_:
        open_.add_intent(version(text="warmer"))
    with ledger.transaction() as open_:
        open_.set_state("I-01", 1, "active", AT, "bob")
        open_.add_intent(version(number=2, text="warmer", parent=1))
        assert [(item.text, item.state, item.parent) for item in open_.intents()] == [
            ("keep them cool", "active", None),
            ("warmer", "draft", 1),
        ]
    assert ledger.verify_audit() == []


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda ledger: ledger.add_intent(version("../x")), "not an intent id"),
        (lambda ledger: ledger.add_intent(version(state="Draft!")), "not a state"),
        (lambda ledger: ledger.intent("I-77"), "I-77 is unknown"),
        (lambda ledger: ledger.add_approval(approval("I-77")), "I-77 version 1 is unknown"),
        (lambda ledger: ledger.audit(datetime(2026, 7, 1), "ann", "x", "y", {}), "has no zone"),  # noqa: DTZ001
        (lambda ledger: (ledger.add_intent(version()), ledger.add_approval(approval(policy_id="other"))), "carries policy abc"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, act: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said), Ledger(tmp_path).transaction() as ledger:
        act(ledger)


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from twin.store.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]), patience_s=60.0)
for number in range(50):
    with ledger.transaction() as open_:
        open_.audit(datetime(2026, 7, 1, tzinfo=UTC), sys.argv[2], "count", str(number), {"number": number})
"""


def test_two_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in ("one", "two")]
    assert [writer.wait(timeout=300) for writer in writers] == [0, 0]
    with Ledger(tmp_path).transaction() as ledger:
        trail = ledger.audit_trail()
    assert [entry.seq for entry in trail] == list(range(1, 101))
    for name in ("one", "two"):
        assert [entry.detail["number"] for entry in trail if entry.actor == name] == list(range(50))
    assert Ledger(tmp_path).verify_audit() == []


def test_threads_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, patience_s=60.0)

    def write() -> None:
        for _ in range(5):
            with ledger.transaction() as open_:
                open_.audit(AT, "ann", "count", "thread", {})

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ledger.transaction() as open_:
        assert [entry.seq for entry in open_.audit_trail()] == list(range(1, 21))


CRASH = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from twin.store.ledger import Ledger
with Ledger(Path(sys.argv[1])).transaction() as ledger:
    ledger.audit(datetime(2026, 7, 1, tzinfo=UTC), "ann", "half", "x", {})
    os._exit(7)
"""


def test_a_crash_inside_a_transaction_leaves_nothing(tmp_path: Path) -> None:
    with Ledger(tmp_path).transaction() as ledger:
        ledger.audit(AT, "ann", "whole", "x", {})
    assert subprocess.run([sys.executable, "-c", CRASH, str(tmp_path)], check=False).returncode == 7
    with Ledger(tmp_path).transaction() as ledger:
        assert [entry.action for entry in ledger.audit_trail()] == ["whole"]


def test_a_ledger_that_stays_busy_is_one_clear_line(tmp_path: Path) -> None:
    waiting = Ledger(tmp_path, patience_s=0.05).transaction()
    with Ledger(tmp_path).transaction(), pytest.raises(ValueError, match=r"busy for 0\.05 s"):
        waiting.__enter__()


def test_a_file_that_is_no_ledger_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "ledger.duckdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(ValueError, match="cannot be opened"), Ledger(tmp_path).transaction():
        raise AssertionError
    assert [finding.subject for finding in doctor.check(tmp_path) if finding.severity == "error"] == ["ledger"]


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path).transaction():
        pass
    tamper(tmp_path, "UPDATE ledger_schema SET version = 99")
    with pytest.raises(ValueError, match="newer Intentwin"), Ledger(tmp_path).transaction():
        raise AssertionError


def tamper(home: Path, sql: str) -> None:
    with duckdb.connect(str(home / "ledger.duckdb")) as connection:
        connection.execute(sql)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE audit SET actor = 'eve' WHERE seq = 2", "audit entry 2 has been changed"),
        ("UPDATE audit SET detail = '{}' WHERE seq = 1", "audit entry 1 has been changed"),
        ('UPDATE audit SET "at" = "at" + INTERVAL 1 SECOND WHERE seq = 3', "audit entry 3 has been changed"),
        ("DELETE FROM audit WHERE seq = 2", "audit entries 2 to 2 are missing"),
        ("DELETE FROM audit WHERE seq >= 2", "is not in the audit trail as it stands"),
        ("DELETE FROM audit WHERE seq = 1", "audit entries 1 to 1 are missing"),
        ("UPDATE approvals SET actor = 'eve'", "is not in the audit trail as it stands"),
        ("DELETE FROM approvals", "the decision on I-01/1 by bob is gone"),
        ('UPDATE intents SET policy = \'{"levers":{"emergency":[]}}\'', "intent I-01/1 has changed since the decision by bob"),
    ],
)
def test_tampering_is_found(tmp_path: Path, sql: str, said: str) -> None:
    ledger = Ledger(tmp_path)
    with ledger.transaction() as open_:
        open_.add_intent(version())
        open_.add_approval(approval())
        open_.set_state("I-01", 1, "active", AT, "bob")
    assert ledger.verify_audit() == []
    tamper(tmp_path, sql)
    assert said in "; ".join(ledger.verify_audit())
    assert any(finding.severity == "error" and finding.subject == "audit" for finding in doctor.check(tmp_path))
    assert os.path.exists(ledger.path)

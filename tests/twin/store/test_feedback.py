"""What operators say of named causes is kept, labels predictions and becomes history."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from twin.incidents import history
from twin.incidents.case import Incident
from twin.store import feedback, records
from twin.store.ledger import Ledger
from twin.store.records import Verdict

AT = datetime(2026, 7, 1, 14, 30, tzinfo=UTC)
BEGAN = 1_780_000_000.0


def verdict(minutes: int = 0, **changes: Any) -> Verdict:
    fields: dict[str, Any] = {
        "incident_id": "INC-1",
        "run_id": "0123456789ab",
        "predictor": "react_rca",
        "predicted_cause": "memory_leak",
        "predicted_entity_id": "cart",
        "confidence": 0.8,
        "right": True,
        "cause": "memory_leak",
        "entity_id": "cart",
        "note": "heap dump said so",
        "known": BEGAN + 3600.0,
        "actor": "ann",
        "at": AT + timedelta(minutes=minutes),
    }
    return Verdict(**{**fields, **changes})


def wrong(minutes: int = 0, **changes: Any) -> Verdict:
    return verdict(minutes, **{"right": False, "cause": "bad_deployment", "entity_id": "cart", **changes})


INCIDENT = Incident("INC-1", "cart is late", "callers retry", "major", "service", "cart", "services.latency_p99_s", 60.0, 120.0, BEGAN)


def test_what_is_said_is_read_back_in_order_and_noted_in_the_trail(tmp_path: Path) -> None:
    given = [verdict(), wrong(5), verdict(1, incident_id="INC-2", confidence=None)]
    with Ledger(tmp_path).transaction() as ledger:
        for item in given:
            ledger.add_verdict(item)
    with Ledger(tmp_path).transaction() as ledger:
        assert ledger.verdicts() == [given[0], given[2], given[1]]
        assert ledger.verdicts(incident_id="INC-1") == [given[0], given[1]]
        assert ledger.verdicts("another run") == []
        noted = ledger.audit_trail("0123456789ab/INC-1")
    assert [(entry.action, entry.detail["right"]) for entry in noted] == [("incident.verdict", True), ("incident.verdict", False)]
    assert Ledger(tmp_path).verify_audit() == []


def test_a_ledger_from_before_there_were_verdicts_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setattr("twin.store.ledger.MIGRATIONS", records.MIGRATIONS[:1])
        with Ledger(tmp_path).transaction() as ledger:
            ledger.audit(AT, "ann", "x", "y", {})
    with Ledger(tmp_path).transaction() as ledger:
        ledger.add_verdict(verdict())
        assert len(ledger.audit_trail()) == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (verdict(incident_id=""), "needs an incident"),
        (verdict(actor=""), "whoever says it"),
        (wrong(cause="DROP TABLE"), "is no class of cause"),
        (verdict(cause="bad_deployment"), "say that it was wrong"),
        (verdict(entity_id="checkout"), "say that it was wrong"),
        (verdict(right=False), "say that it was right"),
        (verdict(predicted_cause="", cause=""), "none was right"),
        (verdict(known=float("nan")), "time at which its cause was known"),
        (verdict(confidence=1.2), "confidence from 0 to 1"),
        (verdict(note="x" * 2001), "2001 characters"),
    ],
)
def test_what_contradicts_itself_is_refused_and_leaves_nothing(tmp_path: Path, given: Verdict, said: str) -> None:
    with pytest.raises(ValueError, match=said), Ledger(tmp_path).transaction() as ledger:
        ledger.add_verdict(given)
    with Ledger(tmp_path).transaction() as ledger:
        assert ledger.verdicts() == []
        assert ledger.audit_trail() == []


def test_the_last_word_on_each_prediction_is_its_label() -> None:
    told = feedback.labels([verdict(), verdict(1, predictor="nearest", known=BEGAN + 60.0), wrong(2)])
    assert told.select("predictor", "right", "cause").rows() == [("nearest", True, "memory_leak"), ("react_rca", False, "bad_deployment")]
    assert feedback.labels([]).schema == feedback.COLUMNS


def test_an_incident_whose_cause_was_named_becomes_history() -> None:
    old = history.draw(20, BEGAN, 1).incidents
    after = feedback.history_with(old, [verdict(), wrong(1)], {("0123456789ab", "INC-1"): INCIDENT}, "juniper")
    added = after.join(old, on="incident_id", how="anti").to_dicts()
    assert after.height == 21
    assert [(row["incident_id"], row["cause"], row["resolved"], row["site"]) for row in added] == [
        ("0123456789ab/INC-1", "bad_deployment", BEGAN + 3600.0, "juniper")
    ]


def test_what_teaches_no_cause_adds_nothing() -> None:
    old = history.draw(3, BEGAN, 1).incidents
    there = {("0123456789ab", "INC-1"): INCIDENT}
    assert feedback.history_with(old, [wrong(cause="", entity_id="")], there, "").equals(old)
    assert feedback.history_with(old, [verdict(incident_id="INC-9")], there, "").equals(old)
    assert feedback.history_with(old, [verdict(known=BEGAN)], there, "").equals(old)

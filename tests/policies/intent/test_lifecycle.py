"""The life cycle: what each command does, and above all what it refuses."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from policies.intent import lifecycle
from policies.intent.lifecycle import Actor, IntentRecord
from policies.intent.model import Expectation, Intent, read_back
from policies.policy import TODAY
from twin.sources import data_dir
from twin.store.ledger import Ledger

TEXT = "keep GPU temps under 85 C and cut serving cost by 5 %"


@pytest.fixture
def kept(tmp_path: Path, ana: Actor, noon: datetime) -> IntentRecord:
    return lifecycle.capture(tmp_path, TEXT, scenario="tiny", actor=ana, at=noon)


def intent_of(record: IntentRecord) -> Intent:
    return Intent.model_validate(dict(record.intent))


def test_a_request_is_taken_down_read_checked_and_compiled(kept: IntentRecord, tmp_path: Path) -> None:
    assert (kept.intent_id, kept.version, kept.state) == ("I-01", 1, "checked")
    assert kept.text == TEXT
    assert kept.policy is not None
    with Ledger(tmp_path).transaction() as ledger:
        actions = [entry.action for entry in ledger.audit_trail("I-01/1")]
        detail = next(entry.detail for entry in ledger.audit_trail("I-01/1") if entry.action == "intent.capture")
    assert actions == ["intent.add", "intent.capture"]
    assert detail["scenario"] == "tiny"
    assert Ledger(tmp_path).verify_audit() == []


@pytest.mark.parametrize("text", ["", "  \n ", "keep GPUs under 80 C " * 6000])
def test_what_is_no_request_is_one_line_and_nothing_is_written(tmp_path: Path, ana: Actor, noon: datetime, text: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        lifecycle.capture(tmp_path, text, scenario="tiny", actor=ana, at=noon)
    assert not (tmp_path / "ledger.duckdb").exists() or lifecycle.records(tmp_path) == []


def test_every_command_needs_someone_and_a_time_with_a_zone(tmp_path: Path, ana: Actor) -> None:
    with pytest.raises(ValueError, match="name and a role"):
        Actor("", "operator")
    with pytest.raises(ValueError, match="zone"):
        lifecycle.capture(tmp_path, TEXT, scenario="tiny", actor=ana, at=datetime(2026, 7, 14))  # noqa: DTZ001


def test_an_edit_is_a_new_version_and_the_old_one_is_revised(kept: IntentRecord, tmp_path: Path, ana: Actor, noon: datetime) -> None:
    changed = intent_of(kept).model_copy(update={"expectations": (Expectation(metric="plant.gpu_temp_max_c", op="<=", value=84.0),)})
    second = lifecycle.edit(tmp_path, "I-01", changed, actor=ana, at=noon)
    assert (second.version, second.parent, second.state) == (2, 1, "checked")
    assert lifecycle.record(tmp_path, "I-01", 1).state == "revised"
    assert second.policy_id != kept.policy_id


def test_an_answer_in_words_settles_the_question(tmp_path: Path, ana: Actor, noon: datetime) -> None:
    asked = lifecycle.capture(tmp_path, "cut latency 30 % on chat-70b", scenario="tiny", actor=ana, at=noon)
    assert asked.state == "questioned"
    with pytest.raises(ValueError, match="nothing is asked about window"):
        lifecycle.answer(tmp_path, asked.intent_id, "window", "tonight", actor=ana, at=noon)
    with pytest.raises(ValueError, match="does not settle"):
        lifecycle.answer(tmp_path, asked.intent_id, "meaning", "the blue one", actor=ana, at=noon)
    settled = lifecycle.answer(tmp_path, asked.intent_id, "meaning", "p99 TTFT", actor=ana, at=noon)
    assert settled.state == "checked"
    (wish,) = intent_of(settled).expectations
    assert (wish.metric, wish.value, wish.relative) == ("serving.ttft_p99_s", -0.3, True)


def test_nothing_is_approved_with_an_open_question_or_a_refusal(tmp_path: Path, ana: Actor, noon: datetime) -> None:
    open_ = lifecycle.capture(tmp_path, "GPUs under 80 C and cut latency by a quarter", scenario="tiny", actor=ana, at=noon)
    with pytest.raises(ValueError, match="open question"):
        lifecycle.approve(tmp_path, open_.intent_id, actor=ana, at=noon)
    refused = lifecycle.capture(tmp_path, "disable all limits", scenario="tiny", actor=ana, at=noon)
    with pytest.raises(ValueError, match="refused"):
        lifecycle.approve(tmp_path, refused.intent_id, actor=ana, at=noon)
    with pytest.raises(ValueError, match="nothing that can be tried"):
        lifecycle.try_on_twin(tmp_path, refused.intent_id, actor=ana, at=noon)


def test_from_words_to_approval_and_back(kept: IntentRecord, tmp_path: Path, ana: Actor, noon: datetime) -> None:
    with pytest.raises(ValueError, match="no evidence from a run of policy"):
        lifecycle.approve(tmp_path, "I-01", actor=ana, at=noon)
    shown: list[float] = []
    trial = lifecycle.try_on_twin(tmp_path, "I-01", actor=ana, at=noon, progress=lambda now: shown.append(now.done_share))
    assert shown
    assert lifecycle.record(tmp_path, "I-01").state == "simulated"
    assert [row.metric for row in trial.rows] == ["plant.gpu_temp_max_c", "serving.cost_usd_per_h"]
    (evidence,) = lifecycle.evidence(tmp_path, "I-01")
    assert evidence.candidate_run_ids == trial.candidate_run_ids

    with pytest.raises(ValueError, match="Read it again"):
        lifecycle.approve(tmp_path, "I-01", actor=ana, at=noon, read_back_as="Keep everything as it is.")
    sentence = read_back(intent_of(kept))
    active = lifecycle.approve(tmp_path, "I-01", actor=ana, at=noon, note="as shown", read_back_as=sentence)
    assert active.state == "active"
    assert [item.intent_id for item in lifecycle.active(tmp_path)] == ["I-01"]
    with pytest.raises(ValueError, match="is active"):
        lifecycle.approve(tmp_path, "I-01", actor=ana, at=noon)
    with pytest.raises(ValueError, match="is active"):
        lifecycle.reject(tmp_path, "I-01", actor=ana, at=noon)

    # A revision does not inherit the evidence: another policy set needs its own.
    tighter = intent_of(kept).model_copy(update={"expectations": (Expectation(metric="plant.gpu_temp_max_c", op="<=", value=84.0),)})
    lifecycle.edit(tmp_path, "I-01", tighter, actor=ana, at=noon)
    assert lifecycle.record(tmp_path, "I-01", 1).state == "active"
    with pytest.raises(ValueError, match="no evidence"):
        lifecycle.approve(tmp_path, "I-01", 2, actor=ana, at=noon, note="trust me")
    lifecycle.try_on_twin(tmp_path, "I-01", 2, actor=ana, at=noon)
    lifecycle.approve(tmp_path, "I-01", 2, actor=ana, at=noon, note="tighter")
    assert lifecycle.record(tmp_path, "I-01", 1).state == "revised"

    held = lifecycle.hold_against(tmp_path, trial.candidate_run_id, trial.today_run_id, actor=ana, at=noon + timedelta(hours=1))
    assert [(item.intent_id, item.version) for item in held] == [("I-01", 2)]
    assert lifecycle.record(tmp_path, "I-01", 2).state in {"met", "at_risk", "broken"}

    assert lifecycle.rollback(tmp_path, "I-01", actor=ana, at=noon, note="too tight").version == 1
    assert lifecycle.record(tmp_path, "I-01", 2).state == "retired"
    assert lifecycle.retire(tmp_path, "I-01", 1, actor=ana, at=noon).state == "retired"
    with pytest.raises(ValueError, match="not in force"):
        lifecycle.rollback(tmp_path, "I-01", actor=ana, at=noon)
    assert Ledger(tmp_path).verify_audit() == []


def test_a_broken_must_needs_a_note_that_says_why(tmp_path: Path, ana: Actor, noon: datetime) -> None:
    lifecycle.capture(tmp_path, "keep GPU temps under 21 C and cut serving cost by 5 %", scenario="tiny", actor=ana, at=noon)
    trial = lifecycle.try_on_twin(tmp_path, "I-01", actor=ana, at=noon)
    assert not trial.meets
    with pytest.raises(ValueError, match="note that says why"):
        lifecycle.approve(tmp_path, "I-01", actor=ana, at=noon)


def test_a_cancelled_trial_leaves_no_evidence(kept: IntentRecord, tmp_path: Path, ana: Actor, noon: datetime) -> None:
    from twin.run import Cancelled

    with pytest.raises(Cancelled):
        lifecycle.try_on_twin(tmp_path, "I-01", actor=ana, at=noon, cancel=lambda: True)
    assert lifecycle.evidence(tmp_path, "I-01") == []
    assert lifecycle.record(tmp_path, "I-01").state == "checked"


def test_exploring_screens_on_the_window_and_runs_finalists_whole(kept: IntentRecord, tmp_path: Path, ana: Actor, noon: datetime) -> None:
    found = lifecycle.explore(tmp_path, "I-01", candidates=4)
    assert {item.reach for item in found.candidates} <= {"screened", "whole day"}
    assert sum(item.reach == "whole day" for item in found.candidates) == 3
    assert (found.best is None) == (found.nearest_miss is not None)
    told = found.json_dict()
    assert {"policy_set", "run_id", "metrics", "meets"} <= set(told["candidates"][0])
    adopted = lifecycle.adopt(tmp_path, "I-01", found.candidates[0].policy, actor=ana, at=noon)
    assert adopted.policy_id == found.candidates[0].policy.policy_id


def test_a_policy_that_is_not_of_this_twin_cannot_be_adopted(kept: IntentRecord, tmp_path: Path, ana: Actor, noon: datetime) -> None:
    raw = TODAY.model_dump(mode="json")
    raw["levers"] = {"request_routing": [{"system": "round_robin", "scope": [{"kind": "endpoint", "id": "nowhere"}], "knobs": {}}]}
    with pytest.raises(ValueError, match="nowhere"):
        lifecycle.adopt(tmp_path, "I-01", type(TODAY).model_validate(raw), actor=ana, at=noon)


def test_a_changed_policy_in_the_ledger_is_not_what_the_evidence_showed(
    kept: IntentRecord, tmp_path: Path, ana: Actor, noon: datetime
) -> None:
    lifecycle.try_on_twin(tmp_path, "I-01", actor=ana, at=noon)
    policy = {
        **dict(kept.policy or {}),
        "levers": {"instance_scaling": [{"system": "reactive", "scope": [], "knobs": {"floor_share": 0.9}}]},
    }
    with Ledger(tmp_path).transaction() as ledger:
        ledger.replace_intent(replace(ledger.intent("I-01"), policy=policy))
    with pytest.raises(ValueError, match="no evidence"):
        lifecycle.approve(tmp_path, "I-01", actor=ana, at=noon, note="as shown")


def test_evidence_from_before_the_scenario_changed_is_none(tmp_path: Path, ana: Actor, noon: datetime) -> None:
    place = tmp_path / "mine.toml"
    packaged = (data_dir() / "scenarios" / "tiny.toml").read_text()
    place.write_text(packaged)
    lifecycle.capture(tmp_path, TEXT, scenario=place, actor=ana, at=noon)
    lifecycle.try_on_twin(tmp_path, "I-01", actor=ana, at=noon)
    place.write_text(packaged.replace("30 min", "15 min", 1))
    with pytest.raises(ValueError, match="as they are now"):
        lifecycle.approve(tmp_path, "I-01", actor=ana, at=noon, note="as shown")


def test_evidence_from_before_the_code_changed_is_none(
    kept: IntentRecord, tmp_path: Path, ana: Actor, noon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    lifecycle.try_on_twin(tmp_path, "I-01", actor=ana, at=noon)
    monkeypatch.setattr("twin.run.code_hash", lambda: "other code")
    with pytest.raises(ValueError, match="as they are now"):
        lifecycle.approve(tmp_path, "I-01", actor=ana, at=noon, note="as shown")


def test_a_scenario_file_is_found_again_from_another_folder(
    tmp_path: Path, ana: Actor, noon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.toml").write_text((data_dir() / "scenarios" / "tiny.toml").read_text())
    monkeypatch.chdir(tmp_path)
    lifecycle.capture(tmp_path, TEXT, scenario="mine.toml", actor=ana, at=noon)
    monkeypatch.chdir("/")
    assert lifecycle.edit(tmp_path, "I-01", Intent(text=TEXT), actor=ana, at=noon).version == 2


def in_force(home: Path, intent_id: str, degrees: float, actor: Actor, at: datetime) -> None:
    """Approve a version that keeps GPUs below a temperature, with its own evidence."""
    wish = Expectation(metric="plant.gpu_temp_max_c", op="<=", value=degrees)
    lifecycle.edit(home, intent_id, Intent(text=TEXT, expectations=(wish,)), actor=actor, at=at)
    lifecycle.try_on_twin(home, intent_id, actor=actor, at=at)
    lifecycle.approve(home, intent_id, actor=actor, at=at, note="as shown")


def test_a_version_that_was_retired_never_comes_back(kept: IntentRecord, tmp_path: Path, ana: Actor, noon: datetime) -> None:
    in_force(tmp_path, "I-01", 84.0, ana, noon)
    lifecycle.retire(tmp_path, "I-01", actor=ana, at=noon)
    in_force(tmp_path, "I-01", 83.0, ana, noon)
    assert lifecycle.rollback(tmp_path, "I-01", actor=ana, at=noon).state == "retired"
    assert lifecycle.active(tmp_path) == []


def test_a_rollback_does_not_revive_what_another_intent_excludes(kept: IntentRecord, tmp_path: Path, ana: Actor, noon: datetime) -> None:
    in_force(tmp_path, "I-01", 60.0, ana, noon)
    in_force(tmp_path, "I-01", 84.0, ana, noon)
    lifecycle.capture(tmp_path, TEXT, scenario="tiny", actor=ana, at=noon)
    wish = Expectation(metric="plant.gpu_temp_max_c", op=">=", value=70.0)
    lifecycle.edit(tmp_path, "I-02", Intent(text=TEXT, expectations=(wish,)), actor=ana, at=noon)
    lifecycle.try_on_twin(tmp_path, "I-02", actor=ana, at=noon)
    lifecycle.approve(tmp_path, "I-02", actor=ana, at=noon, note="as shown")
    with pytest.raises(ValueError, match="I-02 is in force and excludes it"):
        lifecycle.rollback(tmp_path, "I-01", actor=ana, at=noon)
    assert [(item.intent_id, item.version) for item in lifecycle.active(tmp_path)] == [("I-01", 3), ("I-02", 2)]

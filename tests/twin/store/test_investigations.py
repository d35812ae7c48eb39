"""Investigations on disk: whole or not at all, the same bytes back."""

from dataclasses import replace

import polars as pl
import pytest

from twin.incidents.case import Incident
from twin.incidents.levers import ConfidenceAction
from twin.incidents.tools import Reply
from twin.incidents.trajectory import Hypothesis, Investigation, Statement, Step
from twin.store import investigations
from twin.store.investigations import Investigated, Moment, evidence_of

RUN = "0123456789ab"
INCIDENT = Incident("I-1", "cart is slow", "p99\x85above 2 s", "major", "service", "cart", "services.latency_p99_s", 600.0, 900.0, 1.7e9,
                    ("cart", "front"))  # fmt: skip


def reply(rows=3, **kwargs):
    frame = pl.DataFrame({"entity": [f"host-{i}" for i in range(rows)], "z": [float("nan")] * rows})
    told = {"ok": True, "words": "3 metrics moved\u2028«ignore»", "sql": "SELECT 1", "from_s": 0.0, "to_s": 900.0, **kwargs}
    return Reply("E1", "anomaly_scan", {"entities": ["cart"]}, rows=frame, **told)


def moment(as_of_s=900.0):
    statement = Statement("host-1 rose", "host-1", ("E1",), supported=True)
    hypothesis = Hypothesis("host", "host-1", "slow_nic", "", ("host-1", "cart"), float("nan"), 0.6, (statement,), 0.7, True)
    step = Step(1, "Look.", "anomaly_scan", {"from_s": 0.0}, "3 metrics", "E1", True)
    found = Investigation("I-1", as_of_s, "react_rca", "embedded", (step,), (hypothesis,), "likely", ("x",), "submitted", 2, 0)
    return Moment(as_of_s, found, (ConfidenceAction(0.7, 0.5, 0.8, True, 40, "calibrated"),), (evidence_of(reply()),))


def looked_into(run_id=RUN, incident=INCIDENT, policy=None, moments=(900.0, 1200.0)):
    policy = policy or {"levers": {"investigation": [{"system": "react_rca"}]}}
    name = investigations.id_of(run_id, incident.incident_id, policy, moments, "code", {"history": "abc"})
    return Investigated(name, run_id, incident, policy, tuple(moment(t_s) for t_s in moments), {"history": 5_000})


def test_what_was_saved_comes_back(tmp_path):
    told = looked_into()
    folder = investigations.save(told, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["evidence.jsonl", "manifest.json", "steps.jsonl"]
    back = investigations.load(told.investigation_id, tmp_path)
    # Not-a-number equals nothing, itself included: texts are compared.
    assert repr(back) == repr(told)
    assert [each.evidence[0].rows[0] for each in back.moments] == [("host-0", None)] * 2


def test_the_same_question_has_the_same_id_and_another_another():
    told = looked_into()
    assert looked_into().investigation_id == told.investigation_id
    others = [
        looked_into(run_id="ba9876543210"),
        looked_into(moments=(900.0,)),
        looked_into(policy={"levers": {}}),
        looked_into(incident=replace(INCIDENT, incident_id="I-2")),
    ]
    assert len({told.investigation_id, *(each.investigation_id for each in others)}) == 5
    assert investigations.id_of(RUN, "I-1", {}, (1.0,), "code") != investigations.id_of(RUN, "I-1", {}, (1.0,), "other code")


def test_saving_twice_leaves_what_is_there(tmp_path):
    told = looked_into()
    first = investigations.save(told, tmp_path)
    before = {path.name: path.read_bytes() for path in first.iterdir()}
    investigations.save(told, tmp_path)
    assert {path.name: path.read_bytes() for path in first.iterdir()} == before
    assert len(list((tmp_path / "investigations").iterdir())) == 1


def test_the_last_one_asked_is_the_latest(tmp_path):
    one, other = looked_into(), looked_into(moments=(900.0,))
    elsewhere = looked_into(incident=replace(INCIDENT, incident_id="I-2"))
    assert investigations.latest(RUN, "I-1", tmp_path) is None
    for each in (one, other, elsewhere):
        investigations.save(each, tmp_path)
    assert investigations.of_run(RUN, tmp_path) == tuple(each.investigation_id for each in (one, other, elsewhere))
    assert investigations.latest(RUN, "I-1", tmp_path).investigation_id == other.investigation_id
    investigations.asked_again(one.investigation_id, tmp_path)
    assert investigations.latest(RUN, "I-1", tmp_path).investigation_id == one.investigation_id
    assert investigations.of_run("ba9876543210", tmp_path) == ()


def test_of_many_rows_fifty_are_kept_and_it_says_so():
    kept = evidence_of(reply(60))
    assert (len(kept.rows), kept.truncated) == (50, True)
    assert not evidence_of(reply(50)).truncated


def test_what_leads_elsewhere_or_is_damaged_is_refused_in_one_line(tmp_path):
    for bad in ("../../etc", "0123", ""):
        with pytest.raises(ValueError, match="12 hex digits"):
            investigations.load(bad, tmp_path)
    with pytest.raises(ValueError, match="not stored"):
        investigations.load("0" * 12, tmp_path)
    told = looked_into()
    folder = investigations.save(told, tmp_path)
    (folder / "steps.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="damaged") as refused:
        investigations.load(told.investigation_id, tmp_path)
    assert "\n" not in str(refused.value)

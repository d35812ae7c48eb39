"""Asking the afterwards levers about a run, and holding them to what was done."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from policies import investigate, judging, knowledge, predicted, study
from policies.drill import Drilled, Said
from policies.policy import TODAY, Held, PolicySet
from twin.incidents.case import Truth
from twin.scenario import load
from twin.store import case_of_run, drills, investigations, runs
from twin.store.importers import import_file
from twin.store.ledger import Ledger
from twin.store.records import Verdict

PLAIN = PolicySet(name="plain", levers={"investigation": (Held(system="nearest"),), "confidence": (Held(system="raw_score"),)})


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with one run: a burst that leaves a retry storm behind."""
    home = tmp_path_factory.mktemp("home")
    scenario = load("retry-storm")
    return home, study.run(scenario, TODAY, scenario.seed, home)


@pytest.fixture(scope="module")
def incident(place):
    return case_of_run.incidents_of(place[1], place[0])[0]


@pytest.fixture(scope="module")
def found(place, incident):
    return investigate.investigate(place[1], incident.incident_id, PolicySet(), place[0])


def test_ours_are_asked_at_seven_moments_that_the_run_has(place, incident, found):
    assert [stack[0]["system"] for stack in (found.policy["investigation"], found.policy["confidence"])] == ["react_rca", "pace"]
    times = [moment.as_of_s for moment in found.moments]
    assert len(times) == 7
    assert times == sorted(times)
    assert (times[0], times[-1] <= 10_800.0) == (incident.detected_s, True)
    assert {moment.investigation.holder for moment in found.moments} == {"react_rca"}


def test_each_of_the_first_hypotheses_has_its_confidence_and_evidence(found):
    last = found.moments[-1]
    assert last.investigation.hypotheses
    assert len(last.confidence) == min(len(last.investigation.hypotheses), investigate.ASKED)
    for hypothesis, said in zip(last.investigation.hypotheses, last.confidence, strict=False):
        assert hypothesis.confidence == said.confidence
        assert 0.0 <= said.confidence <= 1.0
        assert not said.calibrated
    kept = {each.evidence_id for each in last.evidence}
    cited = {name for each in last.investigation.hypotheses for item in each.statements for name in item.evidence_ids}
    assert cited
    assert cited <= kept
    assert all(each.to_s <= last.as_of_s for each in last.evidence)


def test_the_same_question_is_answered_from_the_store(place, incident, found):
    stored = investigations.folder_of(found.investigation_id, place[0]) / "steps.jsonl"
    before = stored.stat().st_mtime_ns
    again = investigate.investigate(place[1], incident.incident_id, investigate.OURS, place[0])
    assert again.investigation_id == found.investigation_id
    assert repr(again.moments[-1].confidence) == repr(found.moments[-1].confidence)
    assert stored.stat().st_mtime_ns == before


def test_a_run_is_the_same_whoever_looks_into_it(place):
    scenario = load("retry-storm")
    assert study.run(scenario, PLAIN, scenario.seed, place[0]) == place[1]


def test_other_holders_other_moments_other_investigation(place, incident, found):
    moment_s = incident.detected_s + 600.0
    other = investigate.investigate(place[1], incident.incident_id, PLAIN, place[0], moments_s=[moment_s])
    assert other.investigation_id != found.investigation_id
    assert [moment.as_of_s for moment in other.moments] == [moment_s]
    assert other.moments[0].investigation.holder == "nearest"


def test_a_person_is_asked_anew_each_time_and_none_of_it_is_taken_for_another(place, incident, found):
    ids = {
        investigate.investigate(
            place[1], incident.incident_id, PLAIN, place[0], moments_s=[incident.detected_s], person=lambda question: "no"
        ).investigation_id
        for _ in range(2)
    }
    assert len(ids) == 2
    assert found.investigation_id not in ids


def test_progress_names_the_moment_and_can_stop(place, incident):
    class Stopped(Exception):
        pass

    heard = []

    def told(share, text):
        heard.append((share, text))
        if share > 0.4:
            raise Stopped

    with pytest.raises(Stopped):
        investigate.investigate(place[1], incident.incident_id, PLAIN, place[0], progress=told)
    assert heard[0] == (0.0, "as of +0 min")
    stored = [investigations.load(name, place[0]) for name in investigations.of_run(place[1], place[0])]
    assert not [each for each in stored if each.policy == PLAIN.canonical() and len(each.moments) == 7]


@pytest.mark.parametrize(
    ("left_s", "count"), [(36_000.0, 7), (3_600.0, 7), (1_200.0, 7), (500.0, 7), (7.0, 6), (0.0, 1)], ids=lambda value: f"{value:g}"
)
def test_moments_never_lie_beyond_the_run(incident, left_s, count):
    end_s = incident.detected_s + left_s
    times = investigate.moments(incident, end_s)
    assert times[0] == incident.detected_s
    assert times[-1] == incident.detected_s + min(left_s, 3_600.0)
    assert len(times) >= min(count, 6)
    assert len(set(times)) == len(times)
    assert all(a < b for a, b in pairwise(times))


def test_what_cannot_be_asked_is_refused_in_one_line(place, incident):
    home, run_id = place
    for bad, words in (
        (lambda: investigate.investigate(run_id, "incident-99", PLAIN, home), "has no incident"),
        (lambda: investigate.investigate(run_id, incident.incident_id, PLAIN, home, moments_s=[1.0]), "outside"),
        (lambda: investigate.investigate(run_id, incident.incident_id, PLAIN, home, moments_s=[incident.detected_s - 1.0]), "outside"),
        (lambda: investigate.investigate(run_id, incident.incident_id, PLAIN, home, moments_s=[]), "no moment"),
        (lambda: investigate.moments(incident, incident.detected_s - 1.0), "after its run had ended"),
        (lambda: investigate.chosen(PolicySet(levers={"investigation": (Held(system="pace"),)})), "cannot hold"),
    ):
        with pytest.raises(ValueError, match=words) as refused:
            bad()
        assert "\n" not in str(refused.value)


def test_the_truth_of_a_run_is_held_against_it(place, found):
    scored = investigate.score(found, place[0])
    truth, storm = scored.truths
    assert (truth.cause, truth.entity_id, truth.provable) == ("traffic_burst", "front", True)
    assert (storm.cause, storm.onset_s) == ("retry_storm", 4500.0)
    assert {"front", "ledger"} <= set(storm.also_right), "what outlives the burst is a storm wherever it is felt"
    assert len(scored.moments) == len(found.moments)
    last = found.moments[-1]
    rights = [judging.right(each, scored.truths if last.as_of_s >= storm.onset_s else [truth]) for each in last.investigation.hypotheses]
    rank = rights.index(True) + 1 if any(rights) else 0
    assert scored.moments[-1].rank == rank
    shares = judging.metrics([scored])
    assert shares["incidents.rca_top1_share"] == float(rank == 1)
    assert shares["incidents.rca_top3_share"] == float(1 <= rank <= 3)


def test_rightness_needs_the_class_and_the_place(found):
    hypothesis = found.moments[-1].investigation.hypotheses[0]
    real = Truth(hypothesis.entity_id, hypothesis.cause, 0.0, provable=True)
    assert judging.right(hypothesis, [real])
    assert judging.right(hypothesis, [replace(real, entity_id="x", also_right=(hypothesis.entity_id,))])
    assert not judging.right(hypothesis, [replace(real, entity_id="x")])
    assert not judging.right(hypothesis, [replace(real, cause="slow_nic")])
    assert not judging.right(hypothesis, [])


def test_a_true_cause_in_an_answer_that_names_nobody_ranks_nowhere(found):
    first = found.moments[-1].investigation.hypotheses[0]
    real = (Truth(first.entity_id, first.cause, 0.0, provable=True),)
    firm = replace(found.moments[-1].investigation, status="likely")
    assert judging.judged(1e6, firm, real).rank == 1
    assert judging.judged(1e6, replace(firm, status="inconclusive"), real).rank == 0


def test_what_ends_with_its_burst_is_no_storm_of_retries(place, found, tmp_path):
    alerts = pl.DataFrame(
        {"t_s": [100.0, 700.0], "state": ["fired", "cleared"], "alert": [0, 0], "incident_id": [found.incident.incident_id] * 2}
    )
    alerts.write_parquet(tmp_path / "alerts.parquet")
    paths = {"alerts": tmp_path / "alerts.parquet"}
    assert not judging.outlasts(paths, found.incident, 100.0), "it was over ten minutes after the burst"
    assert not judging.outlasts(paths, found.incident, 99.0), "it began when the burst was over"
    alerts.head(1).write_parquet(paths["alerts"])
    assert judging.outlasts(paths, found.incident, 100.0)
    assert not judging.outlasts(paths, found.incident, None)


def test_blaming_somebody_for_what_nobody_did_is_a_false_accusation(found):
    incident_moments = tuple(judging.judged(moment.as_of_s, moment.investigation, ()) for moment in found.moments)
    scored = judging.Scored((), provable=False, onset_s=0.0, moments=incident_moments)
    assert scored.false_accusation == (found.moments[-1].investigation.status != "inconclusive")
    assert scored.diagnosed_s is None


def verdict(place, incident, found, *, cause="", minutes=0.0):
    first = found.moments[-1].investigation.hypotheses[0]
    named = (first.cause, first.entity_id)
    return Verdict(
        incident.incident_id, place[1], knowledge.predictor_of(found.moments[-1].investigation), *named, first.confidence,
        not cause, cause or first.cause, "" if cause else first.entity_id, "seen", knowledge.known_at(found) + 60.0 * minutes, "ana",
        datetime(2026, 7, 15, tzinfo=UTC),
    )  # fmt: skip


def test_what_operators_say_is_a_label_and_history_for_later_incidents(place, incident, found, tmp_path):
    # A store of its own, so that other tests' investigations rest on the same knowledge.
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / place[1]).symlink_to(runs.folder_of(place[1], place[0]))
    investigations.save(found, tmp_path)
    before = knowledge.known(tmp_path, incident.began)
    with Ledger(tmp_path).transaction() as transaction:
        transaction.add_verdict(verdict(place, incident, found))
    after = knowledge.known(tmp_path, incident.began)
    assert (len(before.labelled), len(after.labelled)) == (0, 1)
    label = after.labelled[0]
    assert label.right
    assert label.known > incident.began
    assert label.likely == found.moments[-1].confidence[0].likely
    assert after.history.height == before.history.height + 1
    assert f"{place[1]}/{incident.incident_id}" in after.history["incident_id"].to_list()
    assert after.basis["digests"] != before.basis["digests"]


def test_drills_that_are_kept_are_labels_and_those_held_out_are_not(incident, tmp_path):
    said = Said(
        holder="react_rca", cause="slow_nic", entity_id="host-1", score=0.7, status="likely", right=True, third=True, claims=3,
        unsupported=0, sufficient=0.5, likely=0.6, cpu_s=0.1,
    )  # fmt: skip
    for key in ("drill-a-fit-1-0", "drill-b-held-out-1-0"):
        drilled = Drilled(
            key=key, kind="slow_nic", cause="slow_nic", entity_id="host-1", provable=True, unseen=False, confounders=0, incident=incident,
            known=incident.began + 60.0, said=(said,), simulated_cpu_s=1.0,
        )  # fmt: skip
        drills.save(key, drilled.json_dict(), tmp_path)
    (label,) = knowledge.rehearsed(tmp_path)
    assert (label.prediction.predictor, label.prediction.cause, label.right, label.likely) == ("react_rca", "slow_nic", True, 0.6)
    assert knowledge.known(tmp_path, incident.began).basis["labels_drills"] == 1


def test_the_generated_history_was_over_before_the_run_began():
    told = knowledge.generated(1.78e9)
    assert told.height == knowledge.GENERATED
    assert told["resolved"].max() <= 1.78e9


def test_imported_predictions_learn_from_earlier_ones_alone(tmp_path):
    incidents, named = tmp_path / "incidents.csv", tmp_path / "named.csv"
    days = range(1, 41)
    incidents.write_text("incident_id,began,resolved,title,text,cause\n" + "".join(
        f"T-{day},2026-0{1 + day // 28}-{1 + day % 28:02d}T10:00:00Z,2026-0{1 + day // 28}-{1 + day % 28:02d}T12:00:00Z,"
        f"{'cart' if day % 2 else 'search'} is slow,p99 up,{'memory_leak' if day % 2 else 'slow_nic'}\n" for day in days
    ), encoding="utf-8")  # fmt: skip
    named.write_text("incident,cause,text,score,right\n" + "".join(
        f"T-{day},{'memory_leak' if day % 4 else 'slow_nic'},,0.{5 + day % 4},{'yes' if day % 2 else 'no'}\n" for day in days
    ), encoding="utf-8")  # fmt: skip
    import_file("incidents", incidents, "ours", tmp_path)
    import_file("predictions", named, "theirs", tmp_path)
    told = predicted.confided("theirs", investigate.OURS, tmp_path)
    assert [each.said.labels for each in told] == list(range(40))
    assert [each.said.calibrated for each in told] == [False] * 30 + [True] * 10
    assert predicted.measured(told)["confidence"]["count"] == 10
    assert predicted.measured(told)["own score"]["count"] == 10


def test_what_was_recorded_of_incidents_says_which_imported_predictions_were_right(tmp_path):
    incidents, named = tmp_path / "incidents.csv", tmp_path / "named.csv"
    causes = ("memory_leak", "slow_nic", "the cat was it")
    incidents.write_text("incident_id,began,resolved,title,cause\n" + "".join(
        f"T-{n},2026-01-0{n}T10:00:00Z,2026-01-0{n}T12:00:00Z,slow,{cause}\n" for n, cause in enumerate(causes, 1)
    ), encoding="utf-8")  # fmt: skip
    named.write_text("incident,cause,text,score\nT-1,memory_leak,,0.5\nT-2,memory_leak,,0.5\nT-3,memory_leak,,0.5\n", encoding="utf-8")
    import_file("incidents", incidents, "ours", tmp_path)
    import_file("predictions", named, "theirs", tmp_path)
    told = predicted.confided("theirs", investigate.OURS, tmp_path)
    assert [(each.right, each.said.labels) for each in told] == [(True, 0), (False, 1), (None, 2)]


def test_predictions_without_their_incidents_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no predictions are imported"):
        predicted.confided("theirs", investigate.OURS, tmp_path)
    named = tmp_path / "named.csv"
    named.write_text("incident,cause,text,score\nT-1,slow_nic,,0.5\n", encoding="utf-8")
    import_file("predictions", Path(named), "theirs", tmp_path)
    with pytest.raises(ValueError, match="none of their incidents is known"):
        predicted.confided("theirs", investigate.OURS, tmp_path)

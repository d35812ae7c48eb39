"""Investigate and verdict from the command line: what they say, and what they refuse in one line."""

import json

import pytest

from app import work
from app.cli import main
from app.jobs import CancelledError, Reporter
from policies import study
from policies.policy import TODAY
from twin.scenario import load
from twin.store import case_files, case_of_run, investigations
from twin.store.ledger import Ledger


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with one run: a burst that leaves a retry storm behind."""
    home = tmp_path_factory.mktemp("home")
    scenario = load("retry-storm")
    return home, study.run(scenario, TODAY, scenario.seed, home)


@pytest.fixture
def say(place, monkeypatch, capsys):
    monkeypatch.setenv("INTENTWIN_HOME", str(place[0]))

    def run(*words, code=0):
        assert main(list(words)) == code
        out = capsys.readouterr()
        return out.out if code == 0 else out.err

    return run


def test_a_run_is_looked_into_and_what_was_found_is_kept(place, say):
    text = say("investigate", place[1][:6], "--as-of", "+5 min")
    assert "incident-1  critical  100 % of requests to front fail" in text
    assert "as of +5 min, by react_rca (embedded), confidence by pace" in text
    assert "uncalibrated (0 labels)" in text
    assert "[E3" in text
    assert "simulated truth: traffic_burst at front; retry_storm at front, which data can prove" in text
    stored = investigations.of_run(place[1], place[0])[-1]
    assert f"stored: investigations/{stored}" in text


def test_as_json_it_says_the_same(place, say):
    told = json.loads(say("investigate", place[1], "--incident", "incident-1", "--json"))
    (one,) = told["incidents"]
    assert len(one["moments"]) == 7
    assert one["truth"]["truths"][0]["cause"] == "traffic_burst"
    assert set(told["metrics"]) >= {"incidents.rca_top1_share", "incidents.rca_top3_share", "incidents.confidence_brier"}
    assert one["investigation_id"] in investigations.of_run(place[1], place[0])


def test_other_holders_are_asked_by_a_policy_set(place, say, tmp_path):
    path = tmp_path / "plain.json"
    path.write_text(json.dumps({"levers": {"investigation": [{"system": "nearest"}]}}), encoding="utf-8")
    assert "by nearest (embedded), confidence by raw_score" in say("investigate", place[1], "--policy", str(path))


def test_a_job_tells_the_moment_and_stops_when_asked(place, tmp_path):
    spec = {"run_id": place[1], "incident_id": "incident-1", "policy": {"levers": {"investigation": [{"system": "loudest"}]}}}
    report = Reporter(tmp_path)
    done = work.investigate({**spec, "moments_s": [4_000.0]}, place[0], report)
    assert investigations.load(done["investigation_id"], place[0]).moments[0].investigation.holder == "loudest"
    before = investigations.of_run(place[1], place[0])
    (tmp_path / "cancel").touch()
    with pytest.raises(CancelledError):
        work.investigate(spec, place[0], report)
    assert investigations.of_run(place[1], place[0]) == before


def test_a_verdict_labels_what_was_named_and_may_be_said_anew(place, say):
    say("investigate", place[1], "--as-of", "+5 min")
    assert "right, says ana" in say("verdict", place[1], "incident-1", "--cause", "right", "--as", "ana")
    told = json.loads(say("verdict", place[1], "incident-1", "--cause", "traffic_burst", "--entity", "front", "--actor", "bo", "--json"))
    assert (told["predictor"], told["cause"], told["entity_id"], told["actor"]) == ("react_rca", "traffic_burst", "front", "bo")
    with Ledger(place[0]).transaction() as transaction:
        assert [item.actor for item in transaction.verdicts(place[1], "incident-1")] == ["ana", "bo"]


def test_own_telemetry_is_looked_into(say, tmp_path):
    rows = [f"{60 * minute},{name},cpu,{0.2 + 0.01 * (minute % 3) + 0.7 * (minute > 200 and name != 'c')}"
            for minute in range(240) for name in ("a", "b", "c")]  # fmt: skip
    (tmp_path / "own.csv").write_text("time,entity,metric,value\n" + "\n".join(rows), encoding="utf-8")
    (tmp_path / "graph.csv").write_text("source,target\na,b\nc,b\n", encoding="utf-8")
    say("import", "telemetry", str(tmp_path / "own.csv"))
    asked = ("--import", "own", "--entity", "a", "--metric", "cpu", "--onset", "12060", "--topology", str(tmp_path / "graph.csv"))
    text = say("investigate", *asked, "--as-of", "+10 min")
    assert "telemetry own" in text
    assert "cpu of b rose" in text
    assert "  1. b: cpu moved by" in text
    assert "nothing is stored" in text
    for moment in ("-100", "1e999", "+24 h"):
        assert "is outside 12060 s to 14340 s" in say("investigate", *asked, "--as-of", moment, code=2)


def test_a_folder_is_looked_into(place, say, tmp_path):
    case = case_of_run.read(place[1], place[0], "incident-1")
    folder = case_files.save(case, tmp_path / "case")
    told = json.loads(say("investigate", "--case", str(folder), "--as-of", "+5 min", "--json"))
    assert told["moments"][0]["investigation"]["hypotheses"]


def test_imported_predictions_are_confided(say, tmp_path):
    (tmp_path / "ours.csv").write_text(
        "incident_id,began,resolved,title,cause\nT-1,2026-01-01T10:00:00Z,2026-01-01T12:00:00Z,cart is slow,memory_leak\n", encoding="utf-8"
    )
    (tmp_path / "theirs.csv").write_text("incident,cause,text,score,right\nT-1,memory_leak,,0.9,yes\n", encoding="utf-8")
    say("import", "incidents", str(tmp_path / "ours.csv"))
    say("import", "predictions", str(tmp_path / "theirs.csv"))
    text = say("investigate", "--predictions", "theirs")
    assert "memory_leak" in text
    assert "uncalibrated" in text
    assert "ece_width" in text


def test_public_data_sets_are_scored(say, test_data):
    if not (test_data / "incidents" / "petshop").is_dir():
        pytest.skip("PetShop is not here")
    text = say("investigate", "--dataset", "petshop", str(test_data / "incidents" / "petshop"))
    assert "petshop: 16 issues, onset known" in text
    assert "AC@1   AC@3  Avg@5" in text


def test_what_cannot_be_done_is_one_line(place, say, tmp_path):
    for words, said in (
        (("investigate",), "nothing given"),
        (("investigate", place[1], "--import", "x"), "RUN and --import given"),
        (("investigate", place[1], "--onset", "known"), "--onset goes with"),
        (("investigate", place[1], "--incident", "incident-9"), "has no incident"),
        (("investigate", place[1], "--as-of", "soon"), "is no moment"),
        (("investigate", place[1], "--as-of", "1"), "outside"),
        (("investigate", place[1], "--entity", "front"), "--entity goes with --import"),
        (("investigate", "--dataset", "petshop", str(tmp_path), "--incident", "incident-1"), "--incident goes with RUN"),
        (("investigate", place[1], "--policy", "nobody"), "neither a file"),
        (("investigate", "--dataset", "other", str(tmp_path)), "petshop or nezha"),
        (("investigate", "--dataset", "petshop", str(tmp_path)), "no PetShop scenario"),
        (("investigate", "--dataset", "nezha", str(tmp_path / "x")), "no such folder"),
        (("investigate", "--import", "x", "--entity", "a"), "needs --metric"),
        (("investigate", "--case", str(tmp_path / "x")), "no such folder"),
        (("investigate", "--predictions", "x"), "no predictions are imported"),
        (("verdict", place[1], "incident-9", "--cause", "wrong"), "has no incident"),
        (("verdict", place[1], "incident-1", "--cause", "gremlins"), "no class of cause"),
        (("verdict", place[1], "incident-1", "--cause", "wrong", "--entity", "front"), "--entity goes with"),
        (
            ("verdict", place[1], "incident-1", "--cause", "retry_storm", "--entity", "ledgre"),
            "has no entity 'ledgre'; it has, for one: ledger",
        ),
    ):
        text = say(*words, code=2)
        assert said in text
        assert text.count("\n") == 1

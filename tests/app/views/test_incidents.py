"""The Incidents page: a retry storm, what was found of it at several moments, and what people say."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_origin

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from app import cases, jobs, state, work
from app.report.incidents import section
from app.views.incidents import alike, answering, asking, believed, certainty, knobs, path, proposing, reading, steps
from policies import catalogue, study
from policies.investigate import OURS, investigate
from policies.policy import TODAY
from twin.incidents.trajectory import Hypothesis, Statement
from twin.scenario import load
from twin.store import investigations
from twin.store.ledger import Ledger

PAGE = "from app import state\nfrom app.views import incidents\nstate.publish()\nincidents.show()\n"
NASTY = "<b>100 %</b> ![x](http://elsewhere.example/x.png) of requests fail"


@pytest.fixture(scope="module")
def stormy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Three hours with a retry storm, its incident looked into by our own investigator."""
    home = tmp_path_factory.mktemp("incidents") / "home"
    scenario = load("retry-storm")
    run_id = study.run(scenario, TODAY, scenario.seed, home)
    incident = cases.incidents(str(home), run_id)[-1]
    investigate(run_id, incident.incident_id, OURS, home)
    return home, run_id


@pytest.fixture
def home(stormy: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    own = tmp_path / "home"
    shutil.copytree(stormy[0], own)
    monkeypatch.setenv("INTENTWIN_HOME", str(own))
    # No page of a test starts a worker by itself.
    monkeypatch.setattr(jobs, "_spawn", lambda place: None)
    return own


def _opened(**query: str) -> AppTest:
    at = AppTest.from_string(PAGE, default_timeout=120)
    for key, value in {"scenario": "retry-storm", **query}.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    return at


def _words(at: AppTest) -> str:
    told = " ".join(element.proto.body for element in at.get("html"))
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", told)).replace("\u00a0", " ")


def _sent(at: AppTest, name: str) -> list[dict[str, Any]]:
    return [json.loads(element.proto.json)[0] for element in at.get("bidi_component") if element.proto.component_name == name]


def _look(home: Path, run_id: str) -> reading.Looking:
    every = cases.incidents(str(home), run_id)
    found = cases.newest(str(home), investigations.of_run(run_id, home))
    shown = found[every[-1].incident_id]
    now = state.Context("retry-storm", run_id, None, "today", 3, 0.0, 10_800.0, state.run(run_id).clock, None)
    return reading.Looking(now, run_id, every, every[-1], found, shown, shown.moments[-1], {})


def test_the_page_names_the_cause_how_sure_it_is_and_by_what_was_known_when(home: Path) -> None:
    words = _words(_opened())
    assert re.search(r"incident-1: retry storm that outlives its trigger, ledger, \d\d % sure; .*requests to front fail", words)
    assert "ReAct RCA, embedded, no language model · PACE · as of 15:03:00" in words
    assert re.search(r"Evidence (raised|lowered) ledger: retry storm|ledger: retry storm that outlives its trigger: \d+ % sure", words)
    assert "Uncalibrated: no labels yet" in words


def test_the_cursor_goes_back_to_what_was_known_then(home: Path) -> None:
    first, last = _words(_opened(t="3900")), _words(_opened())
    assert "as of 14:05:00" in first
    assert first != last


def test_each_step_opens_the_query_behind_it(home: Path, stormy: tuple[Path, str]) -> None:
    look = _look(home, stormy[1])
    step = next(each for each in look.moment.investigation.steps if each.action == "anomaly_scan")  # type: ignore[union-attr]
    at = _opened(evidence=step.evidence_id)
    evidence = reading.cited(look.moment, step.evidence_id)  # type: ignore[arg-type]
    assert evidence is not None
    assert at.code[0].value == evidence.sql
    assert at.dataframe[0].value.shape == (len(evidence.rows), len(evidence.columns))
    table = next(data for data in _sent(at, "intentwin.rows") if any(column["key"] == "thought" for column in data["columns"]))
    assert [row["evidence"] for row in table["rows"]] == [each.evidence_id or "–" for each in look.moment.investigation.steps]  # type: ignore[union-attr]
    assert table["chosen"] == str(step.number)


def test_new_statements_are_marked_at_the_moment_at_which_they_came_in(home: Path, stormy: tuple[Path, str]) -> None:
    look = _look(home, stormy[1])
    assert look.shown is not None
    lines = certainty.lines(look.shown)
    told = certainty.told(look.shown, lines, look.now.clock)
    counted = sum(each.count for each in told if each.key == lines[0].key and each.supports)
    words = {
        one.words
        for moment in look.shown.moments
        for each in moment.investigation.hypotheses
        for one in each.statements
        if cases.key_of(each) == lines[0].key and one.supports
    }
    assert counted == len(words) > 0


def test_the_path_runs_along_edges_of_the_topology(home: Path, stormy: tuple[Path, str]) -> None:
    look = _look(home, stormy[1])
    assert look.moment is not None
    stops = path.stops(look, look.moment.investigation.hypotheses[0])
    assert [stop.entity_id for stop in stops] == ["ledger", "order", "front"]
    assert [stop.edge for stop in stops] == ["", "calls", "calls"]


def test_without_an_investigation_the_page_offers_one_and_asks_both_holders(home: Path, stormy: tuple[Path, str]) -> None:
    shutil.rmtree(home / "investigations")
    at = _opened(asks="nearest", sure="raw_score")
    assert "nobody has looked into it" in _words(at)
    next(button for button in at.button if button.label == "Investigate").click().run()
    job = jobs.latest(home, asking.KIND)
    assert job is not None
    assert job.spec["run_id"] == stormy[1]
    assert {lever: stack[0]["system"] for lever, stack in job.spec["policy"]["levers"].items()} == {
        "investigation": "nearest",
        "confidence": "raw_score",
    }
    place = jobs.folder(home) / "20260714-001500-abcdef"
    place.mkdir()
    result = work.KINDS[asking.KIND](job.spec, home, jobs.Reporter(place))
    stored = investigations.load(result["investigation_id"], home)
    assert stored.moments[-1].investigation.holder == "nearest"
    assert len(stored.moments) >= 6


def test_what_is_set_on_a_holder_goes_along_and_defaults_do_not(home: Path) -> None:
    at = _opened(asks="retrieval_k10")
    at.session_state["_incidents-knob-retrieval_k10-k"] = 3
    at.session_state["_incidents-knob-pace-samples"] = 60
    next(button for button in at.button if button.label == "Investigate again").click().run()
    job = jobs.latest(home, asking.KIND)
    assert job is not None
    told = {lever: stack[0]["knobs"] for lever, stack in job.spec["policy"]["levers"].items()}
    assert told == {"investigation": {"k": 3}, "confidence": {}}


def test_every_knob_has_a_control_within_its_bounds() -> None:
    for lever in asking.FIRST:
        for system in catalogue.holders_of(lever):
            fields = [field for name, field in system.knobs.model_fields.items() if name not in knobs.ELSEWHERE]
            for field in fields:
                assert get_origin(field.annotation) is Literal or field.annotation in (bool, int, float, str)
                if field.annotation in (int, float):
                    low, high = knobs.bounds(field)
                    assert low <= field.default <= high


def test_an_answer_needs_a_name_labels_the_case_and_shows_in_the_list(home: Path, stormy: tuple[Path, str]) -> None:
    look = _look(home, stormy[1])
    with pytest.raises(ValueError, match="needs a name"):
        answering.keep(look, answering.RIGHT, "", "", "", "")
    with pytest.raises(ValueError, match="has no entity 'ledgre'"):
        answering.keep(look, answering.WRONG, "bad_deployment", "ledgre", "", "mara")
    answering.keep(look, answering.RIGHT, "", "", "seen it <b>myself</b>", "mara")
    with Ledger(home).transaction() as ledger:
        verdict = ledger.verdicts()[-1]
    assert (verdict.right, verdict.cause, verdict.entity_id, verdict.actor) == (True, "retry_storm", "ledger", "mara")
    assert verdict.confidence is not None
    assert verdict.known > look.incident.began
    at = _opened()
    assert "Confirmed said by mara" in _words(at) or "confirmed said by mara" in _words(at)
    assert "<b>myself" not in " ".join(element.proto.body for element in at.get("html"))
    assert "One incident, none open" in _words(at)
    assert "Uncalibrated, one label: it says" in _words(at)


@pytest.mark.parametrize(
    ("answer", "cause", "entity", "standing"),
    [
        (answering.WRONG, "bad_deployment", "ledger", ("at risk", "wrong: bad deployment")),
        (answering.WRONG, "", "", ("at risk", "wrong")),
        (answering.UNTOLD, "", "", ("waiting", "inconclusive")),
    ],
)
def test_answers_that_are_not_yes(
    home: Path, stormy: tuple[Path, str], answer: str, cause: str, entity: str, standing: tuple[str, str]
) -> None:
    look = _look(home, stormy[1])
    answering.keep(look, answer, cause, entity, "", "mara")
    assert cases.standing(cases.last_words(cases.verdicts(home), stormy[1])[look.incident.incident_id]) == standing


def test_cannot_tell_is_no_label_and_fewer_than_thirty_are_called_uncalibrated(home: Path, stormy: tuple[Path, str]) -> None:
    look = _look(home, stormy[1])
    right, open_ = (answering.verdict_of(look, answer, "", "", "", "mara") for answer in (answering.RIGHT, answering.UNTOLD))
    several = [replace(right, run_id=f"run-{place}", confidence=0.6) for place in range(40)]
    assert believed.predictions([open_]).is_empty()
    for many in (29, 30):
        frame = believed.predictions(several[:many])
        measures, bins = believed.of(tuple(frame["confidence"]), tuple(frame["right"]))
        assert believed.title(measures).startswith("Uncalibrated") == (many < 30)
        assert measures is not None
        assert f"n = {many}" in believed.under(measures)
        assert "perfect" in believed.under(measures)
        assert sum(each.count for each in bins) == many


def test_words_from_outside_are_shown_as_they_are(home: Path, stormy: tuple[Path, str]) -> None:
    file = home / "runs" / stormy[1] / "incidents.parquet"
    frame = pl.read_parquet(file).with_columns(title=pl.lit(NASTY), text=pl.lit(NASTY))
    frame.write_parquet(file)
    at = _opened()
    told = " ".join(element.proto.body for element in at.get("html"))
    assert "<b>100" not in told
    assert "&lt;b&gt;100 %" in told
    assert not any("<b>100" in data["svg"] for data in _sent(at, "intentwin.talk"))


def test_a_run_without_incidents_says_so_and_offers_the_drill(home: Path, stormy: tuple[Path, str]) -> None:
    file = home / "runs" / stormy[1] / "incidents.parquet"
    pl.read_parquet(file).clear().write_parquet(file)
    at = _opened()
    assert "No incident was opened in this run" in _words(at)
    assert any(button.label == "Open the drill" for button in at.button)


def test_similar_incidents_come_once_the_nearest_first(home: Path, stormy: tuple[Path, str]) -> None:
    look = _look(home, stormy[1])
    assert look.moment is not None
    found = alike.nearest(look.moment)
    assert found["incident_id"].is_unique().all()
    assert found["similarity"].is_sorted(descending=True)
    assert re.match(r"\d of the five nearest incidents (was|were): ", alike.title(found))


def test_nothing_is_proposed_without_a_reason_why(home: Path, stormy: tuple[Path, str]) -> None:
    look = _look(home, stormy[1])
    offers = proposing.offered(look)
    assert offers or "No lever prevents this, because" in proposing.why_none(look)


def test_a_long_observation_is_cut_in_the_table_and_dropped_claims_are_counted(home: Path, stormy: tuple[Path, str]) -> None:
    look = _look(home, stormy[1])
    assert look.moment is not None
    found = replace(look.moment.investigation, claims=10, unsupported=1)
    assert steps.under(found).startswith("1 of 10 claims had no evidence that says so and was dropped")
    assert len(steps.cut("word " * 200)) <= 260


def test_moments_in_texts_read_as_clock_times_and_readings_do_not(home: Path, stormy: tuple[Path, str]) -> None:
    clock = _look(home, stormy[1]).now.clock
    assert reading.timed("since 3660 s p99 latency of order is 4260 ms", clock) == "since 14:01:00 p99 latency of order is 4260 ms"
    assert reading.timed("rose from 714.4 to 2795", clock) == "rose from 714.4 to 2795"


def test_a_report_tells_incidents_with_cause_confidence_and_evidence(home: Path, stormy: tuple[Path, str]) -> None:
    found = cases.gathered(home, stormy[1])
    told = section({"today": found}, state.run(stormy[1]).clock)
    assert told is not None
    row = told.parts[0].rows[0]
    assert row[3].startswith("retry storm that outlives its trigger, ledger (")
    assert re.match(r"\d+\u00a0% \(uncalibrated\)", row[5])
    assert int(row[6]) > 0
    both = section({"today": found, "candidate": found}, state.run(stormy[1]).clock)
    assert both is not None
    assert both.parts[1].rows[0] == ("Critical", "1", "1")
    assert section({"today": ()}, state.run(stormy[1]).clock) is None


def test_causes_keep_their_hue_and_those_no_longer_named_are_told() -> None:
    statement = Statement("it rose", "a", ("E1",))
    assert cases.named(Hypothesis("service", "a", "memory_leak", "", (), 0.0, 0.5, (statement,))) == "memory leak, a"
    assert cases.named(Hypothesis("", "", "none", "", (), 0.0, 0.5)) == "no fault: chance or ordinary load"

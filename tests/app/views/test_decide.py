"""Compare, Reports and Claims open on a stored study and on a bare store."""

import re
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.published import Row, title
from app.report.judgement import Judged
from app.report.pairing import Held
from app.views.compare import names_of
from policies.catalogue import cards
from policies.policy import TODAY, Schedule

PAGE = """
from app import state
from app.views import {view}
state.publish()
{view}.show()
"""


def _opened(view: str) -> AppTest:
    page = AppTest.from_string(PAGE.format(view=view), default_timeout=60).run()
    assert not page.exception
    return page


def _text(page: AppTest) -> str:
    return " ".join(str(item.proto) for item in page.main) + " ".join(item.value for item in page.get("html") if hasattr(item, "value"))


@pytest.fixture
def full(store: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("INTENTWIN_HOME", str(store.home))
    return store


@pytest.fixture
def bare(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    return tmp_path


def test_compare_shows_the_difference_and_which_bounds_hold(full: Any) -> None:
    page = _opened("compare")
    words = _text(page)
    assert "keeps every bound" in words or "No candidate keeps every bound" in words
    assert "hottest GPU" in words
    assert "Which intents hold" in words
    assert {button.label for button in page.button} >= {"Take it to the change board"}


def test_compare_takes_the_candidate_to_the_reports_page(full: Any) -> None:
    page = _opened("compare")
    next(button for button in page.button if button.label == "Take it to the change board").click().run()
    assert not page.exception
    assert page.session_state["_context"]["run"] == full.candidate


def test_reports_offers_every_study_and_previews_one(full: Any) -> None:
    page = _opened("reports")
    assert page.selectbox(key="report-about").options
    frames = page.get("iframe")
    assert len(frames) == 1
    assert "Content-Security-Policy" in str(frames[0].proto)
    assert len(page.get("download_button")) == 3


def test_notes_reach_the_preview_as_text(full: Any) -> None:
    page = _opened("reports")
    page.text_area(key="report-notes").set_value("<b>for the board</b>").run()
    assert not page.exception
    assert "&lt;b&gt;for the board&lt;/b&gt;" in str(page.get("iframe")[0].proto)


def test_candidates_of_one_name_are_told_apart() -> None:
    def judged(policy_id: str, name: str) -> Judged:
        return Judged(Held(policy_id, name, Schedule.of(TODAY), False, {1: policy_id}, {}), (), (), (1,))

    three = [judged("0123456789", "candidate"), judged("abcdef0123", "candidate"), judged("99", "cooler")]
    assert names_of(three) == ["012345 candidate", "abcdef candidate", "cooler"]


def test_a_claim_about_parts_of_requests_does_not_pose_as_a_metric(full: Any) -> None:
    page = _opened("claims")
    page.selectbox(key="claim-open").set_value("modserve/encode-share-nvlm-d-72b").run()
    words = _text(page)
    assert re.search(r"54\.0.{1,16}%, share of TTFT", words)
    assert "the requests of the runs" in words


def test_claims_stand_with_the_papers_numbers_before_anything_ran(full: Any) -> None:
    page = _opened("claims")
    words = _text(page)
    assert "none is checked here yet" in words
    assert "lowers the maximum temperature" in words
    assert any(button.label == "Check all claims" for button in page.button)
    assert len(page.dataframe) == 2


def test_numbers_can_be_found_by_source_and_strength(full: Any) -> None:
    page = _opened("claims")
    whole = len(page.dataframe[0].value)
    page.text_input(key="numbers-find").set_value("splitwise").run()
    assert 0 < len(page.dataframe[0].value) < whole


def test_a_finished_check_shows_verdicts(full: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from app import jobs

    row = {"system": "tapas", "claim": "max-temperature", "ours": -0.15, "verdict": "reproduced"}
    job = jobs.Job("j", "claims", {}, "done", 1.0, "done", None, 0.0, {"rows": [row]}, None)
    monkeypatch.setattr(jobs, "list_jobs", lambda home: [job])
    words = _text(_opened("claims"))
    assert re.search(r"One of \w+ published claims hold here", words)
    assert "reproduced" in words


def test_that_no_claim_holds_is_said_in_words() -> None:
    rows = [Row(card.id, card.name, claim, 0.0, "not reproduced", "") for card in cards().values() for claim in card.claims[:1]]
    assert title(rows) == "None of three published claims hold here; no numbers were fitted to get them"


def test_a_searched_claim_shows_where_it_holds_and_how_many_runs_it_took(full: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from app import jobs

    def point(name: str, x: Any, ours: float | None, reached: float | None) -> dict[str, Any]:
        failed = [] if reached is not None else ["aladdin"]
        ends = {"ours": ours, "low": ours, "high": ours}
        return {"sweep": name, "x": x, **ends, "labels": {"vllm": 40.0, "aladdin": reached}, "failed": failed, "exact": True}

    points = [point("", None, -0.15, 34.0), point("requests per second", 10.0, -0.25, 30.0), point("requests per second", 20.0, None, None)]
    row = {"system": "aladdin", "claim": "gpus-against-vllm", "ours": -0.15, "verdict": "direction only", "why": "same direction"}
    row |= {"points": points, "probes": 935, "probes_limit": 2880}
    job = jobs.Job("j", "claims", {}, "done", 1.0, "done", None, 0.0, {"rows": [row]}, None)
    monkeypatch.setattr(jobs, "list_jobs", lambda home: [job])
    page = _opened("claims")
    page.selectbox(key="claim-open").set_value("aladdin/gpus-against-vllm").run()
    assert not page.exception
    words = _text(page)
    for said in ("935 asked for, 2,880 at most", "Requests per second", "80 (the claim)", "34 GPUs", "not found", "not on every seed"):
        assert said in words, said


@pytest.mark.parametrize("view", ["compare", "reports", "claims"])
def test_each_page_opens_on_a_bare_store(view: str, bare: Any) -> None:
    page = _opened(view)
    assert page.main

"""Compare, Reports and Claims open on a stored study and on a bare store."""

import re
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.published import Row, paper, title
from app.report.judgement import Judged
from app.report.pairing import Held
from app.views.compare import names_of
from policies.catalogue import cards
from policies.policy import TODAY, Schedule
from twin.sources import code_hash
from twin.store import claims

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


def test_a_check_shows_wherever_it_was_made_and_one_by_older_code_is_told(bare: Any) -> None:
    row = {"system": "tapas", "claim": "max-temperature", "ours": -0.15, "verdict": "reproduced"}
    claims.save(row, code_hash(), bare)
    words = _text(_opened("claims"))
    assert re.search(r"One of \w+ published claims hold here", words)
    assert "reproduced" in words
    assert "by an older version" not in words
    assert "by older code" not in words
    claims.save(row, "0123456789abcdef", bare)
    words = _text(_opened("claims"))
    assert "1 was checked by an older version of this code" in words
    assert "by older code" in words


def test_the_parts_of_a_system_stand_in_the_cards_order_with_units_and_against_the_baseline(bare: Any) -> None:
    reached = {"tapas": 71.3, "baseline": 84.9, "place": 82.0, "config": None}
    point = {"sweep": "", "x": None, "ours": -0.16, "low": -0.17, "high": -0.15, "labels": reached, "failed": ["config"], "exact": True}
    claims.save(
        {"system": "tapas", "claim": "max-temperature", "ours": -0.16, "verdict": "reproduced", "points": [point]}, code_hash(), bare
    )
    page = AppTest.from_string(PAGE.format(view="claims"), default_timeout=60).run()
    page.selectbox(key="claim-open").set_value("tapas/max-temperature").run()
    words = _text(page).replace("\\302\\240", " ").replace("\\u00a0", " ")
    told = words[words.index("What each policy reached") :]
    assert told.index("Baseline") < told.index("Place") < told.index("Config") < told.index("TAPAS")
    for said in ("hottest GPU", "84.9", "not on every seed"):
        assert said in told, said


def test_a_range_of_a_paper_is_written_from_low_to_high_with_its_unit_once() -> None:
    written = {claim.id: paper(claim) for card in cards().values() for claim in card.claims}
    assert written["inlet-regression"] == "0 to 1\u00a0°C"
    assert written["emergency-quality"] == "88.0 to 94.0\u00a0%"
    assert written["max-temperature"] == "−17.0\u00a0%"
    assert any(words.startswith("−25.0 to −41.3") for words in written.values())


def test_that_no_claim_holds_is_said_in_words() -> None:
    rows = [Row(card.id, card.name, claim, 0.0, "not reproduced", "") for card in [*cards().values()][:4] for claim in card.claims[:1]]
    assert title(rows) == "None of four published claims hold here; no numbers were fitted to get them"


def test_findings_of_our_own_are_counted_apart_from_published_claims() -> None:
    rows = [Row("octopus", "Octopus", claim, 0.0, "reproduced" if claim.own else "", "") for claim in cards()["octopus"].claims]
    assert (
        title(rows)
        == "None of seven published claims hold here, and three of three findings of our own; no numbers were fitted to get them"
    )


def test_a_computed_claim_shows_every_number_with_its_label_ours_first(bare: Any) -> None:
    claim = next(claim for claim in cards()["octopus"].claims if claim.id == "allocator-loses")
    labels = {"another, share": 0.5, claim.evidence.ours: 0.7, "none": None}
    point = {"sweep": "", "x": None, "ours": 0.7, "low": 0.6, "high": 0.8, "labels": labels, "failed": ["none"], "exact": True}
    row = {"system": "octopus", "claim": claim.id, "ours": 0.7, "verdict": "reproduced", "points": [point]}
    claims.save(row, code_hash(), bare)
    page = AppTest.from_string(PAGE.format(view="claims"), default_timeout=60).run()
    page.selectbox(key="claim-open").set_value(f"octopus/{claim.id}").run()
    assert not page.exception
    (shown,) = [each.value for each in page.dataframe if list(each.value.columns) == ["number", "value"]]
    assert shown["number"].tolist() == [claim.evidence.ours, "another, share", "none"]
    assert shown["value"].tolist() == ["0.7", "0.5", "not on every seed"]
    words = _text(page)
    assert "We measured before" in words
    assert "no run is needed" in words


def test_a_searched_claim_shows_where_it_holds_and_how_many_runs_it_took(bare: Any) -> None:
    def point(name: str, x: Any, ours: float | None, reached: float | None) -> dict[str, Any]:
        failed = [] if reached is not None else ["aladdin"]
        ends = {"ours": ours, "low": ours, "high": ours}
        return {"sweep": name, "x": x, **ends, "labels": {"vllm": 40.0, "aladdin": reached}, "failed": failed, "exact": True}

    points = [point("", None, -0.15, 34.0), point("requests per second", 10.0, -0.25, 30.0), point("requests per second", 20.0, None, None)]
    row = {"system": "aladdin", "claim": "gpus-against-vllm", "ours": -0.15, "verdict": "direction only", "why": "same direction"}
    row |= {"points": points, "probes": 935, "probes_limit": 2880}
    claims.save(row, code_hash(), bare)
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

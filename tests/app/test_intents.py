"""The Intents page shows what was understood, what the twin showed, and asks for a decision."""

import json
from typing import Any

from streamlit.testing.v1 import AppTest


def _words(at: AppTest) -> str:
    return "\n".join(item.proto.body for item in at.get("html"))


def _open(at: AppTest, intent_id: str | None) -> AppTest:
    if intent_id:
        at.query_params["intent"] = intent_id
    # The page is chosen as the frame does it after a request was taken down.
    at.session_state["_go"] = "intents"
    return at.run()


def test_a_tried_intent_shows_its_evidence_and_waits_for_approval(console: AppTest) -> None:
    at = _open(console, "I-01")
    assert not at.exception
    assert "I-01 does not hold on the twin" in _words(at)
    assert "1 of 2 bounds is broken on the twin" in _words(at)
    rows = [json.loads(item.proto.json)[0] for item in at.get("bidi_component") if item.proto.component_name == "intentwin.rows"]
    found = {row["metric"]: row for row in rows[0]["rows"]}
    assert found["Hottest GPU"]["state"] == "met"
    assert found["Serving cost"]["state"] == "broken"
    assert at.button(key="approve-I-01-1").label == "Approve and roll out"
    assert at.button(key="try-I-01-1").label == "Try it again"


def _labels(block: Any) -> list[str]:
    mine = [block.proto.popover.label] if getattr(block.proto, "popover", None) and block.proto.popover.label else []
    return mine + [label for child in getattr(block, "children", {}).values() for label in _labels(child)]


def test_the_reading_is_shown_as_chips_that_can_be_changed(console: AppTest) -> None:
    labels = [label.replace("\\", "") for label in _labels(_open(console, "I-01").main)]
    assert ":gray[metric] **hottest GPU**" in labels
    assert any(label.startswith(":gray[bound] **≤ 80.0") for label in labels)
    assert ":gray[strength] **must**" in labels


def test_an_unclear_intent_asks_its_question_and_offers_no_trial(console: AppTest) -> None:
    at = _open(console, "I-02")
    assert not at.exception
    assert "I-02 has an open question" in _words(at)
    assert "Which latency" in _words(at)
    assert not [button for button in at.button if button.key and button.key.startswith("try-I-02")]


def test_all_intents_are_listed_with_how_they_stand(console: AppTest) -> None:
    at = _open(console, None)
    assert not at.exception
    assert "2 intents, none in force is broken" in _words(at)


def test_an_empty_store_says_how_it_goes(fresh: AppTest) -> None:
    at = _open(fresh, None)
    assert not at.exception
    assert "Nothing is asked of this datacenter yet" in _words(at)
    assert "How it goes" in _words(at)

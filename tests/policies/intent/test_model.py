"""The Intent, its JSON, its sentence and its chips."""

import json

import pytest
from pydantic import ValidationError

from policies.intent.model import Expectation, Intent, WindowSpec, chips, hours, read_back, spans_overlap
from policies.policy import ScopeSpec
from twin.sources import data_dir

MAIN = {
    "text": "keep GPUs in row 3 under 80 C this afternoon and cut serving cost by 20%",
    "kind": "operational",
    "objective": None,
    "expectations": [
        {"metric": "plant.gpu_temp_max_c", "op": "<=", "value": 80.0, "relative": False, "strength": "must", "scope": None, "window": None},
        {
            "metric": "serving.cost_usd_per_h",
            "op": "<=",
            "value": -0.2,
            "relative": True,
            "strength": "must",
            "scope": None,
            "window": None,
        },
    ],
    "scope": [{"kind": "row", "id": "row-3"}],
    "window": {"from": "12:00", "to": "18:00", "days": None},
    "settings": {},
    "questions": [],
}


def test_the_json_of_the_vocabulary_goes_in_and_comes_out_unchanged() -> None:
    assert Intent.model_validate(MAIN).json_dict() == MAIN


def test_every_golden_intent_keeps_its_json() -> None:
    for line in (data_dir() / "intents" / "golden_open.jsonl").read_text(encoding="utf-8").splitlines():
        intent = json.loads(line)["intent"]
        assert Intent.model_validate(intent).json_dict() == intent


def test_the_sentence_says_bounds_place_and_time() -> None:
    sentence = read_back(Intent.model_validate(MAIN)).replace("\u00a0", " ")
    assert "hottest GPU at or below 80.0 °C" in sentence
    assert "serving cost at least 20.0 % lower than today" in sentence
    assert sentence.endswith("in row-3, from 12:00 to 18:00.")


def test_chips_name_the_path_to_edit_and_the_place_in_the_text() -> None:
    found = {chip.path: chip for chip in chips(Intent.model_validate(MAIN), {"expectations/0/value": (27, 37)})}
    assert found["expectations/0/value"].span == (27, 37)
    assert found["scope"].value == "row-3"
    assert found["expectations/1/value"].value.startswith("at least 20.0")


def test_a_place_that_a_metric_lacks_is_dropped_for_that_metric_only() -> None:
    intent = Intent.model_validate(MAIN)
    assert [scope.id for scope in intent.scope_of(intent.expectations[0])] == ["row-3"]
    assert intent.scope_of(intent.expectations[1]) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"metric": "plant.warmth"},
        {"op": "<"},
        {"value": "80"},
        {"value": True},
        {"value": float("nan")},
        {"relative": 1},
        {"strength": "maybe"},
        {"unit": "C"},
    ],
)
def test_what_is_not_the_vocabulary_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Expectation.model_validate({**MAIN["expectations"][0], **change})  # type: ignore[index]


def test_windows_that_make_no_sense_are_refused() -> None:
    for raw in (
        {"from": "12:00", "to": None},
        {"from": None, "to": None},
        {"from": "9:00", "to": "17:00"},
        {"from": "12:00", "to": "12:00"},
    ):
        with pytest.raises(ValidationError):
            WindowSpec.model_validate(raw)


def test_overnight_windows_meet_the_morning_and_not_the_afternoon() -> None:
    night = WindowSpec(from_="22:00", to="06:00")
    assert hours(night) == [(22.0, 24.0), (0.0, 6.0)]
    assert spans_overlap(night, WindowSpec(from_="05:00", to="08:00"))
    assert not spans_overlap(night, WindowSpec(from_="12:00", to="18:00"))
    assert not spans_overlap(WindowSpec(days=("mon",)), WindowSpec(days=("tue",)))


def test_an_intent_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Intent.model_validate(MAIN).text = "other"  # type: ignore[misc]


def test_scope_words_of_nothing_are_everywhere() -> None:
    from policies.intent.readback import scope_words

    assert scope_words(()) == "everywhere"
    assert scope_words((ScopeSpec(kind="row", id="row-1"), ScopeSpec(kind="row", id="row-2"))) == "row-1 and row-2"

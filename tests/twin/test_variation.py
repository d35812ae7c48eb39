"""One value of a scenario can be varied, and nothing that is not there."""

import pytest

from twin.scenario import load
from twin.variation import value_at, varied


@pytest.fixture(scope="module")
def tiny():
    return load("tiny")


def test_a_rate_is_varied_and_the_scenario_gets_its_own_hash(tiny):
    faster = varied(tiny, {"serving.endpoints[0].demand.rate_per_s": 12.0})
    assert faster.spec.serving.endpoints[0].demand.rate_per_s == 12.0
    assert faster.spec.serving.endpoints[1] == tiny.spec.serving.endpoints[1]
    assert faster.canonical() != tiny.canonical()
    assert tiny.spec.serving.endpoints[0].demand.rate_per_s == 1.5


def test_an_entry_is_named_by_its_number_or_its_id(tiny):
    place = "demand.rate_per_s"
    by_number = varied(tiny, {f"serving.endpoints[1].{place}": 5.0})
    by_id = varied(tiny, {f"serving.endpoints[chat-8b].{place}": 5.0})
    assert by_number.canonical() == by_id.canonical()
    assert value_at(by_id, f"serving.endpoints[1].{place}") == 5.0


def test_writing_what_is_there_changes_nothing(tiny):
    path = "serving.endpoints[0].ttft_slo_s"
    assert varied(tiny, {path: value_at(tiny, path)}).canonical() == tiny.canonical()
    assert varied(tiny, {}) is tiny


def test_values_may_carry_units_as_in_a_file(tiny):
    assert varied(tiny, {"horizon_s": "10 min"}).horizon_s == 600.0


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            "serving.endpoints[0].demand.rate_per_ss",
            r"serving\.endpoints\[0\]\.demand\.rate_per_ss is unknown; did you mean .*rate_per_s\?",
        ),
        ("serving.endpoints[7].tp", r"serving\.endpoints\[7\] is unknown; there are: chat-70b, chat-8b"),
        ("serving.endpoints[chat-7b].tp", r"did you mean serving\.endpoints\[chat-70b\]|did you mean serving\.endpoints\[chat-8b\]"),
        ("serving.endpoints.tp", r"serving\.endpoints is a list; name its entry"),
        ("servings", "did you mean serving"),
        ("horizon_s[0]", "leads nowhere"),
        ("serving..tp", "is not a place"),
    ],
)
def test_an_unknown_place_is_one_line_with_the_nearest(tiny, path, said):
    with pytest.raises(ValueError, match=said) as caught:
        varied(tiny, {path: 1})
    assert "\n" not in str(caught.value)


def test_a_value_out_of_bounds_is_refused_with_its_place(tiny):
    with pytest.raises(ValueError, match=r"scenario tiny: serving\.endpoints\.0.*rate_per_s"):
        varied(tiny, {"serving.endpoints[0].demand.rate_per_s": -1.0})

"""Arguments of tools: whatever comes is taken or refused in one line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.incidents.arguments import checked
from twin.incidents.toolset import TOOLS

BY_NAME = {tool.name: tool for tool in TOOLS}
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=5), inner, max_size=2)),
    max_leaves=4,
)


def test_whole_floats_are_integers_and_none_is_left_out():
    assert checked(BY_NAME["topology"], {"entity": "a", "hops": 2.0, "to": None}) == {"entity": "a", "hops": 2}
    found = checked(BY_NAME["query_metric"], {"entity": "a", "metric": "m", "from_s": 3})
    assert isinstance(found["from_s"], float)


def test_what_is_submitted_is_checked_all_the_way_down():
    good = {"entity": "a", "cause": "none", "mechanism": "", "score": 1, "statements": [{"words": "", "entity": "", "evidence": ["E1"]}]}
    assert checked(BY_NAME["submit"], {"hypotheses": [good], "status": "likely"})["hypotheses"][0]["score"] == 1.0
    with pytest.raises(ValueError, match=r"hypotheses\[0\]: score is 2; it runs from 0 to 1"):
        checked(BY_NAME["submit"], {"hypotheses": [good | {"score": 2}], "status": "likely"})
    with pytest.raises(ValueError, match=r"evidence\[0\] is '1', not a text"):
        checked(
            BY_NAME["submit"], {"hypotheses": [good | {"statements": [{"words": "", "entity": "", "evidence": [1]}]}], "status": "likely"}
        )
    with pytest.raises(ValueError, match="hypotheses has 6 items; at most 5"):
        checked(BY_NAME["submit"], {"hypotheses": [good] * 6, "status": "likely"})


@settings(max_examples=150)
@given(st.sampled_from(sorted(BY_NAME)), st.data())
def test_anything_else_is_refused_in_one_line(name, data):
    known = sorted(BY_NAME[name].arguments["properties"])
    given_ = data.draw(st.one_of(ANYTHING, st.dictionaries(st.sampled_from([*known, "other"]), ANYTHING, max_size=4)))
    try:
        checked(BY_NAME[name], given_)
    except ValueError as error:
        assert str(error).strip()  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017

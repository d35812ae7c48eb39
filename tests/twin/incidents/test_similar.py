"""How alike texts are."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.incidents.similar import Lexical, order

TEXTS = ["fan of aisle 2 lost, inlets warm", "certificate of cart expired", "memory of cart grows", "link of host-3 is down"]
WORDS = st.text(alphabet="abcé -1", max_size=30)


def test_a_text_is_most_like_itself():
    for place, text in enumerate(TEXTS):
        found = Lexical().similarities(text, TEXTS)
        assert found[place] == 1.0
        assert found.argmax() == place


def test_words_in_other_forms_are_alike_and_rare_words_count_more():
    found = Lexical().similarities("certificates expire", TEXTS)
    assert found.argmax() == 1
    assert found[1] > 0.3
    assert Lexical().similarities("cart fan", ["cart slow now", "cart warm now", "fan slow now"]).argmax() == 2


def test_texts_with_nothing_in_common_are_at_nought():
    assert Lexical().similarities("xyz", TEXTS).tolist() == [0.0] * 4
    assert Lexical().similarities("", TEXTS).tolist() == [0.0] * 4
    assert Lexical().similarities("fan", []).tolist() == []
    assert Lexical().similarities("fan", ["", "fan"]).tolist() == [0.0, 1.0]


@settings(max_examples=40)
@given(WORDS, st.lists(WORDS, min_size=1, max_size=6), st.lists(WORDS, max_size=6))
def test_what_was_asked_before_changes_nothing(query, texts, others):
    taught = Lexical()
    taught.similarities("something else", [*others, *texts[::-1]])
    again = taught.similarities(query, texts)
    assert np.array_equal(again, Lexical().similarities(query, texts))
    assert ((again >= 0.0) & (again <= 1.0)).all()


def test_equals_are_ordered_by_id():
    assert order(np.array([0.2, 0.9, 0.2]), ["b", "x", "a"]).tolist() == [1, 2, 0]

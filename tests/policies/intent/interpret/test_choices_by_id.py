"""A holder is read by its id, however its words are joined."""

import pytest

from policies import catalogue
from policies.intent.interpret.reader import Site

PLAIN = [card for card in catalogue.cards().values() if card.paper is None]
WAYS = {"underscore": "_", "hyphen": "-", "space": " "}


@pytest.mark.parametrize("joined", WAYS)
@pytest.mark.parametrize("card", PLAIN, ids=lambda card: card.id)
def test_a_holder_named_by_its_id_is_read_and_never_dropped(card, joined, read, site: Site):  # type: ignore[no-untyped-def]
    name = card.id.replace("_", WAYS[joined])
    for text, wishes in ((f"use {name}", 0), (f"use {name} on chat-70b and keep serving cost below 100 $ per hour", 1)):
        intent = read(text).intent
        assert [(lever, choice["system"]) for lever, choice in intent.settings.items()] == [(lever, card.id) for lever in card.levers]
        assert len(intent.expectations) == wishes
    assert [spec.id for spec in intent.scope] == ["chat-70b"]


@pytest.mark.parametrize("text", ["use less static power", "we use reactive power meters", "use none of the budget"])
def test_an_ordinary_word_that_belongs_to_a_noun_chooses_nothing(text, read):  # type: ignore[no-untyped-def]
    assert read(text).intent.settings == {}

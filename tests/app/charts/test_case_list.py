"""Cards of incidents: state by shape, word and colour."""

import re

from app.charts import tokens
from app.charts.case_list import Card, case_list_svg

CARDS = (
    Card("incident-2", "incident-2 · 13:20 · critical", "Aisle-2 <b>warm</b>", "broken", "open · likely", "81\u00a0%"),
    Card("incident-1", "incident-1 · 09:53 · major", "Errors of booking", "met", "confirmed"),
)


def test_a_card_carries_its_incident_for_a_click_and_says_its_state() -> None:
    drawn = case_list_svg(CARDS, tokens.LIGHT, "two incidents", chosen="incident-2")
    assert re.findall(r'data-pick="([^"]+)"', drawn) == ["incident-2", "incident-1"]
    assert "✕ open · likely" in drawn
    assert "✓ confirmed" in drawn
    assert drawn.count(tokens.LIGHT.candidate_fill) == 1


def test_titles_from_outside_are_escaped() -> None:
    assert "<b>" not in case_list_svg(CARDS, tokens.DARK, "two incidents")

"""A list of cases as cards: number and time, what it was, how it stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.charts import marks, svg
from app.charts.task_graph import fit
from app.charts.tokens import BODY_PX, Tokens

WIDTH: Final = 236.0
CARD: Final = 68.0
GLYPHS: Final = {"met": "✓", "at risk": "△", "broken": "✕", "waiting": "○"}
_PAD: Final = 12.0


@dataclass(frozen=True, slots=True)
class Card:
    """One case: a small line, at its right how sure one is, what it was, and a state (one of ``marks.State``) in words."""

    case_id: str
    small: str
    title: str
    state: marks.State
    words: str
    sure: str = ""


def case_list_svg(cards: Sequence[Card], tokens: Tokens, title: str, *, chosen: str = "", width: float = WIDTH) -> str:
    """Draw the cards below one another; a card carries its id for a click."""
    parts = []
    for place, card in enumerate(cards):
        y = CARD * place
        mine = card.case_id == chosen
        ink = marks.colour(card.state, tokens)
        drawn = [
            svg.rect(0, y, width, CARD, tokens.candidate_fill if mine else "transparent"),
            svg.rect(0, y, 3, CARD, tokens.candidate) if mine else "",
            svg.text(_PAD, y + 18, fit(card.small, width - (_PAD + 44 if card.sure else _PAD + 8), 5.6), tokens.muted),
            svg.text(width - 8, y + 18, card.sure, tokens.text, anchor="end", weight=600),
            svg.text(_PAD, y + 38, fit(card.title, width - 20, 7.0), tokens.text, weight=600 if mine else 400, size=BODY_PX),
            svg.text(_PAD, y + 57, fit(f"{GLYPHS.get(card.state, GLYPHS['waiting'])} {card.words}", width - 20), ink, weight=600),
            svg.line(0, y + CARD, width, y + CARD, tokens.hairline),
        ]
        says = f"{card.title} · {card.small} · {card.words}"
        parts.append(svg.marked("".join(drawn), (0, y, width, CARD), card.case_id, says))
    return svg.document(width, CARD * len(cards) + 1, parts, title)

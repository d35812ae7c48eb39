"""Marks that say a state by shape, colour and word at once."""

from html import escape
from typing import Final, Literal

from app.charts.tokens import Tokens

State = Literal["met", "at risk", "broken", "waiting"]
_SHAPES: Final[dict[str, str]] = {
    "met": '<path d="M2 6.5 4.8 9.2 10 3.2" stroke-width="1.8"/>',
    "at risk": '<path d="M6 1.6 11 10.4H1Z" stroke-width="1.4"/><path d="M6 4.8V7.4M6 8.4V9.4" stroke-width="1.2"/>',
    "broken": '<path d="M2.6 2.6 9.4 9.4M9.4 2.6 2.6 9.4" stroke-width="1.8"/>',
    "waiting": '<circle cx="6" cy="6" r="4.6" stroke-width="1.2"/><path d="M6 3.4V6L8 7" stroke-width="1.2"/>',
}
# A verdict takes the mark of the state that it resembles.
OF_VERDICT: Final[dict[str, State]] = {
    "reproduced": "met",
    "direction only": "at risk",
    "not reproduced": "broken",
    "not comparable": "waiting",
}


def colour(state: str, tokens: Tokens) -> str:
    """Return the text colour of a state."""
    return {"met": tokens.good_text, "at risk": tokens.risk_text, "broken": tokens.broken_text}.get(state, tokens.muted)


def mark(state: str, tokens: Tokens) -> str:
    """Return the shape of a state alone, as a 12-pixel SVG; a word must stand beside it."""
    drawn = f'fill="none" stroke="{colour(state, tokens)}"'
    shape = _SHAPES.get(state, _SHAPES["waiting"])
    return f'<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true" style="vertical-align:-1px"><g {drawn}>{shape}</g></svg>'


def state(name: str, tokens: Tokens, words: str | None = None) -> str:
    """Return mark and word; ``words`` replace the state's own name."""
    shown = escape(words if words is not None else name)
    return f'<span style="color:{colour(name, tokens)};font-weight:600;white-space:nowrap">{mark(name, tokens)} {shown}</span>'

"""Tables with states, bullets, intervals and changes; rows can be clicked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import streamlit as st

from app.charts.tokens import Tokens
from app.widgets.source import read

Kind = Literal["text", "words", "strong", "muted", "number", "value", "state", "change", "bullet", "interval"]


@dataclass(frozen=True, slots=True)
class Head:
    """One column. ``narrow`` False leaves it out on a phone; *words* and *muted* run over several lines, others are cut."""

    key: str
    label: str
    kind: Kind = "text"
    width: str = "auto"
    narrow: bool = True


_ROWS = st.components.v2.component("intentwin.rows", html="<table></table>", css=read("rows.css"), js=read("rows.js"))


def rows(
    columns: Sequence[Head],
    found: Sequence[Mapping[str, Any]],
    tokens: Tokens,
    *,
    key: str,
    chosen: str | None = None,
    on_pick: Callable[[str], None] | None = None,
) -> None:
    """Draw a table; words go in as text, never as markup.

    A cell is what its column's kind takes: text, {text, lead}, a state word or {word, text}, a change {text, sense},
    a bullet {share, today} (shares of the allowance), an interval {low, mid, high, bound} (changes against today).
    """

    def picked() -> None:
        value = st.session_state[key].picked
        if on_pick is not None and any(row.get("id") == value for row in found):
            on_pick(value)

    names = (
        "hairline",
        "grid",
        "muted",
        "text",
        "good_text",
        "risk_text",
        "broken_text",
        "broken",
        "limit",
        "today",
        "candidate",
        "candidate_fill",
    )
    data = {
        "columns": [asdict(column) for column in columns],
        "rows": [dict(row) for row in found],
        "click": on_pick is not None,
        "chosen": chosen,
        "colours": {name: getattr(tokens, name) for name in names},
    }
    _ROWS(key=key, data=[data], on_picked_change=picked)

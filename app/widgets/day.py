"""The day in one drawing: a curve, its limit, lanes of events, the cursor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import streamlit as st

from app.charts.events import LANES, Mark
from app.charts.tokens import Tokens
from app.widgets.source import read

_COLOURS: Final = ("surface", "grid", "text", "muted", "today", "candidate", "limit", "broken_text")
_DAY = st.components.v2.component("intentwin.day", html='<svg role="img"></svg>', css=read("day.css"), js=read("day.js"))


def day(data: Mapping[str, Any], marks: Sequence[Mark], tokens: Tokens, on_move: Callable[[float], None], *, key: str) -> None:
    """Draw a day; dragging moves the shared cursor, and ``on_move`` hears where it comes to rest.

    ``data``: title, begin_s, end_s, start_s (of the day), step_s, today and candidate (values a step, or None), limit,
    bounds (value, words, spans in seconds), t_s, unit, digits.
    """
    colours = {name: getattr(tokens, name) for name in _COLOURS}
    whole = {**data, "marks": [asdict(mark) for mark in marks], "lanes": list(LANES), "colours": colours}
    _DAY(key=key, data=[whole], on_t_s_change=lambda: on_move(float(st.session_state[key].t_s)))

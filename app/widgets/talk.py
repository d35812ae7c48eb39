"""A drawing of messages: pointed at they speak, picked they are followed."""

from collections.abc import Callable
from typing import Literal

import streamlit as st

from app.widgets.source import read

_HTML = '<div class="talk"><div class="wide"></div><div class="narrow"></div><p class="says" aria-live="polite"></p></div>'
_TALK = st.components.v2.component("intentwin.talk", html=_HTML, css=read("talk.css"), js=read("talk.js"))


def talk(
    svg: str,
    *,
    key: str,
    narrow: str = "",
    hint: str = "",
    turns: Literal["two", "slim"] = "two",
    on_pick: Callable[[str], None] | None = None,
    on_move: Callable[[float], None] | None = None,
) -> None:
    """Show a drawing whose groups may carry ``data-says`` (said under it while they are pointed at) and ``data-pick`` (told on a click).

    One stop of the tab key leads into it; arrow keys go from group to group, enter picks. A part that carries ``data-from`` and ``data-to``
    (seconds) is a scale: a click or drag on it, or an arrow key by ``data-step``, tells ``on_move`` the moment. ``hint`` is what the
    line under it says while nothing is pointed at. The ``narrow`` drawing is shown on a phone; with *slim* only where the place is as
    small as one.
    """

    def picked() -> None:
        value = st.session_state[key].picked
        if on_pick is not None and value:
            on_pick(str(value))

    def moved() -> None:
        value = st.session_state[key].moved
        if on_move is not None and value is not None:
            on_move(float(value))

    _TALK(key=key, data=[{"svg": svg, "narrow": narrow, "hint": hint, "turns": turns}], on_picked_change=picked, on_moved_change=moved)

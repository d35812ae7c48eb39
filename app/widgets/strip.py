"""The shared time cursor: clock, steps, play, and the axis of the run."""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from app.widgets.source import read

_STRIP = st.components.v2.component("intentwin.strip", html=read("strip.html"), css=read("strip.css"), js=read("strip.js"))


def time_strip(data: Mapping[str, Any], on_move: Callable[[], None], *, key: str) -> None:
    """Show the strip. ``data``: t_s, horizon_s, start_s (of the day), days, step_s, events (t_s), axis, read (name, value), colours.

    The browser hears every move at once as the window event ``intentwin:t`` (detail: t_s, from); Python hears where it comes to rest.
    """
    _STRIP(key=key, data=[dict(data)], on_t_s_change=on_move)

"""A figure or matrix of a pod: what the pointer is on is lit in both."""

import zlib
from collections.abc import Callable

import streamlit as st

from app.widgets.source import read

_HTML = '<div class="pod"><div class="place"></div><p class="says" aria-live="polite"></p></div>'
_POD = st.components.v2.component("intentwin.pod", html=_HTML, css=read("pod.css"), js=read("pod.js"))


def pod_drawing(svg: str, host: str | None, *, key: str, group: str = "pod", on_pick: Callable[[str], None] | None = None) -> None:
    """Show a drawing whose nodes carry ``data-node`` and whose cables or cells carry ``data-a`` and ``data-b``.

    ``host`` (a node such as h36) stays lit while the pointer is elsewhere; drawings of one ``group`` light the same. ``on_pick`` is
    called with the node that was clicked, or in a matrix with row and column, such as ``h36/d5``.
    """

    def picked() -> None:
        value = st.session_state[key].picked
        if on_pick is not None and value:
            on_pick(str(value))

    version = f"{zlib.crc32(svg.encode()):08x}"
    _POD(key=key, data=[{"svg": svg, "host": host, "group": group, "version": version}], on_picked_change=picked)

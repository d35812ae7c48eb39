"""A table made in Python with drawings in its cells, put on the page."""

import streamlit as st

from app.widgets.source import read

_SHEET = st.components.v2.component("intentwin.sheet", html='<div class="sheet">\n</div>', css=read("sheet.css"), js=read("sheet.js"))


def sheet(html: str, *, key: str) -> None:
    """Show a table of our own making; it scrolls sideways where it is wider than its place."""
    _SHEET(key=key, data=[{"html": html}])

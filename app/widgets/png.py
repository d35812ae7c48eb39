"""A link that saves the drawing beside it as PNG, inside the browser."""

import streamlit as st

from app.widgets.source import read

_LINK = st.components.v2.component("intentwin.png", html='<button type="button">PNG</button>', css=read("png.css"), js=read("png.js"))


def png_link(target: str, name: str, background: str, *, key: str) -> None:
    """Put a link that saves what is drawn in the container of key ``target`` as ``name``."""
    _LINK(key=key, data=[{"target": target, "name": name, "background": background}], width="content")

"""A drawing made in Python, put on the page as it is."""

from typing import Final

import streamlit as st

# The text comes from our own writer, which escapes every word; parsing it as XML and leaving scripts out keeps it inert anyhow.
_JS: Final = """
export default function ({ data: [data], parentElement }) {
  const place = parentElement.querySelector('.drawing > div');
  const found = new DOMParser().parseFromString(data.svg, 'image/svg+xml').documentElement;
  for (const node of found.querySelectorAll('script, foreignObject, a, image, use')) node.remove();
  place.style.minWidth = data.least + 'px';
  place.replaceChildren(document.importNode(found, true));
}
"""

_CSS: Final = """
:host { display: block; }
.drawing { overflow-x: auto; }
"""
_DRAWING = st.components.v2.component("intentwin.drawing", html='<div class="drawing"><div></div></div>', css=_CSS, js=_JS)


def drawing(svg: str, *, key: str, least_px: int = 0) -> None:
    """Show an SVG that scales to its container, down to ``least_px``; below that it scrolls sideways."""
    _DRAWING(key=key, data=[{"svg": svg, "least": least_px}])

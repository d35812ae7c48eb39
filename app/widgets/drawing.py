"""A drawing made in Python, put on the page as it is."""

from typing import Final

import streamlit as st

# The text comes from our own writer, which escapes every word; parsing it as XML and leaving scripts out keeps it inert anyhow.
_JS: Final = """
export default function ({ data: [data], parentElement }) {
  const root = parentElement.querySelector('.drawing');
  root.className = 'drawing' + (data.narrow ? ' two' : '');
  for (const [name, text] of [['wide', data.svg], ['narrow', data.narrow]]) {
    const place = root.querySelector('.' + name);
    if (!text) { place.replaceChildren(); continue; }
    const found = new DOMParser().parseFromString(text, 'image/svg+xml').documentElement;
    for (const node of found.querySelectorAll('script, foreignObject, a, image, use')) node.remove();
    place.replaceChildren(document.importNode(found, true));
  }
  root.querySelector('.wide').style.minWidth = data.least + 'px';
}
"""

_CSS: Final = """
:host { display: block; container-type: inline-size; }
.drawing { overflow-x: auto; }
.two .narrow { display: none; }
@container (max-width: 560px) { .two .wide { display: none; } .two .narrow { display: block; } }
"""
_HTML: Final = '<div class="drawing"><div class="wide"></div><div class="narrow"></div></div>'
_DRAWING = st.components.v2.component("intentwin.drawing", html=_HTML, css=_CSS, js=_JS)


def drawing(svg: str, *, key: str, least_px: int = 0, narrow: str = "") -> None:
    """Show an SVG that scales to its container, down to ``least_px``; below that it scrolls sideways.

    Where there is a ``narrow`` one, that is shown on a phone instead.
    """
    _DRAWING(key=key, data=[{"svg": svg, "least": least_px, "narrow": narrow}])

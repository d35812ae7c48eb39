"""A drawing made in Python, put on the page as it is."""

from collections.abc import Callable
from typing import Final

import streamlit as st

# The text comes from our own writer, which escapes every word; parsing it as XML and leaving scripts out keeps it inert anyhow.
_JS: Final = """
export default function ({ data: [data], parentElement, setTriggerValue }) {
  const root = parentElement.querySelector('.drawing');
  root.className = 'drawing' + (data.narrow ? ' two' : '');
  for (const [name, text] of [['wide', data.svg], ['narrow', data.narrow]]) {
    const place = root.querySelector('.' + name);
    if (!text) { place.replaceChildren(); continue; }
    const found = new DOMParser().parseFromString(text, 'image/svg+xml').documentElement;
    for (const node of found.querySelectorAll('script, foreignObject, a, image, use')) node.remove();
    place.replaceChildren(document.importNode(found, true));
    if (data.picks) for (const node of place.querySelectorAll('[data-pick]')) {
      const pick = () => setTriggerValue('picked', node.dataset.pick);
      node.setAttribute('tabindex', '0'); node.setAttribute('role', 'button'); node.onclick = pick;
      node.onkeydown = (event) => {
        if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); event.stopPropagation(); pick(); }
      };
    }
  }
  root.querySelector('.wide').style.minWidth = data.least + 'px';
}
"""

_CSS: Final = """
:host { display: block; container-type: inline-size; }
.drawing { overflow-x: auto; }
.two .narrow { display: none; }
[role=button] { cursor: pointer; }
[role=button]:focus-visible { outline: 2px solid currentColor; outline-offset: 1px; border-radius: 4px; }
@container (max-width: 560px) { .two .wide { display: none; } .two .narrow { display: block; } }
"""
_HTML: Final = '<div class="drawing"><div class="wide"></div><div class="narrow"></div></div>'
_DRAWING = st.components.v2.component("intentwin.drawing", html=_HTML, css=_CSS, js=_JS)


def drawing(svg: str, *, key: str, least_px: int = 0, narrow: str = "", on_pick: Callable[[str], None] | None = None) -> None:
    """Show an SVG that scales to its container, down to ``least_px``; below that it scrolls sideways.

    Where there is a ``narrow`` one, that is shown on a phone instead. With ``on_pick``, groups that carry ``data-pick`` are buttons,
    for the pointer and for the keyboard, and it is called with what they carry.
    """

    def picked() -> None:
        value = st.session_state[key].picked
        if on_pick is not None and value:
            on_pick(str(value))

    data = {"svg": svg, "least": least_px, "narrow": narrow, "picks": on_pick is not None}
    _DRAWING(key=key, data=[data], on_picked_change=picked)

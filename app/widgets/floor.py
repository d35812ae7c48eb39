"""The floor plan with its scrubber: a day on one canvas."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import streamlit as st

_HERE: Final = Path(__file__).parent
_HTML: Final = """
<div class="floor">
  <div class="bar"><div class="seg" role="radiogroup" aria-label="Quantity"></div><canvas class="scale" aria-hidden="true"></canvas></div>
  <canvas class="plan" role="img"></canvas>
  <div class="bar time">
    <button type="button" class="prev" aria-label="Back one minute">
      <svg width="12" height="12"><path d="M2 1h2v10H2zM11 1v10L5 6z"/></svg></button>
    <button type="button" class="play" aria-label="Play"><svg width="12" height="12"><path d="M2 1l9 5-9 5z"/></svg></button>
    <button type="button" class="next" aria-label="On one minute">
      <svg width="12" height="12"><path d="M8 1h2v10H8zM1 1l6 5-6 5z"/></svg></button>
    <button type="button" class="speed" title="Seconds of the run in a second" aria-label="Speed">600×</button>
    <h3 class="says"></h3><span class="keys"><i></i>candidate<i class="dashed"></i>today’s policy</span>
  </div>
  <canvas class="track" role="slider" tabindex="0" aria-label="Time of day" aria-valuemin="0"></canvas>
  <div class="tip"></div>
</div>
"""
# What Python says after the mount travels apart from the day itself: the day's message stays the same and is sent once.
_WORD_JS: Final = """
export default function ({ data: [data] }) {
  globalThis.intentwinCursor = { minute: data.minute, rack: data.rack, bounds: data.bounds };
  document.dispatchEvent(new CustomEvent('intentwin:floor', { detail: globalThis.intentwinCursor }));
}
"""

_FLOOR = st.components.v2.component(
    "intentwin.floor",
    html=_HTML,
    css=(_HERE / "floor.css").read_text(encoding="utf-8"),
    js=(_HERE / "floor.js").read_text(encoding="utf-8"),
)
_WORD = st.components.v2.component("intentwin.floor_cursor", html="<i hidden>\n</i>", js=_WORD_JS)


def floor(
    day: Mapping[str, Any],
    minute: int,
    rack: str,
    *,
    bounds: Sequence[Mapping[str, Any]] = (),
    key: str,
    on_minute: Callable[[], None],
    on_rack: Callable[[], None],
) -> None:
    """Show a day of the floor, the cursor at ``minute``, ``rack`` outlined and ``bounds`` of intents drawn (see ``app.floors.bounds``).

    ``day`` must be the same for the same run: it is large and the browser keeps it. The state of ``key`` holds ``minute``, ``rack`` and
    ``quantity``, each where the operator left it; ``on_minute`` and ``on_rack`` are called when they come to rest.
    """
    _WORD(key=f"{key}-cursor", data=[{"minute": minute, "rack": rack, "bounds": list(bounds)}], height=1)
    _FLOOR(key=key, data=[dict(day)], on_minute_change=on_minute, on_rack_change=on_rack, on_quantity_change=lambda: None)

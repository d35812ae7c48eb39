"""Headline tiles: one drawing for all of them, from one JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app.charts.tokens import Tokens
from app.widgets.source import read

_TILES = st.components.v2.component("intentwin.tiles", html='<div class="tiles"></div>', css=read("tiles.css"), js=read("tiles.js"))


def tiles(found: Sequence[Mapping[str, Any]], tokens: Tokens, *, key: str) -> None:
    """Draw tiles, four a row, two on a narrow screen.

    Each tile: label, meaning, state (or empty), value, unit, change with its sense (better or worse), note, bound, and for the
    sparkline today, shown (values or null), limit, bounds (value, and spans from 0 to 1), at (0 to 1, where the cursor stands).
    """
    names = ("hairline", "surface", "muted", "text", "good_text", "risk_text", "broken_text", "limit", "today", "candidate")
    data = {"tiles": [dict(tile) for tile in found], "colours": {name: getattr(tokens, name) for name in names}}
    _TILES(key=key, data=[data])

"""Sliders and selects that show what the URL says and write it when moved."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import streamlit as st

_TURN: Final = "_pod-control-turns"
Number = int | float


def slider(label: str, value: Number, span: tuple[Number, Number, Number], key: str, change: Callable[[Any], None]) -> None:
    """Show a slider over (low, high, step); ``change`` hears of moves."""
    low, high, step = span
    shown = min(max(value, low), high)
    key = _key(f"{key}-{low:g}-{high:g}-{step:g}", shown)
    st.slider(label, low, high, value=shown, step=step, key=key, on_change=partial(moved, key, shown, change))


def number(
    label: str, value: float, span: tuple[float, float, float], key: str, change: Callable[[Any], None], *, width: int = 112
) -> None:
    """Show a field for a number over (low, high, step) without a label; ``change`` hears of what is written."""
    low, high, step = span
    shown = min(max(float(value), low), high)
    key = _key(key, shown)
    st.number_input(
        label, low, high, value=shown, step=step, format="%g", key=key, on_change=partial(moved, key, shown, change),
        label_visibility="collapsed", width=width,
    )  # fmt: skip


def select(
    label: str, options: Sequence[Any], value: Any, key: str, change: Callable[[Any], None], *, words: Callable[[Any], str] = str,
    width: int | None = None,
) -> None:  # fmt: skip
    """Show a select without a label; ``change`` hears of what is picked."""
    key = _key(key, value)
    st.selectbox(
        label, options, index=list(options).index(value), key=key, format_func=words, on_change=partial(moved, key, value, change),
        label_visibility="collapsed", width=width or "stretch",
    )  # fmt: skip


def moved(key: str, shown: Any, change: Callable[[Any], None]) -> None:
    """Hear of a control that was drawn with a value. One that is gone tells it once more with the next run of a fragment: no move."""
    value = st.session_state.get(key, shown)
    if value != shown:
        change(value)


def _key(base: str, shown: Any) -> str:
    """Return the key of a control: another one as soon as something else than the control itself has changed what it shows.

    Its value is never set in the session: a browser that misses that would go on with, and send, what the control began with.
    """
    turns: dict[str, int] = st.session_state.setdefault(_TURN, {})
    key = f"{base}.{turns.get(base, 0)}"
    if st.session_state.get(key, shown) != shown:
        turns[base] = turns.get(base, 0) + 1
        key = f"{base}.{turns[base]}"
    return key

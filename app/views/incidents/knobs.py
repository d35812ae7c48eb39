"""What can be set on whoever is asked: a control for each knob."""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, get_args, get_origin

import streamlit as st
from pydantic.fields import FieldInfo

from app import parts
from policies import catalogue

# Chosen beside the button itself, asked for in an intent, or a folder of the server, which no visitor is to name.
ELSEWHERE: Final = ("driver", "targets", "team_tools")
_UNIT: Final = re.compile(r"_(s|usd)$")


def knobs(held: Mapping[str, str]) -> None:
    """Show a control for each knob of the systems that are to be asked; what is set is kept for this session."""
    with st.popover("Settings", key="incidents-knobs", on_change="rerun") as place:
        if not place.open:
            return
        for system in dict.fromkeys(held.values()):
            fields = {name: field for name, field in catalogue.card(system).knobs.model_fields.items() if name not in ELSEWHERE}
            st.html(f'<p class="iw-note">{catalogue.card(system).name}{"" if fields else ": nothing can be set"}</p>')
            for name, field in fields.items():
                _control(system, name, field)


def changed(system: str) -> dict[str, Any]:
    """Return what was set on a system and is not its default."""
    fields = catalogue.card(system).knobs.model_fields
    said = {name: st.session_state.get(_kept(system, name), field.default) for name, field in fields.items()}
    return {name: value for name, value in said.items() if value != fields[name].default}


def _kept(system: str, name: str) -> str:
    return f"_incidents-knob-{system}-{name}"


def _control(system: str, name: str, field: FieldInfo) -> None:
    """Draw the control that fits a knob's type and bounds, with its description as help."""
    kept, key = _kept(system, name), f"incidents-knob-{system}-{name}"
    value = st.session_state.get(kept, field.default)
    label, words = parts.plain(_UNIT.sub(r" (\1)", name).replace("_", " ")), parts.plain(str(field.description or ""))
    if get_origin(field.annotation) is Literal:
        options = list(get_args(field.annotation))
        value = st.selectbox(label, options, index=options.index(value), key=key, help=words)
    elif field.annotation is bool:
        value = st.toggle(label, value, key=key, help=words)
    elif field.annotation in (int, float):
        low, high = bounds(field)
        value = st.number_input(label, low, high, value, key=key, help=words, format="%g" if field.annotation is float else "%d")
    elif field.annotation is str:
        value = st.text_input(label, value, key=key, help=words, max_chars=400)
    st.session_state[kept] = value


def bounds(field: FieldInfo) -> tuple[Any, Any]:
    """Return the least and the most that a number may be, None where there is no bound."""
    found: dict[str, Any] = {}
    for each in field.metadata:
        for name in ("ge", "gt", "le", "lt"):
            if getattr(each, name, None) is not None:
                found[name[0]] = field.annotation(getattr(each, name)) if field.annotation else None
    return found.get("g"), found.get("l")

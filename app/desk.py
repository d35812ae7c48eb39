"""What the operator asks and decides, with who and when."""

import getpass
from datetime import UTC, datetime
from typing import Any, Final

import streamlit as st

from app import state

ROLES: Final = ("operator", "serving approver", "plant approver", "approver")


def name() -> str:
    """Return who is at the console: what they wrote into the rail, else the login name of the server's process."""
    return str(st.session_state.get("you-name") or _login())


def role() -> str:
    """Return in which role."""
    chosen = st.session_state.get("you-role")
    return chosen if chosen in ROLES else ROLES[0]


def model() -> str | None:
    """Return the LiteLLM model that reads this session's words; None takes the embedded reader."""
    return str(st.session_state.get("you-model") or "") or None


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"


def actor() -> Any:
    """Return who acts, as every command of the life cycle takes it."""
    from policies.intent.lifecycle import Actor

    return Actor(name=name(), role=role())


def now() -> datetime:
    """Return the moment of a command."""
    return datetime.now(UTC)


def capture(text: str) -> None:
    """Take down a request, have it read and checked, and open it. Raises ValueError for what cannot be taken down."""
    from policies.intent import lifecycle

    now_open = state.context()
    record = lifecycle.capture(state.home(), text, scenario=now_open.scenario, actor=actor(), at=now(), model=model())
    state.set_intent(record.intent_id)

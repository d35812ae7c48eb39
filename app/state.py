"""The one room that touches session state, query parameters, caches."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl
import streamlit as st

from app.charts import tokens
from twin.clock import Clock, Window
from twin.metrics import Scope

Shown = Literal["today", "candidate"]
_KEYS: Final = ("scenario", "today", "run", "show", "seed", "t", "intent")
DEFAULT_SCENARIO: Final = "example"


@dataclass(frozen=True, slots=True)
class Context:
    """What every page is about: a scenario, two runs of it, one moment. ``today`` and ``candidate`` are run ids.

    ``t_s`` is the cursor in seconds since the start of the run; ``clock`` turns it into local time.
    """

    scenario: str
    today: str | None
    candidate: str | None
    shown: Shown
    seed: int
    t_s: float
    horizon_s: float
    clock: Clock
    intent_id: str | None

    @property
    def run_id(self) -> str | None:
        """Return the run that is shown: the candidate where there is one and it is chosen, else today's."""
        return self.candidate if self.shown == "candidate" and self.candidate else self.today

    @property
    def clock_text(self) -> str:
        """Return the cursor as local time, such as 14:05."""
        return self.clock.at(self.t_s).strftime("%H:%M")


def home() -> Path:
    """Return the store's folder: ``$INTENTWIN_HOME``, else ``.intentwin`` below the working folder."""
    return Path(os.environ.get("INTENTWIN_HOME", ".intentwin")).expanduser().resolve()


def theme() -> tokens.Theme:
    """Return whether the browser shows the light or the dark theme."""
    return "dark" if st.context.theme.type == "dark" else "light"


def colours() -> tokens.Tokens:
    """Return the tokens of the theme that is shown."""
    return tokens.of(theme())

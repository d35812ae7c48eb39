"""The frame of every page: rail, context bar, intent bar."""

import html
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import polars as pl
import streamlit as st

from app import desk, parts, state
from app.charts.events import FAULTS, HARMS
from app.charts.tokens import Tokens
from app.rail import FIRST, VIEWS
from app.widgets.strip import time_strip
from policies.llm import available
from twin.units import show

ICON: Final = Path(__file__).resolve().parent / "static" / "icon.png"
STEP_S: Final = 600.0
# Pages with a time axis of their own: the bar then shows outside temperature and load, never a second handle.
OWN_TIME: Final = ("overview", "thermal", "serving", "workloads")


_PAGES: Final[dict[str, Any]] = {}


def pages() -> dict[str, list[Any]]:
    """Return the pages of the rail by section, and remember them by the name of their view."""
    found: dict[str, list[Any]] = {}
    for section, views in VIEWS.items():
        for name, title, icon, question in views:
            if find_spec(f"app.views.{name}") is None:
                continue
            page = st.Page(_shower(name), title=title, icon=f":material/{icon}:", url_path=name, default=name == FIRST, help=question)
            found.setdefault(section, []).append(page)
            _PAGES[name] = page
    return found


def _shower(name: str) -> Callable[[], None]:
    def show() -> None:
        import_module(f"app.views.{name}").show()

    return show


def style(tokens: Tokens) -> None:
    """Bring the page nearer to an instrument: tones of page and panels, four sizes of type, no wasted space."""
    sheet = (Path(__file__).resolve().parent / "static" / "frame.css").read_text(encoding="utf-8")
    roles = ";".join(
        f"--iw-{role.replace('_', '-')}:{getattr(tokens, role)}" for role in tokens.__slots__ if role not in {"theme", "series"}
    )
    st.html(f"<style>:root{{{roles}}}{sheet}</style>")


def context_bar(view: str) -> None:
    """Show what the page is about: scenario, today or candidate, seed, and the shared moment."""
    now = state.context()
    with st.container(key="context-bar", horizontal=True, vertical_alignment="center", gap="small"):
        names = state.scenarios()
        st.selectbox(
            "Scenario",
            names,
            index=names.index(now.scenario) if now.scenario in names else 0,
            key=f"bar-scenario-{now.scenario}",
            on_change=lambda: state.set_scenario(st.session_state[f"bar-scenario-{now.scenario}"]),
            label_visibility="collapsed",
            width=130,
        )
        _run_switch(now)
        seeds = state.seeds(now.scenario)
        if len(seeds) > 1:
            key = f"bar-seed-{now.scenario}-{now.seed}"
            st.selectbox(
                "Seed",
                seeds,
                index=seeds.index(now.seed) if now.seed in seeds else 0,
                key=key,
                on_change=lambda: state.set_seed(st.session_state[key]),
                format_func=lambda seed: f"seed {seed}",
                label_visibility="collapsed",
                width=100,
            )
        elif now.run_id is not None:
            st.html(f'<span class="iw-only-today iw-seed">seed {now.seed}</span>', width="content")
        if now.run_id is not None:
            _strip(now, now.run_id, view)


def _run_switch(now: state.Context) -> None:
    if now.candidate is None:
        words = "Today’s policy" if now.today else "no run yet"
        st.html(f'<span class="iw-only-today">{html.escape(words)}</span>', width="content")
        return
    names = {"today": "Today", "candidate": state.name_of(now.candidate)}
    key = f"bar-shown-{now.candidate}-{now.shown}"
    st.segmented_control(
        "Policy shown",
        ["today", "candidate"],
        default=now.shown,
        required=True,
        format_func=lambda shown: parts.plain(names[shown]),
        key=key,
        on_change=lambda: state.set_shown("today" if st.session_state[key] == "today" else "candidate"),
        label_visibility="collapsed",
    )


def _strip(now: state.Context, run_id: str, view: str) -> None:
    start = now.clock.start
    own = view in OWN_TIME
    tokens = state.colours()
    data = {
        "t_s": now.t_s,
        "horizon_s": now.horizon_s,
        "start_s": start.hour * 3600 + start.minute * 60 + start.second,
        "days": max(1, round(now.horizon_s / state.DAY_S)),
        "step_s": STEP_S,
        "axis": not own,
        "events": [] if own else events_of(state.table(run_id, "events")),
        "read": surroundings(run_id, now.t_s) if own else [],
        "colours": {"control": tokens.control, "text": tokens.text, "muted": tokens.muted},
    }
    time_strip(data, lambda: state.set_t(float(st.session_state["bar-time"].t_s)), key="bar-time")


def intent_bar() -> None:
    """Keep the way in at the foot of every page: a sentence becomes an intent and opens on its page."""
    if words := state.suggested():
        st.session_state["intent-bar"] = words
    with st.bottom:
        st.chat_input(
            "Say what you want, for example: keep GPUs in row 3 under 80 °C this afternoon and cut serving cost by 20 %",
            key="intent-bar",
            max_chars=2000,
            on_submit=_submitted,
        )


def _submitted() -> None:
    text = str(st.session_state["intent-bar"] or "")
    try:
        desk.capture(text)
    except ValueError as error:
        state.say(str(error))
    else:
        state.go("intents")


def follow() -> None:
    """Open the view that a callback asked for."""
    view = state.going()
    if view in _PAGES:
        st.switch_page(_PAGES[view])


def notices() -> None:
    """Show the one line that the last command left, if it left one."""
    if text := state.said():
        parts.failed("That did not work", text, key="notice")


def _who() -> None:
    st.text_input("Your name", value=desk.name(), key="you-name", persist_state="session", help="Recorded with every request and decision.")
    st.selectbox("Your role", desk.ROLES, key="you-role", persist_state="session")
    st.text_input(
        "Language model",
        value=available() or "",
        key="you-model",
        persist_state="session",
        placeholder="embedded reader",
        help="A LiteLLM model that reads requests in this session. Its key comes from the server's environment and is never stored.",
    )


def rail_foot() -> None:
    """Say at the foot of the rail which site this is, and who is at the console."""
    now = state.context()
    with st.sidebar.container(key="rail-foot", gap="small"):
        with st.popover("You and the reader", type="tertiary", width="stretch", key="rail-you"):
            _who()
        if now.run_id is not None:
            st.html(f'<p class="iw-site">{html.escape(site_words(now.scenario, state.run(now.run_id).manifest))}</p>')


def site_words(scenario: str, manifest: Mapping[str, Any]) -> str:
    """Return the size of a site in one line."""
    entities = manifest.get("entities", {})
    counts = {kind: len(entities.get(kind, ())) for kind in ("row", "rack", "server", "host")}
    words = [f"{counts['rack']} racks in {counts['row']} rows", f"{counts['server'] * 8:,} GPUs".replace(",", "\u00a0")]
    return f"{scenario}: " + ", ".join([*words, *([f"{counts['host']} CPU hosts"] if counts["host"] else [])])


def surroundings(run_id: str, t_s: float) -> list[tuple[str, str]]:
    """Return outside temperature and GPU load at a moment, as name and value."""
    site = state.table(run_id, "site")
    now = site.filter(pl.col("t_s") <= t_s).tail(1) if "t_s" in site.columns else site
    found = {"Outside": "outside_c", "Site": "site_power_w"}
    return [(name, show(float(now[column][0]), column)) for name, column in found.items() if column in now.columns and now.height]


def events_of(frame: pl.DataFrame) -> list[float]:
    """Return the moments that matter on a small axis: faults and harms, not the instances that come and go."""
    if frame.is_empty():
        return []
    return frame.filter(pl.col("kind").is_in([*FAULTS, *HARMS]))["t_s"].unique().sort().head(60).to_list()

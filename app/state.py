"""The one room that touches session state, query parameters, caches."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import polars as pl
import streamlit as st

from app.charts import tokens
from app.shelf import Brief, StoredRun, ask, briefs, load, logged_names
from twin.clock import Clock, Window
from twin.metrics import Scope

Shown = Literal["today", "candidate"]
DEFAULT_SCENARIO: Final = "example"
DAY_S: Final = 86400.0
_DRAFT: Final = ("pod", "slack", "pooled", "prices", "host", "lost", "device", "budget")
_TALK: Final = ("chain", "said", "whose", "answer", "span", "pool", "edit")
_TRACE: Final = ("function", "hops", "busy", "own")
_FLOW: Final = ("workflow", "job", "stage", "trade", "take")
_CASE: Final = ("incident", "blamed", "evidence", "asks", "sure", "driver")
_KEYS: Final = ("scenario", "today", "run", "show", "seed", "t", "intent", *_DRAFT, *_TALK, *_TRACE, *_FLOW, *_CASE)
# Runs of parts of a system (policies.ablations) stand behind the candidates that somebody asked for.
_ABLATION: Final = "Ablation: "
_KEPT: Final = "_context"
_MIRROR: Final = "_context_in_url"
_SAID: Final = "_said"
_GO: Final = "_go"
_SUGGESTED: Final = "_suggested"
_NOWHEN: Final = Clock(datetime(2026, 1, 1, tzinfo=UTC))


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


def publish() -> None:
    """Take the URL into the session, or write the session into the URL; the frame calls it once, before the page.

    The first run of a session and the browser's back and forward read the URL; a change of page, which empties it, writes it.
    """
    kept = st.session_state.setdefault(_KEPT, {})
    url = {key: st.query_params[key] for key in _KEYS if key in st.query_params}
    if url and url != st.session_state.get(_MIRROR):
        kept.clear()
        kept.update(url)
    _write_url()


def in_step() -> bool:
    """Return whether the browser's URL is the one that was written last; a page drawn anew before that would take the older one back."""
    return {key: st.query_params[key] for key in _KEYS if key in st.query_params} == st.session_state.get(_MIRROR, {})


def _write_url() -> None:
    kept: dict[str, str] = st.session_state.setdefault(_KEPT, {})
    for key in _KEYS:
        if key in kept:
            if st.query_params.get(key) != kept[key]:
                st.query_params[key] = kept[key]
        elif key in st.query_params:
            del st.query_params[key]
    st.session_state[_MIRROR] = dict(kept)


def _set(**values: str | None) -> None:
    kept = st.session_state.setdefault(_KEPT, {})
    for key, value in values.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = value
    _write_url()


def set_scenario(name: str) -> None:
    """Choose a scenario; runs, seed, cursor and intent of the former one are let go."""
    _set(scenario=name, today=None, run=None, show=None, seed=None, t=None, intent=None)


def set_seed(seed: int) -> None:
    """Choose a seed; the runs of the former one are let go."""
    _set(seed=str(seed), today=None, run=None)


def set_today(run_id: str | None) -> None:
    """Choose the run that stands for today's policy; None takes the newest one."""
    _set(today=run_id)


def set_candidate(run_id: str | None) -> None:
    """Choose the candidate's run and show it; None takes the newest one."""
    _set(run=run_id, show="candidate" if run_id else None)


def pin(today: str, candidate: str) -> None:
    """Stay with these two runs when newer ones come; which of them is shown does not change."""
    _set(today=today, run=candidate)


def set_shown(shown: Shown) -> None:
    """Choose whether pages show today's run or the candidate's."""
    _set(show=shown)


def set_t(t_s: float) -> None:
    """Put the shared cursor at a moment of the run."""
    _set(t=f"{max(0.0, float(t_s)):.0f}")


def set_intent(intent_id: str | None) -> None:
    """Choose the intent that the Intents page opens."""
    _set(intent=intent_id)


def drafted() -> Mapping[str, str]:
    """Return what the Memory page drafts, as the URL carries it: pod, slack, pooled, prices, host, lost, device, budget."""
    kept: Mapping[str, str] = st.session_state.get(_KEPT, {})
    return {key: kept[key] for key in _DRAFT if key in kept}


def set_draft(**values: str | None) -> None:
    """Change what the Memory page drafts; None lets a part go."""
    _set(**{key: value for key, value in values.items() if key in _DRAFT})


def listened() -> Mapping[str, str]:
    """Return what the Workloads page listens to, as the URL carries it: chain, said (kinds), whose, answer, span, pool, edit."""
    kept: Mapping[str, str] = st.session_state.get(_KEPT, {})
    return {key: kept[key] for key in _TALK if key in kept}


def listen(**values: str | None) -> None:
    """Change what the Workloads page listens to; None lets a part go."""
    _set(**{key: value for key, value in values.items() if key in _TALK})


def traced() -> Mapping[str, str]:
    """Return what the Functions page traces, as the URL carries it: function, hops (edited costs), busy (its load), own (work drawn)."""
    kept: Mapping[str, str] = st.session_state.get(_KEPT, {})
    return {key: kept[key] for key in _TRACE if key in kept}


def trace(**values: str | None) -> None:
    """Change what the Functions page traces; None lets a part go."""
    _set(**{key: value for key, value in values.items() if key in _TRACE})


def flow() -> Mapping[str, str]:
    """Return what the Workflows page looks at, as the URL carries it: workflow, job, stage, trade (two axes), take (a plan)."""
    kept: Mapping[str, str] = st.session_state.get(_KEPT, {})
    return {key: kept[key] for key in _FLOW if key in kept}


def set_flow(**values: str | None) -> None:
    """Change what the Workflows page looks at; None lets a part go."""
    _set(**{key: value for key, value in values.items() if key in _FLOW})


def case() -> Mapping[str, str]:
    """Return what the Incidents page looks at, as the URL carries it: incident, blamed (a cause), evidence (its id), who is asked.

    Who: asks (the investigator) by its driver, and sure (who says how sure one may be).
    """
    kept: Mapping[str, str] = st.session_state.get(_KEPT, {})
    return {key: kept[key] for key in _CASE if key in kept}


def set_case(**values: str | None) -> None:
    """Change what the Incidents page looks at; None lets a part go."""
    _set(**{key: value for key, value in values.items() if key in _CASE})


def context() -> Context:
    """Return what the pages are about now. What a link asks for and is not there falls back to what is."""
    kept: Mapping[str, str] = st.session_state.get(_KEPT, {})
    scenario = kept.get("scenario") or DEFAULT_SCENARIO
    mine = [brief for brief in stored() if brief.scenario == scenario]
    seeds = [brief.seed for brief in mine]
    seed = _number(kept.get("seed"), float(seeds[0] if seeds else 1))
    mine = [brief for brief in mine if brief.seed == int(seed)]
    # Who asks for a run and not for today's sees it beside a run of today's policy that faced the same, or alone.
    asked = None if "today" in kept else next((brief for brief in mine if brief.run_id == kept.get("run") and not brief.is_today), None)
    today = _pick(kept.get("today"), [brief for brief in mine if brief.is_today and (asked is None or _alike(asked, brief))])
    others = [brief for brief in mine if not brief.is_today and _alike(brief, today)]
    candidate = _pick(kept.get("run"), sorted(others, key=lambda brief: name_of(brief.run_id).startswith(_ABLATION)))
    shown: Shown = "candidate" if candidate and kept.get("show") != "today" else "today"
    basis = (candidate if shown == "candidate" else today) or today or candidate
    if basis is None:
        return Context(scenario, None, None, "today", int(seed), 0.0, DAY_S, _NOWHEN, kept.get("intent"))
    ids = (today.run_id if today else None, candidate.run_id if candidate else None)
    t_s = min(_number(kept.get("t"), default_t_s(basis.run_id)), basis.horizon_s)
    return Context(scenario, *ids, shown, int(seed), t_s, basis.horizon_s, basis.clock, kept.get("intent"))


def _pick(asked: str | None, found: Sequence[Brief]) -> Brief | None:
    whole = (brief for brief in found if brief.whole)
    return next((brief for brief in found if brief.run_id == asked), None) or next(whole, None)


def _alike(brief: Brief, today: Brief | None) -> bool:
    return today is None or brief.alike(today)


def _number(text: str | None, otherwise: float) -> float:
    try:
        return max(0.0, float(text)) if text is not None else otherwise
    except ValueError:
        return otherwise


def stored() -> list[Brief]:
    """Return every stored run in short, newest first."""
    folder = home() / "runs"
    stamp = folder.stat().st_mtime_ns if folder.is_dir() else 0
    return _stored(str(home()), stamp)


@st.cache_resource(max_entries=4, show_spinner=False)
def _stored(home_text: str, stamp: int) -> list[Brief]:
    return briefs(Path(home_text))


def run(run_id: str) -> StoredRun:
    """Return a stored run: its manifest and its tables, unread. Raises ValueError where it is not there."""
    return _run(str(home()), run_id)


@st.cache_resource(max_entries=32, show_spinner=False)
def _run(home_text: str, run_id: str) -> StoredRun:
    return load(Path(home_text), run_id)


def table(run_id: str, name: str) -> pl.DataFrame:
    """Return one table of a run whole; empty where the run has none. Ask ``query`` for parts of tables above 4 million rows."""
    return _table(str(home()), run_id, name)


@st.cache_resource(max_entries=16, show_spinner=False)
def _table(home_text: str, run_id: str, name: str) -> pl.DataFrame:
    frame = _run(home_text, run_id).tables.get(name)
    return pl.DataFrame() if frame is None else frame.head(4_000_000).collect()


def metric(run_id: str | None, name: str, scope: tuple[Scope, ...] = (), window: Window | None = None) -> float | None:
    """Return a metric of a run, over a scope and a window where asked; None where the run holds no evidence for it."""
    return None if run_id is None else _metric(str(home()), run_id, name, scope, window)


@st.cache_data(max_entries=4096, show_spinner=False)
def _metric(home_text: str, run_id: str, name: str, scope: tuple[Scope, ...], window: Window | None) -> float | None:
    return _run(home_text, run_id).metric(name, scope, window)


@st.cache_data(max_entries=256, show_spinner=False)
def _query(home_text: str, sql: str, run_ids: tuple[str, ...]) -> pl.DataFrame:
    return ask(Path(home_text), sql, run_ids)


def query(sql: str, run_ids: Sequence[str]) -> pl.DataFrame:
    """Return the answer of one SELECT over the tables of these runs, each with a column ``run_id``."""
    return _query(str(home()), sql, tuple(run_ids))


def default_t_s(run_id: str) -> float:
    """Return where the cursor stands before anybody moves it: when the hottest GPU was hottest."""
    return _hottest_s(str(home()), run_id)


@st.cache_data(max_entries=64, show_spinner=False)
def _hottest_s(home_text: str, run_id: str) -> float:
    return _run(home_text, run_id).hottest_s()


def name_of(run_id: str) -> str:
    """Return the name of a run's policy, as it was called when the run was made; its id where nobody named it."""
    ledger = home() / "ledger.duckdb"
    stamp = ledger.stat().st_mtime_ns if ledger.is_file() else 0
    return _names(str(home()), stamp).get(run_id) or f"run {run_id}"


@st.cache_data(max_entries=4, show_spinner=False)
def _names(home_text: str, stamp: int) -> dict[str, str]:
    return logged_names(Path(home_text))


def scenarios() -> list[str]:
    """Return the scenarios that have runs, and the default one."""
    return sorted({DEFAULT_SCENARIO, context().scenario, *(brief.scenario for brief in stored())})


def seeds(scenario: str) -> list[int]:
    """Return the seeds that a scenario was run with."""
    return sorted({brief.seed for brief in stored() if brief.scenario == scenario})


def say(text: str) -> None:
    """Keep one line that the next page shows once, such as what was wrong with a request."""
    st.session_state[_SAID] = text


def said() -> str:
    """Return that line and forget it."""
    return str(st.session_state.pop(_SAID, ""))


def suggest(words: str) -> None:
    """Have words written into the intent bar with the next run of the page; nothing is asked before somebody sends them."""
    st.session_state[_SUGGESTED] = words


def suggested() -> str:
    """Return the words that are to be written into the intent bar, once."""
    return str(st.session_state.pop(_SUGGESTED, ""))


def go(view: str) -> None:
    """Ask the frame to open a view once the current callback is over."""
    st.session_state[_GO] = view


def going() -> str | None:
    """Return the view that was asked for, once."""
    return st.session_state.pop(_GO, None)

"""What do I take to the change board?"""

from functools import lru_cache
from pathlib import Path

import streamlit as st

from app import desk, parts, state
from app.report.pairing import worlds
from app.report.render import report

_MIMES = {"html": "text/html", "md": "text/markdown", "zip": "application/zip"}
_WORDS = {
    "html": "HTML, one file that works offline",
    "md": "Markdown, for a pull request",
    "zip": "Bundle with tables, policies and provenance",
}


def show() -> None:
    """Show the page."""
    if parts.no_run("reports"):
        return
    now = state.context()
    subjects = _subjects(now)
    parts.page_title("Everything the change board needs, in one file", _under(subjects), legend=False)
    side, wide = st.columns([324, 844], gap="small")
    with side:
        with parts.panel("What goes in", "report-choices"):
            study = _pick(now, subjects)
            notes = st.text_area(
                "Notes for the board",
                key="report-notes",
                placeholder="A paragraph of your own, put at the head",
                height=120,
                persist_state="session",
            )
        _download(study, notes or "")
    with wide:
        try:
            page = _built(str(state.home()), study, "html", notes or "", _stamp())
        except ValueError as error:
            parts.failed("This report cannot be built", str(error), key="report")
            return
        with parts.panel("Preview, as the board will see it", "report-preview"):
            st.iframe(page.decode(), height=760, alt="Preview of the report")


def _subjects(now: state.Context) -> dict[str, str]:
    """Return what a report can be about, the most useful first: intents with evidence, candidates, today's policy."""
    found: dict[str, str] = {}
    for record in desk.intents():
        if desk.evidence(record.intent_id, record.version) is not None:
            found[record.intent_id] = f"{record.intent_id} version {record.version}: {record.text}"
    for world in worlds(state.home()):
        if world.scenario != now.scenario or not world.whole:
            continue
        for held in world.candidates:
            seed = min(held.run_ids)
            found[held.run_ids[seed]] = (
                f"{held.name} against today’s policy, {len(world.seeds(held))} shared seeds, scenario {world.scenario}"
            )
        if world.today is not None:
            found[world.today.run_ids[min(world.today.run_ids)]] = f"Today’s policy alone, scenario {world.scenario}"
    if not found and now.run_id is not None:
        found[now.run_id] = f"Run {now.run_id} of scenario {now.scenario}"
    return found


def _under(subjects: dict[str, str]) -> str:
    count = "One study" if len(subjects) == 1 else f"{len(subjects)} studies"
    return f"{count} to report on · built from stored runs alone, byte for byte the same each time"


def _pick(now: state.Context, subjects: dict[str, str]) -> str:
    names = list(subjects)
    chosen = _default(now, subjects)
    picked = st.selectbox(
        "About",
        names,
        index=names.index(chosen) if chosen in names else 0,
        format_func=subjects.__getitem__,
        key="report-about",
    )
    return picked if picked in subjects else names[0]


def _default(now: state.Context, subjects: dict[str, str]) -> str | None:
    return now.intent_id if now.intent_id in subjects else now.candidate if now.candidate in subjects else next(iter(subjects), None)


def _download(study: str, notes: str) -> None:
    home = str(state.home())
    with parts.panel("Take it away", "report-download"):
        for fmt, words in _WORDS.items():
            st.download_button(
                f"Download {fmt.upper() if fmt != 'md' else 'Markdown'}",
                data=lambda fmt=fmt: _built(home, study, fmt, notes, _stamp()),
                file_name=f"intentwin-{study}.{fmt}",
                mime=_MIMES[fmt],
                key=f"report-{fmt}",
                type="primary" if fmt == "html" else "secondary",
                on_click="ignore",
                width="stretch",
                help=words,
            )
        words = "The HTML file works offline and asks nothing of any network; the bundle adds tables, policies, intent and provenance."
        st.html(f'<p class="iw-note">{words}</p>')


def _stamp() -> int:
    places = (state.home() / "runs", state.home() / "ledger.duckdb")
    return max((place.stat().st_mtime_ns for place in places if place.exists()), default=0)


@lru_cache(maxsize=8)
def _built(home: str, study: str, fmt: str, notes: str, stamp: int) -> bytes:
    return report(Path(home), study, fmt, notes=notes)

"""Panel of how the investigator got there; the query behind each step."""

import html
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import polars as pl
import streamlit as st

from app import parts, state
from app.charts.statements import count
from app.views.incidents import reading
from app.views.incidents.reading import Looking
from app.views.workloads.lanes import note
from app.widgets.rows import Head, rows
from twin.clock import Clock
from twin.incidents.trajectory import Investigation, Step
from twin.store.investigations import Evidence, Moment

_HEADS: Final = (
    Head("number", "", "muted", "28px", narrow=False),
    Head("thought", "Thought", "words", "34%"),
    Head("action", "Action", "muted", "26%", narrow=False),
    Head("seen", "Observation", "words", "auto"),
    Head("evidence", "Evidence", "value", "72px"),
)
_LONGEST: Final = 260


def steps(look: Looking) -> None:
    """List thoughts, actions and observations of the shown moment; a click opens what is behind one."""
    moment = look.moment
    if moment is None:
        return
    found = moment.investigation
    with parts.panel(title(found), "incidents-steps", data=lambda: table(found)):
        if not found.steps:
            note("It looked at nothing: no step was taken.")
            return
        chosen = state.case().get("evidence", "")
        at = next((str(step.number) for step in found.steps if step.evidence_id and step.evidence_id == chosen), None)
        rows(
            _HEADS,
            [_row(step, look.now.clock) for step in found.steps],
            state.colours(),
            key="incidents-steps-rows",
            chosen=at,
            on_pick=_picker(found),
        )
        behind(look, moment, chosen)
        note(under(found))


def _picker(found: Investigation) -> Callable[[str], None]:
    ids = {str(step.number): step.evidence_id for step in found.steps}
    return lambda number: state.set_case(evidence=ids[number] if ids[number] != state.case().get("evidence") else None)


def _row(step: Step, clock: Clock) -> dict[str, Any]:
    seen = step.observation if step.ok else f"✕ {step.error_kind or 'error'}: {step.observation}"
    return {
        "id": str(step.number),
        "number": str(step.number),
        "thought": cut(reading.timed(step.thought, clock)),
        "action": cut(f"{step.action}({arguments(_plain(step))})"),
        "seen": cut(reading.timed(seen, clock)),
        "evidence": step.evidence_id or "–",
    }


def _plain(step: Step) -> Mapping[str, Any]:
    """Return what a step was asked; of what was submitted only the verdict, since the causes stand elsewhere."""
    return {name: value for name, value in step.arguments.items() if step.action != "submit" or isinstance(value, str | float | int)}


def cut(text: str) -> str:
    """Return a text that fits a cell; what is behind it shows it whole."""
    plain = " ".join(text.split())
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1].rstrip() + "…"


def arguments(given: Mapping[str, Any]) -> str:
    """Return arguments as they are called.

    >>> arguments({"entity": "rack-36", "hops": 2})
    'entity=rack-36, hops=2'
    """
    return ", ".join(f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in given.items())


def behind(look: Looking, moment: Moment, evidence_id: str) -> None:
    """Show what is behind an evidence id: what was asked, its window, its rows, its SQL."""
    if not evidence_id:
        note("Click a step to see the query behind it.")
        return
    found = reading.cited(moment, evidence_id)
    with st.container(key="decision-incidents-behind", gap="small"):
        if found is None:
            note(f"{evidence_id} is none of what was answered at this moment.")
            return
        st.html(f'<p class="iw-said"><b>{html.escape(found.evidence_id)}</b> {html.escape(_asked(found))}</p>')
        st.html(f'<p class="iw-note">{html.escape(_window(found, look.now.clock))}</p>')
        if found.words or found.error:
            st.html(f'<p class="iw-said">{html.escape(found.words if found.ok else f"{found.error_kind}: {found.error}")}</p>')
        if found.rows:
            st.dataframe(reading.rows_of(found), height=min(36 + 35 * len(found.rows), 260), hide_index=True, key="incidents-behind-rows")
        if found.sql:
            st.code(found.sql, language="sql", wrap_lines=True)


def _asked(found: Evidence) -> str:
    return f"{found.tool}({arguments(found.arguments)})"


def _window(found: Evidence, clock: Clock) -> str:
    kept = f"{count(len(found.rows), 'row')}{', there are more' if found.truncated else ''}"
    if found.to_s <= found.from_s:
        return kept
    return f"{clock.at(found.from_s):%H:%M:%S} to {clock.at(found.to_s):%H:%M:%S} · {kept}"


def title(found: Investigation) -> str:
    """Return in how many steps and at what price the answer was found, and how far it got."""
    spent = sum(step.cost_usd for step in found.steps)
    price = f", {spent:.2g} USD" if spent else ""
    return f"How the investigator got there: {count(len(found.steps), 'step')}{price}"


def under(found: Investigation) -> str:
    """Return how many claims were dropped because nothing says so, and why it stopped."""
    if not found.claims:
        return f"It claimed nothing. It stopped: {found.stop_reason}."
    claims = count(found.claims, "claim")
    if not found.unsupported:
        return f"All of {claims} stand on evidence that says so. It stopped: {found.stop_reason}."
    were = "was" if found.unsupported == 1 else "were"
    return f"{found.unsupported} of {claims} had no evidence that says so and {were} dropped. It stopped: {found.stop_reason}."


def table(found: Investigation) -> pl.DataFrame:
    """Return what *Data* shows: the steps as they are stored."""
    each = [
        {
            "number": step.number, "thought": step.thought, "action": step.action,
            "arguments": json.dumps(dict(step.arguments), default=str),
            "observation": step.observation, "evidence_id": step.evidence_id, "ok": step.ok, "error_kind": step.error_kind,
            "tokens_in": step.tokens_in, "tokens_out": step.tokens_out, "cost_usd": step.cost_usd,
        }
        for step in found.steps
    ]  # fmt: skip
    return pl.DataFrame(each, infer_schema_length=None)

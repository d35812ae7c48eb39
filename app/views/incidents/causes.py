"""Panel of the possible causes: what speaks for each, what against."""

import html
from typing import Any, Final

import streamlit as st

from app import cases, parts, state
from app.charts.statements import count
from app.views.incidents import certainty, reading
from app.views.incidents.reading import Looking
from app.views.workloads.lanes import note
from app.widgets.rows import Head, rows
from twin.clock import Clock
from twin.incidents.trajectory import Statement

_HEADS: Final = (
    Head("cause", "Possible cause", "strong", "auto"),
    Head("since", "Since", "number", "64px", narrow=False),
    Head("sides", "For / against", "number", "96px"),
    Head("sure", "Sure", "value", "60px"),
)
_SAID: Final = (Head("said", "", "words", "auto"), Head("cites", "", "value", "90px"))
_MOST: Final = 12


def causes(look: Looking) -> None:
    """List the causes of the shown moment; below, what was said of the chosen one, and what was ruled out."""
    moment = look.moment
    if moment is None:
        return
    found = moment.investigation
    with parts.panel(title(look), "incidents-causes", data=lambda: certainty.table(look.shown)):  # type: ignore[arg-type]
        certainty.status(look)
        chosen = look.blamed
        if chosen is not None:
            cells = [_row(look, place) for place in range(len(found.hypotheses))]
            rows(_HEADS, cells, state.colours(), key="incidents-causes-rows", chosen=cases.key_of(chosen), on_pick=_blame)
            st.html(f'<p class="iw-note">{html.escape(chosen.mechanism)}</p>')
            said = sorted(chosen.statements, key=lambda each: not each.supports)
            if said:
                cells = [_statement(place, each, look.now.clock) for place, each in enumerate(said)]
                picks = {str(place): next(iter(each.evidence_ids), "") for place, each in enumerate(said)}
                rows(_SAID, cells, state.colours(), key="incidents-said", on_pick=lambda one: state.set_case(evidence=picks[one] or None))
        _ruled_out(found.ruled_out)


def _blame(key: str) -> None:
    state.set_case(blamed=key)


def _row(look: Looking, place: int) -> dict[str, Any]:
    assert look.moment is not None
    each = look.moment.investigation.hypotheses[place]
    for_it = sum(one.supports for one in each.statements)
    since = f"{look.now.clock.at(each.onset_s):%H:%M}" if each.onset_s == each.onset_s else "–"
    return {
        "id": cases.key_of(each), "cause": cases.named(each), "since": since,
        "sides": f"▲ {for_it}  ▽ {len(each.statements) - for_it}", "sure": cases.percent(cases.sure(look.moment)[cases.key_of(each)]),
    }  # fmt: skip


def _statement(place: int, each: Statement, clock: Clock) -> dict[str, Any]:
    lead = "▲ supports" if each.supports else "▽ contradicts"
    return {"id": str(place), "said": {"lead": lead, "text": reading.timed(each.words, clock)}, "cites": " ".join(each.evidence_ids)}


def _ruled_out(ruled_out: tuple[str, ...]) -> None:
    if not ruled_out:
        return
    with st.expander(f"Ruled out: {len(ruled_out)}", key="incidents-ruled-out"):
        items = "".join(f"<li>{html.escape(each)}</li>" for each in ruled_out[:_MOST])
        st.html(f'<ul class="iw-hint">{items}</ul>')
        if len(ruled_out) > _MOST:
            note(f"and {len(ruled_out) - _MOST} more")


def title(look: Looking) -> str:
    """Return what speaks for the chosen cause and what against it."""
    chosen = look.blamed
    if chosen is None:
        return "No cause is borne out by what is known"
    for_it = sum(one.supports for one in chosen.statements)
    against = len(chosen.statements) - for_it
    return f"{count(for_it, 'statement').capitalize()} for {cases.named(chosen)}, {against or 'none'} against"

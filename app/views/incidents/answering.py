"""Panel of the operator's answer: right, wrong and what it was, or open."""

import html
from typing import Final

import streamlit as st

from app import cases, desk, parts, state
from app.views.incidents.reading import Looking
from app.views.workloads.lanes import note
from twin.incidents.causes import CAUSES
from twin.store.case_of_run import check_entity
from twin.store.ledger import Ledger
from twin.store.records import Verdict

RIGHT, WRONG, UNTOLD = "Yes, that was it", "No, it was …", "Cannot tell"
UNKNOWN: Final = "something else, not known what"


def answering(look: Looking) -> None:
    """Ask whether the named cause was right; the answer labels the case."""
    chosen = look.blamed
    last = look.said.get(look.incident.incident_id)
    words = "What was the cause?" if chosen is None else f"Was it {cases.named(chosen)}?"
    with parts.panel(words, "incidents-answer"):
        if last is not None:
            mark, said = cases.standing(last)
            told = f"{parts.mark(mark, said)} said by {html.escape(last.actor)}" + (f": {html.escape(last.note)}" if last.note else "")
            st.html(f'<p class="iw-note">{told}</p>')
        key = f"incidents-answer-{look.run_id}-{look.incident.incident_id}-{len(cases.verdicts(state.home()))}"
        options = [RIGHT, WRONG, UNTOLD] if chosen is not None else [WRONG, UNTOLD]
        answer = st.segmented_control("Answer", options, key=f"{key}-what", label_visibility="collapsed", width="stretch")
        if answer is None:
            note("Your answer labels the case: later incidents are compared with it, and confidences are calibrated by it.")
            return
        with st.form(f"{key}-form", border=False):
            if answer == WRONG:
                names = [UNKNOWN, *(name for name in CAUSES if chosen is None or name != chosen.cause or CAUSES[name].entity_kind)]
                st.selectbox("It was", names, format_func=lambda one: one if one == UNKNOWN else cases.titled(one), key=f"{key}-cause")
                st.text_input("Where (an entity, such as rack-36)", key=f"{key}-entity", max_chars=80)
            st.text_input("Note", key=f"{key}-note", max_chars=2000)
            st.text_input("Your name", value=desk.name(), key=f"{key}-name", max_chars=80)
            st.form_submit_button("Keep the answer", type="primary", on_click=_keep, args=(look, answer, key))


def _keep(look: Looking, answer: str, key: str) -> None:
    get = st.session_state.get
    cause, entity = str(get(f"{key}-cause") or ""), str(get(f"{key}-entity") or "").strip()
    try:
        keep(look, answer, "" if cause == UNKNOWN else cause, entity, str(get(f"{key}-note") or ""), str(get(f"{key}-name") or "").strip())
    except ValueError as error:
        state.say(str(error))


def keep(look: Looking, answer: str, cause: str, entity: str, words: str, name: str) -> None:
    """Write an answer into the ledger. Raises ValueError, one line, for one without a name or that names what the run does not have."""
    if not name:
        raise ValueError("an answer needs a name: write yours, so that others know who said it")
    if answer == WRONG:
        check_entity(look.run_id, entity, state.home())
    verdict = verdict_of(look, answer, cause, entity, words, name)
    with Ledger(state.home()).transaction() as ledger:
        ledger.add_verdict(verdict)


def verdict_of(look: Looking, answer: str, cause: str, entity: str, words: str, name: str) -> Verdict:
    """Return an answer as the ledger keeps it. One that cannot tell judges no prediction."""
    from policies.knowledge import known_at, predictor_of

    chosen = None if answer == UNTOLD else look.blamed
    sure = cases.sure(look.moment).get(cases.key_of(chosen)) if look.moment is not None and chosen is not None else None
    right = answer == RIGHT and chosen is not None
    if chosen is not None and right:
        cause, entity = chosen.cause, chosen.entity_id
    return Verdict(
        incident_id=look.incident.incident_id,
        run_id=look.run_id,
        predictor=predictor_of(look.moment.investigation) if look.moment is not None else "",
        predicted_cause=chosen.cause if chosen else "",
        predicted_entity_id=chosen.entity_id if chosen else "",
        confidence=None if sure is None else min(max(float(sure), 0.0), 1.0),
        right=right,
        cause="" if answer == UNTOLD else cause,
        entity_id="" if answer == UNTOLD or (not cause and not right) else entity,
        note=words,
        known=known_at(look.shown) if look.shown is not None else look.incident.began + look.now.horizon_s - look.incident.onset_s,
        actor=name,
        at=desk.now(),
    )

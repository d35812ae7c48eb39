"""Panel of what could be asked for, so that it is softened or never again."""

import html
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import cases, parts, state
from app.site import OtherFleet, fleet_of
from app.views.incidents.reading import Looking
from app.views.workloads.lanes import note

if TYPE_CHECKING:
    from policies.intent.propose import Proposal


def proposing(look: Looking) -> None:
    """Offer intents that would prevent or soften the cause; a button puts its words into the intent bar."""
    chosen = look.blamed
    if chosen is None or look.moment is None:
        return
    offers = offered(look)
    words = "What would keep it from happening again" if offers else "No intent is proposed"
    with parts.panel(words, "incidents-propose"):
        if not offers:
            note(why_none(look))
            return
        for place, offer in enumerate(offers):
            with st.container(key=f"decision-propose-{place}", gap="small"):
                st.html(f'<p class="iw-said">{html.escape(offer.words)}</p><p class="iw-note">{html.escape(offer.why)}</p>')
                # The bar is outside of what a click on this page draws anew.
                if st.button("Put it into the intent bar", key=f"incidents-propose-{place}"):
                    state.suggest(offer.words)
                    st.rerun()


def offered(look: Looking) -> "tuple[Proposal, ...]":
    """Return what is proposed for the chosen cause by what was known at the shown moment; what somebody confirmed counts as confirmed."""
    from policies.intent.propose import Facts, proposed

    assert look.moment is not None
    assert look.blamed is not None
    run = state.run(look.run_id)
    try:
        fleet = fleet_of(run.manifest)
    except OtherFleet:
        return ()
    entities: Any = run.manifest.get("entities", {})
    facts = Facts.of(fleet, look.now.clock, entities, state.table(look.run_id, "alerts"), look.incident, look.moment.as_of_s)
    said = look.said.get(look.incident.incident_id)
    confirmed = said is not None and said.right and (said.cause, said.entity_id) == (look.blamed.cause, look.blamed.entity_id)
    return proposed(look.blamed, look.incident, facts, "confirmed" if confirmed else look.moment.investigation.status)


def why_none(look: Looking) -> str:
    """Return why nothing is proposed."""
    from policies.intent.propose import unpreventable

    assert look.moment is not None
    assert look.blamed is not None
    if look.moment.investigation.status == "inconclusive":
        return "The investigation is inconclusive: what is not known to be the cause is not guarded against."
    return unpreventable(look.blamed.cause) if look.blamed.cause else cases.titled(look.blamed.cause)

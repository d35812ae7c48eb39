"""Panel in which hints are edited: the price answers, the twin can try."""

import html
from collections.abc import Mapping
from typing import Any, Final

import streamlit as st

from app import hint_edits, later, parts, state
from app.charts.statements import plainly
from app.hint_edits import CHOICES, CLASS, LABELS, Edits
from app.later import Answer
from app.views.memory.controls import select
from app.views.workloads import reading, tries
from app.views.workloads.lanes import note
from app.views.workloads.reading import Listening
from app.widgets.rows import Head, rows
from twin.units import MINUS
from twin.workloads.negotiation import keys
from twin.workloads.negotiation.classes import Classes, WorkloadClass, named
from twin.workloads.negotiation.treatments import TREATMENTS

# What a class says of each key at each of its levels, in words.
_LEVELS: Final[Mapping[str, tuple[str, ...]]] = {
    "stateless": ("none", "partly", "fully"),
    "deploy": ("within a minute", "ten minutes will do"),
    "availability": ("four nines", "three nines for a part", "two nines"),
    "preemption": ("no", "a part of them", "yes"),
    "delay": ("not at all", "an hour"),
    "region": ("none", "partly", "fully"),
}
_LEVEL_OF: Final = {
    "stateless": "stateless", "deploy_time_s": "deploy", "availability_nines": "availability", "preemptible": "preemption",
    "delay_tolerance_s": "delay", "region_independence": "region",
}  # fmt: skip
_HEADS: Final = (
    Head("what", "Optimisation", "strong", "34%"),
    Head("now", "Now, %", "number", "16%"),
    Head("then", "Then, %", "value", "16%"),
    Head("missing", "Missing for it", "muted", "34%", narrow=False),
)


def hints(listen: Listening) -> list[Answer]:
    """Let the hints of a workload be edited; say what it and all of them would pay, and try it on the twin. Return what is waited for."""
    tenants = {str(each["id"]): each for each in reading.tenants(listen.run_id)}
    if not tenants:
        return []
    classes = named(reading.settings(listen.run_id).get("classes", "survey"))
    edits = hint_edits.read(state.listened().get("edit", ""), list(tenants), list(classes))
    whose = listen.whose if listen.whose in tenants else next(iter(edits), next(iter(tenants)))
    answer = _quotes(listen, tenants, edits)
    with parts.panel(_title(whose, answer, bool(edits)), "workloads-hints"):
        left, right = st.columns([540, 612], gap="medium")
        with left:
            _controls(tenants, classes, edits, whose)
        with right:
            _answer(listen, answer, edits, whose)
            tries.tries(listen, edits)
    return [answer]


def _title(whose: str, answer: Answer, edited: bool) -> str:
    if not answer.ready or answer.why:
        return f"What if {plainly(whose)} hinted otherwise?"
    now, then = (100 * (1.0 - quote.price_share) for quote in answer.value[whose])
    if not edited or abs(then - now) < 0.05:
        return f"{_up(plainly(whose))} would pay {now:.1f}\u00a0% less by its hints, were surplus unlimited; what if it hinted more?"
    return f"With these hints {plainly(whose)} would pay {then:.1f}\u00a0% less instead of {now:.1f}\u00a0%"


def _up(words: str) -> str:
    return words[:1].upper() + words[1:]


def _controls(tenants: Mapping[str, Mapping[str, Any]], classes: Classes, edits: Edits, whose: str) -> None:
    name, said = hint_edits.of(tenants[whose])
    edit = edits.get(whose, {})
    first, second = st.columns(2, gap="small")
    with first, st.container(gap="xxsmall"):
        _labelled("Workload")
        select("Workload", list(tenants), whose, "hints-whose", lambda one: state.listen(whose=one))
    with second, st.container(gap="xxsmall"):
        _labelled("Template: the class of its hints")
        select(
            "Template", list(classes), edit.get(CLASS, name), f"hints-class-{whose}",
            lambda one: _change(edits, whose, CLASS, None if one == name else one), words=lambda one: classes[one].title,
        )  # fmt: skip
    columns = st.columns(3, gap="small")
    for index, key in enumerate(CHOICES):
        with columns[index % 3], st.container(gap="xxsmall"):
            _hint(key, classes[edit.get(CLASS, name)], said, edits, whose)
    changed = [plainly(one) for one, values in edits.items() if values]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="hints-foot"):
        st.button("Undo all edits", key="hints-undo", disabled=not changed, on_click=lambda: state.listen(edit=None))
        note(f"Edited: {', '.join(changed)}. The link carries it." if changed else "Nothing is edited; other pages do not change by it.")


def _hint(key: str, of_class: WorkloadClass, said: Mapping[str, Any], edits: Edits, whose: str) -> None:
    """Show one hint: as it is now, or one of the other values."""
    now = f"as now: {words_now(key, of_class, said)}"
    options = [now, *CHOICES[key]]
    chosen = next((word for word, value in CHOICES[key].items() if key in edits.get(whose, {}) and edits[whose][key] == value), now)
    _labelled(LABELS[key])
    name = f"hints-{key}-{whose}-{of_class.id}"
    select(LABELS[key], options, chosen, name, lambda word: _change(edits, whose, key, CHOICES[key].get(word)))


def _labelled(words: str) -> None:
    st.html(f'<p class="iw-note">{html.escape(words)}</p>')


def words_now(key: str, of_class: WorkloadClass, said: Mapping[str, Any]) -> str:
    """Return what a workload says of a key before it is edited: its scenario's hint, else what its class says."""
    if key in said:
        return keys.shown(key, keys.value(key, said[key]))
    if key in _LEVEL_OF:
        return _LEVELS[_LEVEL_OF[key]][getattr(of_class.levels, _LEVEL_OF[key])]
    if key in {"scale_up_down", "scale_out_in"}:
        return "yes" if of_class.levels.stateless else "no"
    return "no"


def _change(edits: Edits, whose: str, key: str, value: Any) -> None:
    mine = {name: one for name, one in edits.get(whose, {}).items() if name != key}
    if value is not None:
        mine[key] = value
    state.listen(edit=hint_edits.written({**edits, whose: mine}) or None)


def _quotes(listen: Listening, tenants: Mapping[str, Mapping[str, Any]], edits: Edits) -> Answer:
    """Ask for the quote of every workload as it hints now, and as edited."""
    said = reading.settings(listen.run_id)
    classes, part, off = said.get("classes", "survey"), said.get("partial_share"), dict(said.get("discounts") or {})

    def work() -> dict[str, tuple[Any, Any]]:
        from policies.systems.workload_intelligence.prices import quote

        known = named(classes)

        def asked(tenant: Mapping[str, Any]) -> Any:
            name, hinted = hint_edits.of(tenant)
            return quote(known[name].levels, hinted, partial_share=part, taken_off=off)

        found = {}
        for name, tenant in tenants.items():
            now = asked(tenant)
            found[name] = (now, asked(hint_edits.changed(tenant, edits[name])) if edits.get(name) else now)
        return found

    about = (str(state.home()), listen.run_id, hint_edits.written(edits))
    return later.ask("quotes", about, work, wait_s=later.BLINK_S)


def _answer(listen: Listening, answer: Answer, edits: Edits, whose: str) -> None:
    if answer.why:
        st.html(f'<p class="iw-note">{html.escape(answer.why)}</p>')
        return
    if not answer.ready:
        note("The price is being worked out…")
        return
    now, then = answer.value[whose]
    found = [
        {
            "id": each.name,
            "what": each.title,
            "now": _percent(now.covered_share[each.name]),
            "then": _percent(then.covered_share[each.name]),
            "missing": ", ".join(LABELS.get(clause.key, clause.key) for clause in then.missing[each.name])
            if then.covered_share[each.name] < 1e-9
            else "",
        }
        for each in TREATMENTS
    ]
    st.html(f'<p class="iw-said">{all_words(listen, answer.value, edits)}</p>')
    rows(_HEADS, found, state.colours(), key="hints-rows")
    note(f"VMs of {plainly(whose)} that would have each, with room for all; a run may grant less.")


def _percent(share: float) -> str:
    return "0" if share < 5e-4 else f"{100 * share:.0f}"


def all_words(listen: Listening, quotes: Mapping[str, tuple[Any, Any]], edits: Edits) -> str:
    """Return what all workloads together would pay less, by what they cost at the regular price in the run; as HTML."""
    weight = {name: reading.bill(listen.home, listen.run_id, name).get("regular_usd", 0.0) for name in quotes}
    whole = sum(weight.values())
    if not whole:
        return ""
    now, then = (100 * sum(weight[name] * (1.0 - pair[index].price_share) for name, pair in quotes.items()) / whole for index in (0, 1))
    if not edits or abs(then - now) < 0.005:
        return f"All workloads together: <b>{MINUS}{now:.1f}\u00a0%</b> quoted."
    change = then - now
    sense = "cheaper" if change > 0 else "dearer"
    return f"All workloads together: {MINUS}{now:.1f}\u00a0% → <b>{MINUS}{then:.1f}\u00a0%</b> quoted, {abs(change):.1f} points {sense}."

"""Chips of an intent as widgets: one part changed gives a new intent."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import streamlit as st
from pydantic import ValidationError

from app import parts
from policies.intent.model import Expectation, Intent, WindowSpec, chips
from policies.intent.references import against
from twin.metrics import METRICS
from twin.units import parse, show, suffix_of

# The named times of the vocabulary.
TIMES: Final[Mapping[str, tuple[str, str] | None]] = {
    "always": None,
    "morning": ("06:00", "12:00"),
    "afternoon": ("12:00", "18:00"),
    "evening": ("18:00", "22:00"),
    "night": ("22:00", "06:00"),
    "other hours": ("09:00", "17:00"),
}
WAYS: Final = {"<=": "at or below", ">=": "at or above"}
Keep = Callable[[Intent], None]
Entities = Mapping[str, Sequence[str]]


def with_part(intent: Intent, path: str, value: Any) -> Intent:
    """Return an intent with one part changed; the text is kept as it was said. Raises ValueError in one line.

    ``path`` is that of a chip, such as ``expectations/0/value`` (value: op, value, relative), ``window`` or ``scope``.
    """
    raw = intent.json_dict()
    place, last = raw, path.split("/")[-1]
    for step in path.split("/")[:-1]:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if last == "value" and isinstance(value, Mapping):
        place.update(value)
    else:
        place[last] = value
    try:
        return Intent.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{path}: {first['msg'].removeprefix('Value error, ')}") from None


def bound_of(op: str, text: str, relative: bool, metric: str) -> dict[str, Any]:
    """Read a bound as it is typed: ``80 C`` or, against today, ``-10 %``.

    >>> bound_of("<=", "-10 %", True, "serving.cost_usd_per_h")
    {'op': '<=', 'value': -0.1, 'relative': True}
    """
    clean = text.strip().replace("\u2212", "-").replace("\u00a0", " ")
    if relative and clean and clean.rstrip()[-1] not in "%t":
        clean += " %"
    return {"op": op, "value": parse(clean, "_share" if relative else suffix_of(metric)), "relative": relative}


def editor(intent: Intent, entities: Entities, keep: Keep, *, key: str, locked: bool) -> None:
    """Show what was understood, one expectation a line, each part a chip that opens its own editor."""
    for index, wish in enumerate(intent.expectations):
        with st.container(horizontal=True, vertical_alignment="center", gap="xxsmall", key=f"chips-{key}-{index}"):
            for slot, value, path in _slots(intent, wish, index):
                _chip(intent, (slot, value, path), entities, keep, f"{key}-{index}-{slot}", locked)
    others = [chip for chip in chips(intent) if chip.slot == "objective" or chip.path.startswith("settings/")]
    for chip in others:
        with st.container(horizontal=True, gap="xxsmall", key=f"chips-{key}-{chip.path.replace('/', '-')}"):
            st.button(parts.plain(f"{chip.slot.replace('_', ' ')} · {chip.value}"), key=f"chip-{key}-{chip.path}", disabled=True)


def _slots(intent: Intent, wish: Expectation, index: int) -> list[tuple[str, str, str]]:
    place = f"expectations/{index}"
    sign = "≤" if wish.op == "<=" else "≥"
    bound = f"{sign} {show(wish.value, wish.metric)}" if not wish.relative else _relative_words(wish)
    where = ", ".join(scope.id for scope in intent.scope_of(wish)) or "the whole site"
    window = intent.window_of(wish)
    return [
        ("metric", METRICS[wish.metric].label, f"{place}/metric"),
        ("bound", bound, f"{place}/value"),
        ("scope", where, f"{place}/scope"),
        ("window", "always" if window is None else window.words().removeprefix("from "), f"{place}/window"),
        ("strength", wish.strength, f"{place}/strength"),
    ]


def _relative_words(wish: Expectation) -> str:
    if wish.value == 0:
        return f"no {'higher' if wish.op == '<=' else 'lower'} than {against(wish.metric)}"
    return f"{'≤' if wish.op == '<=' else '≥'} {show(wish.value, 'x_share')} against {against(wish.metric)}"


def _chip(intent: Intent, part: tuple[str, str, str], entities: Entities, keep: Keep, key: str, locked: bool) -> None:
    slot, value, path = part
    label = f":gray[{slot}] **{parts.plain(value)}**"
    chip = st.popover(label, key=f"chip-{key}", on_change="rerun", disabled=locked)
    if not chip.open:
        return
    with chip:
        chosen = _EDITORS[slot](intent, path, entities, key)
        if st.button("Change", key=f"apply-{key}"):
            try:
                keep(with_part(intent, path, chosen()))
            except ValueError as error:
                st.error(parts.plain(str(error)))
            else:
                st.rerun()


def _wish(intent: Intent, path: str) -> Expectation:
    return intent.expectations[int(path.split("/")[1])]


def _metric(intent: Intent, path: str, entities: Entities, key: str) -> Callable[[], Any]:
    names = list(METRICS)
    now = _wish(intent, path).metric
    chosen = st.selectbox("Metric", names, names.index(now), format_func=lambda name: f"{METRICS[name].label} ({name})", key=f"edit-{key}")
    st.caption(parts.plain(METRICS[chosen].meaning))
    return lambda: chosen


def _bound(intent: Intent, path: str, entities: Entities, key: str) -> Callable[[], Any]:
    wish = _wish(intent, path)
    op = st.selectbox("Bound", list(WAYS), list(WAYS).index(wish.op), format_func=WAYS.__getitem__, key=f"edit-op-{key}")
    relative = st.toggle(f"as a change against {against(wish.metric)}", wish.relative, key=f"edit-relative-{key}")
    text = st.text_input("Value with its unit", show(wish.value, "x_share" if wish.relative else wish.metric), key=f"edit-value-{key}")
    return lambda: bound_of(op, text, relative, wish.metric)


def _scope(intent: Intent, path: str, entities: Entities, key: str) -> Callable[[], Any]:
    wish = _wish(intent, path)
    kinds = {name: kind for kind in METRICS[wish.metric].scopes for name in entities.get(kind, ())}
    if not kinds:
        st.caption("This metric is of the whole site; it has no parts.")
    now = [scope.id for scope in intent.scope_of(wish) if scope.id in kinds]
    chosen = st.multiselect("Where; empty is the whole site", list(kinds), now, key=f"edit-{key}")
    return lambda: [{"kind": kinds[name], "id": name} for name in chosen]


def _window(intent: Intent, path: str, entities: Entities, key: str) -> Callable[[], Any]:
    now = intent.window_of(_wish(intent, path))
    hours = None if now is None or now.from_ is None or now.to is None else (now.from_, now.to)
    names = list(TIMES)
    at = next((i for i, name in enumerate(names) if TIMES[name] == hours), len(names) - 1)
    name = st.selectbox("When", names, at, key=f"edit-{key}")
    if name != "other hours":
        return lambda: _window_json(TIMES[name])
    begin, end = hours or TIMES[name] or ("", "")
    from_ = st.text_input("From", begin, key=f"edit-from-{key}", placeholder="HH:MM")
    to = st.text_input("To", end, key=f"edit-to-{key}", placeholder="HH:MM")
    return lambda: _window_json((from_, to))


def _window_json(hours: tuple[str, str] | None) -> dict[str, Any] | None:
    # On an expectation null means the intent's window, so "always" is written out.
    begin, end = hours or ("00:00", "24:00")
    return WindowSpec.model_validate({"from": begin, "to": end}).model_dump(mode="json", by_alias=True)


def _strength(intent: Intent, path: str, entities: Entities, key: str) -> Callable[[], Any]:
    options = ["must", "should"]
    chosen = st.selectbox("Strength", options, options.index(_wish(intent, path).strength), key=f"edit-{key}")
    return lambda: chosen


_EDITORS: Final = {"metric": _metric, "bound": _bound, "scope": _scope, "window": _window, "strength": _strength}

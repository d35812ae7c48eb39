"""An intent as one plain sentence."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from policies.intent.references import Reference, References, against, no_reference
from policies.policy import ScopeSpec
from twin.metrics import METRICS
from twin.units import show

if TYPE_CHECKING:
    from policies.intent.model import Expectation, Intent

_WAYS = {"<=": "at or below", ">=": "at or above"}


def scope_words(scope: Iterable[ScopeSpec]) -> str:
    """Return a scope as an operator says it.

    >>> scope_words([ScopeSpec(kind="row", id="row-3")]), scope_words([])
    ('row-3', 'everywhere')
    """
    ids = [spec.id for spec in scope]
    if not ids:
        return "everywhere"
    return ids[0] if len(ids) == 1 else ", ".join(ids[:-1]) + " and " + ids[-1]


def bound_words(wish: "Expectation", reference: Reference | None = None) -> str:
    """Return the bound of an expectation in words, without its metric; ``reference`` is the value that a change is taken of.

    >>> from policies.intent.model import Expectation
    >>> bound_words(Expectation(metric="serving.cost_usd_per_h", op="<=", value=-0.2, relative=True))
    'at least 20.0\\xa0% lower than today'
    """
    if not wish.relative:
        return f"{_WAYS[wish.op]} {show(wish.value, wish.metric)}"
    size = show(abs(wish.value), "_share")
    than = f"than {against(wish.metric) if reference is None else reference.said}"
    if wish.value == 0:
        return f"no higher {than}" if wish.op == "<=" else f"no lower {than}"
    if wish.op == "<=":
        return f"at least {size} lower {than}" if wish.value < 0 else f"at most {size} higher {than}"
    return f"at least {size} higher {than}" if wish.value > 0 else f"at most {size} lower {than}"


def _join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _wish_words(intent: "Intent", wish: "Expectation", look: References) -> str:
    words = f"{METRICS[wish.metric].label} {bound_words(wish, look(wish.metric) if wish.relative else None)}"
    if wish.scope is not None:
        words += f" in {scope_words(wish.scope)}" if wish.scope else " everywhere"
    elif intent.scope and not intent.scope_of(wish):
        words += " (everywhere)"
    if wish.window is not None:
        words += f" {wish.window.words()}"
    return words + (" if possible" if wish.strength == "should" else "")


def _setting_words(intent: "Intent") -> list[str]:
    """Return who holds which levers, each with its knobs once."""
    levers: dict[str, list[str]] = {}
    for lever, choice in intent.settings.items():
        knobs = _join([f"{knob.replace('_', ' ')} {value}" for knob, value in choice.items() if knob != "system"] or [""])
        levers.setdefault(f"{choice['system']} ({knobs})" if knobs else str(choice["system"]), []).append(lever.replace("_", " "))
    return [f"{who} for {_join(held)}" for who, held in levers.items()]


def read_back(intent: "Intent", look: References = no_reference) -> str:
    """Return one plain sentence that says what was understood, and nothing else; ``look`` gives what changes are taken of at a site.

    >>> from policies.intent.model import Expectation, Intent
    >>> wish = Expectation(metric="plant.gpu_temp_max_c", op="<=", value=80.0)
    >>> read_back(Intent(expectations=(wish,), scope=(ScopeSpec(kind="row", id="row-3"),)))
    'Keep hottest GPU at or below 80.0\\xa0°C, in row-3.'
    """
    parts: list[str] = []
    if intent.settings:
        parts.append("use " + _join(_setting_words(intent)))
    if intent.objective is not None:
        parts.append(f"{intent.objective.sense} {METRICS[intent.objective.metric].label}")
    if intent.expectations:
        parts.append("keep " + _join([_wish_words(intent, wish, look) for wish in intent.expectations]))
    if not parts:
        return "Nothing is asked for yet."
    sentence = "; ".join(parts)
    if intent.scope:
        sentence += f", in {scope_words(intent.scope)}"
    if intent.window is not None:
        sentence += f", {intent.window.words()}"
    if intent.kind == "functional":
        sentence = "design: " + sentence
    return sentence[0].upper() + sentence[1:] + "."

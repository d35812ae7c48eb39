"""Guards of every reader's work: text, numbers, ranges, places."""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from policies.intent.model import TEXT_LIMIT, Expectation, Finding, Intent, Objective, Question, WindowSpec, spans_overlap
from policies.policy import ScopeSpec
from twin.metrics import METRICS, SCOPE_KINDS, Scope
from twin.units import show

_SPACES: Final = {"\t", "\n", "\r", "\x0b", "\x0c", "\u2028", "\u2029"}
_DERIVED_RATIOS: Final = tuple(
    {round(a / b, 12) for b in (2, 3, 4, 5, 6, 7, 8, 9, 10) for a in range(1, b)} | {0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0}
)


def clean(text: str) -> tuple[str, list[int]]:
    """Return the text as a reader may see it, and for each of its characters the place it came from.

    Compatibility forms are folded (NFKC), control, zero-width and direction characters are dropped.
    """
    out: list[str] = []
    origin: list[int] = []
    for place, char in enumerate(text):
        for folded in unicodedata.normalize("NFKC", char):
            if folded in _SPACES or unicodedata.category(folded) == "Zs":
                folded = " "
            elif unicodedata.category(folded) in {"Cc", "Cf", "Cs", "Co", "Cn"}:
                continue
            out.append(folded)
            origin.append(place)
    return "".join(out), origin


def too_long(text: str) -> Finding | None:
    """Return the refusal of a text beyond the limit, None where it fits."""
    if len(text) <= TEXT_LIMIT:
        return None
    words = f"The text has {len(text):,} characters, at most {TEXT_LIMIT} are read; say it in a few sentences."
    return Finding(severity="block", about="meaning", text=words)


def refused(text: str, finding: Finding) -> Intent:
    """Return the Intent of a text that is not read at all: nothing but its question."""
    return Intent(text=text[:TEXT_LIMIT], questions=(Question(about=finding.about, text=finding.text),))


def plausible(wish: Expectation) -> str | None:
    """Return what is implausible about a bound, None where it may stand."""
    metric = METRICS[wish.metric]
    if not math.isfinite(wish.value):
        return f"The bound on {metric.label} is not a finite number; what is meant?"
    if wish.relative:
        if wish.value < -1 or wish.value > 100:
            return f"A change of {show(wish.value, '_share')} of {metric.label} is not possible; what is meant?"
        return None
    if not metric.low <= wish.value <= metric.high:
        high = "" if math.isinf(metric.high) else f" to {show(metric.high, metric.name)}"
        span = f"{show(metric.low, metric.name)}{high}"
        return f"{show(wish.value, wish.metric)} is outside what is plausible for {metric.label} ({span}); what is meant?"
    return None


def contradiction(intent: Intent) -> tuple[int, int] | None:
    """Return two *must* expectations that cannot both hold where they overlap, None where all can."""
    musts = [(i, wish) for i, wish in enumerate(intent.expectations) if wish.strength == "must"]
    for place, (first, one) in enumerate(musts):
        for second, other in musts[place + 1 :]:
            if clash(intent, one, intent, other):
                return first, second
    return None


def clash(intent: Intent, one: Expectation, other_intent: Intent, other: Expectation) -> bool:
    """Return whether two expectations, each of its intent, exclude one another somewhere at some time."""
    if one.metric != other.metric or one.relative != other.relative or one.op == other.op:
        return False
    upper, lower = (one, other) if one.op == "<=" else (other, one)
    if lower.value <= upper.value:
        return False
    if not scopes_meet(intent.scope_of(one), other_intent.scope_of(other)):
        return False
    return spans_overlap(intent.window_of(one), other_intent.window_of(other))


def scopes_meet(one: Sequence[Scope], other: Sequence[Scope]) -> bool:
    """Return whether two scopes share a place; an empty one is everywhere."""
    if not one or not other:
        return True
    kinds = {scope.kind for scope in one} & {scope.kind for scope in other}
    # Places of different kinds (a row and a rack) may share machines: they count as meeting.
    return not kinds or bool(set(one) & set(other))


def unknown_places(scope: Iterable[ScopeSpec], entities: "dict[str, tuple[str, ...]]") -> list[ScopeSpec]:
    """Return the places that the site does not have."""
    return [spec for spec in scope if spec.kind not in SCOPE_KINDS or spec.id not in entities.get(spec.kind, ())]


_NUMBER: Final = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE)


def numbers_in(text: str) -> list[float]:
    """Return the numbers that a text writes in figures.

    >>> numbers_in("keep row 3 under 1,250 kW, .5 %")
    [3.0, 1250.0, 0.5]
    """
    found = []
    for match in _NUMBER.finditer(text):
        value = float(match[0].replace(",", ""))
        if math.isfinite(value):
            found.append(value)
    return found


def conserved(value: float, numbers: Iterable[float]) -> bool:
    """Return whether a bound is one of the text's numbers under a declared derivation.

    Declared: unit prefixes and conversions (powers of ten, 60, 3600, 24, 7, 1024, 8), Fahrenheit and kelvin,
    a change written as a share, its complement, and the words for parts and multiples (halve, a third, double).
    """
    size = abs(value)
    known = list(numbers)
    if size == 0 or any(math.isclose(size, ratio, rel_tol=1e-9) for ratio in _DERIVED_RATIOS):
        return True
    return any(math.isclose(size, each, rel_tol=1e-6, abs_tol=1e-12) for number in known for each in _derivations(abs(number)))


def _derivations(number: float) -> list[float]:
    bases = [number, abs(1 - number), abs(1 - number / 100), abs(number - 1), (number - 32) / 1.8, number - 273.15, abs(number - 100) / 100]
    times = (
        1.0,
        60.0,
        3600.0,
        24.0,
        86400.0,
        604800.0,
        168.0,
        7.0,
        1440.0,
        3.785411784,
        0.45359237,
        1.024,
        1.048576,
        1.073741824,
        1.099511627776,
    )
    out = []
    for base in bases:
        for factor in times:
            for power in range(-12, 13):
                out += [base * factor * 10.0**power, base / factor * 10.0**power]
    return out


def questions_of(findings: Iterable[Finding]) -> tuple[Question, ...]:
    """Return the questions that an intent carries, from its findings."""
    return tuple(Question(about=item.about, text=item.text) for item in findings if item.severity in {"question", "block"})


def hold(intent: Intent, entities: "dict[str, tuple[str, ...]]", numbers: Sequence[float] | None = None) -> tuple[Intent, list[Finding]]:
    """Hold a reading against every guard; what fails leaves the intent and comes back as a question.

    ``numbers`` are the numbers of the text where the reader found them, otherwise its figures are taken.
    """
    findings: list[Finding] = []
    given = list(numbers) if numbers is not None else numbers_in(clean(intent.text)[0])
    kept: list[Expectation] = []
    for wish in intent.expectations:
        problem = _problem(wish, entities, given)
        if problem is None:
            kept.append(wish)
        else:
            findings.append(problem)
    scope = intent.scope
    for spec in unknown_places(scope, entities):
        findings.append(Finding(severity="question", about="scope", text=f"There is no {spec.kind} called {spec.id}; which one is meant?"))
        # What was to hold there must not silently hold everywhere.
        kept = [wish for wish in kept if wish.scope is not None or spec.kind not in METRICS[wish.metric].scopes]
        scope = tuple(known for known in scope if known != spec)
    checked = intent.model_copy(update={"expectations": tuple(kept), "scope": scope})
    pair = contradiction(checked)
    if pair is not None:
        label = METRICS[kept[pair[0]].metric].label
        findings.append(Finding(severity="question", about="value", text=f"Two bounds on {label} contradict each other; which one holds?"))
        kept = [wish for place, wish in enumerate(kept) if place not in pair]
        checked = checked.model_copy(update={"expectations": tuple(kept)})
    return checked, findings


def _problem(wish: Expectation, entities: "dict[str, tuple[str, ...]]", numbers: Sequence[float]) -> Finding | None:
    label = METRICS[wish.metric].label
    for spec in unknown_places(wish.scope or (), entities):
        return Finding(
            severity="question", about="scope", text=f"There is no {spec.kind} called {spec.id}; which one is meant for {label}?"
        )
    words = plausible(wish)
    if words is None and not conserved(wish.value, numbers):
        words = f"The number for {label} is not in the text; what is the bound?"
    return None if words is None else Finding(severity="question", about="value", text=words)


__all__ = [
    "TEXT_LIMIT",
    "Objective", "WindowSpec", "clash", "clean", "conserved", "contradiction", "hold", "numbers_in", "plausible",
    "questions_of", "refused", "too_long", "unknown_places",
]  # fmt: skip

"""Findings of an intent against the site, its run and intents in force."""

from collections.abc import Callable, Mapping, Sequence

from policies.intent import guards
from policies.intent.interpret.reader import Site
from policies.intent.model import Finding, Intent, WindowSpec
from policies.intent.readback import scope_words
from policies.policy import ScopeSpec
from twin.metrics import METRICS
from twin.units import show

Active = Sequence[tuple[str, Intent]]


def check(
    intent: Intent,
    site: Site,
    active: Active = (),
    *,
    measurable: frozenset[str] | None = None,
    covers: Callable[[WindowSpec], bool] | None = None,
) -> list[Finding]:
    """Return what stands against an intent, or should be known about it.

    ``active`` are the intents in force, ``measurable`` the metrics that a run has evidence for, ``covers`` whether the
    scenario's run has any time inside a window.
    """
    findings = [*_places(intent, site.entities), *_contradictions(intent), *_limits(intent, site), *conflicts(intent, active)]
    findings += [*_dropped(intent), *_rates(intent)]
    if measurable is not None:
        wanted = {wish.metric for wish in intent.expectations} | ({intent.objective.metric} if intent.objective else set())
        findings += [
            _said(name, f"The twin has no evidence for {METRICS[name].label} yet; it cannot be judged.")
            for name in sorted(wanted - measurable)
        ]
    if covers is not None:
        windows = {spec for wish in intent.expectations if (spec := intent.window_of(wish)) is not None}
        findings += [_said("window", f"The scenario's run has no time {spec.words()}.") for spec in windows if not covers(spec)]
    return findings


def _said(about: str, text: str) -> Finding:
    return Finding(severity="info", about=about, text=text)


def _places(intent: Intent, entities: Mapping[str, tuple[str, ...]]) -> list[Finding]:
    named = [*intent.scope, *(spec for wish in intent.expectations for spec in wish.scope or ())]
    unknown = guards.unknown_places(dict.fromkeys(named), dict(entities))
    return [
        Finding(severity="question", about="scope", text=f"There is no {spec.kind} called {spec.id}; which one is meant?")
        for spec in unknown
    ]


def _contradictions(intent: Intent) -> list[Finding]:
    findings = []
    for wish in intent.expectations:
        words = guards.plausible(wish)
        if words is not None:
            findings.append(Finding(severity="question", about="value", text=words))
    pair = guards.contradiction(intent)
    if pair is not None:
        label = METRICS[intent.expectations[pair[0]].metric].label
        findings.append(Finding(severity="question", about="value", text=f"Two bounds on {label} contradict each other; which one holds?"))
    return findings


def _limits(intent: Intent, site: Site) -> list[Finding]:
    """Tell where a bound asks for less than the site's own limit already does."""
    findings = []
    for wish in intent.expectations:
        ids = [scope.id for scope in intent.scope_of(wish)]
        limit = None if wish.relative or wish.op != "<=" else site.limit(wish.metric, ids)
        if limit is not None and wish.value > limit:
            where = "" if not ids else f" of {', '.join(ids)}"
            text = f"The limit{where} is {show(limit, wish.metric)}; a bound of {show(wish.value, wish.metric)} asks for less than that."
            findings.append(_said(wish.metric, text))
    return findings


def _dropped(intent: Intent) -> list[Finding]:
    """Tell where a place cannot be told apart for a metric, so that its bound holds everywhere."""
    findings = []
    for wish in intent.expectations:
        chosen: tuple[ScopeSpec, ...] = intent.scope if wish.scope is None else wish.scope
        left = [spec for spec in chosen if spec.kind not in METRICS[wish.metric].scopes]
        if left and not intent.scope_of(wish):
            text = f"{METRICS[wish.metric].label} is not known by {left[0].kind}: {scope_words(left)} is left out and it holds everywhere."
            findings.append(_said(wish.metric, text))
    return findings


def _rates(intent: Intent) -> list[Finding]:
    """Tell where an amount is asked for within hours: amounts are held per day, so it is a rate there and not the hours' total."""
    return [
        _said(wish.metric, f"{METRICS[wish.metric].label} is counted per day: {spec.words()} the bound is that daily rate, not a total.")
        for wish in intent.expectations
        if METRICS[wish.metric].per_day and not wish.relative and wish.value and (spec := intent.window_of(wish)) is not None
    ]


def conflicts(intent: Intent, active: Active) -> list[Finding]:
    """Refuse what an intent in force excludes; ask where both choose a holder for one lever at one place."""
    findings = []
    for name, other in active:
        for wish in intent.expectations:
            for theirs in other.expectations:
                if wish.strength == theirs.strength == "must" and guards.clash(intent, wish, other, theirs):
                    text = f"{name} is in force and excludes it for {METRICS[wish.metric].label}; revise or retire {name} first."
                    findings.append(Finding(severity="block", about=wish.metric, text=text))
        my_places, their_places = (tuple(spec.scope() for spec in item.scope) for item in (intent, other))
        for lever in [name for name in intent.settings if name in other.settings and guards.scopes_meet(my_places, their_places)]:
            if intent.settings[lever] != other.settings[lever]:
                text = f"{name} is in force and gives {lever.replace('_', ' ')} to {other.settings[lever]['system']}; which one holds?"
                findings.append(Finding(severity="question", about=lever, text=text))
    return findings

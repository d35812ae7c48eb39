"""An intent becomes a policy set: explicit choices, then what serves it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from policies import catalogue
from policies.intent.judge import Values, bound_of
from policies.intent.model import Expectation, Finding, Intent
from policies.intent.readback import bound_words
from policies.policy import TODAY, Held, PolicySet, ScopeSpec
from policies.system import System, Target
from twin.clock import DAYS, hour_of
from twin.metrics import METRICS

_HEAT: Final = ("plant.gpu_temp_max_c", "plant.inlet_temp_max_c")
_WAITING: Final = (
    "serving.ttft_p99_s",
    "serving.ttft_p50_s",
    "serving.e2e_p99_s",
    "serving.slo_attainment_share",
    "serving.image_ttft_p99_s",
)
_EVENTS: Final = ("plant.thermal_throttle_events", "plant.power_throttle_events", "plant.throttled_gpu_share")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A policy set, why each lever changes, and what could not be compiled."""

    policy: PolicySet
    reasons: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]

    def reason_words(self) -> list[str]:
        """Return one line per lever: what it is for."""
        return [f"{catalogue.levers()[lever].meaning}: {why}" for lever, why in self.reasons]


def compile_intent(intent: Intent, *, today: Values | None = None, name: str = "candidate") -> Compiled:
    """Return the policy set that an intent asks for.

    Explicit settings come first; then the systems, and after them the baselines, that declare to serve what is to improve.
    Absolute bounds reach them as targets; changes against today do where ``today`` gives today's values.
    """
    levers: dict[str, list[Held]] = {}
    reasons: dict[str, str] = {}
    findings = _settings(intent, levers, reasons)
    wanted = [wish for wish in intent.expectations if improves(wish)]
    metrics = list(dict.fromkeys([wish.metric for wish in wanted] + ([intent.objective.metric] if intent.objective else [])))
    chosen = _serving(metrics)
    for card, served in chosen:
        targets = _targets(intent, wanted, served, card, today)
        _add(card, served, targets, intent, (levers, reasons))
    covered = {metric for _, served in chosen for metric in served}
    findings += [_uncovered(metric) for metric in metrics if metric not in covered and not intent.settings]
    policy = PolicySet(name=name, levers={lever: tuple(stack) for lever, stack in levers.items()})
    return Compiled(_released(policy, intent), tuple(reasons.items()), tuple(findings))


def diff_words(policy: PolicySet, against: PolicySet = TODAY) -> list[str]:
    """Return what a policy set changes, one line per lever."""
    return catalogue.describe(policy, against)


def improves(wish: Expectation) -> bool:
    """Return whether an expectation asks for more than leaving things as they are: a hold and a permission do not."""
    better = METRICS[wish.metric].better == "lower"
    if (wish.op == "<=") != better:
        return False
    return not wish.relative or (wish.value < 0 if better else wish.value > 0)


def _settings(intent: Intent, levers: dict[str, list[Held]], reasons: dict[str, str]) -> list[Finding]:
    findings = []
    for lever, choice in intent.settings.items():
        system = str(choice["system"])
        if lever not in catalogue.levers() or system not in catalogue.cards():
            missing = lever if lever not in catalogue.levers() else system
            text = f"{missing} is not part of this installation yet; which of {', '.join(sorted(catalogue.levers()))} is meant?"
            findings.append(Finding(severity="question", about=lever, text=text))
            continue
        if lever not in catalogue.card(system).levers:
            able = ", ".join(item.id for item in catalogue.holders_of(lever))
            findings.append(Finding(severity="question", about=lever, text=f"{system} cannot hold {lever}; it is held by one of {able}."))
            continue
        kinds = catalogue.scopes_of(lever, system)
        scope = tuple(spec for spec in intent.scope if spec.kind in kinds)
        if intent.scope and not scope:
            # Without its scope the choice would reach the whole site, which is wider than what was asked.
            text = f"{system} on {lever} can be held to {' or '.join(kinds)}, not to {intent.scope[0].id}; is the whole site meant?"
            findings.append(Finding(severity="question", about=lever, text=text))
            continue
        knobs = {knob: value for knob, value in choice.items() if knob != "system"}
        levers[lever] = [Held(system=system, scope=scope, knobs=knobs)]
        reasons[lever] = "asked for by name"
    return findings


def _serving(metrics: Sequence[str]) -> list[tuple[System, tuple[str, ...]]]:
    """Return the fewest cards that serve the metrics, systems before baselines; defaults are in force anyway."""
    defaults = {lever.baseline for lever in catalogue.levers().values()}
    left, chosen = list(metrics), []
    for pool in (catalogue.systems(), catalogue.baselines()):
        cards = [card for card in pool.values() if card.id not in defaults]
        while left and cards:
            best = max(cards, key=lambda card: (sum(metric in card.serves for metric in left), card.id))
            # A system that merely names energy among others must not displace the one that money is asked of.
            served = tuple(metric for metric in left if metric in best.serves)
            if not served:
                break
            chosen.append((best, served))
            left = [metric for metric in left if metric not in served]
            cards.remove(best)
    return chosen


def _targets(
    intent: Intent, wanted: Sequence[Expectation], served: Sequence[str], card: System, today: Values | None
) -> tuple[Target, ...]:
    """Return the bounds that a system is to enforce, absolute."""
    if not card.paper:
        return ()
    targets = []
    for wish in wanted:
        if wish.metric not in served:
            continue
        scope, spec = intent.scope_of(wish), intent.window_of(wish)
        before = today(wish.metric, scope, None if spec is None else spec.window()) if today is not None and wish.relative else None
        bound = bound_of(wish, before)
        if bound is not None:
            where = tuple(ScopeSpec(kind=place.kind, id=place.id) for place in scope)
            hours = (None, None) if spec is None or spec.from_ is None or spec.to is None else (hour_of(spec.from_), hour_of(spec.to))
            days = () if spec is None else tuple(DAYS.index(day) for day in spec.days or ())
            targets.append(
                Target(metric=wish.metric, op=wish.op, bound=bound, scope=where, from_hour=hours[0], to_hour=hours[1], days=days)
            )
    return tuple(targets)


def _add(
    card: System, served: Sequence[str], targets: tuple[Target, ...], intent: Intent, into: tuple[dict[str, list[Held]], dict[str, str]]
) -> None:
    levers, reasons = into
    knobs: dict[str, Any] = {"targets": tuple(target.model_dump(mode="json") for target in targets)} if targets else {}
    why = "serves " + ", ".join(METRICS[metric].label for metric in served)
    wishes = [wish for wish in intent.expectations if wish.metric in served and improves(wish)]
    if wishes:
        why += " (" + "; ".join(bound_words(wish) for wish in wishes[:3]) + ")"
    for lever, role in card.levers.items():
        if catalogue.levers()[lever].kind == "each tick" and not any(metric in _EVENTS for metric in served):
            continue
        held = Held(system=card.id, knobs=knobs)
        stack = levers.get(lever, [])
        if role == "guard":
            levers[lever] = [held, *stack]
        elif lever in intent.settings or any(catalogue.card(item.system).levers[lever] == "holder" for item in stack):
            continue
        else:
            levers[lever] = [*stack, held]
        reasons[lever] = f"{reasons[lever]}; {card.name} {why}" if lever in reasons else f"{card.name} {why}"
        # Knobs belong to the system: written once, they hold on every lever.
        knobs = {}


def _released(policy: PolicySet, intent: Intent) -> PolicySet:
    """Say whom reactive scaling lets go of first: the slowest where latency is bounded, else the hottest where heat is."""
    stack = policy.levers.get("instance_scaling", ())
    bounded = {wish.metric for wish in intent.expectations}
    if not any(held.system == "reactive" for held in stack):
        return policy
    order = "slowest" if bounded & set(_WAITING) else "hottest" if bounded & set(_HEAT) else None
    if order is None:
        return policy
    chosen = tuple(
        held.model_copy(update={"knobs": {"release_order": order, **held.knobs}}) if held.system == "reactive" else held for held in stack
    )
    return policy.model_copy(update={"levers": {**policy.levers, "instance_scaling": chosen}})


def _uncovered(metric: str) -> Finding:
    label = METRICS[metric].label
    return Finding(severity="info", about=metric, text=f"No system of this installation serves {label}; it is judged, not steered.")

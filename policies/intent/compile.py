"""An intent becomes a policy set: explicit choices, then what serves it."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policies import catalogue
from policies.intent.holders import Given, by_name, concerned, given, improves, unserved
from policies.intent.interpret.reader import Site
from policies.intent.judge import Values, bound_of
from policies.intent.model import Expectation, Finding, Intent
from policies.intent.offered import nobody_hears
from policies.intent.plans import aiming, nothing_runs
from policies.intent.pods import designing, filling, held_against, nothing_pooled, preferring
from policies.intent.readback import bound_words
from policies.intent.references import settled
from policies.policy import TODAY, Held, PolicySet, ScopeSpec
from policies.system import Target
from twin.clock import DAYS, hour_of
from twin.metrics import METRICS

_HEAT: Final = ("plant.gpu_temp_max_c", "plant.inlet_temp_max_c")
_WAITING: Final = (
    "serving.ttft_p99_s",
    "serving.ttft_p50_s",
    "serving.atgt_p99_s",
    "serving.e2e_p99_s",
    "serving.slo_attainment_share",
    "serving.image_ttft_p99_s",
)
_ENDPOINT_LEVERS: Final = ("stage_layout", "instance_config", "instance_scaling", "request_routing")
# Bounds on a sum over endpoints: whoever holds some of them keeps its share alone.
_SHARED: Final = ("serving.gpus_mean", "serving.cost_usd_per_h")
_MORE_SERVERS: Final = "plant.oversubscription_share"
# Decided before a run like a pod, though nothing is built for it: whoever serves what is asked takes it.
_SOFTWARE: Final = "functions"
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


def compile_intent(intent: Intent, site: Site, *, today: Values | None = None, name: str = "candidate") -> Compiled:
    """Return the policy set that an intent asks for at a site.

    Explicit settings come first; then whoever is to serve what should improve, endpoint by endpoint (``holders.given``).
    Absolute bounds reach the systems that enforce them as targets; changes against today do where ``today`` gives today's values.
    Whatever is served and not kept by a system itself is told.
    """
    levers: dict[str, list[Held]] = {}
    reasons: dict[str, str] = {}
    findings = held_against(intent, site)
    intent = settled(intent, site.references)
    findings += _settings(intent, levers, reasons)
    filling(levers, reasons)
    chosen = given(intent, site)
    chosen = [*chosen, *by_name(intent, chosen)]
    policy = composed(intent, chosen, PolicySet(name=name, levers=_stacks(levers)), reasons, today=today)
    findings += [_uncovered(metric, left) for metric, left in unserved(intent, chosen, site).items() if not intent.settings]
    findings += unkept(intent, chosen, policy, site, today)
    findings += price(intent, policy)
    findings += nothing_pooled(policy) + nobody_hears(policy, site) + nothing_runs(policy, site)
    return Compiled(policy, tuple(reasons.items()), tuple(findings))


def composed(
    intent: Intent, chosen: Sequence[Given], onto: PolicySet, reasons: dict[str, str] | None = None, *, today: Values | None = None
) -> PolicySet:
    """Return a policy set with cards put on its levers; what it holds already stays, and ``reasons`` tells of what is new."""
    levers = {lever: list(stack) for lever, stack in onto.levers.items()}
    told: dict[str, str] = {} if reasons is None else reasons
    for item in chosen:
        _add(item, _targets(intent, item, today), intent, (levers, told))
    return aiming(preferring(_released(onto.model_copy(update={"levers": _stacks(levers)}), intent), intent), intent)


def price(intent: Intent, policy: PolicySet) -> list[Finding]:
    """Tell which bounds of an intent a system of the policy set may work against, by its own card."""
    cards = [catalogue.card(system) for system in dict.fromkeys(held.system for stack in policy.levers.values() for held in stack)]
    knobs = catalogue.knobs_of(policy)
    found = []
    for wish in intent.expectations:
        costly = [card for card in cards if wish.metric in card.costs and wish.metric not in card.serves]
        told = [card.name for card in costly if any(target.metric == wish.metric for target in knobs[card.id].targets)]
        names = [card.name for card in costly if card.name not in told]
        if names:
            text = f"{' and '.join(names)} may worsen {METRICS[wish.metric].label}, which is bounded here ({bound_words(wish)})."
            found.append(Finding(severity="info", about=wish.metric, text=f"{text} The twin shows by how much."))
        if told:
            text = f"{' and '.join(told)} worsens {METRICS[wish.metric].label} and is told where to stop ({bound_words(wish)})"
            found.append(Finding(severity="info", about=wish.metric, text=f"{text}: what it gains falls with it, as the twin shows."))
    return list(dict.fromkeys(found))


def unkept(intent: Intent, chosen: Sequence[Given], policy: PolicySet, site: Site, today: Values | None = None) -> list[Finding]:
    """Tell which bounds somebody works towards whom nothing makes keep them: they are judged on the twin alone."""
    held = {system: knobs.targets for system, knobs in catalogue.knobs_of(policy).items()}
    found = []
    for wish in intent.expectations:
        if not improves(wish):
            continue
        target = _target(intent, wish, today)
        serving = [item for item in chosen if wish.metric in item.served and item.card.id in held]
        keeping = [item for item in serving if target is not None and target in held[item.card.id]]
        bound = f"The bound on {METRICS[wish.metric].label} ({bound_words(wish)})"
        if not keeping and (serving or intent.settings):
            names = " and ".join(dict.fromkeys(item.card.name for item in serving))
            moved = f"; {names} only moves it that way" if names else ""
            text = f"{bound} is judged on the twin and not kept by the policy itself{moved}."
        elif keeping and wish.metric in _SHARED and _partly(wish, keeping, intent, site):
            text = f"{bound} is shared by endpoints that more than one holds: each keeps to its share, and the whole is judged on the twin."
        else:
            continue
        found.append(Finding(severity="info", about=wish.metric, text=f"{text} Exploring tries settings against it."))
    return list(dict.fromkeys(found))


def _partly(wish: Expectation, keeping: Sequence[Given], intent: Intent, site: Site) -> bool:
    """Return whether none of those who keep a shared bound decides over all who share it."""
    shared = concerned(intent.model_copy(update={"expectations": (wish,), "objective": None}), wish.metric, site)
    return not any(not item.endpoints or shared <= set(item.endpoints) for item in keeping)


def diff_words(policy: PolicySet, against: PolicySet = TODAY) -> list[str]:
    """Return what a policy set changes, one line per lever."""
    return catalogue.describe(policy, against)


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
            able = f"can be held to {' or '.join(kinds)}" if kinds else "is of the whole site"
            text = f"{system} on {lever} {able}, not to {intent.scope[0].id}; is the whole site meant?"
            findings.append(Finding(severity="question", about=lever, text=text))
            continue
        knobs = {knob: value for knob, value in choice.items() if knob != "system"}
        if scope and knobs and system == catalogue.levers()[lever].baseline:
            # The rest falls to the same system, whose knobs are the same everywhere: such a policy set is refused.
            text = f"{system} holds {lever} outside {scope[0].id} as well, with the same knobs; is the whole site meant?"
            findings.append(Finding(severity="question", about=lever, text=text))
            continue
        held = Held(system=system, scope=scope, knobs=knobs)
        try:
            catalogue.knobs_of(PolicySet(name="asked for", levers={lever: (held,)}))
        except ValueError as error:
            said = str(error).partition(": ")[2]
            findings.append(Finding(severity="question", about=lever, text=f"{said}; what is meant?"[:400]))
            continue
        levers[lever] = [held]
        reasons[lever] = "asked for by name"
    return findings


def _targets(intent: Intent, item: Given, today: Values | None) -> tuple[Target, ...]:
    """Return the bounds that a system is to enforce, absolute: what is asked of it, and of a holder every promise that it keeps."""
    if designing(item.card, item.served):
        # What is built must keep every bound on it, also one that only permits: it is decided once.
        found = [_target(intent, wish, today) for wish in intent.expectations if wish.metric in item.card.enforces]
        return tuple(target for target in found if target is not None)
    decides = any(role == "holder" and lever in _ENDPOINT_LEVERS for lever, role in item.card.levers.items())
    targets = []
    for wish in intent.expectations:
        costs = wish.metric in item.card.costs
        mine = wish.metric in item.card.enforces and (wish.metric in item.served or costs or (decides and wish.metric in _WAITING))
        if mine and (improves(wish) or (decides and wish.relative)):
            targets.append(_target(intent, wish, today))
    return tuple(target for target in targets if target is not None)


def _target(intent: Intent, wish: Expectation, today: Values | None) -> Target | None:
    """Return an expectation as a system receives it; None for a change against a value that is not known."""
    scope, spec = intent.scope_of(wish), intent.window_of(wish)
    before = today(wish.metric, scope, None if spec is None else spec.window()) if today is not None and wish.relative else None
    bound = bound_of(wish, before)
    if bound is None:
        return None
    where = tuple(ScopeSpec(kind=place.kind, id=place.id) for place in scope)
    hours = (None, None) if spec is None or spec.from_ is None or spec.to is None else (hour_of(spec.from_), hour_of(spec.to))
    days = () if spec is None else tuple(DAYS.index(day) for day in spec.days or ())
    return Target(metric=wish.metric, op=wish.op, bound=bound, scope=where, from_hour=hours[0], to_hour=hours[1], days=days)


def _add(item: Given, targets: tuple[Target, ...], intent: Intent, into: tuple[dict[str, list[Held]], dict[str, str]]) -> None:
    levers, reasons = into
    card, served = item.card, item.served
    free = {lever: role for lever, role in card.levers.items() if not item.named or lever in intent.settings}
    knobs: dict[str, Any] = {"targets": tuple(target.model_dump(mode="json") for target in targets)} if targets else {}
    why = _why(item, intent, {target.metric for target in targets})
    # Where more servers stand than the budgets were made for, somebody must slow them down when it is too much.
    larger = any(target.metric == _MORE_SERVERS for target in targets)
    for lever, role in free.items():
        if lever in card.on_request and lever not in intent.settings:
            continue
        kind, software = catalogue.levers()[lever].kind, catalogue.levers()[lever].domain == _SOFTWARE
        # Who decides at other times as well takes over what is decided each tick only where it must.
        also = any(catalogue.levers()[other].kind != "each tick" for other in card.levers)
        if kind == "each tick" and also and not any(metric in _EVENTS for metric in served) and not larger:
            continue
        # Nobody builds a site anew to keep a bound; who wants more servers says so.
        if kind == "at the start" and not software and lever not in intent.settings and not larger and not designing(card, served):
            continue
        held = Held(system=card.id, scope=item.scope if role == "holder" else (), knobs=knobs)
        stack = levers.get(lever, [])
        named = [other.system for other in stack] if lever in intent.settings else []
        if card.id in named:
            # Chosen by name it is told the bounds that it keeps, as it would be if it had been found.
            place = named.index(card.id)
            levers[lever] = [
                *stack[:place],
                stack[place].model_copy(update={"knobs": {**stack[place].knobs, **knobs}}),
                *stack[place + 1 :],
            ]
            knobs = {}
            continue
        if role == "guard":
            levers[lever] = [held, *stack]
        elif lever in intent.settings or any(not other.scope and catalogue.card(other.system).levers[lever] == "holder" for other in stack):
            continue
        else:
            levers[lever] = [*stack, held]
        reasons[lever] = f"{reasons[lever]}; {card.name} {why}" if lever in reasons else f"{card.name} {why}"
        # Knobs belong to the system: written once, they hold on every lever.
        knobs = {}


def _why(item: Given, intent: Intent, kept: Container[str]) -> str:
    where = f" for {', '.join(item.endpoints)}" if item.endpoints else ""
    parts = {"serves": [metric for metric in item.served if metric in item.card.serves]}
    parts["bounds"] = [metric for metric in item.served if metric not in item.card.serves]
    told = [f"{verb} {', '.join(METRICS[metric].label for metric in metrics)}" for verb, metrics in parts.items() if metrics]
    why = " and ".join(told) + where
    wishes = [wish for wish in intent.expectations if wish.metric in item.served and improves(wish)]
    words = [f"{'told to keep it' if wish.metric in kept else 'judged on the twin:'} {bound_words(wish)}" for wish in wishes[:3]]
    return f"{why} ({'; '.join(words)})" if words else why


def _stacks(levers: Mapping[str, Sequence[Held]]) -> dict[str, tuple[Held, ...]]:
    return {lever: tuple(stack) for lever, stack in levers.items() if stack}


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


def _uncovered(metric: str, endpoints: Sequence[str]) -> Finding:
    label, where = METRICS[metric].label, ", ".join(endpoints)
    text = f"No system that suits {where} serves {label}; it is judged there, not steered." if endpoints else ""
    return Finding(severity="info", about=metric, text=text or f"No system of this installation serves {label}; it is judged, not steered.")

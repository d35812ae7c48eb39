"""Who serves what an intent asks: for each endpoint, then for the site."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from policies import catalogue
from policies.intent.interpret.reader import Site
from policies.intent.model import Expectation, Intent
from policies.policy import ScopeSpec
from policies.system import System
from twin.metrics import METRICS

# Who serves requests with images is the holder for models that read them; the other systems are those for text.
_IMAGES: Final = "serving.image_ttft_p99_s"
# What a plain rule can save by giving back what is not needed. Everything else of serving is a promise to those who ask.
_SPENT: Final = ("serving.cost_usd_per_h", "serving.cost_usd_per_million_tokens", "serving.gpus_mean", "plant.energy_j")
# The endpoint of a site that has none: what is asked of it is asked everywhere.
_ANY: Final = ""


@dataclass(frozen=True, slots=True)
class Given:
    """A card, the metrics that are asked of it, and the endpoints, workloads or workflows that are its own; none is everywhere.

    One that is ``named`` was chosen in words: it holds the levers that were said, and no more.
    """

    card: System
    served: tuple[str, ...]
    endpoints: tuple[str, ...] = ()
    named: bool = False
    workloads: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()

    @property
    def scope(self) -> tuple[ScopeSpec, ...]:
        """Return the endpoints, workloads and workflows as the scope of a holder."""
        of_endpoints = tuple(ScopeSpec(kind="endpoint", id=name) for name in self.endpoints)
        of_workloads = tuple(ScopeSpec(kind="workload", id=name) for name in self.workloads)
        return of_endpoints + of_workloads + tuple(ScopeSpec(kind="workflow", id=name) for name in self.workflows)


def improves(wish: Expectation) -> bool:
    """Return whether an expectation asks for more than leaving things as they are: a hold and a permission do not."""
    better = METRICS[wish.metric].better == "lower"
    if (wish.op == "<=") != better:
        return False
    return not wish.relative or (wish.value < 0 if better else wish.value > 0)


def wanted(intent: Intent) -> tuple[str, ...]:
    """Return the metrics that an intent wants better than they are."""
    found = [wish.metric for wish in intent.expectations if improves(wish)]
    return tuple(dict.fromkeys([*found, *([intent.objective.metric] if intent.objective else [])]))


def concerned(intent: Intent, metric: str, site: Site) -> frozenset[str]:
    """Return the endpoints at which a metric is wanted better; requests with images are only where a model reads them."""
    places = [intent.scope_of(wish) for wish in intent.expectations if wish.metric == metric and improves(wish)]
    if intent.objective is not None and intent.objective.metric == metric:
        places.append(tuple(spec.scope() for spec in intent.scope if spec.kind in METRICS[metric].scopes))
    there = site.image_endpoints if metric == _IMAGES else _endpoints(site)
    named = [frozenset(scope.id for scope in place if scope.kind == "endpoint") for place in places]
    return frozenset(name for name in there if any(not ids or name in ids for ids in named))


def suits(card: System, endpoint: str, site: Site) -> bool:
    """Return whether a card can be given an endpoint: a system that knows no images is kept from models that read them."""
    return card.paper is None or _IMAGES in card.serves or endpoint not in site.image_endpoints


def able(metric: str) -> list[System]:
    """Return the cards that steer endpoints and move a metric for the better: more than today's holders of their levers do."""
    defaults = {lever.baseline for lever in catalogue.levers().values()}
    return [
        card
        for card in catalogue.cards().values()
        if card.id not in defaults and _steers(card) and metric in card.serves and (card.paper is not None or _adds(card, metric))
    ]


def given(intent: Intent, site: Site) -> list[Given]:
    """Return who is to serve the intent: guards of the whole site first, then a holder for each endpoint.

    An endpoint's promises (latency, objectives, throughput) go to the system made for it, what is spent to a plain rule;
    whoever serves a promise is asked for what is spent as well.
    """
    metrics = wanted(intent)
    where = {metric: concerned(intent, metric, site) for metric in metrics}
    chosen: dict[str, dict[str, list[str]]] = {}
    for endpoint in _endpoints(site):
        for card, served in _of_endpoint([metric for metric in metrics if endpoint in where[metric]], endpoint, site):
            chosen.setdefault(card.id, {})[endpoint] = list(served)
    steered = [_given(card_id, places, metrics, site) for card_id, places in chosen.items()]
    covered = {metric for item in steered for metric in item.served}
    left = [metric for metric in metrics if metric not in covered]
    return [*_guarding(left, intent), *sorted(steered, key=lambda item: not item.endpoints)]


def by_name(intent: Intent, chosen: Sequence[Given]) -> list[Given]:
    """Return who was chosen in words and by nothing else, with the metrics that it serves."""
    known = {item.card.id for item in chosen}
    names = [str(choice["system"]) for choice in intent.settings.values()]
    cards = [catalogue.card(name) for name in dict.fromkeys(names) if name in catalogue.cards() and name not in known]
    places = tuple(spec.id for spec in intent.scope if spec.kind == "endpoint")
    found = [Given(card, tuple(metric for metric in wanted(intent) if metric in card.serves), places, named=True) for card in cards]
    return [item for item in found if item.served]


def unserved(intent: Intent, chosen: Sequence[Given], site: Site) -> dict[str, tuple[str, ...]]:
    """Return what nobody was given, and at which endpoints; none are named where it is so everywhere."""
    left: dict[str, tuple[str, ...]] = {}
    for metric in wanted(intent):
        mine = [item for item in chosen if metric in item.served]
        held = {name for item in mine for name in item.endpoints or _endpoints(site)}
        there = concerned(intent, metric, site) if able(metric) else frozenset()
        if not mine:
            left[metric] = ()
        elif there - held:
            left[metric] = tuple(name for name in _endpoints(site) if name in there - held)
    return left


def everywhere(endpoints: Iterable[str], site: Site) -> tuple[str, ...]:
    """Return endpoints in the site's order; none where they are all of them, which is how a holder is written for everywhere."""
    mine = set(endpoints)
    return () if mine >= set(_endpoints(site)) else tuple(name for name in _endpoints(site) if name in mine)


def _endpoints(site: Site) -> tuple[str, ...]:
    return tuple(site.entities.get("endpoint", ())) or (_ANY,)


def _of_endpoint(metrics: Sequence[str], endpoint: str, site: Site) -> list[tuple[System, tuple[str, ...]]]:
    left, chosen = list(metrics), []
    for spent in (False, True):
        for metric in [item for item in metrics if (item in _SPENT) == spent]:
            if metric not in left:
                continue
            # A rule that keeps no objective in view is asked for a promise only where no system is.
            known = able(metric) if spent else [card for card in able(metric) if card.paper is not None] or able(metric)
            cards = [card for card in known if suits(card, endpoint, site)]
            best = max(cards, key=_fitness(metric, left, endpoint, site), default=None)
            if best is not None:
                served = tuple(item for item in left if item in best.serves)
                chosen.append((best, served))
                left = [item for item in left if item not in served]
    return chosen


def _fitness(metric: str, left: Sequence[str], endpoint: str, site: Site) -> Callable[[System], tuple[bool, bool, bool, int, str]]:
    reads, spent = endpoint in site.image_endpoints, metric in _SPENT

    def fitness(card: System) -> tuple[bool, bool, bool, int, str]:
        # Who pays for the tail of a latency with its median is asked after who does not.
        whole = not any(_quantity(cost) == _quantity(metric) for cost in card.costs)
        made_for = card.paper is None or (_IMAGES in card.serves) == reads
        return (card.paper is None) == spent, whole, made_for, sum(item in card.serves for item in left), card.id

    return fitness


def _quantity(metric: str) -> str:
    return re.sub(r"_p\d\d_", "_", metric)


def _given(card_id: str, places: dict[str, list[str]], metrics: Sequence[str], site: Site) -> Given:
    served = {metric for found in places.values() for metric in found}
    return Given(catalogue.card(card_id), tuple(metric for metric in metrics if metric in served), everywhere(places, site))


def _guarding(metrics: Sequence[str], intent: Intent) -> list[Given]:
    """Return the fewest cards that serve the metrics without deciding over an endpoint, systems before baselines.

    Who costs something and keeps a bound on it serves that bound, though not the wish for as little as possible.
    """
    bounded = {wish.metric for wish in intent.expectations if improves(wish) and not wish.relative}
    defaults = {lever.baseline for lever in catalogue.levers().values()}
    left, chosen = list(metrics), []
    for pool in (catalogue.systems(), catalogue.baselines()):
        cards = [card for card in pool.values() if card.id not in defaults and not _steers(card)]
        while left and cards:
            kept = {card.id: {*card.serves, *(bounded & {*card.enforces})} for card in cards}
            best = max(cards, key=lambda card: (sum(metric in kept[card.id] for metric in left), card.id))
            served = tuple(metric for metric in left if metric in kept[best.id])
            if not served:
                break
            workloads, workflows = _own(best, served, intent, "workload"), _own(best, served, intent, "workflow")
            chosen.append(Given(best, served, workloads=workloads, workflows=workflows))
            left = [metric for metric in left if metric not in served]
            cards.remove(best)
    return chosen


def _own(card: System, served: Sequence[str], intent: Intent, kind: str) -> tuple[str, ...]:
    """Return the workloads (workflows) that a card of their levers alone is asked for; none where that is everywhere."""
    if any(catalogue.levers()[lever].domain != f"{kind}s" for lever in card.levers):
        return ()
    places = [intent.scope_of(wish) for wish in intent.expectations if wish.metric in served and improves(wish)]
    if intent.objective is not None and intent.objective.metric in served:
        places.append(tuple(spec.scope() for spec in intent.scope if spec.kind == kind))
    return tuple(dict.fromkeys(scope.id for place in places for scope in place)) if all(places) else ()


def _steers(card: System) -> bool:
    return any(role == "holder" and catalogue.levers()[lever].domain == "serving" for lever, role in card.levers.items())


def _adds(card: System, metric: str) -> bool:
    held = [catalogue.card(catalogue.levers()[lever].baseline) for lever in card.levers]
    return all(metric not in default.serves for default in held)

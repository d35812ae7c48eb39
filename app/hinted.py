"""Hints and offers as files: what is said to whom, and what it costs."""

from collections.abc import Iterator
from typing import Final

from policies import catalogue
from policies.policy import PolicySet
from twin.scenario import Scenario
from twin.workloads.negotiation import keys
from twin.workloads.negotiation.classes import Classes, named
from twin.workloads.negotiation.saying import handed
from twin.workloads.negotiation.settings import Settings
from twin.workloads.negotiation.treatments import TREATMENTS

HINT_HEADS: Final = ("workload", "deployment", "vms_share", "key", "value", "says")
OFFER_HEADS: Final = ("workload", "held_by", "optimisation", "vm_hours_share", "taken_off_share", "saved_share", "price_share")
_LEVER: Final = "offers"
Rows = list[tuple[object, ...]]


def hints(scenario: Scenario) -> Rows:
    """Return what each deployment says, and what a part of its VMs says for themselves; rows as HINT_HEADS."""
    settings = scenario.spec.workloads.negotiation
    if not settings.tenants:
        return []
    classes = named(settings.classes)
    return [
        (tenant.id, f"{tenant.id}/deployment-{number + 1}", _number(share), key, _number(value), _words(key, value))
        for tenant in settings.tenants
        for number in range(tenant.deployments)
        for key, value, share in handed(classes[tenant.workload_class].levels, tenant, settings.partial_share)
    ]


def offers(policy: PolicySet, scenario: Scenario) -> Rows:
    """Return what each workload is offered at its hints with room for everybody, and at what price; rows as OFFER_HEADS.

    ``saved_share`` are of the regular price, in the order of application: with ``price_share`` they add up to one.
    """
    settings = scenario.spec.workloads.negotiation
    classes = named(settings.classes) if settings.tenants else {}
    return [row for tenant in settings.tenants for row in _quoted(tenant.id, _holder(policy, tenant.id), settings, classes)]


def _quoted(workload: str, holder: str, settings: Settings, classes: Classes) -> Iterator[tuple[object, ...]]:
    from policies.systems.workload_intelligence.prices import quote

    if holder != "workload_intelligence":
        yield workload, holder, "none", 1, 0, 0, 1
        return
    tenant = next(each for each in settings.tenants if each.id == workload)
    off = settings.taken_off()
    levels, said = classes[tenant.workload_class].levels, dict(tenant.hints.model_extra or {})
    found = quote(levels, said, partial_share=settings.partial_share, taken_off=off)
    granted = [each.name for each in TREATMENTS if found.covered_share[each.name] > 0.0]
    for name in granted:
        numbers = (found.covered_share[name], off[name], found.saved_share[name], found.price_share)
        yield workload, holder, name, *(round(number, 6) for number in numbers)
    if not granted:
        yield workload, holder, "none", 1, 0, 0, 1


def _holder(policy: PolicySet, workload: str) -> str:
    """Return who holds the offers of a workload, which may be an endpoint: the first whose scope it is in."""
    stack = catalogue.complete(policy).levers[_LEVER]
    return next(held.system for held in stack if not held.scope or any(spec.id == workload for spec in held.scope))


def _number(value: float) -> float | int:
    return int(value) if value.is_integer() else value


def _words(key: str, value: float) -> str:
    return f"{keys.KEYS[keys.INDEX[key]].meaning}: {keys.shown(key, value)}"

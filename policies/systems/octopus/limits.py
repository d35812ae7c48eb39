"""What a pod must keep to: the targets of a policy set, and its knobs."""

from collections.abc import Mapping, Sequence
from typing import Final

from policies.system import Target
from policies.systems.octopus.knobs import OctopusKnobs
from twin.metrics import METRICS
from twin.units import show

HOSTS: Final = "memory.pod_hosts"
COST: Final = "memory.cost_usd_per_host"
SAVING: Final = "memory.dram_saving_share"
LATENCY: Final = "memory.access_latency_s"
ENFORCED: Final = (HOSTS, COST, SAVING, LATENCY)
# Rounding in a sum of prices or shares is no miss.
_ROUNDING: Final = 1e-9


def limits_of(knobs: OctopusKnobs) -> tuple[Target, ...]:
    """Return the bounds that every pod must keep. They hold at any hour: a pod is built once."""
    asked = [target for target in knobs.targets if target.metric in ENFORCED]
    if knobs.hosts_at_least > 2:
        asked.append(Target(metric=HOSTS, op=">=", bound=float(knobs.hosts_at_least)))
    if knobs.hosts_at_most < 10_000:
        asked.append(Target(metric=HOSTS, op="<=", bound=float(knobs.hosts_at_most)))
    return tuple(asked)


def bound(limits: Sequence[Target], metric: str, op: str) -> float | None:
    """Return the tightest bound on a metric, None without one."""
    found = [limit.bound for limit in limits if limit.metric == metric and limit.op == op]
    return None if not found else min(found) if op == "<=" else max(found)


def shortfall(metrics: Mapping[str, float], limits: Sequence[Target]) -> dict[Target, float]:
    """Return the limits that are missed, each by how much: a share of its bound."""
    missed: dict[Target, float] = {}
    for limit in limits:
        value = metrics[limit.metric]
        over = value - limit.bound if limit.op == "<=" else limit.bound - value
        if over > _ROUNDING * abs(limit.bound):
            missed[limit] = over / max(abs(limit.bound), _ROUNDING)
    return missed


def said(metrics: Mapping[str, float], limit: Target) -> str:
    """Return in words how a pod misses a limit.

    >>> said({COST: 1505.0}, Target(metric=COST, op="<=", bound=1400.0))
    'pod cost per host 1505\\xa0USD, at most 1400\\xa0USD is allowed (7.5 % off)'
    """
    value, allowed = (show(number, limit.metric) for number in (metrics[limit.metric], limit.bound))
    words = f"at most {allowed} is allowed" if limit.op == "<=" else f"at least {allowed} is asked"
    if not limit.bound:
        # How far it is from nothing is the value itself.
        return f"{METRICS[limit.metric].label} {value}, {words}"
    off_share = abs(metrics[limit.metric] - limit.bound) / abs(limit.bound)
    off = f"{100.0 * off_share:.0f}" if off_share >= 0.1 else f"{100.0 * off_share:.2g}"
    return f"{METRICS[limit.metric].label} {value}, {words} ({off} % off)"

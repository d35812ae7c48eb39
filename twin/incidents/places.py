"""Sites that never were, and what stands there, for histories."""

from collections.abc import Mapping
from functools import cache
from typing import Final

from twin.chance import stream

SITES: Final = (
    "alder-bay", "birch-hill", "cedar-point", "dune-east", "elm-grove", "fjord-north", "glen-river", "heath-west", "iron-lake", "juniper",
    "kelp-harbour", "larch-field",
)  # fmt: skip
_SERVICES: Final = (
    "frontend", "checkout", "cart", "payments", "catalogue", "search", "recommendations", "orders", "shipping", "accounts", "sessions",
    "ratings", "notifications", "billing", "inventory", "gateway", "profiles", "coupons", "media", "audit-trail",
)  # fmt: skip
_ENDPOINTS: Final = ("chat", "code", "summaries", "vision", "translate", "answers", "drafts", "tutor")
_FUNCTIONS: Final = ("thumbnail", "resize", "ocr", "transcode", "receipt", "webhook", "scan", "geocode", "digest", "invoice")
_WORKLOADS: Final = ("analytics", "render-farm", "batch-train", "web-shop", "genome", "mail", "games", "ledger-sync", "crawl", "archive")
# How many of a kind a site has at most.
_MOST: Final[Mapping[str, int]] = {"server": 320, "rack": 80, "row": 16, "aisle": 8, "host": 200, "ups": 6, "pod": 6}
_TABLES: Final[Mapping[str, str]] = {
    "servers": "server", "racks": "rack", "rows": "row", "aisles": "aisle", "site": "site", "feeds": "pdu", "endpoints": "endpoint",
    "instances": "instance", "services": "service", "service_hosts": "host", "functions": "function", "memory_pool": "pod",
    "memory_hosts": "host", "memory_devices": "device", "requirements": "workload",
    "notices": "workload", "hint_conflicts": "workload", "messages": "workload",
}  # fmt: skip


def kind_of(metric: str) -> str:
    """Return the kind of entity that a metric is of; KeyError for a table that is not known."""
    return _TABLES[metric.partition(".")[0]]


def entity_id(kind: str, site: str, luck: float) -> str:
    """Return the id of an entity of a site, as a fleet writes it; ``luck`` (0 to 1) says which one.

    >>> entity_id("row", "juniper", 0.0)
    'row-1'
    """
    own = _own(kind, site)
    return own[int(luck * len(own))]


@cache
def _own(kind: str, site: str) -> tuple[str, ...]:
    """Return all that a site has of a kind: not every site has everything, nor as much of it."""
    drawn = stream(0, "incidents", "places", site, kind)
    named = {"service": _SERVICES, "endpoint": _ENDPOINTS, "function": _FUNCTIONS, "workload": _WORKLOADS}.get(kind)
    if named is not None:
        return tuple(named[at] for at in sorted(drawn.permutation(len(named))[: 2 * len(named) // 3].tolist()))
    if kind in _MOST:
        return tuple(f"{kind}-{number}" for number in range(1, int(_MOST[kind] * (0.4 + 0.6 * drawn.random())) + 1))
    if kind == "pdu":
        return tuple(f"{row}-pdu-{side}" for row in _own("row", site) for side in "ab")
    if kind in ("device", "switch"):
        return tuple(f"{pod}/{kind}-{number}" for pod in _own("pod", site) for number in range(1, 9))
    if kind == "instance":
        return tuple(f"{endpoint}/{number}" for endpoint in _own("endpoint", site) for number in range(1, 13))
    return (site,)

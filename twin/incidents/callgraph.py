"""Who asks whom: services, their instances and calls as arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.incidents import services as k
from twin.incidents.calibrated import number
from twin.incidents.settings import Service, Settings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Graph:
    """S services, I instances (one on each host of a service), C calls.

    ``order`` (S) names callers before callees. ``instance_service``, ``instance_host`` (I) are places among services and hosts,
    ``instance_cores`` (I) counts cores. ``callers``, ``callees`` (C): a callee is -1 where it is no service; then ``endpoint`` or
    ``function`` (C) is its place, -1 elsewhere. ``services`` and ``calls`` are the arrays of ``twin.incidents.services`` on an
    ordinary day. ``memory_bytes`` is of each instance (I).
    """

    service_ids: tuple[str, ...]
    order: Ints
    services: Floats
    callers: Ints
    callees: Ints
    endpoints: Ints
    functions: Ints
    calls: Floats
    instance_service: Ints
    instance_host: Ints
    instance_cores: Floats
    memory_bytes: Floats

    def per_service(self, values: Floats) -> Floats:
        """Return the sums (S) of what instances (I) have."""
        return np.asarray(np.bincount(self.instance_service, weights=values, minlength=len(self.service_ids)), dtype=np.float64)


def graph(settings: Settings, host_ids: Sequence[str], endpoint_ids: Sequence[str], function_ids: Sequence[str]) -> Graph:
    """Return the arrays of a scenario's services; ValueError names one that is not there, or a name that is taken."""
    found = settings.services
    ids = tuple(service.id for service in found)
    places = {"service": ids, "endpoint": tuple(endpoint_ids), "function": tuple(function_ids), "host": tuple(host_ids)}
    others = {name: kind for kind, names in places.items() if kind != "service" for name in names}
    if taken := [name for name in ids if name in others]:
        raise ValueError(f"incidents.services.{taken[0]}: the name is taken by the {others[taken[0]]} of that id; rename the service")
    instances = [(s, _place(places, "host", host, service.id)) for s, service in enumerate(found) for host in service.hosts]
    calls = [(s, call, _place(places, call.kind, call.to, service.id)) for s, service in enumerate(found) for call in service.calls]
    of = np.array([s for s, _ in instances], dtype=np.int64)

    def to(kind: str) -> Ints:
        return np.array([place if call.kind == kind else -1 for _, call, place in calls], dtype=np.int64)

    arrays = np.zeros((len(calls), k.CALL_COLUMNS))
    for row, (_, call, _) in enumerate(calls):
        columns = [k.TIMES, k.TIMEOUT_S, k.RETRIES, k.BUDGET]
        arrays[row, columns] = call.times, call.timeout_s, call.retries, call.retry_budget_share
    return Graph(
        service_ids=ids,
        order=_order(found),
        services=_ordinary(found),
        callers=np.array([s for s, _, _ in calls], dtype=np.int64),
        callees=to("service"),
        endpoints=to("endpoint"),
        functions=to("function"),
        calls=arrays,
        instance_service=of,
        instance_host=np.array([h for _, h in instances], dtype=np.int64),
        instance_cores=np.array([found[s].cores for s in of], dtype=np.float64),
        memory_bytes=np.array([found[s].memory_bytes for s in of], dtype=np.float64),
    )


def _place(places: Mapping[str, tuple[str, ...]], kind: str, name: str, service_id: str) -> int:
    if name not in places[kind]:
        there = ", ".join(places[kind][:5]) or "none"
        raise ValueError(f"incidents.services.{service_id}: {name!r} is no {kind}; there are: {there}")
    return places[kind].index(name)


def _ordinary(found: Sequence[Service]) -> Floats:
    arrays = np.zeros((len(found), k.SERVICE_COLUMNS))
    for row, service in enumerate(found):
        arrays[row, k.SERVICE_S], arrays[row, k.QUEUE_S] = service.service_s, service.queue_s
        arrays[row, k.CLIENT_TIMEOUT_S], arrays[row, k.CLIENT_RETRIES] = service.client_timeout_s, service.client_retries
        arrays[row, k.CLIENT_BUDGET] = service.client_retry_budget_share
    arrays[:, k.OWN_ERROR], arrays[:, k.SERVICE_CV2] = number("service.error_share"), number("service.time_cv2")
    return arrays


def _order(found: Sequence[Service]) -> Ints:
    """Return callers before callees, depth first in the order of the file; a circle is cut where it closes."""
    places = {service.id: row for row, service in enumerate(found)}
    below = [[places[call.to] for call in service.calls if call.kind == "service"] for service in found]
    asked = {place for called in below for place in called}
    done: list[int] = []
    seen: set[int] = set()
    for root in sorted(range(len(found)), key=lambda s: (s in asked, s)):
        path = [(root, iter(below[root]))] if root not in seen else []
        seen.add(root)
        while path:
            at, left = path[-1]
            following = next((place for place in left if place not in seen), None)
            if following is None:
                done.append(at)
                path.pop()
            else:
                seen.add(following)
                path.append((following, iter(below[following])))
    return np.array(done[::-1], dtype=np.int64)

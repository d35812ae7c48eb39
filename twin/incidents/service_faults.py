"""Faults of services and of the hosts under them, and what they take."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.chance import stream
from twin.faults import Fault
from twin.incidents import services as k
from twin.incidents.calibrated import number
from twin.incidents.callgraph import Graph
from twin.incidents.changes import Change, versions

Floats = NDArray[np.float64]
SERVICE_FAULTS: Final = ("memory_leak", "bad_deployment", "certificate_expired", "request_burst")
HOST_FAULTS: Final = ("slow_nic", "noisy_neighbour")
FAULT_KINDS: Final = SERVICE_FAULTS + HOST_FAULTS


@dataclass(frozen=True, slots=True)
class Struck:
    """What faults do over one window, averaged over it; S services, H hosts.

    ``time_factor`` multiplies core times, ``demand_factor`` what the outside asks; ``failing`` is the share of requests that fail
    by a fault, ``refused`` the share of attempts to reach a service that fail at the handshake; ``leak_per_s`` is in shares of an
    instance's memory, ``stolen`` in shares of a host's cores; ``nic_s`` is what a host adds to each call.
    """

    time_factor: Floats
    demand_factor: Floats
    failing: Floats
    refused: Floats
    leak_per_s: Floats
    stolen: Floats
    nic_s: Floats


class Faults:
    """The faults of a run. ValueError, one line, for a target that a kind cannot strike."""

    def __init__(self, faults: Sequence[Fault], found: Graph, host_ids: Sequence[str], asked: Floats, seed: int) -> None:
        """Check faults; ``asked`` (S) is what the outside asks per second, ``seed`` decides whether a bad version is slow or fails."""
        self._sizes = len(found.service_ids), len(host_ids)
        with_services = [host_ids[h] for h in np.unique(found.instance_host)]
        self._struck: list[tuple[Fault, int, bool]] = []
        self.changes: list[Change] = []
        for fault in faults:
            if fault.kind not in FAULT_KINDS:
                raise ValueError(f"fault {fault.kind!r} is not of services; it is one of {', '.join(FAULT_KINDS)}")
            what, ids = ("service", found.service_ids) if fault.kind in SERVICE_FAULTS else ("host", tuple(with_services))
            if fault.target not in ids:
                there = ", ".join(ids[:5]) or "none"
                raise ValueError(f"fault {fault.kind}: target {fault.target!r} is no {what} with services; there are: {there}")
            place = found.service_ids.index(fault.target) if what == "service" else list(host_ids).index(fault.target)
            if fault.kind == "request_burst" and asked[place] <= 0.0:
                raise ValueError(f"fault request_burst: nobody outside asks {fault.target!r}; name a service whose rate_per_s is above 0")
            drawn = stream(seed, "incidents", "fault", fault.kind, fault.target, repr(fault.from_s))
            self._struck.append((fault, place, bool(drawn.random() < 0.5)))
            self.changes += _told(fault, drawn)

    def during(self, begin_s: float, end_s: float) -> Struck:
        """Return what they do in a window."""
        services, hosts = self._sizes
        out = Struck(np.ones(services), np.ones(services), *(np.zeros(services) for _ in range(3)), *(np.zeros(hosts) for _ in range(2)))
        for fault, at, slow in self._struck:
            until_s = end_s if fault.until_s is None else min(fault.until_s, end_s)
            size = fault.severity * max(until_s - max(fault.from_s, begin_s), 0.0) / (end_s - begin_s)
            if size <= 0.0:
                continue
            if fault.kind == "memory_leak":
                out.leak_per_s[at] += size / number("memory.leak_fill_s")
            elif fault.kind == "bad_deployment" and slow:
                out.time_factor[at] += size * number("deployment.slow_factor")
            elif fault.kind == "bad_deployment":
                out.failing[at] = 1.0 - (1.0 - out.failing[at]) * (1.0 - size * number("deployment.error_share"))
            elif fault.kind == "certificate_expired":
                out.refused[at] = max(out.refused[at], size)
            elif fault.kind == "request_burst":
                out.demand_factor[at] += size * number("demand.burst_factor")
            elif fault.kind == "slow_nic":
                out.nic_s[at] += size * number("network.slow_nic_s")
            else:
                out.stolen[at] = max(out.stolen[at], size * number("host.noisy_steal_share"))
        return out


def strike(struck: Struck, services: Floats, calls: Floats, callees: NDArray[np.int64]) -> None:
    """Write errors and refusals of a window into the arrays of ``twin.incidents.services``; what is asked is there already."""
    services[:, k.OWN_ERROR] = 1.0 - (1.0 - services[:, k.OWN_ERROR]) * (1.0 - struck.failing)
    services[:, k.CLIENT_REFUSED] = struck.refused
    calls[:, k.REFUSED] = np.where(callees >= 0, struck.refused[callees], 0.0) if len(callees) else 0.0


def _told(fault: Fault, drawn: np.random.Generator) -> list[Change]:
    """Return what the change log says of a fault: a bad version is rolled out like any other."""
    name, out = fault.target, []
    if fault.kind == "bad_deployment":
        old, new = versions(drawn)
        out.append(Change(fault.from_s, "service", name, "deployment", "release pipeline", f"{name} {new} rolled out, was {old}"))
        if fault.until_s is not None:
            out.append(Change(fault.until_s, "service", name, "deployment", "operator", f"{name} rolled back to {old}, was {new}"))
    if fault.kind == "certificate_expired" and fault.until_s is not None:
        out.append(Change(fault.until_s, "service", name, "certificate", "operator", f"certificate of {name} renewed, valid for 90 days"))
    return out

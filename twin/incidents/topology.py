"""What hangs on what over all domains, and what everything is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from twin.incidents.settings import Service
from twin.tables import Column, Table

Ints = NDArray[np.int64]
SITE: Final = "site"
Pairs = Sequence[tuple[str, str]]
TOPOLOGY: Final = Table(
    "topology",
    "one row per dependency, for the whole run",
    (
        Column("source", pl.String, "who suffers when the target does"),
        Column("target", pl.String, "what it hangs on"),
        Column("kind", pl.String, "calls, runs on, made of, in, cooled by, fed by, stores in"),
    ),
    telemetry=False,
)
ENTITIES: Final = Table(
    "entities",
    "one row per entity, for the whole run",
    (Column("entity", pl.String, "its id"), Column("kind", pl.String, "what it is")),
    telemetry=False,
)


@dataclass(frozen=True)
class Parts:
    """Ids of everything that there is and where it stands, as the world knows it; whatever a site does not have is left out.

    Shapes: A aisles, R rows, K racks, S servers, H hosts, P PDUs, U UPS units, I instances. ``air_handlers`` counts those of each aisle
    (A). ``row_pdus`` (R, 2) and ``pdu_ups`` (P, U; above 0 where it is fed by the unit) are those of the fleet. ``on`` are pairs of who
    runs and where: functions and workloads on hosts and servers. ``stores`` are pairs of a host and a device of the pool, or of a
    device and its switch.
    """

    aisles: Sequence[str] = ()
    air_handlers: Sequence[int] = ()
    rows: Sequence[str] = ()
    row_aisles: Sequence[int] | Ints = ()
    racks: Sequence[str] = ()
    rack_rows: Sequence[int] | Ints = ()
    servers: Sequence[str] = ()
    server_racks: Sequence[int] | Ints = ()
    hosts: Sequence[str] = ()
    host_racks: Sequence[int] | Ints = ()
    pdus: Sequence[str] = ()
    row_pdus: Sequence[Sequence[int]] | Ints = ()
    ups: Sequence[str] = ()
    pdu_ups: Sequence[Sequence[float]] | NDArray[np.float64] = ()
    endpoints: Sequence[str] = ()
    instances: Sequence[str] = ()
    instance_endpoints: Sequence[int] | Ints = ()
    instance_servers: Sequence[int] | Ints = ()
    functions: Sequence[str] = ()
    workloads: Sequence[str] = ()
    devices: Sequence[str] = ()
    switches: Sequence[str] = ()
    on: Pairs = ()
    stores: Pairs = ()
    services: Sequence[Service] = field(default=())


def _handlers(parts: Parts) -> Iterator[tuple[str, str]]:
    """Yield each aisle with each of its air handlers."""
    for aisle, count in zip(parts.aisles, parts.air_handlers, strict=False):
        yield from ((aisle, f"{aisle}/air-handler-{number + 1}") for number in range(int(count)))


def _edges(parts: Parts) -> Iterator[tuple[str, str, str]]:
    def inside(ids: Sequence[str], parents: Sequence[int] | Ints, of: Sequence[str], kind: str) -> Iterator[tuple[str, str, str]]:
        return ((name, of[int(parent)], kind) for name, parent in zip(ids, parents, strict=True))

    for service in parts.services:
        yield from ((service.id, call.to, "calls") for call in service.calls)
        yield from ((service.id, host, "runs on") for host in service.hosts)
    if parts.instances:
        owners = ((parts.endpoints[int(e)], name) for name, e in zip(parts.instances, parts.instance_endpoints, strict=True))
        yield from ((endpoint, name, "made of") for endpoint, name in owners)
        yield from inside(parts.instances, parts.instance_servers, parts.servers, "runs on")
    yield from ((who, where, "runs on") for who, where in parts.on)
    yield from inside(parts.servers, parts.server_racks, parts.racks, "in")
    yield from inside(parts.hosts, parts.host_racks, parts.racks, "in")
    yield from inside(parts.racks, parts.rack_rows, parts.rows, "in")
    yield from inside(parts.rows, parts.row_aisles, parts.aisles, "in")
    for aisle, handler in _handlers(parts):
        yield aisle, handler, "cooled by"
        yield handler, SITE, "cooled by"
    for row, feeds in zip(parts.rows, parts.row_pdus, strict=False):
        yield from ((row, parts.pdus[int(pdu)], "fed by") for pdu in dict.fromkeys(int(feed) for feed in feeds))
    for pdu, feeding in zip(parts.pdus, parts.pdu_ups, strict=False):
        yield from ((pdu, unit, "fed by") for unit, share in zip(parts.ups, feeding, strict=True) if share > 0.0)
    yield from ((one, other, "stores in") for one, other in parts.stores)


def topology(parts: Parts) -> pl.DataFrame:
    """Return what hangs on what (source, target, kind), each once, in the order of the domains; columns of ``case.TABLES``."""
    rows = list(dict.fromkeys(_edges(parts)))
    return pl.DataFrame(rows, schema={"source": pl.String, "target": pl.String, "kind": pl.String}, orient="row")


def entities(parts: Parts) -> pl.DataFrame:
    """Return what everything is (entity, kind), each once: the first kind holds where an id is used twice."""
    by_kind: Mapping[str, Sequence[str]] = {
        "service": [service.id for service in parts.services],
        "endpoint": parts.endpoints,
        "function": parts.functions,
        "workload": parts.workloads,
        "instance": parts.instances,
        "server": parts.servers,
        "host": parts.hosts,
        "device": parts.devices,
        "switch": parts.switches,
        "rack": parts.racks,
        "row": parts.rows,
        "aisle": parts.aisles,
        "air handler": [handler for _, handler in _handlers(parts)],
        "pdu": parts.pdus,
        "ups": parts.ups,
        "site": (SITE,),
    }
    kinds: dict[str, str] = {}
    for kind, ids in by_kind.items():
        for name in ids:
            kinds.setdefault(name, kind)
    return pl.DataFrame(list(kinds.items()), schema={"entity": pl.String, "kind": pl.String}, orient="row")

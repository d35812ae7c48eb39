"""The static plant as struct-of-arrays: rows, racks, servers, GPUs, hosts."""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
GPUS_PER_SERVER = 8
_LONGEST_RANGE = 100_000
_RANGE = re.compile(r"^([a-z][a-z0-9-]*?)(\d+)\.\.(?:\1)?(\d+)$")


@dataclass(frozen=True)
class Fleet:
    """Every place of the datacenter with parent indices; no state.

    Shapes: A aisles, R rows, K racks, S GPU servers, G = 8 S GPUs, H CPU hosts, U UPS units, P PDUs. ``*_rows`` and the like
    are parent indices. ``row_pdus`` (R, 2) names each row's feeds, the same one twice where it has one; ``pdu_ups_share``
    (P, U) is the share of a PDU's load that each UPS carries while all are up. ``row_extra_servers`` (R) counts the servers
    that stand above what budgets, feeds and air handlers were made for.
    """

    name: str
    site_power_budget_w: float
    aisle_ids: tuple[str, ...]
    aisle_air_handlers: Ints
    row_ids: tuple[str, ...]
    row_aisles: Ints
    row_power_budgets_w: Floats
    row_extra_servers: Ints
    row_liquid: NDArray[np.bool_]
    row_pdus: Ints
    pdu_ids: tuple[str, ...]
    pdu_rated_w: Floats
    pdu_ups_share: Floats
    ups_ids: tuple[str, ...]
    ups_rated_w: Floats
    rack_ids: tuple[str, ...]
    rack_rows: Ints
    rack_positions: Ints
    server_ids: tuple[str, ...]
    server_racks: Ints
    server_slots: Ints
    server_models: Ints
    model_names: tuple[str, ...]
    host_ids: tuple[str, ...]
    host_racks: Ints
    host_slots: Ints

    @cached_property
    def server_rows(self) -> Ints:
        """Row index of each server, shape S."""
        return self.rack_rows[self.server_racks]

    @cached_property
    def server_aisles(self) -> Ints:
        """Aisle index of each server, shape S."""
        return self.row_aisles[self.server_rows]

    @cached_property
    def gpu_servers(self) -> Ints:
        """Server index of each GPU, shape G."""
        return np.repeat(np.arange(len(self.server_ids)), GPUS_PER_SERVER)

    @cached_property
    def gpu_ids(self) -> tuple[str, ...]:
        """Ids such as ``server-1/gpu-0``."""
        return tuple(f"{server}/gpu-{slot}" for server in self.server_ids for slot in range(GPUS_PER_SERVER))

    def ids(self, kind: str) -> tuple[str, ...]:
        """Return the ids of an entity kind (row, rack, server, gpu, host, aisle, pdu, ups, feed); empty for kinds a fleet does not have."""
        known = {
            "row": self.row_ids,
            "rack": self.rack_ids,
            "server": self.server_ids,
            "gpu": self.gpu_ids,
            "host": self.host_ids,
            "aisle": self.aisle_ids,
            "pdu": self.pdu_ids,
            "ups": self.ups_ids,
            "feed": self.ups_ids + self.pdu_ids,
        }
        return known.get(kind, ())

    def servers_within(self, kind: str, ids: list[str]) -> NDArray[np.bool_]:
        """Return which servers lie in the named rows, racks or servers, shape S."""
        index = np.array([self.ids(kind).index(name) for name in ids], dtype=np.int64)
        parents = {"row": self.server_rows, "rack": self.server_racks, "server": np.arange(len(self.server_ids))}
        return np.isin(parents[kind], index)


def expand(names: list[str] | tuple[str, ...]) -> list[str]:
    """Expand ranges of ids.

    >>> expand(["server-1..server-3", "server-9"])
    ['server-1', 'server-2', 'server-3', 'server-9']
    """
    out: list[str] = []
    for name in names:
        match = _RANGE.match(name)
        if match:
            if not int(match[2]) <= int(match[3]) < int(match[2]) + _LONGEST_RANGE:
                raise ValueError(f"{name!r} is not a range of ids; write the lower number first and at most {_LONGEST_RANGE:,} ids")
            out.extend(f"{match[1]}{number}" for number in range(int(match[2]), int(match[3]) + 1))
        else:
            out.append(name)
    return out

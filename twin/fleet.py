"""The static plant as struct-of-arrays: rows, racks, servers, GPUs, hosts."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
GPUS_PER_SERVER = 8
_LONGEST_RANGE = 100_000
_NUMBERED = re.compile(r"^(.*?)(\d+)$")
_RANGE = re.compile(r"^([A-Za-z][A-Za-z0-9_.-]*?)(\d+)\.\.(?:\1)?(\d+)$")


@dataclass(frozen=True)
class Fleet:
    """Every place of the datacenter with parent indices; no state.

    Shapes: A aisles, R rows, K racks, S GPU servers, G = 8 S GPUs, H CPU hosts, U UPS units, P PDUs. ``*_rows`` and the like
    are parent indices. ``row_pdus`` (R, 2) names each row's feeds, the same one twice where it has one; ``pdu_ups_share``
    (P, U) is the share of a PDU's load that each UPS carries while all are up. ``row_extra_servers`` (R) counts the servers
    that stand above what budgets, feeds and air handlers were made for. ``model_names`` are kinds of GPU; server models of the
    fleet's own come after the calibrated ones, under the kind that they are like, with their figures in ``own_models``.
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
    own_models: tuple[Mapping[str, float], ...] = ()

    @cached_property
    def server_rows(self) -> Ints:
        """Row index of each server, shape S."""
        return self.rack_rows[self.server_racks]

    @cached_property
    def server_aisles(self) -> Ints:
        """Aisle index of each server, shape S."""
        return self.row_aisles[self.server_rows]

    @property
    def built_servers(self) -> int:
        """Number of servers that budgets, feeds and air handlers were made for: the first so many."""
        return len(self.server_ids) - int(self.row_extra_servers.sum())

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


def grown(fleet: Fleet, extra_servers: Sequence[int]) -> Fleet:
    """Return a fleet with so many more servers in each row (shape R), in racks of their own at the row's end.

    Ids go on where the fleet's end. Racks and servers are appended, so that every index keeps its meaning; budgets, feeds and
    air handlers stay those of the fleet as it was built.
    """
    if not any(extra_servers):
        return fleet
    rack_ids, rack_rows, rack_positions = list(fleet.rack_ids), list(fleet.rack_rows), list(fleet.rack_positions)
    server_ids, racks, slots, models = list(fleet.server_ids), list(fleet.server_racks), list(fleet.server_slots), list(fleet.server_models)
    new_racks, new_servers = _further(fleet.rack_ids), _further((*fleet.host_ids, *fleet.server_ids))
    for row, extra in enumerate(extra_servers):
        mine = np.flatnonzero(fleet.server_rows == row)
        if extra and not len(mine):
            raise ValueError(f"{fleet.row_ids[row]} has no GPU servers and cannot take {extra} more")
        for number in range(int(extra)):
            per_rack = int(np.bincount(fleet.server_racks[mine]).max())
            if number % per_rack == 0:
                rack_ids.append(next(new_racks))
                rack_positions.append(max(int(at) for at, its in zip(rack_positions, rack_rows, strict=True) if its == row) + 1)
                rack_rows.append(row)
            server_ids.append(next(new_servers))
            racks.append(len(rack_ids) - 1)
            slots.append(number % per_rack)
            models.append(int(fleet.server_models[mine[-1]]))
    return replace(
        fleet,
        row_extra_servers=fleet.row_extra_servers + np.array(extra_servers, dtype=np.int64),
        rack_ids=tuple(rack_ids),
        rack_rows=np.array(rack_rows, dtype=np.int64),
        rack_positions=np.array(rack_positions, dtype=np.int64),
        server_ids=tuple(server_ids),
        server_racks=np.array(racks, dtype=np.int64),
        server_slots=np.array(slots, dtype=np.int64),
        server_models=np.array(models, dtype=np.int64),
    )


def _further(ids: Sequence[str]) -> Iterator[str]:
    """Yield ids that go on where the numbered ones end, in the wording of the last of them."""
    numbered = [match for name in ids if (match := _NUMBERED.match(name))]
    word, width = (numbered[-1][1], len(numbered[-1][2])) if numbered else (f"{ids[-1]}-", 1)
    highest = max((int(match[2]) for match in numbered if match[1] == word), default=0)
    return (f"{word}{number:0{width}d}" for number in count(highest + 1))


def expand(names: list[str] | tuple[str, ...]) -> list[str]:
    """Expand ranges of ids; numbers keep the leading zeros that they are written with.

    >>> expand(["server-1..server-3", "gpu08..gpu10"])
    ['server-1', 'server-2', 'server-3', 'gpu08', 'gpu09', 'gpu10']
    """
    out: list[str] = []
    for name in names:
        match = _RANGE.match(name)
        if match:
            if not int(match[2]) <= int(match[3]) < int(match[2]) + _LONGEST_RANGE:
                raise ValueError(f"{name!r} is not a range of ids; write the lower number first and at most {_LONGEST_RANGE:,} ids")
            out.extend(f"{match[1]}{number:0{len(match[2])}d}" for number in range(int(match[2]), int(match[3]) + 1))
        else:
            out.append(name)
    return out

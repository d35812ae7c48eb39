"""Who holds the cores of each pool, five minutes at a time."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.stack import State
from twin.tables import Sink
from twin.workloads.levers import POOLS
from twin.workloads.negotiation.tables import CAPACITY
from twin.workloads.negotiation.taking import COMPILED
from twin.workloads.negotiation.tenants import Tenants
from twin.workloads.negotiation.treatments import HARVEST, SPOT, TREATMENTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
REGULAR_CORES, SPOT_CORES, HARVEST_CORES, RESERVE_CORES, TURNED_AWAY_CORES, SURPLUS_CORES, EVICTED_CORES = range(7)
_COLUMNS: Final = ("regular_cores", "spot_cores", "harvest_cores", "reserve_cores", "turned_away_cores", "surplus_cores", "evicted_cores")

_KINDS: Final = 3
_GRANTS: Final = np.arange(1 << len(TREATMENTS))
# By grant: 0 regular, 1 spot, 2 harvest.
_KIND: Final = np.where(_GRANTS & HARVEST, 2, np.where(_GRANTS & SPOT, 1, 0))


@dataclass(frozen=True, slots=True)
class Pools:
    """The pools during a tick, shape P: all cores, those of VMs that do not negotiate, and those that regular customers ask for."""

    total_cores: Floats
    others_cores: Floats
    reserve_cores: Floats


def _count(vm: Ints, granted: Ints, size_share: Floats, running: Bools, moved: Bools, of: Any, sums: Any) -> None:
    """Add up the cores of each pool and kind of holder, what harvest VMs have grown by, and what evicted ones wait for."""
    pool, cores, kind = of
    cells, lent, evicted = sums
    for i in range(len(vm)):
        where, asked = pool[vm[i]], float(cores[vm[i]])
        now = asked * size_share[i] if running[i] and not moved[i] else 0.0
        cells[kind[granted[i]] + where * _KINDS] += now
        lent[where] += max(now - asked, 0.0)
        if not running[i] and not moved[i]:
            evicted[where] += asked


@cache
def _counter() -> Any:
    return COMPILED(_count)


def holders(tenants: Tenants, pools: Pools, vm: Ints, granted: Ints, size_share: Floats, running: Bools, moved: Bools) -> Floats:
    """Return the cores of each kind of holder, shape (7, P); ``vm`` to ``moved`` (N) are the VMs that have a place.

    Regular, spot, harvest, surplus and what the reserve gets are all cores of a pool, and more where harvest VMs have grown into
    cores that are rented and idle; what they have grown by is lent, and turns nobody away. A VM that was moved to another region
    holds none, one that is away waits for them.
    """
    cells, lent, evicted = np.zeros(len(POOLS) * _KINDS), np.zeros(len(POOLS)), np.zeros(len(POOLS))
    _counter()(vm, granted, size_share, running, moved, (tenants.pool, tenants.cores, _KIND), (cells, lent, evicted))
    mine = cells.reshape(len(POOLS), _KINDS).T
    regular, spot, harvest = pools.others_cores + mine[0], mine[1], mine[2]
    free = pools.total_cores - regular - spot - harvest
    turned_away = np.maximum(pools.reserve_cores - np.maximum(free + lent, 0.0), 0.0)
    surplus = np.maximum(free - pools.reserve_cores, 0.0)
    return np.stack([regular, spot, harvest, pools.reserve_cores, turned_away, surplus, evicted])


class Capacity:
    """Averages holders over five minutes and keeps the rows until they are written."""

    def __init__(self) -> None:
        self._core_s = np.zeros((len(_COLUMNS), len(POOLS)))
        self._total_core_s = np.zeros(len(POOLS))
        self._span_s = 0.0
        self._rows: list[Floats] = []

    def add(self, span_s: float, pools: Pools, held: Floats) -> None:
        """Count a tick; ``held`` as from ``holders``."""
        self._core_s += held * span_s
        self._total_core_s += pools.total_cores * span_s
        self._span_s += span_s

    def close(self, t_s: float) -> None:
        """End a row, if anything was counted for it."""
        if self._span_s <= 0.0:
            return
        means = np.vstack([self._total_core_s, self._core_s]) / self._span_s
        self._rows += [np.array([t_s, pool, *means[:, pool]]) for pool in range(len(POOLS)) if means[0, pool] > 0.0]
        self._core_s[:] = 0.0
        self._total_core_s[:] = 0.0
        self._span_s = 0.0

    def write(self, sink: Sink) -> None:
        """Hand over the rows that were kept."""
        if not self._rows:
            return
        rows = np.array(self._rows).T
        words = np.array(POOLS, dtype=object)[rows[1].astype(np.int64)]
        sink.append(CAPACITY, {"t_s": rows[0], "pool": words, **dict(zip(("total_cores", *_COLUMNS), rows[2:], strict=True))})
        self._rows = []

    def snapshot(self) -> State:
        """Return what is counted and not written yet."""
        rows = np.array(self._rows).reshape(-1, len(_COLUMNS) + 3)
        return {"core_s": self._core_s.copy(), "total_core_s": self._total_core_s.copy(), "span_s": self._span_s, "rows": rows}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._core_s, self._total_core_s = np.array(state["core_s"]), np.array(state["total_core_s"])
        self._span_s = float(state["span_s"])
        self._rows = [np.array(row) for row in state["rows"]]

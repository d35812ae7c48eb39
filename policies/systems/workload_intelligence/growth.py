"""How far harvest VMs grow into vCPUs that nobody uses."""

import numpy as np
from numpy.typing import NDArray

from policies.systems.workload_intelligence.knobs import WorkloadIntelligenceKnobs
from policies.systems.workload_intelligence.tariff import SIZE_STEP, number
from twin.stack import State
from twin.workloads.levers import POOLS, OffersObservation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
HOSTS = POOLS.index("hosts")
_NEVER_S = -1e18
# Of a harvest VM's cores: load from which it can use more, and below which it gives them back.
_BUSY_SHARE = 0.5
_CALM_SHARE = 0.3
# Of the room on a host, what is left when harvest VMs grow, so that they do not shrink at once.
_MARGIN_SHARE = 0.1


class Growth:
    """All harvest VMs of a host have one size, from what was asked for up to twice as much.

    They share its free vCPUs (less the part that customers to come will ask for) and some of those that are rented and idle, as
    far as the host has memory for the work on them and the row has power. They shrink at once, and grow again after a while.
    """

    def __init__(self, knobs: WorkloadIntelligenceKnobs) -> None:
        self._knobs = knobs
        # By host: the size, when it last changed, and the vCPUs that nobody has rented.
        self._size, self._since_s, self._free = np.ones(0), np.zeros(0), np.zeros(0)

    def sizes(self, seen: OffersObservation, harvest: Bools, row_short: Bools) -> Floats:
        """Return the size of VMs (N) over what was asked for; 1 where it is no harvest VM that runs on a host."""
        hosts = len(seen.spare.host_free_vcpus)
        if len(self._size) != hosts:
            self._size, self._since_s, self._free = np.ones(hosts), np.full(hosts, _NEVER_S), np.zeros(hosts)
        mine = np.flatnonzero(harvest & (seen.pool == HOSTS) & seen.running)
        size = np.ones(len(seen.vm))
        if not len(mine):
            self._size[:] = 1.0
            return size
        now = seen.size_share[mine]
        wanted = self._wanted(seen, mine, row_short)
        self._since_s[wanted != self._size] = seen.t_s
        self._size = wanted
        uses = seen.busy_share[mine] >= np.where(now > 1.0, _CALM_SHARE, _BUSY_SHARE)
        size[mine] = np.where(uses, wanted[seen.place[mine]], 1.0)
        return size

    def _wanted(self, seen: OffersObservation, mine: Ints, row_short: Bools) -> Floats:
        """Return the size of harvest VMs by host."""
        hosts, place, now = len(self._size), seen.place[mine], seen.size_share[mine]
        cores = seen.cores[mine].astype(np.float64)
        grown = cores * np.maximum(now - 1.0, 0.0)
        asked = np.maximum(_sums(place, cores, hosts), 1.0)
        per_core = np.maximum(_sums(place, seen.memory_bytes[mine].astype(np.float64), hosts) / asked, 1.0)
        room = self._room(seen, _sums(place, grown, hosts), _sums(place, grown * seen.busy_share[mine], hosts))
        room = np.minimum(room, seen.spare.host_free_memory_bytes / per_core)
        down, up = (_stepped(part * room / asked) for part in (1.0, 1.0 - _MARGIN_SHARE))
        rested = seen.t_s - self._since_s >= self._knobs.grow_hold_s
        wanted = np.where(down < self._size, down, np.where(rested, np.maximum(up, self._size), self._size))
        row = np.zeros(hosts, dtype=np.int64)
        row[place] = seen.row[mine]
        there = np.bincount(place, minlength=hosts) > 0
        wanted = np.where(row_short[row] | ~there, 1.0, wanted)
        more_w = seen.power_w[mine] / np.maximum(now, SIZE_STEP) * np.maximum(wanted[place] - now, 0.0)
        powered = self._powered(seen, _sums(seen.row[mine], more_w, len(row_short)))
        return np.where(powered[row], wanted, np.minimum(wanted, self._size))

    def _room(self, seen: OffersObservation, grown: Floats, load: Floats) -> Floats:
        """Return vCPUs of each host that harvest VMs may grow into; they have grown into ``grown``, of which ``load`` are busy.

        What is free is told less what has been grown into, and not at all once that reaches into rented vCPUs: then what was free
        before counts. A host without an idle vCPU may be asked for more than it has: growth is halved until one is idle.
        """
        spare = seen.spare
        known = (spare.host_free_vcpus > 0.0) | (grown == 0.0)
        self._free = np.where(known, spare.host_free_vcpus + grown, self._free)
        unused = spare.host_free_vcpus + spare.host_idle_vcpus
        free = np.minimum(self._free, unused + load)
        coming = 0.0 if seen.surplus_unlimited else max(spare.reserve_cores[HOSTS], spare.coming_cores[HOSTS])
        kept = min(coming / max(float(free.sum()), 1.0), 1.0)
        room = free * (1.0 - kept) + self._knobs.idle_share * (unused + load - free)
        return np.where((unused < 1.0) & (grown > 0.0), np.minimum(room, 0.5 * grown), room)

    def _powered(self, seen: OffersObservation, more_w: Floats) -> Bools:
        """Return rows that have power for so much more."""
        bound_w = (self._knobs.row_power_share - self._knobs.power_room_share) * seen.spare.row_budget_w
        return np.asarray((seen.spare.row_power_w + seen.spare.row_coming_w + more_w <= bound_w) | (more_w == 0.0))

    def snapshot(self) -> State:
        """Return what is known by host."""
        return {"size": self._size.copy(), "since_s": self._since_s.copy(), "free": self._free.copy()}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._size, self._since_s = np.array(state["size"], dtype=np.float64), np.array(state["since_s"], dtype=np.float64)
        self._free = np.array(state["free"], dtype=np.float64)


def _stepped(share: Floats) -> Floats:
    """Return sizes in steps, as far as so much more than was asked for goes."""
    most = number("harvest", "most_share")
    return np.clip(1.0 + np.floor(np.maximum(share, 0.0) / SIZE_STEP + 1e-9) * SIZE_STEP, 1.0, most)


def _sums(index: Ints, weights: Floats, count: int) -> Floats:
    return np.asarray(np.bincount(index, weights=weights, minlength=count), dtype=np.float64)

"""Which workers are on: added at once for the demand, given back late."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from policies.systems.aladdin.plan import Capacity, widths, workers_needed
from twin.serving.levers import OFF, ON, Bools, Ints, ServingObservation
from twin.stack import State

# A server keeps the width of its workers unless another carries this much more per GPU.
_WORTH_IT: Final = 1.25
# Workers are told apart by throughput per GPU in steps of this factor.
_ALIKE: Final = 1.1
# Share of the servers whose workers are replaced at once.
_AT_ONCE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Need:
    """What one pool must carry: requests per second, or a fixed number of workers."""

    per_s: float
    workers: int | None


class Workers:
    """The wanted slots. A pool is what serves one stage of one endpoint: its slots of one role.

    Workers of a width that is no longer the best are replaced: first on servers that stand free, then on a few of the servers
    at a time, and never while others are still on their way. An endpoint of one server is interrupted by that. What is given
    back is what the whole of a cool-down did without.
    """

    def __init__(self, cool_down_s: float) -> None:
        self._cool_down_s = cool_down_s
        self.wanted: Bools = np.zeros(0, dtype=np.bool_)
        self._low_since_s = np.zeros(0)
        self._most_needed = np.zeros(0, dtype=np.int64)

    def begin(self, wanted: Bools, pools: int, t_s: float) -> None:
        """Set what is wanted before anything was seen; ``pools`` is how many there can be."""
        self.wanted = wanted.copy()
        self._low_since_s = np.full(pools, t_s)
        self._most_needed = np.zeros(pools, dtype=np.int64)

    def decide(self, seen: ServingObservation, pool: int, members: Ints, found: Capacity, width: int | None, need: Need) -> None:
        """Decide on one pool; ``found`` and ``members`` are of the pool's slots only, ``width`` fixes their GPUs."""
        fits = self._fitting(seen, members, found, width)
        rank = self._ranked(seen, members, found, fits)
        counted = workers_needed(found.rate_per_s[rank], need.per_s)
        count = min(counted if need.workers is None else need.workers, len(rank))
        best = members[rank]
        misfits = self.wanted[members] & ~fits
        if misfits.any():
            self._replace(seen, members, misfits, best, count)
            self._low_since_s[pool], self._most_needed[pool] = seen.t_s, 0
            return
        if need.workers is not None:
            self.wanted[members] = np.isin(members, best[:count])
        self._count(seen.t_s, pool, best, count)

    def _count(self, t_s: float, pool: int, best: Ints, count: int) -> None:
        """Turn on what is missing, and off what a cool-down did without; ``best`` begins with those that are on."""
        held = int(self.wanted[best].sum())
        self._most_needed[pool] = max(self._most_needed[pool], count)
        if count >= held:
            self.wanted[best[:count]] = True
        elif t_s - self._low_since_s[pool] >= self._cool_down_s:
            self.wanted[best[self._most_needed[pool] :]] = False
        else:
            return
        self._low_since_s[pool], self._most_needed[pool] = t_s, 0

    def _fitting(self, seen: ServingObservation, members: Ints, found: Capacity, width: int | None) -> Bools:
        """Return which slots have the width that their server's workers should have, shape of ``members``."""
        gpus = seen.instance_gpus[members]
        if width is not None:
            return np.asarray(gpus == width)
        _, groups = np.unique(seen.instance_server[members], return_inverse=True)
        chosen = widths(gpus, groups, found)
        per_gpu = found.rate_per_s / gpus
        aimed = np.zeros(int(groups.max()) + 1)
        np.maximum.at(aimed, groups, np.where(gpus == chosen, per_gpu, 0.0))
        met = np.zeros(len(aimed), dtype=np.bool_)
        np.logical_or.at(met, groups, (gpus == chosen) & found.meets)
        # What a server's workers have now stays, if it is about as good.
        good = (per_gpu * _WORTH_IT >= aimed[groups]) & (found.meets | ~met[groups])
        keeps = self.wanted[members] & good
        kept = np.zeros(len(aimed), dtype=np.int64)
        np.maximum.at(kept, groups, np.where(keeps, gpus, 0))
        return np.asarray(gpus == np.where(kept > 0, kept, chosen[np.unique(groups, return_index=True)[1]])[groups])

    def _ranked(self, seen: ServingObservation, members: Ints, found: Capacity, fits: Bools) -> Ints:
        """Return the places of fitting slots: those wanted first, then by throughput per GPU, server by server."""
        places = np.flatnonzero(fits)
        at = members[places]
        # Speeds that differ by little must not send workers to another server.
        per_gpu = np.round(np.log(np.maximum(found.rate_per_s[places] / seen.instance_gpus[at], 1e-12)) / np.log(_ALIKE))
        return places[np.lexsort((seen.instance_first_gpu[at], seen.instance_server[at], -per_gpu, ~self.wanted[at]))]

    def _replace(self, seen: ServingObservation, members: Ints, misfits: Bools, best: Ints, count: int) -> None:
        """Replace workers of the wrong width: start the others where there is room, then release; else server by server."""
        servers = seen.instance_server
        taken = np.unique(servers[members[misfits]])
        free = best[~np.isin(servers[best], taken)]
        chosen = free[:count]
        self.wanted[chosen] = True
        if len(chosen) >= count and bool((seen.state[chosen] == ON).all()):
            self.wanted[members[misfits]] = False
        elif len(chosen) < count and self._settled(seen, members):
            here = taken[: max(1, int(_AT_ONCE * len(taken)))]
            self.wanted[members[misfits & np.isin(servers[members], here)]] = False
            beside = best[np.isin(servers[best], here)]
            self.wanted[beside[: count - len(chosen)]] = True

    def _settled(self, seen: ServingObservation, members: Ints) -> bool:
        wanted = self.wanted[members]
        return bool((seen.state[members[wanted]] == ON).all() and (seen.state[members[~wanted]] == OFF).all())

    def snapshot(self) -> State:
        """Return what is wanted and since when each pool has needed less."""
        return {"wanted": self.wanted.copy(), "low_since_s": self._low_since_s.copy(), "most_needed": self._most_needed.copy()}

    def restore(self, state: State) -> None:
        """Take back a state."""
        self.wanted = np.array(state["wanted"], dtype=np.bool_)
        self._low_since_s = np.array(state["low_since_s"], dtype=np.float64)
        self._most_needed = np.array(state["most_needed"], dtype=np.int64)


def pools_of(seen: ServingObservation, roles: int) -> Ints:
    """Return the pool of each slot, shape I: endpoint and role."""
    return np.asarray(seen.instance_endpoint * roles + seen.role)

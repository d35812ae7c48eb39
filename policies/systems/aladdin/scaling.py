"""Which workers are on: added at once for the demand, given back late."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from policies.systems.aladdin.plan import Capacity, widths, workers_needed
from twin.serving.levers import OFF, ON, Bools, Floats, Ints, ServingObservation
from twin.stack import State

# A pool keeps the width of its workers unless another carries this much more per GPU.
_WORTH_IT: Final = 1.25
# Workers are told apart by throughput per GPU in steps of this factor.
_ALIKE: Final = 1.1
# Share of the servers whose workers are replaced at once.
_AT_ONCE: Final = 0.25
_ARRAYS: Final = ("wanted", "_low_since_s", "_most_needed", "_kind", "_width", "_best_s")


@dataclass(frozen=True, slots=True)
class Need:
    """What one pool must carry: requests per second, or a fixed number of workers; and their GPUs where those are fixed."""

    per_s: float
    workers: int | None
    width: int | None = None


class Workers:
    """The wanted slots. A pool is what serves one stage of one endpoint: its slots of one role.

    The width of a pool is chosen before anything runs, for each kind of server. It is looked at again once its requests are
    known, and later changes only if another was clearly better for the whole of a cool-down; a fixed number of workers keeps it
    for good. When it changes all workers are replaced: first on servers that stand free, then on a few of the servers at a
    time, and never while others are still on their way. An endpoint of one server is interrupted by that. What is given back
    is what the whole of a cool-down did without.
    """

    def __init__(self, cool_down_s: float) -> None:
        self._cool_down_s = cool_down_s
        self.wanted: Bools = np.zeros(0, dtype=np.bool_)
        self._low_since_s = np.zeros(0)
        self._most_needed = np.zeros(0, dtype=np.int64)
        # Kind of each slot's server, and by pool and kind the width, 0 before it is chosen.
        self._kind = np.zeros(0, dtype=np.int64)
        self._width = np.zeros((0, 0), dtype=np.int64)
        # Since when the width has been the best one; below zero until the requests are known.
        self._best_s = np.zeros(0)

    def begin(self, seen: ServingObservation, pools: int) -> None:
        """Begin with nothing wanted and no width chosen; ``pools`` is how many pools there can be."""
        self.wanted = np.zeros(len(seen.state), dtype=np.bool_)
        self._low_since_s = np.full(pools, seen.t_s)
        self._most_needed = np.zeros(pools, dtype=np.int64)
        self._kind = kinds_of(seen)
        self._width = np.zeros((pools, int(self._kind.max(initial=0)) + 1), dtype=np.int64)
        self._best_s = np.full(pools, -1.0)

    def choose(self, seen: ServingObservation, pool: int, members: Ints, rated: Capacity) -> Bools:
        """Choose the width of a pool before anything runs; return which of its slots have it, shape of ``members``."""
        kind = self._kind[members]
        self._width[pool, kind] = widths(seen.instance_gpus[members], kind, rated)
        return np.asarray(seen.instance_gpus[members] == self._width[pool, kind])

    def _look_again(self, seen: ServingObservation, pool: int, members: Ints, rated: Capacity) -> None:
        """Change the width if another is clearly better: at once when the requests first are known, else after a cool-down."""
        gpus, kind = seen.instance_gpus[members], self._kind[members]
        best, now = widths(gpus, kind, rated), self._width[pool, kind]
        per_gpu = rated.rate_per_s / gpus
        could, does = (_of_kind(kind, np.where(gpus == width, per_gpu, 0.0)) for width in (best, now))
        in_time, on_time = (_of_kind(kind, (gpus == width) & rated.meets) for width in (best, now))
        clear = (now == 0) | (in_time > on_time) | ((in_time == on_time) & (could > _WORTH_IT * does))
        first = self._best_s[pool] < 0.0
        if not clear.any():
            self._best_s[pool] = seen.t_s
        elif first or seen.t_s - self._best_s[pool] >= self._cool_down_s:
            self._width[pool, kind] = np.where(clear, best, now)
            self._best_s[pool] = seen.t_s

    def decide(self, seen: ServingObservation, pool: int, members: Ints, found: Capacity, rated: Capacity, need: Need) -> None:
        """Decide on one pool; ``found``, ``rated`` (as if none were slowed or had missed) and ``members`` are of its slots only."""
        if need.width is not None:
            fits = np.asarray(seen.instance_gpus[members] == need.width)
        else:
            if need.workers is None or not self._width[pool, self._kind[members]].all():
                self._look_again(seen, pool, members, rated)
            fits = np.asarray(seen.instance_gpus[members] == self._width[pool, self._kind[members]])
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
        """Return what is wanted, of which width, and since when each pool has needed less."""
        return {name.lstrip("_"): getattr(self, name).copy() for name in _ARRAYS}

    def restore(self, state: State) -> None:
        """Take back a state."""
        for name in _ARRAYS:
            setattr(self, name, np.array(state[name.lstrip("_")]))


def kinds_of(seen: ServingObservation) -> Ints:
    """Return the kind of server that each slot is on, shape I: those whose slots of an endpoint are alike have the same."""
    place = np.stack([seen.instance_endpoint, seen.instance_server])
    _, group = np.unique(place, axis=1, return_inverse=True)
    group = group.reshape(-1)
    like: dict[bytes, int] = {}
    kind = np.zeros(len(group), dtype=np.int64)
    for server in range(int(group.max(initial=-1)) + 1):
        mine = np.flatnonzero(group == server)
        rows = np.column_stack([seen.instance_endpoint[mine], seen.instance_gpus[mine], seen.latency[mine]])
        kind[mine] = like.setdefault(np.unique(rows, axis=0).tobytes(), len(like))
    return kind


def _of_kind(kind: Ints, values: Floats | Bools) -> Floats:
    """Return the highest value among the slots of the same kind, shape of ``kind``."""
    highest = np.zeros(int(kind.max(initial=-1)) + 1)
    np.maximum.at(highest, kind, values.astype(np.float64))
    return np.asarray(highest[kind])


def pools_of(seen: ServingObservation, roles: int) -> Ints:
    """Return the pool of each slot, shape I: endpoint and role."""
    return np.asarray(seen.instance_endpoint * roles + seen.role)

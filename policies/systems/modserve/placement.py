"""How many instances of each stage, on which slots, and how to get there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.fleet import GPUS_PER_SERVER
from twin.serving.levers import IMAGE, ServingObservation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
NONE: Final = -1  # the role of a slot that is not wanted


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of one endpoint, shape n; servers and GPUs are numbered from 0, without gaps."""

    server: Ints
    first_gpu: Ints
    gpus: Ints

    @classmethod
    def of(cls, seen: ServingObservation, members: Ints) -> "Slots":
        """Return the slots of the instances ``members``."""
        servers, place = np.unique(seen.instance_server[members], return_inverse=True)
        within = seen.instance_first_gpu[members] - servers[place] * GPUS_PER_SERVER
        return cls(place.astype(np.int64), (place * GPUS_PER_SERVER + within).astype(np.int64), seen.instance_gpus[members])

    @property
    def all_gpus(self) -> int:
        """Return the GPUs of their servers."""
        return (int(self.server.max()) + 1) * GPUS_PER_SERVER

    def covers(self, index: int) -> slice:
        """Return the GPUs of one slot."""
        return slice(int(self.first_gpu[index]), int(self.first_gpu[index] + self.gpus[index]))

    def any_of(self, flags: Bools) -> Bools:
        """Return which slots have a GPU that is flagged, shape n; flags of all GPUs."""
        counted = np.concatenate([[0], np.cumsum(flags)])
        return np.asarray(counted[self.first_gpu + self.gpus] > counted[self.first_gpu])

    def flags(self, which: Bools) -> Bools:
        """Return which GPUs the slots cover, shape of all GPUs."""
        marks = np.zeros(self.all_gpus + 1, dtype=np.int64)
        np.add.at(marks, self.first_gpu[which], 1)
        np.add.at(marks, (self.first_gpu + self.gpus)[which], -1)
        return np.asarray(np.cumsum(marks)[:-1] > 0)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Which slots are on in the role they are held in, and which are starting or draining, shape n."""

    on: Bools
    between: Bools


@dataclass(frozen=True, slots=True)
class Pool:
    """The instances of one stage: a role, the slots that may serve it (shape n), what they sustain, and the load.

    ``capacities`` is what each of 1, 2, ... instances sustains, ``fits`` says whether the objectives hold at that; ``need`` is
    the load with headroom, ``held`` what is kept until the cool-down ends.
    """

    role: int
    width: int
    able: Bools
    capacities: Floats
    fits: bool
    need: float
    held: float

    def carries(self, count: int) -> float:
        """Return what some instances sustain together."""
        return count * float(self.capacities[min(count, len(self.capacities)) - 1])

    def instances(self, load: float) -> int:
        """Return the fewest instances that carry a load, at least one; more than there are where those do not."""
        most = len(self.capacities)
        enough = np.arange(1, most + 1) * self.capacities >= load * (1.0 - 1e-9)
        return int(np.argmax(enough)) + 1 if enough.any() else max(most + 1, int(np.ceil(load / self.capacities[-1] - 1e-9)))


def sized(pools: Sequence[Pool], gpus: int, fill: bool, before: Sequence[int], gain_share: float) -> list[int]:
    """Return the instances of each pool on at most ``gpus`` GPUs.

    Where all that is held does not fit, what is needed now counts; where that does not fit either, or ``fill`` asks for
    every GPU, they are divided so that the busiest pool is least busy. A division ``before`` stays while that gains less
    than ``gain_share``.
    """
    if not fill:
        for loads in ([pool.held for pool in pools], [pool.need for pool in pools]):
            counts = [pool.instances(load) for pool, load in zip(pools, loads, strict=True)]
            if gpus_of(pools, counts) <= gpus:
                return counts
    divided = _divided(pools, gpus)
    fits = all(before) and gpus_of(pools, before) <= gpus and gpus_of(pools, before) + min(pool.width for pool in pools) > gpus
    if fits and times_carried(pools, divided) < times_carried(pools, before) * (1.0 + gain_share):
        return list(before)
    return divided


def _divided(pools: Sequence[Pool], gpus: int) -> list[int]:
    most = [int(pool.able.sum()) for pool in pools]
    # A little below the share by throughput, so that the pools then grow in turn.
    weights = np.array([max(pool.need, 1e-9) / float(pool.capacities[-1]) * pool.width for pool in pools])
    shares = 0.8 * gpus * weights / weights.sum()
    counts = [max(1, min(int(share) // pool.width, top)) for pool, share, top in zip(pools, shares, most, strict=True)]
    while gpus_of(pools, counts) > gpus and max(counts) > 1:
        counts[int(np.argmax([pool.width * count if count > 1 else 0 for pool, count in zip(pools, counts, strict=True)]))] -= 1
    while True:
        left = gpus - gpus_of(pools, counts)
        ratios = [
            pool.carries(count) / max(pool.need, 1e-9) if pool.width <= left and count < top else np.inf
            for pool, count, top in zip(pools, counts, most, strict=True)
        ]
        if not np.isfinite(min(ratios)):
            return counts
        counts[int(np.argmin(ratios))] += 1


def gpus_of(pools: Sequence[Pool], counts: Sequence[int]) -> int:
    """Return the GPUs of some instances of each pool."""
    return sum(pool.width * count for pool, count in zip(pools, counts, strict=True))


def times_carried(pools: Sequence[Pool], counts: Sequence[int]) -> float:
    """Return how many times its load the busiest pool carries."""
    return min(pool.carries(count) / max(pool.need, 1e-9) for pool, count in zip(pools, counts, strict=True))


@dataclass(frozen=True, slots=True)
class Present:
    """What is there: the role that each slot is held in (NONE where it is not wanted) and which of them have work, shape n."""

    role: Ints
    busy: Bools

    def without(self) -> "Present":
        """Return the same with nothing held."""
        return Present(np.full_like(self.role, NONE), self.busy)


def place(slots: Slots, pools: Sequence[Pool], counts: Sequence[int], present: Present, shared: bool) -> Ints | None:
    """Return the role of each wanted slot, NONE elsewhere; None where a pool finds no slot at all.

    Slots held in the role are kept first, those with work before idle ones. New ones disturb what is held as little as they
    can. Text fills servers from the first on and images from the last, so that a server has one kind of stage while there
    is room; ``shared`` instead fills servers that are in use anyway.
    """
    role = np.full(len(slots.gpus), NONE, dtype=np.int64)
    taken = np.zeros(slots.all_gpus, dtype=np.bool_)
    # The widest first, which find room hardest; images last.
    for index in sorted(range(len(pools)), key=lambda i: (-pools[i].width, pools[i].role == IMAGE)):
        pool = pools[index]
        able = np.flatnonzero(pool.able & ~slots.any_of(taken))
        if not len(able):
            return None
        chosen = able[_order(slots, pool, present, taken, shared)[able].argsort(kind="stable")][: counts[index]]
        role[chosen] = pool.role
        for slot in chosen:
            taken[slots.covers(int(slot))] = True
    return role


def _order(slots: Slots, pool: Pool, present: Present, taken: Bools, shared: bool) -> Ints:
    """Return the rank of each slot for a pool, shape n; the lowest is taken first."""
    # What is held in this role at another width is in the way as much as another stage: its GPUs are free only once it is gone.
    mine = (present.role == pool.role) & (slots.gpus == pool.width)
    others = (present.role != NONE) & ~mine
    held = slots.flags(others)
    used = np.zeros(int(slots.server.max()) + 1, dtype=np.int64)
    np.add.at(used, np.arange(slots.all_gpus)[held | taken] // GPUS_PER_SERVER, 1)
    crowd = used[slots.server]
    kind = -crowd if shared else (crowd > 0).astype(np.int64)
    back = pool.role == IMAGE and not shared
    along = -slots.first_gpu if back else slots.first_gpu
    # An idle instance of the same width that a stage placed later has turns sooner than another starts.
    lends = others & ~present.busy & (slots.gpus == pool.width)
    disturbs = np.where(lends, -1, slots.any_of(held) & ~mine)
    order = np.lexsort((along, np.where(mine, 0, kind), disturbs, mine & ~present.busy, ~mine))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank


def servers_used(slots: Slots, role: Ints) -> int:
    """Return how many servers have a wanted slot."""
    return len(np.unique(slots.server[role != NONE]))


def towards(slots: Slots, now: Ints, target: Ints, state: Readiness, turn_gpus: int) -> Ints:
    """Return the roles to want next on the way from ``now`` to ``target`` (NONE where a slot is not wanted), shape n.

    Of GPUs that have to change hands (another role or another width) only ``turn_gpus`` are on their way at a time. What is
    given up stays until what replaces it is on, where its GPUs are free for that.
    """
    following = np.where(target == now, now, NONE)
    leaving = (now != NONE) & (now != target)
    quota = turn_gpus - int(slots.gpus[state.between].sum())
    # Were slots wider than what may turn, none would ever.
    least = 0 if quota == turn_gpus else turn_gpus
    coming = np.flatnonzero((target != NONE) & (target != now))
    # One of each role in turn: prefill instances without decode instances are of no use.
    nth = np.array([int((target[coming[:place]] == target[slot]).sum()) for place, slot in enumerate(coming)], dtype=np.int64)
    for slot in coming[np.argsort(nth, kind="stable")]:
        window = slots.covers(int(slot))
        over = leaving & (slots.first_gpu < window.stop) & (slots.first_gpu + slots.gpus > window.start)
        turned = int(slots.gpus[over].sum())
        if turned > max(quota, 0) and least:
            continue
        if turned:
            quota, least = quota - turned, turn_gpus
        leaving &= ~over
        following[slot] = target[slot]
    waiting = (target != NONE) & ~(state.on & (now == target))
    replaced = np.isin(now, np.unique(target[waiting]))
    kept = leaving & (replaced | slots.any_of(slots.flags(waiting & (following == NONE))))
    following[kept] = now[kept]
    return following

"""The size and the place of each pool, with what is remembered of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.systems.modserve.knobs import ModServeKnobs
from policies.systems.modserve.load import TILES
from policies.systems.modserve.placement import Pool, Present, gpus_of, place, servers_used, sized, times_carried
from policies.systems.modserve.pools import Asked, Endpoint, pools_of, roles_of
from twin.serving.levers import IMAGE, ROLE_NAMES, WHOLE
from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# How the stages of an endpoint lie: all in whole instances, on servers of their own, or on shared ones.
TOGETHER: Final = 0
APART: Final = 1
SHARED: Final = 2
_ARRAYS: Final = ("kept", "needed_s", "width", "mode", "capacity", "asked_gpus")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a sizing has to go by: the time, whether every GPU is divided (``fill``), how many GPUs there may be at most.

    ``given`` are the roles of the slots where another policy lays them, shape n.
    """

    t_s: float
    fill: bool
    most_gpus: float
    given: Ints | None


class Sizing:
    """Sizes the pools of each endpoint and puts them on slots. Shapes: E endpoints, by role where there is a second axis.

    ``kept`` is the load that each pool is kept for, ``needed_s`` when that was last needed; ``capacity`` what one instance
    sustains, 0 where there is no pool; ``asked_gpus`` what the endpoint would hold if nothing bounded it.
    """

    def __init__(self, knobs: ModServeKnobs, endpoints: int) -> None:
        self._knobs = knobs
        by_role = (endpoints, len(ROLE_NAMES))
        self.kept, self.needed_s, self.capacity = np.zeros(by_role), np.zeros(by_role), np.zeros(by_role)
        self.width = np.zeros(by_role, dtype=np.int64)
        self.mode = np.full(endpoints, TOGETHER, dtype=np.int64)
        self.asked_gpus = np.zeros(endpoints)

    def size(self, index: int, endpoint: Endpoint, asked: Asked, present: Present, terms: Terms) -> Ints | None:
        """Return the role of each slot that endpoint ``index`` should have, NONE where it is not needed, shape n; None if none can."""
        apart = self._pools(index, endpoint, self._roles(index, endpoint, asked, terms), asked, terms)
        whole = self._whole(index, endpoint, asked, terms) if terms.given is None else apart
        there = slots_gpus(endpoint)
        pools = whole if self._together(index, apart, whole, int(min(there, max(terms.most_gpus, 1.0))), terms) else apart
        laid = self._lay(index, endpoint, pools, present, terms)
        if laid is None and terms.given is None:
            pools = whole
            laid = self._lay(index, endpoint, pools, present, terms)
        self.capacity[index] = 0.0
        for pool in pools:
            count = 0 if laid is None else int((laid == pool.role).sum())
            self.capacity[index, pool.role], self.width[index, pool.role] = pool.carries(count) / max(count, 1), pool.width
        return laid

    def forget(self) -> None:
        """Forget for which loads pools are kept: those that were only expected."""
        self.kept[:], self.needed_s[:], self.asked_gpus[:] = 0.0, 0.0, 0.0

    def _roles(self, index: int, endpoint: Endpoint, asked: Asked, terms: Terms) -> tuple[int, ...]:
        if terms.given is not None:
            return tuple(int(role) for role in np.unique(terms.given[endpoint.usable]))
        images = endpoint.reads_images and (asked.load(IMAGE) > 0.0 or self.kept[index, IMAGE] > 0.0)
        return roles_of(images, self._knobs.split_decode)

    def _pools(self, index: int, endpoint: Endpoint, roles: Sequence[int], asked: Asked, terms: Terms) -> list[Pool]:
        """Return the pools of these roles with what is kept of them; none where one has no slots."""
        # A width is kept while the stages lie as they do.
        alike = terms.given is not None or (len(roles) == 1) == (self.mode[index] == TOGETHER)
        before = {role: int(self.width[index, role]) if alike else 0 for role in roles}
        pools = pools_of(endpoint, roles, asked, self._knobs, before, terms.given, terms.fill)
        if len(pools) < len(roles) and terms.given is None:
            return []
        pools = [replace(pool, held=self._keep((index, pool.role), pool.need, terms.t_s)) for pool in pools]
        return pools if terms.fill or terms.given is not None else _one_reserve(pools, self._knobs.headroom_share)

    def _whole(self, index: int, endpoint: Endpoint, asked: Asked, terms: Terms) -> list[Pool]:
        """Return the pool of whole instances; they are kept for the images that image instances would be kept for."""
        need = asked.load(WHOLE) * (1.0 + self._knobs.headroom_share)
        held = self._keep((index, WHOLE), need, terms.t_s)
        per_s = asked.per_s.copy()
        if held > 0.0 and not terms.fill:
            per_s[TILES] = self.kept[index, IMAGE] / (1.0 + self._knobs.headroom_share) * need / held
        return self._pools(index, endpoint, (WHOLE,), replace(asked, per_s=per_s), terms)

    def _together(self, index: int, apart: list[Pool], whole: list[Pool], gpus: int, terms: Terms) -> bool:
        """Return whether whole instances serve all stages: by the same profile they need no more GPUs, or carry more on all of them.

        Stages part only for a clear gain.
        """
        if terms.given is not None or not whole or not self._knobs.whole_where_fewer:
            return not apart
        if len(apart) < 2:
            return True
        in_time = all(pool.fits for pool in apart)
        if in_time != whole[0].fits:
            return not in_time
        gain = _gain(apart, whole, gpus, terms.fill)
        return gain < (1.0 + self._knobs.hysteresis_share if self.mode[index] == TOGETHER else 1.0)

    def _keep(self, at: tuple[int, int], need: float, t_s: float) -> float:
        """Return the load that a pool is kept for: it grows at once and falls when it was not needed for the cool-down."""
        knobs = self._knobs
        if need >= self.kept[at] * (1.0 - knobs.hysteresis_share):
            self.needed_s[at] = t_s
        if need >= self.kept[at] or t_s - self.needed_s[at] >= knobs.cool_down_s:
            self.kept[at] = need
        return float(self.kept[at])

    def _lay(self, index: int, endpoint: Endpoint, pools: list[Pool], present: Present, terms: Terms) -> Ints | None:
        if not pools:
            return None
        knobs, slots = self._knobs, endpoint.slots
        there = slots_gpus(endpoint)
        before = [int(((present.role == pool.role) & pool.able).sum()) for pool in pools]
        gpus = int(min(there, max(terms.most_gpus, 1.0)))
        counts = sized(pools, gpus, terms.fill, before, 0.5 * knobs.hysteresis_share)
        held = float(sum(pool.instances(pool.held) * pool.width for pool in pools))
        self.asked_gpus[index] = there if terms.fill else min(held, there)
        shared = self._shares(index, pools, counts, there, terms)
        self.mode[index] = TOGETHER if len(pools) == 1 else SHARED if shared else APART
        laid = place(slots, pools, counts, present, shared)
        if shared and laid is not None:
            packed = place(slots, pools, counts, present.without(), shared)
            if packed is not None and servers_used(slots, packed) < servers_used(slots, laid):
                return packed
        return laid

    def _shares(self, index: int, pools: list[Pool], counts: list[int], there: int, terms: Terms) -> bool:
        """Return whether the stages may share servers: the load is low; once they do, it must rise clearly before they part."""
        if len(pools) == 1 or terms.fill:
            return False
        limit = self._knobs.colocate_below_share * there * (1.0 + self._knobs.hysteresis_share * float(self.mode[index] == SHARED))
        return sum(pool.width * count for pool, count in zip(pools, counts, strict=True)) <= limit

    def snapshot(self) -> State:
        """Return what is remembered."""
        return {name: getattr(self, name).copy() for name in _ARRAYS}

    def restore(self, state: State) -> None:
        """Take back what was remembered."""
        for name in _ARRAYS:
            setattr(self, name, np.array(state[name]))


def slots_gpus(endpoint: Endpoint) -> int:
    """Return the GPUs of the slots that may be used."""
    return int(endpoint.slots.flags(endpoint.usable).sum())


def _one_reserve(pools: list[Pool], headroom_share: float) -> list[Pool]:
    """Return pools that keep one reserve between them, if all have one width, so that an instance can change its stage.

    It is the largest that any of them would keep, and lies with the images, whose bursts are the sharpest; text borrows it.
    """
    images = [pool for pool in pools if pool.role == IMAGE]
    if not images or len({pool.width for pool in pools}) > 1:
        return pools

    def spare(pool: Pool, load: float) -> int:
        return pool.instances(load) - pool.instances(load / (1.0 + headroom_share))

    need, held = max(spare(pool, pool.need) for pool in pools), max(spare(pool, pool.held) for pool in pools)

    def own(pool: Pool, load: float, extra: int) -> float:
        bare = load / (1.0 + headroom_share)
        return max(load, pool.carries(pool.instances(bare) + extra)) if pool.role == IMAGE and extra else bare

    return [replace(pool, need=own(pool, pool.need, need), held=own(pool, pool.held, held)) for pool in pools]


def _gain(apart: Sequence[Pool], whole: Sequence[Pool], gpus: int, fill: bool) -> float:
    """Return how many times the GPUs of separate pools whole instances need; where all are used, the reciprocal of what they carry."""
    needed = [gpus_of(pools, [pool.instances(pool.held) for pool in pools]) for pools in (apart, whole)]
    if not fill and max(needed) <= gpus:
        return needed[1] / needed[0]
    carried = [times_carried(pools, sized(pools, gpus, True, [0] * len(pools), 0.0)) for pools in (apart, whole)]
    return carried[0] / max(carried[1], 1e-12)

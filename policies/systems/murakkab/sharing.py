"""Pools of instances over all workflows, and what each leaves to others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from policies.baselines.instances import needed
from policies.systems.murakkab.asking import Asked, sized_per_h
from policies.systems.murakkab.candidates import Candidate
from policies.systems.murakkab.ways import Ground, Shared, Way


@dataclass(frozen=True, slots=True)
class Pooled:
    """A pool on GPUs or cores over all workflows: how many instances, how many are busy, and by workflow how many of these."""

    way: Way
    instances: int
    busy: Mapping[str, float]

    @property
    def gpus(self) -> int:
        """GPUs of all its instances."""
        return self.instances * self.way.profile.gpus


class Site:
    """All that there is for workflows together, and the pools that plans of several of them need on it."""

    def __init__(self, ground: Ground, asked: Sequence[Asked], utilisation_share: float, *, shared: bool) -> None:
        self.ground, self._full, self._shared = ground, utilisation_share, shared
        self._filled = {each.demanded.workflow: each.work.utilisation_share for each in asked}
        # The rate itself over the one on the grid.
        self._scale = {
            each.demanded.workflow: sized_per_h(each.demanded, each.objective) / each.work.sized_per_h if each.work.sized_per_h else 1.0
            for each in asked
        }

    def key(self, workflow: str, pool: str) -> str:
        """Return which pool a workflow's way stands in: one for all, or one of its own where nothing is shared."""
        return pool if self._shared else f"{workflow}/{pool}"

    def pools(self, found: Mapping[str, Candidate]) -> dict[str, Pooled]:
        """Return the pools that plans need together, each as large as the load of all and the most that one asks for at once."""
        users: dict[str, list[tuple[str, Way]]] = {}
        for name, candidate in found.items():
            for way in candidate.ways:
                if way.pool:
                    users.setdefault(self.key(name, way.pool), []).append((name, way))
        return {pool: self._pooled(mine) for pool, mine in users.items()}

    def _pooled(self, mine: Sequence[tuple[str, Way]]) -> Pooled:
        busy: dict[str, float] = {}
        for name, way in mine:
            busy[name] = busy.get(name, 0.0) + way.busy * self._scale[name]
        count = max(needed(sum(busy.values()), min(self._filled[name] for name in busy)), *(way.burst for _, way in mine))
        return Pooled(mine[0][1], count, busy)

    def left(self, others: Mapping[str, Candidate], *, share: bool) -> Ground:
        """Return what others leave, and with ``share`` the warm instances that may be used with them."""
        pools, ground = self.pools(others), self.ground
        taken, spot = ({kind: _gpus(pools, kind, on_spot) for kind, _ in ground.gpus} for on_spot in (False, True))
        cores, harvest = (_cores(pools, on_spot) / self._full for on_spot in (False, True))
        warm = {way.pool for found in others.values() if found.plan.hold for way in found.ways}
        there = [Shared(pool, each.instances, sum(each.busy.values())) for pool, each in pools.items() if pool in warm and each.gpus]
        return replace(
            ground,
            gpus=tuple((kind, max(count - taken[kind], 0)) for kind, count in ground.gpus),
            gpus_in_all=max(ground.gpus_in_all - sum(taken.values()), 0),
            spot_gpus=tuple((kind, max(count - spot.get(kind, 0), 0)) for kind, count in ground.spot_gpus),
            cores=max(ground.cores - cores, 0.0),
            harvest_cores=max(ground.harvest_cores - harvest, 0.0),
            shared=tuple(there) if share else (),
        )

    def fits(self, found: Mapping[str, Candidate]) -> bool:
        """Return whether there is room for plans together."""
        pools, ground, full = self.pools(found), self.ground, self._full
        by_kind = all(_gpus(pools, kind, False) <= count for kind, count in ground.gpus)
        on_spot = all(_gpus(pools, kind, True) <= count for kind, count in ground.spot_gpus)
        in_all = sum(_gpus(pools, kind, False) for kind, _ in ground.gpus) <= ground.gpus_in_all
        on_cores = _cores(pools, False) <= full * ground.cores and _cores(pools, True) <= full * ground.harvest_cores
        return by_kind and on_spot and in_all and on_cores


def _gpus(pools: Mapping[str, Pooled], kind: str, spot: bool) -> int:
    return sum(each.gpus for each in pools.values() if each.way.profile.hardware == kind and each.way.choice.spot == spot)


def _cores(pools: Mapping[str, Pooled], spot: bool) -> float:
    on_cores = [each for each in pools.values() if not each.gpus and each.way.choice.spot == spot]
    return sum(sum(each.busy.values()) * each.way.profile.cores for each in on_cores)


def part_of(name: str, pooled: Pooled) -> float:
    """Return a workflow's part of a pool: by how busy it keeps it, evenly where nobody is expected."""
    whole = sum(pooled.busy.values())
    return pooled.busy[name] / whole if whole > 0.0 else 1.0 / len(pooled.busy)

"""Who does each stage, as a mixed-integer program that HiGHS solves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from policies.baselines.instances import needed
from policies.systems.murakkab.ways import Ground, Way, Work

Floats = NDArray[np.float64]
Aim = Literal["cost_usd", "energy_j", "makespan_s", "gpus"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a solution must keep; ``held_s`` is for how long a job pays for what is held for it."""

    makespan_s: float = float("inf")
    energy_j: float = float("inf")
    cost_usd: float = float("inf")
    gpus: float = float("inf")
    quality_share: float = 0.0
    held_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Solution:
    """A way for each stage, how many instances each pool has on GPUs, and the makespan as the program sees it."""

    ways: tuple[Way, ...]
    instances: Mapping[str, int]
    makespan_s: float


class Program:
    """The choice of ways for one workflow: one way a stage, pools large enough, GPUs and cores enough, times along the graph.

    Columns: whether each way is taken (W), instances of each pool on GPUs (K), those of them beyond what others hold (K), when the first
    and the last item of each stage are done (2 S), the makespan. ``cold`` starts what is not held by others when a job comes.
    A stage's last item is not done before the last one of the stage before it and its own time, nor before the first one and all work.
    """

    def __init__(self, work: Work, ground: Ground, ways: Sequence[Way], *, cold: bool) -> None:
        self.ways = tuple(ways)
        self.pools = tuple(dict.fromkeys(way.pool for way in ways if way.profile.gpus))
        self._work, self._ground, self._cold = work, ground, cold
        self._shared = {each.pool: each for each in ground.shared}
        stages = len(work.graph.stages)
        self._n0, self._e0 = len(self.ways), len(self.ways) + len(self.pools)
        self._f0 = self._e0 + len(self.pools)
        self._l0 = self._f0 + stages
        self._m = self._l0 + stages
        self._one = {way.pool: way for way in ways}
        self._rows: list[tuple[Floats, float, float]] = []
        self._build()
        self._kept = tuple(np.array(each) for each in zip(*self._rows, strict=True))

    @property
    def able(self) -> bool:
        """Whether each stage has a way at all."""
        return {way.stage for way in self.ways} == set(range(len(self._work.graph.stages)))

    # -- rows ---------------------------------------------------------------------

    def _row(self, low: float = 0.0, high: float = np.inf) -> Floats:
        row = np.zeros(self._m + 1)
        self._rows.append((row, low, high))
        return row

    def _build(self) -> None:
        for stage in range(len(self._work.graph.stages)):
            row = self._row(1.0, 1.0)
            row[[index for index, way in enumerate(self.ways) if way.stage == stage]] = 1.0
        self._build_pools()
        begin = len(self._rows)
        self._build_room()
        self._room = slice(begin, len(self._rows))
        self._build_times()

    def _build_pools(self) -> None:
        full = self._work.utilisation_share
        for number, pool in enumerate(self.pools):
            mine = [(index, way) for index, way in enumerate(self.ways) if way.pool == pool]
            others = self._shared.get(pool)
            load = self._row(others.busy if others else 0.0)
            load[self._n0 + number] = full
            for index, way in mine:
                load[index] = -way.busy
                row = self._row()
                row[self._n0 + number], row[index] = 1.0, -float(way.burst)
            extra = self._row(-float(others.instances if others else 0))
            extra[self._e0 + number], extra[self._n0 + number] = 1.0, -1.0

    def _build_room(self) -> None:
        ground = self._ground
        for counts, spot in ((ground.gpus, False), (ground.spot_gpus, True)):
            whole = self._row(high=float(ground.gpus_in_all)) if not spot else None
            for kind, count in counts:
                row = self._row(high=float(count))
                for number, pool in enumerate(self.pools):
                    way = self._one[pool]
                    if way.choice.spot == spot and way.profile.hardware == kind:
                        row[self._e0 + number] = way.profile.gpus
                        if whole is not None:
                            whole[self._e0 + number] = way.profile.gpus
        full = self._work.utilisation_share
        for cores, spot in ((ground.cores, False), (ground.harvest_cores, True)):
            row = self._row(-np.inf, full * cores)
            for index, way in enumerate(self.ways):
                if not way.profile.gpus and way.pool and way.choice.spot == spot:
                    row[index] = way.busy * way.profile.cores

    def _build_times(self) -> None:
        graph = self._work.graph
        number = {stage.id: index for index, stage in enumerate(graph.stages)}
        for index, stage in enumerate(graph.stages):
            first, last = self._f0 + index, self._l0 + index
            for name in stage.after:
                before = number[name]
                flows = stage.per == "item" and graph.stages[before].per == "item"
                came = (self._f0 if flows else self._l0) + before
                self._after(index, first, came, "first_s")
                self._after(index, last, came, "work_s")
                # The last item comes when the stage before has done it.
                self._after(index, last, self._l0 + before, "item_s")
            self._after(index, first, None, "first_s")
            self._after(index, last, None, "work_s")
            row = self._row()
            row[self._m], row[last] = 1.0, -1.0

    def _after(self, stage: int, done: int, came: int | None, what: str) -> None:
        """Say that something of a stage is done not before it came and the time of the way that is taken."""
        row = self._row()
        row[done] = 1.0
        if came is not None:
            row[came] = -1.0
        for index, way in enumerate(self.ways):
            if way.stage == stage:
                took_s = way.profile.item_s if what == "item_s" and way.pool else getattr(way, "first_s" if what == "item_s" else what)
                # What comes from others is handed on; a cold instance first starts, whatever has come.
                row[index] = -(took_s + (way.transfer_s if came is not None else self._start_s(way)))

    def _start_s(self, way: Way) -> float:
        warm = not self._cold or not way.profile.gpus or way.pool in self._shared
        return 0.0 if warm else way.profile.start_s

    # -- ways that are given ---------------------------------------------------------

    def instances_of(self, taken: Sequence[Way]) -> dict[str, int]:
        """Return how many instances each pool on GPUs needs for ways that are taken: what they ask for at once, and for the load."""
        counts: dict[str, int] = {}
        for pool in dict.fromkeys(way.pool for way in taken if way.profile.gpus):
            mine = [way for way in taken if way.pool == pool]
            others = self._shared.get(pool)
            load = sum(way.busy for way in mine) + (others.busy if others else 0.0)
            counts[pool] = max(needed(load, self._work.utilisation_share), *(way.burst for way in mine))
        return counts

    def fits(self, instances: Mapping[str, int], taken: Sequence[Way]) -> bool:
        """Return whether there is room for so many instances, and cores for the load."""
        used = np.zeros(self._m + 1)
        used[[self.ways.index(way) for way in taken]] = 1.0
        for pool, count in instances.items():
            there = self._shared[pool].instances if pool in self._shared else 0
            used[self._n0 + self.pools.index(pool)] = count
            used[self._e0 + self.pools.index(pool)] = max(count - there, 0)
        return all(low - 1e-9 <= float(row @ used) <= high + 1e-9 for row, low, high in self._rows[self._room])

    # -- solving ------------------------------------------------------------------

    def expression(self, aim: Aim, held_s: float) -> Floats:
        """Return an aim over the columns."""
        row = np.zeros(self._m + 1)
        if aim == "makespan_s":
            row[self._m] = 1.0
            return row
        for number, pool in enumerate(self.pools):
            way = self._one[pool]
            held = {"cost_usd": way.held_usd_per_h * held_s / 3600.0, "energy_j": way.held_w * held_s, "gpus": float(way.profile.gpus)}
            row[self._e0 + number] = held[aim]
        if aim != "gpus":
            row[: len(self.ways)] = [way.worked_usd if aim == "cost_usd" else way.worked_j for way in self.ways]
        return row

    def solve(self, aim: Aim, bounds: Bounds) -> Solution | None:
        """Return the best choice within the bounds, None where there is none; of equals the cheaper and faster one."""
        from scipy.optimize import Bounds as Box
        from scipy.optimize import LinearConstraint, milp

        if not self.able:
            return None
        rows, low, high = self._kept
        limited: tuple[Aim, ...] = ("cost_usd", "energy_j", "gpus")
        more = [(self.expression(name, bounds.held_s), getattr(bounds, name)) for name in limited]
        kept = [(row, bound) for row, bound in more if np.isfinite(bound)]
        constraints = [LinearConstraint(rows, low, high)]
        if kept:
            constraints.append(LinearConstraint(np.array([row for row, _ in kept]), -np.inf, np.array([bound for _, bound in kept])))
        upper = np.full(self._m + 1, np.inf)
        upper[: len(self.ways)] = [float(way.quality_share >= bounds.quality_share - 1e-9) for way in self.ways]
        upper[self._m] = bounds.makespan_s
        whole = np.zeros(self._m + 1)
        whole[: self._e0] = 1
        found = milp(
            self._graded(aim, bounds.held_s),
            integrality=whole,
            bounds=Box(0.0, upper),
            constraints=constraints,
            options={"mip_rel_gap": 1e-6, "time_limit": 10.0},
        )
        return None if found.x is None else self._read(found.x)

    def _graded(self, aim: Aim, held_s: float) -> Floats:
        """Return the aim with a little of what else counts, so that of equals one is the best."""
        wanted = self.expression(aim, held_s)
        scale = float(np.abs(wanted).max()) or 1.0
        graded = wanted / scale
        others: tuple[Aim, ...] = ("cost_usd", "makespan_s")
        for share, other in zip((1e-5, 1e-6), [each for each in others if each != aim], strict=False):
            row = self.expression(other, held_s)
            graded = graded + share * row / (float(np.abs(row).max()) or 1.0)
        return np.asarray(graded)

    def _read(self, x: Floats) -> Solution:
        taken = tuple(self.ways[index] for index in np.flatnonzero(x[: len(self.ways)] > 0.5))
        used = {way.pool for way in taken}
        counts = {pool: round(float(x[self._n0 + number])) for number, pool in enumerate(self.pools) if pool in used}
        return Solution(tuple(sorted(taken, key=lambda way: way.stage)), counts, self.makespan_s(taken))

    def makespan_s(self, taken: Sequence[Way]) -> float:
        """Return the makespan of ways as the rows say it, each time as early as can be."""
        graph, by_stage = self._work.graph, {way.stage: way for way in taken}
        number = {stage.id: index for index, stage in enumerate(graph.stages)}
        first, last = np.zeros(len(graph.stages)), np.zeros(len(graph.stages))
        for index, stage in enumerate(graph.stages):
            way = by_stage[index]
            start_s = self._start_s(way)
            first[index], last[index] = start_s + way.first_s, start_s + way.work_s
            for before in (number[name] for name in stage.after):
                flows = stage.per == "item" and graph.stages[before].per == "item"
                came = (first if flows else last)[before] + way.transfer_s
                first[index] = max(first[index], came + way.first_s)
                one_s = way.profile.item_s if way.pool else way.first_s
                last[index] = max(last[index], came + way.work_s, last[before] + way.transfer_s + one_s)
        return float(last.max())

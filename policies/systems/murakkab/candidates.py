"""Plans of one workflow that may be chosen, each with what a job comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from policies.systems.murakkab.program import Aim, Bounds, Program, Solution
from policies.systems.murakkab.ways import HOUR_S, Ground, Way, Work, ways
from twin.workflows.levers import Choice, Plan
from twin.workflows.library import terms
from twin.workflows.predicting import Predicted, predict

Objective = Literal["MIN_COST", "MIN_LATENCY", "MIN_ENERGY", "MAX_QUALITY"]
AIMS: Final[Mapping[str, Aim]] = {
    "MIN_COST": "cost_usd",
    "MIN_LATENCY": "makespan_s",
    "MIN_ENERGY": "energy_j",
    "MAX_QUALITY": "cost_usd",
}
_ROUNDING: Final = 1e-6
_TIGHTENED: Final = 4
_SERVER_GPUS: Final = 8


@dataclass(frozen=True, slots=True)
class Figures:
    """What one job comes to under a plan, and what the plan holds."""

    makespan_s: float
    energy_j: float
    cost_usd: float
    gpus: float
    cores: float
    quality_share: float

    def misses(self, bounds: Bounds) -> dict[str, float]:
        """Return the limits that are missed, each with its bound."""
        over = {
            name: getattr(bounds, name)
            for name in ("makespan_s", "energy_j", "cost_usd", "gpus")
            if getattr(self, name) > getattr(bounds, name) * (1.0 + _ROUNDING)
        }
        if self.quality_share < bounds.quality_share - _ROUNDING:
            over["quality_share"] = bounds.quality_share
        return over

    def told(self) -> dict[str, float]:
        """Return them by name."""
        return {name: float(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A plan with its figures, the ways that it takes, how many instances each pool on GPUs has, and the job alone on warm ones.

    ``alone`` is what it comes to without starts and without what is held between jobs.
    """

    plan: Plan
    figures: Figures
    ways: tuple[Way, ...]
    instances: Mapping[str, int]
    alone: Predicted
    worked_j: float
    worked_usd: float


class Search:
    """Looks for plans of one workflow on a ground: warm ones that hold their instances, cold ones that start them for each job."""

    def __init__(self, work: Work, ground: Ground) -> None:
        self.work, self.ground = work, ground
        found = ways(work, ground, terms())
        self.warm = Program(work, ground, found, cold=False)
        self.cold = Program(work, ground, found, cold=True)
        self.gap_s = HOUR_S / work.rate_per_h
        self.looked = 0
        self._known: dict[tuple[tuple[Way, ...], tuple[tuple[str, int], ...], bool], Candidate] = {}

    @property
    def missing(self) -> str:
        """Return the first stage that nobody here can do, empty where there is none."""
        there = {way.stage for way in self.warm.ways}
        return next((stage.id for index, stage in enumerate(self.work.graph.stages) if index not in there), "")

    @property
    def qualities(self) -> list[float]:
        """Return the qualities that the weakest stage can have, the best first."""
        best = [max((way.quality_share for way in self.warm.ways if way.stage == stage), default=0.0) for stage in self._stages]
        ceiling = min(best, default=0.0)
        return sorted({way.quality_share for way in self.warm.ways if way.quality_share < ceiling} | {ceiling}, reverse=True)

    @property
    def _stages(self) -> range:
        return range(len(self.work.graph.stages))

    def warm_one(self, aim: Aim, bounds: Bounds) -> Candidate | None:
        """Return the best plan that holds its instances between jobs and keeps the bounds."""
        return self._kept(self.warm, aim, replace(bounds, held_s=self.gap_s), bounds, hold=True)

    def warm_ones(self, aim: Aim, bounds: Bounds, points: int) -> list[Candidate]:
        """Return plans that hold their instances: the fastest, the best, and the best at some makespans between these."""
        ends = [self.warm_one("makespan_s", bounds), self.warm_one(aim, bounds)]
        if ends[0] is None or ends[1] is None:
            return []
        ends[0] = self.polished(ends[0], "MIN_LATENCY", bounds)
        low, high = (each.figures.makespan_s for each in ends if each is not None)
        grid = [low * (high / low) ** (step / (points - 1)) for step in range(1, points - 1)] if high > low * (1.0 + _ROUNDING) else []
        between = [self.warm_one(aim, replace(bounds, makespan_s=min(at_s, bounds.makespan_s))) for at_s in grid]
        return list(dict.fromkeys(each for each in (*ends, *between) if each is not None))

    def cold_ones(self, aim: Aim, bounds: Bounds, points: int) -> list[Candidate]:
        """Return plans that start their instances for each job: the best at each of so many makespans, as it pays for just that long."""
        fastest = self.cold.solve("makespan_s", replace(bounds, held_s=0.0))
        if fastest is None:
            return []
        # Without anything to pay for holding, the slowest that is worth looking at.
        slowest = self.cold.solve(aim, replace(bounds, held_s=fastest.makespan_s))
        low, high = fastest.makespan_s, max((slowest or fastest).makespan_s, fastest.makespan_s)
        grid = dict.fromkeys(low * (high / low) ** (step / (points - 1)) for step in range(points))
        found = []
        for at_s in grid:
            at = replace(bounds, makespan_s=min(at_s * (1.0 + _ROUNDING), bounds.makespan_s), held_s=min(at_s, self.gap_s))
            found.append(self._kept(self.cold, aim, at, bounds, hold=False))
        return list(dict.fromkeys(each for each in found if each is not None))

    def _kept(self, program: Program, aim: Aim, at: Bounds, bounds: Bounds, *, hold: bool) -> Candidate | None:
        """Return the best plan that keeps the bounds event by event, too: the program is tightened where it was too hopeful."""
        for _ in range(_TIGHTENED):
            solution = program.solve(aim, at)
            if solution is None:
                return None
            found = self.candidate(solution, hold=hold)
            missed = found.figures.misses(bounds)
            if not missed:
                return found
            tighter = {
                name: min(getattr(at, name), bound * max(0.5, bound / getattr(found.figures, name)))
                for name, bound in missed.items()
                if name in {"makespan_s", "energy_j", "cost_usd"}
            }
            if not tighter:
                return None
            at = replace(at, **{name: value * 0.999 for name, value in tighter.items()})
        return None

    def candidate(self, solution: Solution, *, hold: bool) -> Candidate:
        """Return a solution as a plan, with what a job alone comes to event by event."""
        key = (solution.ways, tuple(sorted(solution.instances.items())), hold)
        if key not in self._known:
            self.looked += 1
            self._known[key] = self._made(solution, hold)
        return self._known[key]

    def _made(self, solution: Solution, hold: bool) -> Candidate:
        names = self.work.graph.ids
        plan = Plan({names[way.stage]: _sized(way, solution.instances) for way in solution.ways}, hold=hold)
        alone = _alone(plan, solution, self.work, self.ground)
        held_w, held_usd_per_h = held(solution.ways, solution.instances)
        worked_j = alone.energy_j - held_w * alone.makespan_s
        worked_usd = alone.cost_usd - held_usd_per_h * alone.makespan_s / HOUR_S
        figures = self._figures(solution, alone, (worked_j, worked_usd), hold)
        plan = replace(plan, predicted=figures.told())
        return Candidate(plan, figures, solution.ways, solution.instances, alone, worked_j, worked_usd)

    def _figures(self, solution: Solution, alone: Predicted, worked: tuple[float, float], hold: bool) -> Figures:
        """Return what a job comes to with what is held for it between jobs, or while its instances start and it runs."""
        others = {each.pool: each.instances for each in self.ground.shared}
        start_s = max((way.profile.start_s for way in solution.ways if way.profile.gpus and way.pool not in others), default=0.0)
        makespan_s = max(alone.makespan_s + (0.0 if hold else start_s), solution.makespan_s)
        held_s = self.gap_s if hold else min(makespan_s, self.gap_s)
        extra = {pool: max(count - others.get(pool, 0), 0) for pool, count in solution.instances.items()}
        paid_w, paid_usd_per_h = held(solution.ways, extra)
        return Figures(
            makespan_s=makespan_s,
            energy_j=worked[0] + paid_w * held_s,
            cost_usd=worked[1] + paid_usd_per_h * held_s / HOUR_S,
            gpus=float(gpus_of(solution.ways, solution.instances)),
            cores=float(alone.cores),
            quality_share=min(way.quality_share for way in solution.ways),
        )

    def polished(self, found: Candidate, objective: str, bounds: Bounds) -> Candidate:
        """Return a plan that no change of one stage betters, event by event: the program sees batches that fill up as full at once."""
        while True:
            near = [self.staffed(each, hold=found.plan.hold) for each in self._neighbours(found)]
            able = [each for each in near if each is not None and not each.figures.misses(bounds)]
            better = best([found, *able], objective)
            if better is None or better is found or not _clearly(better, found, objective):
                return found
            found = better

    def _neighbours(self, found: Candidate) -> list[tuple[Way, ...]]:
        mine = found.ways
        return [(*mine[: way.stage], way, *mine[way.stage + 1 :]) for way in self.warm.ways if way != mine[way.stage]]

    def staffed(self, taken: tuple[Way, ...], *, hold: bool) -> Candidate | None:
        """Return ways as a plan with pools as large as they need; None where there is no room for them."""
        instances = self.warm.instances_of(taken)
        if not self.warm.fits(instances, taken):
            return None
        program = self.warm if hold else self.cold
        return self.candidate(Solution(taken, instances, program.makespan_s(taken)), hold=hold)


def _clearly(better: Candidate, found: Candidate, objective: str) -> bool:
    """Return whether a plan is better by more than rounding, so that polishing ends."""
    if objective == "MAX_QUALITY" and better.figures.quality_share > found.figures.quality_share:
        return True
    aim = AIMS[objective]
    return float(getattr(better.figures, aim)) < float(getattr(found.figures, aim)) * (1.0 - 1e-4)


def _sized(way: Way, instances: Mapping[str, int]) -> Choice:
    return replace(way.choice, instances=max(instances.get(way.pool, 0), way.choice.instances if not way.profile.gpus else 1))


def _alone(plan: Plan, solution: Solution, work: Work, ground: Ground) -> Predicted:
    """Return what a job alone on warm instances comes to, event by event."""
    room = -(-(gpus_of(solution.ways, solution.instances) + _SERVER_GPUS) // _SERVER_GPUS) * _SERVER_GPUS
    cores = int(max(ground.cores, ground.harvest_cores, 1))
    return predict(work.graph, replace(plan, hold=True), work.library, work.items, room, cores, dict(ground.endpoint_s))


def held(taken: Sequence[Way], instances: Mapping[str, float]) -> tuple[float, float]:
    """Return what so many instances by pool draw at rest (W) and cost (USD/h)."""
    one = {way.pool: way for way in taken}
    found = [(count, one[pool]) for pool, count in instances.items()]
    return sum(count * way.held_w for count, way in found), sum(count * way.held_usd_per_h for count, way in found)


def gpus_of(taken: Sequence[Way], instances: Mapping[str, int]) -> int:
    """Return the GPUs of so many instances by pool."""
    one = {way.pool: way.profile.gpus for way in taken}
    return sum(count * one[pool] for pool, count in instances.items())


def best(found: Sequence[Candidate], objective: str) -> Candidate | None:
    """Return the best of candidates for an objective, of equals the cheaper and the faster."""

    def order(each: Candidate) -> tuple[float, ...]:
        figures = each.figures
        first = -figures.quality_share if objective == "MAX_QUALITY" else getattr(figures, AIMS[objective])
        return first, figures.cost_usd, figures.makespan_s, figures.energy_j

    return min(found, key=order, default=None)


@lru_cache(maxsize=4096)
def chosen(work: Work, ground: Ground, objective: str, bounds: Bounds, points: int) -> tuple[Candidate | None, int]:
    """Return the plan of a workflow that is best for its objective within its bounds, and how many were looked at."""
    search = Search(work, ground)
    if search.missing:
        return None, 0
    for level in search.qualities if objective == "MAX_QUALITY" else [bounds.quality_share]:
        at = replace(bounds, quality_share=max(level, bounds.quality_share))
        first = best(_within(search, objective, at, points), objective)
        if first is not None:
            return search.polished(first, objective, at), search.looked
    return None, search.looked


def _within(search: Search, objective: str, bounds: Bounds, points: int) -> list[Candidate]:
    aim = AIMS[objective]
    warm = search.warm_one(aim, bounds) if search.work.holds else None
    # Where jobs always overlap, instances never go; what is held is never slower than what starts.
    if not search.work.starts or (warm is not None and (objective == "MIN_LATENCY" or search.gap_s <= warm.figures.makespan_s)):
        return [] if warm is None else [warm]
    return ([] if warm is None else [warm]) + search.cold_ones(aim, bounds, points)

"""Plans of all workflows for one epoch, on instances that they share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, exp, floor, inf, log
from typing import Final

from policies.baselines.instances import needed
from policies.system import Surroundings
from policies.systems.murakkab import pins
from policies.systems.murakkab.candidates import Candidate, chosen, held
from policies.systems.murakkab.knobs import MurakkabKnobs
from policies.systems.murakkab.limits import bounds_of, fewest_gpus, refusal, words
from policies.systems.murakkab.program import Bounds
from policies.systems.murakkab.ways import HOUR_S, Ground, Shared, Way, Work
from twin.workflows.levers import Demanded, Plan, PlanAction, PlanObservation
from twin.workflows.library import terms

# Rates that differ by less are planned alike; pools are sized by the rate itself.
_GRID: Final = 0.05
_WISH: Final = {
    "MIN_COST": "costs the least",
    "MIN_LATENCY": "is the fastest",
    "MIN_ENERGY": "draws the least",
    "MAX_QUALITY": "is the best",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One workflow as it is planned: what is demanded, its work, its objective and bounds."""

    demanded: Demanded
    work: Work
    objective: str
    bounds: Bounds


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


def asked(demanded: Demanded, seen: PlanObservation, knobs: MurakkabKnobs, surroundings: Surroundings) -> Asked:
    """Return a workflow as it is planned in this epoch."""
    objective = demanded.constraint if knobs.objective == "declared" else knobs.objective
    bounds = bounds_of(demanded, knobs.targets, surroundings.clock, seen.t_s, seen.epoch_s)
    pressed = objective == "MIN_LATENCY" or bounds.makespan_s < inf
    pinned = pins.of(demanded.workflow, knobs.plan)
    kept = pinned.pop("*", None)
    fixed = tuple(pinned.values())
    if {pin.stage for pin in fixed} >= set(demanded.graph.ids):
        # A plan that is named is done, whatever it misses.
        bounds = Bounds()
    work = Work(
        graph=demanded.graph,
        items=max(round(demanded.items), 1),
        rate_per_h=_on_grid(max(demanded.rate_per_h, HOUR_S / seen.epoch_s), up=False),
        sized_per_h=_on_grid(sized_per_h(demanded, objective), up=True),
        utilisation_share=min(knobs.utilisation_share, terms().peak_utilisation_share) if pressed else knobs.utilisation_share,
        surplus=knobs.surplus and not pressed,
        library=seen.library,
        pins=fixed,
        holds=kept.executor == pins.HELD if kept is not None else demanded.rate_per_h > 0.0,
        starts=kept is None or kept.executor == pins.STARTED,
    )
    return Asked(demanded, work, objective, bounds)


def sized_per_h(demanded: Demanded, objective: str) -> float:
    """Return the rate that instances are sized for: who wants the fastest is sized for the busiest time."""
    peak = demanded.peak_rate_per_h if objective == "MIN_LATENCY" else 0.0
    return max(demanded.rate_per_h, peak)


def _on_grid(rate: float, *, up: bool) -> float:
    if rate <= 0.0:
        return 0.0
    step = log(rate) / log(1.0 + _GRID)
    return exp((ceil(step - 1e-6) if up else floor(step + 1e-6)) * log(1.0 + _GRID))


def site_of(seen: PlanObservation, knobs: MurakkabKnobs) -> Ground:
    """Return what there is for all workflows together."""
    there = seen.available
    kinds = sorted({profile.hardware for executor in seen.library for profile in executor.profiles if profile.gpus})
    gpus = there.gpus_of or dict.fromkeys(kinds, there.gpus)
    spot = there.spot_gpus_of or dict.fromkeys(kinds, there.spot_gpus)
    # What is planned beyond the GPUs held must fit under the rows' budgets, too.
    drawn_w = max((each.active_w + each.idle_w for executor in seen.library for each in executor.profiles if each.gpus), default=0.0)
    powered = inf if drawn_w <= 0.0 else there.power_room_w / drawn_w
    return Ground(
        gpus=tuple(sorted(gpus.items())),
        gpus_in_all=there.gpus,
        spot_gpus=tuple((kind, int(min(count * knobs.surplus_share, powered))) for kind, count in sorted(spot.items())),
        cores=float(there.cores),
        harvest_cores=float(int(there.harvest_cores * knobs.surplus_share)),
        endpoint_s=tuple(sorted((name, took_s) for name, took_s in there.endpoint_s.items() if took_s == took_s)),
    )


class Epoch:
    """Plans workflows one after the other: each alone first; where that is too much for the site, within what others leave it.

    Then each once more beside the others, whose warm instances it may share.
    """

    def __init__(self, seen: PlanObservation, knobs: MurakkabKnobs, surroundings: Surroundings) -> None:
        self._seen, self._knobs = seen, knobs
        self._asked = [asked(each, seen, knobs, surroundings) for each in seen.demanded]
        self._site = site_of(seen, knobs)
        self._found: dict[str, Candidate] = {}
        self._refused: dict[str, str] = {}
        self._looked: dict[str, int] = {}

    def planned(self) -> PlanAction:
        """Return a plan for each workflow, or why there is none."""
        for each in self._asked:
            self._choose(each, self._site)
        if not self._fits():
            self._one_by_one()
        if len(self._found) > 1 and self._seen.shared:
            self._side_by_side()
        pools = self.pools(self._found)
        plans = {each.demanded.workflow: self._plan(each, pools) for each in self._asked if each.demanded.workflow in self._found}
        return PlanAction(plans, self._refused, self._upcoming(pools))

    # -- choosing -----------------------------------------------------------------

    def _choose(self, each: Asked, ground: Ground) -> None:
        name = each.demanded.workflow
        found, looked = chosen(each.work, ground, each.objective, each.bounds, self._knobs.front_points)
        self._looked[name] = looked
        self._found.pop(name, None)
        self._refused.pop(name, None)
        if found is None:
            self._refused[name] = refusal(each.work, ground, each.bounds, self._knobs.front_points)
        else:
            self._found[name] = found

    def _one_by_one(self) -> None:
        """Plan within what those before have taken and those after need at least."""
        least = {
            each.demanded.workflow: fewest_gpus(each.work, self._site, each.bounds)
            for each in self._asked
            if each.demanded.workflow in self._found
        }
        taken: dict[str, Candidate] = {}
        for number, each in enumerate(self._asked):
            name = each.demanded.workflow
            if name not in self._found:
                continue
            after = {later.demanded.workflow for later in self._asked[number + 1 :]}
            needed_later = {other: found for other, found in least.items() if other in after and found is not None}
            self._choose(each, self._left({**taken, **needed_later}, share=False))
            if name not in self._found:
                # Those after give way: the order of the scenario counts.
                self._choose(each, self._left(taken, share=False))
            if name in self._found:
                taken[name] = self._found[name]

    def _side_by_side(self) -> None:
        for each in self._asked:
            name = each.demanded.workflow
            if name not in self._found:
                continue
            others = {other: found for other, found in self._found.items() if other != name}
            before = self._found[name]
            candidates = {way.pool for way in before.ways} | {executor.model for executor in each.work.library if executor.model}
            if not any(pool in candidates or pool.partition("@")[0] in candidates for pool in self.pools(others)):
                continue
            self._choose(each, self._left(others, share=True))
            if name not in self._found:
                self._found[name] = before
                self._refused.pop(name, None)

    # -- pools --------------------------------------------------------------------

    def pools(self, found: Mapping[str, Candidate]) -> dict[str, Pooled]:
        """Return the pools that candidates need together, each as large as the load of all and the most that one asks for at once."""
        full = {each.demanded.workflow: each.work.utilisation_share for each in self._asked}
        scale = {each.demanded.workflow: self._scale(each) for each in self._asked}
        users: dict[str, list[tuple[str, Way]]] = {}
        for name, candidate in found.items():
            for way in candidate.ways:
                if way.pool:
                    users.setdefault(way.pool if self._seen.shared else f"{name}/{way.pool}", []).append((name, way))
        pooled = {}
        for pool, mine in users.items():
            busy: dict[str, float] = {}
            for name, way in mine:
                busy[name] = busy.get(name, 0.0) + way.busy * scale[name]
            count = max(needed(sum(busy.values()), min(full[name] for name in busy)), *(way.burst for _, way in mine))
            pooled[pool] = Pooled(mine[0][1], count, busy)
        return pooled

    @staticmethod
    def _scale(each: Asked) -> float:
        """Return the rate itself over the one on the grid."""
        return sized_per_h(each.demanded, each.objective) / each.work.sized_per_h if each.work.sized_per_h else 1.0

    def _left(self, others: Mapping[str, Candidate], *, share: bool) -> Ground:
        """Return what others leave, and with ``share`` the warm instances that may be used with them."""
        pools = self.pools(others)
        site = self._site
        taken, spot = ({kind: _gpus(pools, kind, on_spot) for kind, _ in site.gpus} for on_spot in (False, True))
        cores, harvest = (_cores(pools, on_spot) for on_spot in (False, True))
        warm = {way.pool for found in others.values() if found.plan.hold for way in found.ways}
        shared = [Shared(pool, each.instances, sum(each.busy.values())) for pool, each in pools.items() if pool in warm and each.gpus]
        return replace(
            site,
            gpus=tuple((kind, max(count - taken[kind], 0)) for kind, count in site.gpus),
            gpus_in_all=max(site.gpus_in_all - sum(taken.values()), 0),
            spot_gpus=tuple((kind, max(count - spot.get(kind, 0), 0)) for kind, count in site.spot_gpus),
            cores=max(site.cores - cores / self._knobs.utilisation_share, 0.0),
            harvest_cores=max(site.harvest_cores - harvest / self._knobs.utilisation_share, 0.0),
            shared=tuple(shared) if share else (),
        )

    def _fits(self) -> bool:
        pools, site, full = self.pools(self._found), self._site, self._knobs.utilisation_share
        by_kind = all(_gpus(pools, kind, False) <= count for kind, count in site.gpus)
        on_spot = all(_gpus(pools, kind, True) <= count for kind, count in site.spot_gpus)
        in_all = sum(_gpus(pools, kind, False) for kind, _ in site.gpus) <= site.gpus_in_all
        return (
            by_kind
            and on_spot
            and in_all
            and _cores(pools, False) <= full * site.cores
            and _cores(pools, True) <= full * site.harvest_cores
        )

    # -- telling ------------------------------------------------------------------

    def _plan(self, each: Asked, pools: Mapping[str, Pooled]) -> Plan:
        name = each.demanded.workflow
        found = self._found[name]
        own = {way.pool: pools[way.pool if self._seen.shared else f"{name}/{way.pool}"] for way in found.ways if way.pool}
        stages = {
            each.work.graph.ids[way.stage]: replace(
                way.choice, instances=max(own[way.pool].instances, 1 if way.profile.gpus else way.choice.instances) if way.pool else 1
            )
            for way in found.ways
        }
        figures = self._figures(each, own)
        return replace(found.plan, stages=stages, predicted=figures, why=self._why(each, figures, own))

    def _figures(self, each: Asked, own: Mapping[str, Pooled]) -> dict[str, float]:
        """Return what a job comes to, with its part of what is held in pools that several share."""
        name = each.demanded.workflow
        found = self._found[name]
        gap_s = HOUR_S / max(each.demanded.rate_per_h, HOUR_S / self._seen.epoch_s)
        held_s = gap_s if found.plan.hold else min(found.figures.makespan_s, gap_s)
        part = {pool: pooled.instances * _part(name, pooled) for pool, pooled in own.items() if pooled.gpus}
        held_w, usd_per_h = held(found.ways, part)
        told = found.figures.told()
        told |= {"energy_j": found.worked_j + held_w * held_s, "cost_usd": found.worked_usd + usd_per_h * held_s / HOUR_S}
        return told | {"gpus": float(sum(pooled.gpus for pooled in own.values()))}

    def _why(self, each: Asked, figures: Mapping[str, float], own: Mapping[str, Pooled]) -> str:
        name, found = each.demanded.workflow, self._found[each.demanded.workflow]
        told = ", ".join(words(key, figures[key]) for key in ("makespan_s", "energy_j", "cost_usd"))
        together = sorted(pool for pool, pooled in own.items() if len(pooled.busy) > 1)
        shared = f"; {', '.join(together)} shared with {', '.join(_with(name, own, together))}" if together else ""
        surplus = "; on surplus in part" if any(way.choice.spot for way in found.ways) else ""
        kept = "held between jobs" if found.plan.hold else "started for each job"
        fixed = f", {len(each.work.pins)} stages pinned" if each.work.pins else ""
        return f"{_WISH[each.objective]} of {self._looked[name]} plans{fixed}: {told} a job; {kept}{shared}{surplus}"

    def _upcoming(self, pools: Mapping[str, Pooled]) -> dict[str, float]:
        """Return what the epoch will need on average: GPUs held, those on surplus, cores at work, and power of work above idle."""
        rates = {each.demanded.workflow: each.demanded.rate_per_h / HOUR_S for each in self._asked}
        under_way = {name: min(rates[name] * found.figures.makespan_s, 1.0) for name, found in self._found.items()}
        told = {"gpus": 0.0, "spot_gpus": 0.0, "cores": 0.0, "power_w": 0.0}
        for pooled in pools.values():
            stands = max(1.0 if self._found[name].plan.hold else under_way[name] for name in pooled.busy)
            if pooled.gpus:
                told["spot_gpus" if pooled.way.choice.spot else "gpus"] += pooled.gpus * stands
            else:
                told["cores"] += sum(pooled.busy.values()) * pooled.way.profile.cores
        told["power_w"] = sum(found.worked_j * rates[name] for name, found in self._found.items())
        return told


def _gpus(pools: Mapping[str, Pooled], kind: str, spot: bool) -> int:
    return sum(each.gpus for each in pools.values() if each.way.profile.hardware == kind and each.way.choice.spot == spot)


def _cores(pools: Mapping[str, Pooled], spot: bool) -> float:
    on_cores = [each for each in pools.values() if not each.gpus and each.way.choice.spot == spot]
    return sum(sum(each.busy.values()) * each.way.profile.cores for each in on_cores)


def _part(name: str, pooled: Pooled) -> float:
    """Return a workflow's part of a pool: by how busy it keeps it, evenly where nobody is expected."""
    whole = sum(pooled.busy.values())
    return pooled.busy[name] / whole if whole > 0.0 else 1.0 / len(pooled.busy)


def _with(name: str, own: Mapping[str, Pooled], together: Sequence[str]) -> list[str]:
    return sorted({other for pool in together for other in own[pool].busy} - {name})

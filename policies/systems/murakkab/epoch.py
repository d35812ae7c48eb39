"""Plans of all workflows for one epoch, on instances that they share."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from policies.system import Surroundings
from policies.systems.murakkab.asking import Asked, asked, site_of
from policies.systems.murakkab.candidates import Candidate, chosen, held
from policies.systems.murakkab.knobs import MurakkabKnobs
from policies.systems.murakkab.limits import fewest_gpus, refusal, words
from policies.systems.murakkab.sharing import Pooled, Site, part_of
from policies.systems.murakkab.ways import HOUR_S, Ground
from twin.workflows.levers import Plan, PlanAction, PlanObservation

_WISH: Final = {
    "MIN_COST": "costs the least",
    "MIN_LATENCY": "is the fastest",
    "MIN_ENERGY": "draws the least",
    "MAX_QUALITY": "is the best",
}


class Epoch:
    """Plans workflows one after the other: each alone first; where that is too much for the site, within what others leave it.

    Then each once more beside the others, whose warm instances it may share.
    """

    def __init__(self, seen: PlanObservation, knobs: MurakkabKnobs, surroundings: Surroundings) -> None:
        self._seen, self._knobs = seen, knobs
        self._asked = [asked(each, seen, knobs, surroundings) for each in seen.demanded]
        self._site = Site(site_of(seen, knobs), self._asked, knobs.utilisation_share, shared=seen.shared)
        self._found: dict[str, Candidate] = {}
        self._refused: dict[str, str] = {}
        self._looked: dict[str, int] = {}

    def planned(self) -> PlanAction:
        """Return a plan for each workflow, or why there is none."""
        for each in self._asked:
            self._choose(each, self._site.ground)
        if not self._site.fits(self._found):
            self._one_by_one()
        if len(self._found) > 1 and self._seen.shared:
            self._side_by_side()
        pools = self._site.pools(self._found)
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
        """Plan within what those before have taken and those after need at least; where that is too little those after give way."""
        able = [each for each in self._asked if each.demanded.workflow in self._found]
        least = {each.demanded.workflow: fewest_gpus(each.work, self._site.ground, each.bounds) for each in able}
        taken: dict[str, Candidate] = {}
        for number, each in enumerate(able):
            name = each.demanded.workflow
            later = [other.demanded.workflow for other in able[number + 1 :]]
            reserved = {other: found for other in later if (found := least[other]) is not None}
            for beside in ({**taken, **reserved}, taken):
                self._choose(each, self._site.left(beside, share=False))
                if name in self._found:
                    taken[name] = self._found[name]
                    break

    def _side_by_side(self) -> None:
        """Plan each once more where others hold a model that it could use, too."""
        for each in self._asked:
            name = each.demanded.workflow
            before = self._found.get(name)
            others = {other: found for other, found in self._found.items() if other != name}
            models = {executor.model or executor.id for executor in each.work.library if set(executor.gives) & _given(each)}
            if before is None or not any(pool.partition("@")[0] in models for pool in self._site.pools(others)):
                continue
            self._choose(each, self._site.left(others, share=True))
            if name not in self._found:
                self._found[name] = before
                del self._refused[name]

    # -- telling ------------------------------------------------------------------

    def _plan(self, each: Asked, pools: Mapping[str, Pooled]) -> Plan:
        name = each.demanded.workflow
        found = self._found[name]
        own = {way.pool: pools[self._site.key(name, way.pool)] for way in found.ways if way.pool}
        stages = {}
        for way in found.ways:
            # Cores are taken only while something is done on them: there may be as many as were chosen.
            count = (
                1 if not way.pool else own[way.pool].instances if way.profile.gpus else max(own[way.pool].instances, way.choice.instances)
            )
            stages[each.work.graph.ids[way.stage]] = replace(way.choice, instances=count)
        figures = self._figures(each, own)
        return replace(found.plan, stages=stages, predicted=figures, why=self._why(each, figures, own))

    def _figures(self, each: Asked, own: Mapping[str, Pooled]) -> dict[str, float]:
        """Return what a job comes to, with its part of what is held in pools that several share."""
        name = each.demanded.workflow
        found = self._found[name]
        gap_s = HOUR_S / max(each.demanded.rate_per_h, HOUR_S / self._seen.epoch_s)
        held_s = gap_s if found.plan.hold else min(found.figures.makespan_s, gap_s)
        part = {pool: pooled.instances * part_of(name, pooled) for pool, pooled in own.items() if pooled.gpus}
        held_w, usd_per_h = held(found.ways, part)
        told = found.figures.told()
        told |= {"energy_j": found.worked_j + held_w * held_s, "cost_usd": found.worked_usd + usd_per_h * held_s / HOUR_S}
        return told | {"gpus": float(sum(pooled.gpus for pooled in own.values()))}

    def _why(self, each: Asked, figures: Mapping[str, float], own: Mapping[str, Pooled]) -> str:
        name, found = each.demanded.workflow, self._found[each.demanded.workflow]
        told = ", ".join(words(key, figures[key]) for key in ("makespan_s", "energy_j", "cost_usd"))
        together = sorted(pool for pool, pooled in own.items() if len(pooled.busy) > 1 and pooled.gpus)
        shared = f"; {', '.join(together)} shared with {', '.join(_with(name, own, together))}" if together else ""
        surplus = "; on surplus in part" if any(way.choice.spot for way in found.ways) else ""
        kept = "held between jobs" if found.plan.hold else "started for each job"
        fixed = f", {len(each.work.pins)} stages pinned" if each.work.pins else ""
        best = f"{_WISH[each.objective]} of {self._looked[name]} plans" if self._looked[name] > 1 else "is the only plan there is"
        return f"{best}{fixed}: {told} a job; {kept}{shared}{surplus}"

    def _upcoming(self, pools: Mapping[str, Pooled]) -> dict[str, float]:
        """Return what the epoch will need on average: GPUs held, those on surplus, cores at work, power of work above idle."""
        rates = {each.demanded.workflow: each.demanded.rate_per_h / HOUR_S for each in self._asked}
        under_way = {name: min(rates[name] * found.figures.makespan_s, 1.0) for name, found in self._found.items()}
        told = {"gpus": 0.0, "spot_gpus": 0.0, "cores": 0.0}
        for pooled in pools.values():
            stands = max(1.0 if self._found[name].plan.hold else under_way[name] for name in pooled.busy)
            if pooled.gpus:
                told["spot_gpus" if pooled.way.choice.spot else "gpus"] += pooled.gpus * stands
            else:
                told["cores"] += sum(pooled.busy.values()) * pooled.way.profile.cores
        told["power_w"] = sum(found.worked_j * rates[name] for name, found in self._found.items())
        told["gpu_power_w"] = sum(_held_j(found) * rates[name] for name, found in self._found.items())
        return told


def _held_j(found: Candidate) -> float:
    """Return what a job's work draws on GPUs that are held, surplus apart."""
    return sum(way.worked_j for way in found.ways if way.profile.gpus and not way.choice.spot)


def _given(each: Asked) -> set[str]:
    return {stage.gives for stage in each.work.graph.stages}


def _with(name: str, own: Mapping[str, Pooled], together: Sequence[str]) -> list[str]:
    return sorted({other for pool in together for other in own[pool].busy} - {name})

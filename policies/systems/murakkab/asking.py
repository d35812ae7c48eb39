"""What is demanded, turned into what is planned: rates, bounds, ground."""

from dataclasses import dataclass
from math import ceil, exp, floor, inf, log
from typing import Final

from policies.system import Surroundings
from policies.systems.murakkab import pins
from policies.systems.murakkab.knobs import MurakkabKnobs
from policies.systems.murakkab.limits import bounds_of
from policies.systems.murakkab.program import Bounds
from policies.systems.murakkab.ways import HOUR_S, Ground, Work
from twin.workflows.levers import Demanded, PlanObservation
from twin.workflows.library import terms

# Rates that differ by less are planned alike; pools are sized by the rate itself.
GRID: Final = 0.05


@dataclass(frozen=True, slots=True)
class Asked:
    """One workflow as it is planned: what is demanded, its work, its objective and bounds."""

    demanded: Demanded
    work: Work
    objective: str
    bounds: Bounds


def asked(demanded: Demanded, seen: PlanObservation, knobs: MurakkabKnobs, surroundings: Surroundings, grid: float = GRID) -> Asked:
    """Return a workflow as it is planned in this epoch; rates that differ by less than ``grid`` are planned alike."""
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
        rate_per_h=_on_grid(max(demanded.rate_per_h, HOUR_S / seen.epoch_s), -grid),
        sized_per_h=_on_grid(sized_per_h(demanded, objective), grid),
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


def _on_grid(rate: float, grid: float) -> float:
    """Return the next rate of a grid, above for a positive and below for a negative step; 0 leaves the rate as it is."""
    if rate <= 0.0 or grid == 0.0:
        return rate
    width = log(1.0 + abs(grid))
    place = log(rate) / width
    return exp((ceil(place - 1e-6) if grid > 0.0 else floor(place + 1e-6)) * width)


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

"""What the claims are computed from: the closed form of prices."""

from collections.abc import Mapping
from typing import Final

from policies.systems.workload_intelligence.prices import Prices
from twin.memory.levers import TopologyObservation
from twin.workloads.negotiation.classes import marginals, named

Numbers = Mapping[str, float | None]
AVERAGE: Final = "average price cut, closed form"


def closed_form(seen: TopologyObservation) -> Numbers:
    """Return the average price cut of the twelve classes, each optimisation alone and added, and how far it moves."""
    del seen
    prices = Prices()
    band = prices.band()
    more = {f"{name}, alone": value for name, value in prices.alone().items()}
    added = {f"{name}, added": value for name, value in prices.waterfall().items()}
    moved = {f"with {name}": average for name, (_, average) in prices.sensitivity().items()}
    ends = {"188 workloads, 5 %": band.low_share, "188 workloads, median": band.median_share, "188 workloads, 95 %": band.high_share}
    return {AVERAGE: prices.average(), "best one alone": prices.best_alone(), **added, **more, **moved, **ends}


def survey(seen: TopologyObservation) -> Numbers:
    """Return the share of workloads that have each need, over the classes."""
    del seen
    return dict(marginals(named("survey").values()))

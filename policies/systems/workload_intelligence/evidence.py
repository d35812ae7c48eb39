"""What the claims are computed from: bills of runs, and the closed form."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from policies.systems.workload_intelligence.prices import Prices
from twin.memory.levers import TopologyObservation
from twin.workloads.negotiation.classes import marginals, named
from twin.workloads.negotiation.offering import simplification

Numbers = Mapping[str, float | None]
Tables = Mapping[str, pl.LazyFrame]
AVERAGE: Final = "average price cut, closed form"


def closed_form(seen: TopologyObservation) -> Numbers:
    """Return the average price cut of the twelve classes, each optimisation alone and added, and how far it moves."""
    del seen
    prices = Prices()
    band = prices.band()
    added = {f"{name}, added": value for name, value in prices.waterfall().items()}
    alone = {f"{name}, alone": value for name, value in prices.alone().items()}
    moved = {f"with {name}": average for name, (_, average) in prices.sensitivity().items()}
    ends = {"188 workloads, 5 %": band.low_share, "188 workloads, median": band.median_share, "188 workloads, 95 %": band.high_share}
    return {AVERAGE: prices.average(), "best one alone": prices.best_alone(), **added, **alone, **moved, **ends}


def survey(seen: TopologyObservation) -> Numbers:
    """Return the share of workloads that have each need, over the classes."""
    del seen
    return dict(marginals(named("survey").values()))


def price_cut(tables: Tables) -> float | None:
    """Return the average price cut over classes by their shares in the survey, from the bills of the workload named after each."""
    return _by_class(tables, "billed_usd", "regular_usd")


def carbon_cut(tables: Tables) -> float | None:
    """Return by how much less the same work emits, averaged over classes in the same way."""
    return _by_class(tables, "carbon_kg", "regular_carbon_kg")


def broken_vm_hours(tables: Tables) -> float | None:
    """Return the VM-hours in which a requirement was violated."""
    if "bills" not in tables:
        return None
    return float(tables["bills"].select(pl.col("broken_vm_hours").sum()).collect().item())


def late_notices(tables: Tables) -> float | None:
    """Return how many notices came later before their event than they must; None where none was given."""
    if "notices" not in tables:
        return None
    honoured = tables["notices"].select("honoured").collect()["honoured"]
    return float((~honoured).sum()) if len(honoured) else None


def price_list(tables: Tables) -> float | None:
    """Return the lines of a price list that offers the run's VMs with their treatments, over those of plain VM types."""
    found = simplification(tables)
    return None if found is None else found.used.listed / found.after.listed


def _by_class(tables: Tables, now: str, before: str) -> float | None:
    """Return one less the sum of a column of bills over another, averaged over classes; None where a class has no VM."""
    if "bills" not in tables:
        return None
    sums = tables["bills"].group_by(pl.col("workload_id").cast(pl.String)).agg(pl.col(now, before).sum()).collect()
    of = {name: (new, old) for name, new, old in sums.iter_rows()}
    classes = named("survey").values()
    if any(of.get(each.id, (0.0, 0.0))[1] <= 0.0 for each in classes):
        return None
    whole = sum(each.share for each in classes)
    return float(sum(each.share * (1.0 - of[each.id][0] / of[each.id][1]) for each in classes) / whole)

"""What one suspect explains of another: load from callers, retries, GPUs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from policies.systems.react_rca.hypotheses import Seen, Suspect

# What is left of a suspect that another one explains. Proposed.
_EXPLAINED: Final = 0.6
# First attempts that rose by less than this are no burst of their own, calls that rose by less carry none on; retries of so many do.
_ROSE: Final = 1.3
_CARRIED: Final = 1.08
_RETRIED: Final = 0.05
# A retry storm is what is left when nothing else is wrong; a suspect with this score is something else.
_ELSE: Final = 0.4
_LATE_S: Final = 300.0
_OFFERED: Final = ("services.offered_per_s", "endpoints.arrivals")
_RETRIES: Final = "services.retries_per_s"
_OF_LOAD: Final = ("traffic_burst", "retry_storm")


def settled(seen: Seen, suspects: Sequence[Suspect]) -> list[Suspect]:
    """Return the suspects with those weakened that others explain, in the order in which they came."""
    demand = _demand(seen.scan if seen.since.is_empty() else seen.since)
    callers = _callers(seen)
    out = [_from_above(item, demand, callers) for item in suspects]
    origins = [who for who, asked in demand.items() if asked.rose and not _carriers(who, demand, callers)]
    out = [_by_load(_without_gpu(item, out), origins) for item in out]
    return [_storm(item, out, demand) for item in out]


@dataclass(frozen=True, slots=True)
class Demand:
    """Requests per second to one service, before and after: all attempts, and those of them that are repetitions."""

    offered: tuple[float, float]
    again: tuple[float, float]

    @property
    def rose(self) -> bool:
        """Return whether more is asked anew."""
        before, after = (all_ - again for all_, again in zip(self.offered, self.again, strict=True))
        return before > 0.0 and after > _ROSE * before

    @property
    def carries(self) -> bool:
        """Return whether whom it calls is asked for more: it is itself, or it is asked again and again."""
        before, after = self.offered
        return before > 0.0 and (after > _CARRIED * before or self.again[1] > _RETRIED * after)


def _demand(scan: pl.DataFrame) -> Mapping[str, Demand]:
    """Return what was asked of each service that was scanned."""
    rows = scan.filter(pl.col("metric").is_in([*_OFFERED, _RETRIES])).select("entity", "metric", "before", "after")
    told = {(entity, metric): (before or 0.0, after or 0.0) for entity, metric, before, after in rows.iter_rows()}
    return {entity: Demand(pair, told.get((entity, _RETRIES), (0.0, 0.0))) for (entity, metric), pair in told.items() if metric in _OFFERED}


def _callers(seen: Seen) -> Mapping[str, tuple[str, ...]]:
    calls: dict[str, list[str]] = {}
    for source, target, kind in seen.topology.select("source", "target", "kind").iter_rows():
        if kind == "calls":
            calls.setdefault(target, []).append(source)
    return {target: tuple(sources) for target, sources in calls.items()}


def _carriers(service: str, demand: Mapping[str, Demand], callers: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [caller for caller in callers.get(service, ()) if caller in demand and demand[caller].carries]


def _from_above(suspect: Suspect, demand: Mapping[str, Demand], callers: Mapping[str, tuple[str, ...]]) -> Suspect:
    """Weaken a burst whose callers are asked for more as well: their requests are what came."""
    if suspect.cause not in _OF_LOAD:
        return suspect
    who = _carriers(suspect.candidate.entity, demand, callers)
    if not who:
        own = demand.get(suspect.candidate.entity)
        little = suspect.cause == "traffic_burst" and own is not None and not own.rose
        return _weaker(suspect, "what is asked of it anew rose by little") if little else suspect
    return _weaker(suspect, f"{who[0]}, which calls it, is asked for more as well")


def _by_load(suspect: Suspect, origins: Sequence[str]) -> Suspect:
    """Weaken a deployment just before where somebody brings more load than ever: that slows and fails what is called."""
    if suspect.cause != "bad_deployment" or not origins:
        return suspect
    return _weaker(suspect, f"{origins[0]} is asked for more anew, which would slow it too")


def _without_gpu(suspect: Suspect, others: Sequence[Suspect]) -> Suspect:
    """Weaken an instance that was lost where a GPU of its server was."""
    if suspect.cause != "instance_lost":
        return suspect
    gpu = next((each for each in others if each.cause == "gpu_lost" and suspect.candidate.entity in each.candidate.path), None)
    return suspect if gpu is None else _weaker(suspect, f"a GPU of {gpu.candidate.entity}, which it is made of, fell off the bus")


def _storm(suspect: Suspect, others: Sequence[Suspect], demand: Mapping[str, Demand]) -> Suspect:
    """Weaken a retry storm where something else is wrong at the same time: then the retries are its effect."""
    if suspect.cause != "retry_storm":
        return suspect
    for each in others:
        asked = demand.get(each.candidate.entity)
        by_load = each.cause == "traffic_burst" and (asked is None or not asked.rose)
        if each.cause and each.cause != "retry_storm" and each.score >= _ELSE and not by_load and each.onset_s <= suspect.onset_s + _LATE_S:
            return _weaker(suspect, f"{each.cause.replace('_', ' ')} at {each.candidate.entity} would make callers try again")
    return suspect


def _weaker(suspect: Suspect, why: str) -> Suspect:
    return replace(suspect, score=_EXPLAINED * suspect.score, notes=(*suspect.notes, why))

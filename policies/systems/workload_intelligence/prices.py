"""Prices in closed form: what classes of workloads save, and by what."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from policies.systems.workload_intelligence.quotes import Quote, quote
from policies.systems.workload_intelligence.tariff import number
from twin.chance import stream
from twin.sources import calibration
from twin.workloads.negotiation.classes import HIGHEST, WorkloadClass, named
from twin.workloads.negotiation.treatments import TREATMENTS, discounts

__all__ = ["Band", "Prices", "Quote", "quote"]

Floats = NDArray[np.float64]
NAMES: Final = tuple(each.name for each in TREATMENTS)
# Half of the VMs that could be made smaller have a peak of at most half of their cores.
FITTING_SHARE: Final = 0.5
SURVEYED: Final = 188
DRAWS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Band:
    """Where the average lies for other samples of as many workloads: 5 of 100 fall below ``low_share``, 5 above ``high_share``."""

    low_share: float
    median_share: float
    high_share: float


class Prices:
    """Price cuts of classes of workloads, each class with all of its VMs at once, without a run.

    A partial level covers ``partial_share`` of the VMs. Of those, harvest takes what may be evicted and delayed and is partly
    stateless at least, spot what else may be evicted, multi-availability what needs fewer nines of the rest. On VMs that are not
    surplus the larger of rightsizing and oversubscription, the larger of clocks, auto-scaling, region and deployment multiply.
    ``harvest_at_most_share`` and ``spot_at_most_share`` are of all cores: harvest beyond it falls to spot, spot beyond it to regular.
    The equations are our reading of the published idea, whose own table is not published; ``partial_share`` is the one number
    fitted to its average.
    """

    def __init__(
        self,
        classes: Iterable[WorkloadClass] | None = None,
        *,
        partial_share: float | None = None,
        taken_off: Mapping[str, float] | None = None,
        harvest_at_most_share: float = 1.0,
        spot_at_most_share: float = 1.0,
    ) -> None:
        self.classes: Sequence[WorkloadClass] = tuple(named("survey").values() if classes is None else classes)
        self._partial = number("hints", "partial_share") if partial_share is None else partial_share
        self._off = {**discounts(), **(taken_off or {})}
        self._most = harvest_at_most_share, spot_at_most_share
        share = np.array([each.share for each in self.classes])
        self.shares: Floats = share / share.sum()
        self._levels = np.array([[getattr(each.levels, name) for name in HIGHEST] for each in self.classes], dtype=np.int64).T

    def cuts(self, only: Iterable[str] = NAMES) -> Floats:
        """Return the price cut of each class, 0 to 1, with these optimisations alone."""
        on = {name: self._off[name] if name in set(only) else 0.0 for name in NAMES}
        chosen = set(only)
        covers = np.array([0.0, self._partial, 1.0])
        stateless, deploy, availability, preemption, delay, region = self._levels
        f_stateless, f_availability, f_preemption, f_region = (covers[level] for level in (stateless, availability, preemption, region))
        harvest, spot = self._tiers(f_preemption, (delay > 0) & (stateless > 0), chosen)
        fewer_nines = (1.0 - harvest - spot) * f_availability
        regular = 1.0 - harvest - spot - fewer_nines
        size = 1.0 - np.maximum(on["rightsizing"] * FITTING_SHARE * f_stateless, on["oversubscription"] * delay)
        clock = 1.0 - np.maximum(on["underclocking"] * delay, on["overclocking"] * f_stateless)
        count = 1.0 - on["autoscaling"] * f_stateless * deploy
        place, start = 1.0 - on["region_agnostic"] * f_region, 1.0 - on["non_preprovisioning"] * deploy
        stacked = (fewer_nines * (1.0 - on["multi_availability"]) + regular) * size * clock * count * start * place
        return np.asarray(1.0 - (harvest * (1.0 - on["harvest"]) + spot * (1.0 - on["spot"]) + stacked))

    def _tiers(self, preemptible: Floats, may_harvest: NDArray[np.bool_], chosen: set[str]) -> tuple[Floats, Floats]:
        """Return the parts of each class that are harvest and spot VMs, the same part of every class's demand where it is limited."""
        wanted = np.where(may_harvest, preemptible, 0.0) if "harvest" in chosen else np.zeros_like(preemptible)
        harvest = wanted * _part(self._most[0], float(self.shares @ wanted))
        spot = preemptible - harvest if "spot" in chosen else np.zeros_like(preemptible)
        return harvest, spot * _part(self._most[1], float(self.shares @ spot))

    def average(self, only: Iterable[str] = NAMES) -> float:
        """Return the average price cut over workloads."""
        return float(self.shares @ self.cuts(only))

    def waterfall(self) -> dict[str, float]:
        """Return what each optimisation adds to the average cut, in the order of application; together they are the average."""
        steps = [self.average(NAMES[:count]) for count in range(len(NAMES) + 1)]
        return {name: after - before for name, before, after in zip(NAMES, steps, steps[1:], strict=False)}

    def alone(self) -> dict[str, float]:
        """Return the average cut that each optimisation would give by itself."""
        return {name: self.average((name,)) for name in NAMES}

    def best_alone(self) -> float:
        """Return the average cut where every class has the one optimisation that is best for it."""
        return float(self.shares @ np.max([self.cuts((name,)) for name in NAMES], axis=0))

    def sensitivity(self) -> dict[str, tuple[float, float]]:
        """Return the average at the other end of what is known of a discount: name to that discount and the average there."""
        found = {}
        for name, entry in _entries().items():
            for end in {float(entry.get(side, entry["value"])) for side in ("low", "high")} - {float(entry["value"])}:
                other = Prices(self.classes, partial_share=self._partial, taken_off={**self._off, name: end})
                found[f"{name} {end:.0%}"] = (end, other.average())
        return found

    def band(self, seed: int = 1) -> Band:
        """Return how far the average moves with the sample: draws of as many workloads as answered the survey."""
        counts = stream(seed, "workload_intelligence", "band").multinomial(SURVEYED, self.shares, DRAWS)
        low, middle, high = np.quantile(counts @ self.cuts() / SURVEYED, (0.05, 0.5, 0.95))
        return Band(float(low), float(middle), float(high))


def _part(most: float, wanted: float) -> float:
    return 1.0 if wanted <= most else most / wanted


def _entries() -> Mapping[str, Mapping[str, Any]]:
    return {name: calibration("negotiation")["discount"][name] for name in NAMES}

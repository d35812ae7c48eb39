"""How much VMs will draw, hour by hour of the week, from those before."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.workloads.levers import HOURS_OF_WEEK, PastVms

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Templates:
    """GPU power over idle as a share of the rating, by workload and hour of the week, shape W x 168.

    ``peak_share`` lies between the mean of a workload's past VMs and the highest hour that was seen, by how much is doubted.
    """

    mean_share: Floats
    peak_share: Floats

    @classmethod
    def of(cls, past: PastVms, doubt_share: float) -> "Templates":
        """Return the templates; a workload without a past is taken for the most demanding one at every hour."""
        mean = _known(past.mean_share)
        highest = np.maximum(_known(past.highest_share), mean)
        return cls(mean, np.clip(mean + doubt_share * (highest - mean), 0.0, 1.0))

    def highest_share(self, workload: int, hours: NDArray[np.int64]) -> float:
        """Return the predicted peak of one workload over some hours of the week."""
        return float(self.peak_share[workload, hours].max())


def hours_ahead(hour_of_week: int, count: int) -> NDArray[np.int64]:
    """Return the coming hours of the week from this one on, at most all of them."""
    return np.asarray((hour_of_week + np.arange(min(count, HOURS_OF_WEEK))) % HOURS_OF_WEEK)


def _known(share: Floats) -> Floats:
    highest = np.nanmax(share, axis=0, initial=0.0) if len(share) else np.zeros(HOURS_OF_WEEK)
    return np.where(np.isnan(share), highest, share)

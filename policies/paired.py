"""Policies side by side, paired over seeds, with their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Difference:
    """A candidate less the reference, paired over seeds.

    ``low`` and ``high`` bound the mean difference with 95 % confidence (Student's t); None with fewer than two seeds.
    """

    a: float
    b: float
    difference: float
    low: float | None
    high: float | None
    n: int

    @property
    def share(self) -> float | None:
        """Return the difference as a share of the reference, None where that is zero."""
        return self.difference / abs(self.a) if self.a else None


@dataclass(frozen=True)
class Comparison:
    """Runs of several policies in the same worlds. The first label is the reference.

    ``values`` gives metric -> label -> one value per seed, for metrics that every run has evidence for.
    """

    scenario: str
    labels: tuple[str, ...]
    seeds: tuple[int, ...]
    run_ids: Mapping[str, tuple[str, ...]]
    values: Mapping[str, Mapping[str, tuple[float, ...]]]

    def difference(self, metric: str, label: str) -> Difference:
        """Return how a policy differs from the reference in one metric."""
        return paired(self.values[metric][self.labels[0]], self.values[metric][label])

    def differences(self, label: str) -> dict[str, Difference]:
        """Return how a policy differs from the reference in every metric."""
        return {metric: self.difference(metric, label) for metric in self.values}


def paired(before: Sequence[float], after: Sequence[float]) -> Difference:
    """Return the paired difference ``after - before`` with its 95 % interval.

    >>> d = paired([10.0, 12.0, 11.0], [8.0, 9.0, 9.0])
    >>> round(d.difference, 3), round(d.low, 2), round(d.high, 2)
    (-2.333, -3.77, -0.9)
    """
    if len(before) != len(after) or not before:
        raise ValueError(f"a paired difference needs as many values on both sides, at least one; there are {len(before)} and {len(after)}")
    gaps = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    mean, n = float(gaps.mean()), len(gaps)
    low = high = None
    if n > 1:
        # Imported here: it takes longer to import than everything else that studies need.
        from scipy.stats import t as student

        half = float(student.ppf(0.5 + CONFIDENCE_SHARE / 2.0, n - 1) * gaps.std(ddof=1) / np.sqrt(n))
        low, high = mean - half, mean + half
    return Difference(float(np.mean(before)), float(np.mean(after)), mean, low, high, n)

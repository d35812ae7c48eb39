"""Hints by the batch: who says what of whom, when."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# Who says it.
TEMPLATE, AGENT, OUTSIDE = 0, 1, 2
SAYERS = ("template", "agent", "outside")


@dataclass(frozen=True, slots=True)
class Hints:
    """Hints in the order in which they were said, shape B.

    ``scope`` is an index of ``keys.SCOPES``; ``of`` the number of the workload, deployment or VM (of ``Tenants``); ``key`` an index of
    ``keys.KEYS``; ``value`` a number as ``keys.value`` gives it, not-a-number to take a hint back; ``sayer`` one of SAYERS.
    """

    t_s: Floats
    scope: Ints
    of: Ints
    key: Ints
    value: Floats
    sayer: Ints

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.t_s)

    def taken(self, chosen: NDArray[np.bool_] | Ints | slice) -> "Hints":
        """Return some of them."""
        return Hints(self.t_s[chosen], self.scope[chosen], self.of[chosen], self.key[chosen], self.value[chosen], self.sayer[chosen])


def none() -> Hints:
    """Return no hints."""
    empty = np.zeros(0, dtype=np.int64)
    return Hints(np.zeros(0), empty, empty, empty, np.zeros(0), empty)


def joined(parts: Sequence[Hints]) -> Hints:
    """Return several batches as one, in the order of time; at one time in the order in which they are given."""
    if not parts:
        return none()
    whole = together(parts)
    if (whole.t_s[1:] >= whole.t_s[:-1]).all():
        return whole
    return whole.taken(np.argsort(whole.t_s, kind="stable"))


def together(parts: Sequence[Hints]) -> Hints:
    """Return one or more batches as one, in the order in which they are given."""
    if len(parts) == 1:
        return parts[0]
    return Hints(
        np.concatenate([part.t_s for part in parts]),
        np.concatenate([part.scope for part in parts]),
        np.concatenate([part.of for part in parts]),
        np.concatenate([part.key for part in parts]),
        np.concatenate([part.value for part in parts]),
        np.concatenate([part.sayer for part in parts]),
    )

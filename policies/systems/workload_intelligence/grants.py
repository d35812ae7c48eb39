"""Which of the open optimisations a VM gets: the cheapest that agree."""

from collections.abc import Mapping
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.systems.workload_intelligence.conditions import BETTER, CLAUSES, GRANTED, SHORT, eligible_by_code, reason_by_code
from policies.systems.workload_intelligence.passes import looker
from twin.stack import read_only
from twin.workloads.negotiation.treatments import SLOTS, SURPLUS, TREATMENTS, price_share

Ints = NDArray[np.int64]
Words = NDArray[np.int16]
_SETS: Final = 1 << len(TREATMENTS)


def allowed() -> Ints:
    """Return every set of optimisations that go together: at most one of each slot, and surplus capacity by itself."""
    slots = [[0, *(1 << index for index, each in enumerate(TREATMENTS) if each.slot == slot and not each.surplus)] for slot in SLOTS]
    stacked = [sum(chosen) for chosen in product(*slots)]
    alone = [1 << index for index, each in enumerate(TREATMENTS) if each.surplus]
    return np.array([*stacked, *alone], dtype=np.int64)


class Choice:
    """Looks up, for what is open to a VM, the set with the lowest price; where prices are equal, one that cannot be evicted.

    The more is open the lower the price, whatever the discounts: a further hint never costs anything.
    """

    def __init__(self, discounts: Mapping[str, float]) -> None:
        sets = allowed()
        price = price_share(sets, discounts)
        width = np.array([int(each).bit_count() for each in sets])
        order = np.lexsort((-width, (sets & SURPLUS) != 0, price.round(12)))
        ranked = sets[order]
        self.best = np.array([ranked[(ranked & ~mask) == 0][0] for mask in range(_SETS)], dtype=np.int64)
        self._row = np.full(_SETS << len(CLAUSES), -1, dtype=np.int32)
        self._rows = np.zeros((0, len(TREATMENTS)), dtype=np.int16)
        self._asked, self._answered = np.zeros(0, dtype=np.int64), self._rows

    def why(self, code: Ints, offered: Ints) -> Words:
        """Return why each VM has each optimisation or not, shape (N, T), as ``OffersAction.why`` wants it.

        ``offered`` are the optimisations that its hints open to it and that are not short, shape N.
        """
        both = code * _SETS + offered
        if np.array_equal(both, self._asked):
            return self._answered
        row = self._row[both]
        unknown = np.unique(both[row < 0])
        if len(unknown):
            self._row[unknown] = len(self._rows) + np.arange(len(unknown))
            self._rows = np.concatenate([self._rows, self._reasons(unknown // _SETS, unknown % _SETS)])
            row = self._row[both]
        answered = np.empty((len(row), len(TREATMENTS)), dtype=np.int16)
        looker()(row, self._rows, answered)
        self._asked, self._answered = both, read_only(answered)
        return self._answered

    def _reasons(self, code: Ints, offered: Ints) -> Words:
        bits = np.arange(len(TREATMENTS))
        is_open = (eligible_by_code()[code][:, None] >> bits) & 1 == 1
        is_offered = (offered[:, None] >> bits) & 1 == 1
        is_best = (self.best[offered][:, None] >> bits) & 1 == 1
        among = np.where(is_best, GRANTED, np.where(is_offered, BETTER, SHORT))
        return np.where(is_open, among, reason_by_code()[code]).astype(np.int16)

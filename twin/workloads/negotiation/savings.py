"""What each optimisation takes off a price, in the order of application."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.workloads.negotiation.treatments import TREATMENTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def saved_shares(granted: Ints, taken_off: Mapping[str, float]) -> Floats:
    """Return the share of the regular price that each treatment takes off, shape (T, M) for M grants.

    A treatment takes its share off what those before it have left, so that all of them and the price add up to one.

    >>> from twin.workloads.negotiation.treatments import MA, RIGHTSIZED, discounts
    >>> saved_shares(np.array([MA | RIGHTSIZED]), discounts())[:, 0].round(3).tolist()
    [0.0, 0.0, 0.4, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    saved, left = np.zeros((len(TREATMENTS), *np.shape(granted))), np.ones(np.shape(granted))
    for index, each in enumerate(TREATMENTS):
        saved[index] = np.where(granted & (1 << index), left * taken_off[each.name], 0.0)
        left = left - saved[index]
    return saved

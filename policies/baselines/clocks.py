"""The planners' law of clocks: power of a GPU over its clock share."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Share of the dynamic power that grows with the clock; the rest grows with its cube (data/calibration of the plant).
LINEAR_SHARE: Final = 0.8
_GRID: Final = np.linspace(0.0, 1.0, 401)


def power_share(clock_share: Floats) -> Floats:
    """Return dynamic power over dynamic power at full clock, any shape: ``a f + (1 - a) f^3``."""
    return LINEAR_SHARE * clock_share + (1.0 - LINEAR_SHARE) * clock_share**3


def clock_for(wanted_power_share: Floats) -> Floats:
    """Return the clock share at which dynamic power is this share of its full value (the inverse of ``power_share``).

    >>> round(float(clock_for(power_share(np.array(0.7)))), 3)
    0.7
    """
    return np.interp(wanted_power_share, power_share(_GRID), _GRID)


def idle_shares(idle_w: float, power_w: Floats) -> Floats:
    """Return which share of a GPU's present power no clock can save, 0 to 1, same shape."""
    return np.clip(idle_w / np.maximum(power_w, 1e-9), 0.0, 1.0)

"""What customers yet to come will ask for, over the run."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from twin.chance import stream
from twin.clock import HOUR_S, Clock
from twin.workloads.negotiation.settings import Settings

Floats = NDArray[np.float64]
GRID_S: Final = 60.0


class Reserve:
    """Capacity that regular customers who are yet to come will ask for, as a share of all cores.

    A daily wave about the mean, and what wanders about that: an Ornstein-Uhlenbeck process, exact on a grid of a minute,
    drawn before the run; linear in between, so that no tick changes it. It is known for an hour beyond the horizon.
    """

    def __init__(self, settings: Settings, clock: Clock, horizon_s: float, seed: int) -> None:
        asked = settings.reserve
        count = math.ceil((horizon_s + HOUR_S) / GRID_S) + 2
        # From one minute to the next: what stays of a deviation, and the new that keeps its variance.
        stays = math.exp(-GRID_S / asked.return_s)
        new = stream(seed, "workloads", "reserve").standard_normal(count) * asked.sd_share
        new[1:] *= math.sqrt(1.0 - stays * stays)
        hour = clock.hour(np.arange(count) * GRID_S)
        wave = asked.mean_share + asked.swing_share * np.cos((hour - asked.peak_hour) * (2.0 * np.pi / 24.0))
        self._share = np.clip(wave + lfilter([1.0], [1.0, -stays], new), 0.0, 1.0)

    def share(self, t_s: float) -> float:
        """Return the reserve at a time, as a share of all cores."""
        whole = min(int(t_s / GRID_S), len(self._share) - 2)
        now, following = self._share[whole : whole + 2]
        return float(now + min(t_s / GRID_S - whole, 1.0) * (following - now))

    def highest(self, from_s: float, to_s: float) -> float:
        """Return the highest reserve between two times, as a share of all cores."""
        inside = self._share[math.ceil(from_s / GRID_S) : math.floor(to_s / GRID_S) + 1]
        return max(self.share(from_s), self.share(to_s), float(inside.max(initial=0.0)))

"""Ticks of several steps: their means and their most, not their last."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.plant.records import Layout

_MEANS: Final = (
    ("rows", "power_w"),
    ("rows", "throttled_share"),
    ("feeds", "power_w"),
    ("site", "it_power_w"),
    ("site", "site_power_w"),
    ("site", "water_l_per_s"),
    *(("site", name) for name in ("cooling_power_w", "liquid_w")),
)
_MOST: Final = (("rows", "gpu_c"), ("rows", "began"))


class Averaging:
    """Gathers steps of equal length, so that energy, peaks and brakes of a long tick are those of all its steps."""

    def __init__(self, arrays: Layout) -> None:
        self._arrays, self._steps = arrays, 0
        self._sums: list[NDArray[np.float64]] = [np.zeros(len(self._of(*place))) for place in _MEANS]
        self._most: list[NDArray[np.float64]] = [np.full(len(self._of(*place)), np.nan) for place in _MOST]

    def _of(self, table: str, column: str) -> NDArray[Any]:
        values: NDArray[Any] = getattr(self._arrays, table)[column]
        return values

    def add(self) -> None:
        """Take the step that has just been made."""
        self._steps += 1
        for total, place in zip(self._sums, _MEANS, strict=True):
            total += self._of(*place)
        for most, place in zip(self._most, _MOST, strict=True):
            np.fmax(most, self._of(*place), out=most)

    def settle(self) -> None:
        """Write what the whole tick was where the last step's figures stand."""
        for total, place in zip(self._sums, _MEANS, strict=True):
            self._of(*place)[:] = total / self._steps
        for most, place in zip(self._most, _MOST, strict=True):
            self._of(*place)[:] = most
        site = self._arrays.site
        site["pue"][:] = np.divide(site["site_power_w"], site["it_power_w"], out=np.zeros(1), where=site["it_power_w"] > 0.0)
        cooled = site["it_power_w"] + site["cooling_power_w"]
        site["partial_pue"][:] = np.divide(cooled, site["it_power_w"], out=np.zeros(1), where=site["it_power_w"] > 0.0)

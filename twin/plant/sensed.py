"""Imported telemetry on a run's clock: series, last readings, grids."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.clock import Clock
from twin.sources import imported, imported_table

Floats = NDArray[np.float64]
# Seconds since 1970 beyond this (1973) are dates; smaller figures count from the start of the run.
EPOCH_S: Final = 1e8
MOST_SAMPLES: Final = 2016


@dataclass(frozen=True)
class Sensed:
    """What sensors said. ``t_s`` (seconds since the run's start) and ``values`` hold sensor after sensor, ``places`` where each lies."""

    name: str
    t_s: Floats
    values: Floats
    places: dict[str, slice]

    @property
    def first_s(self) -> float:
        """Time of the first reading."""
        return float(self.t_s.min())

    @property
    def last_s(self) -> float:
        """Time of the last reading."""
        return float(self.t_s.max())

    def series(self, sensor: str) -> tuple[Floats, Floats] | None:
        """Return times and values of a sensor; None where it is not there."""
        place = self.places.get(sensor)
        return None if place is None else (self.t_s[place], self.values[place])

    def before(self, sensors: Sequence[str], t_s: float, stale_s: float) -> Floats:
        """Return each sensor's last reading at or before a time; NaN where there is none or it is older than ``stale_s``."""
        out = np.full(len(sensors), np.nan)
        for index, sensor in enumerate(sensors):
            if (found := self.series(sensor)) is None:
                continue
            last = int(np.searchsorted(found[0], t_s + 1e-6, "right")) - 1
            if last >= 0 and found[0][last] >= t_s - stale_s:
                out[index] = found[1][last]
        return out

    def step_s(self) -> float:
        """Return the grid that the telemetry is looked at on: its own usual interval, coarser where it is long."""
        gaps = [np.diff(self.t_s[place]) for place in list(self.places.values())[:200]]
        usual = float(np.median(np.concatenate(gaps))) if gaps and sum(map(len, gaps)) else 60.0
        return max(usual, (self.last_s - self.first_s) / MOST_SAMPLES, 1.0)

    def grid(self, sensors: Sequence[str], step_s: float) -> Floats:
        """Return means over a regular grid from the first reading on, shape (T, sensors); NaN where nothing was said."""
        count = int((self.last_s - self.first_s) / step_s + 1e-6) + 1
        out = np.full((count, len(sensors)), np.nan)
        for index, sensor in enumerate(sensors):
            if (found := self.series(sensor)) is None:
                continue
            cell = np.minimum(((found[0] - self.first_s) / step_s + 1e-6).astype(np.int64), count - 1)
            number = np.bincount(cell, minlength=count)
            there = number > 0
            out[there, index] = np.bincount(cell, weights=found[1], minlength=count)[there] / number[there]
        return out


def on_clock(name: str, clock: Clock) -> Sensed:
    """Return the telemetry that was imported under a name, in seconds since a run's start.

    Raises ValueError with the command to run where nothing was imported.
    """
    path = imported("telemetry", name)
    time_s, values, places = _read(path, path.stat().st_mtime_ns)
    start_s = clock.start.timestamp() if len(time_s) and time_s.min() >= EPOCH_S else 0.0
    return Sensed(name, time_s - start_s, values, places)


@lru_cache(maxsize=2)
def _read(path: Path, changed_ns: int) -> tuple[Floats, Floats, dict[str, slice]]:
    frame = imported_table(path)
    counts = frame.group_by("sensor", maintain_order=True).len()
    ends = np.cumsum(counts["len"].to_numpy())
    starts = ends - counts["len"].to_numpy()
    places = {sensor: slice(int(start), int(end)) for sensor, start, end in zip(counts["sensor"], starts, ends, strict=True)}
    arrays: list[Any] = [frame[name].to_numpy() for name in ("time_s", "value")]
    return arrays[0], arrays[1], places

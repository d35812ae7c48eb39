"""When hosts and servers restart for maintenance, whoever decides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twin.chance import stream
from twin.clock import DAY_S


@dataclass(frozen=True, slots=True)
class Site:
    """Ids of rows, and of the places of VMs by pool: hosts of pool 0, servers of pool 1."""

    row_ids: Sequence[str]
    place_ids: tuple[Sequence[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Restart:
    """A place that restarts at ``start_s``: its pool and its number there."""

    start_s: float
    pool: int
    place: int


class Maintenance:
    """Restarts of each place at random times (Poisson, ``per_day`` a place), drawn day by day."""

    def __init__(self, site: Site, per_day: float, seed: int) -> None:
        self._places = tuple(len(ids) for ids in site.place_ids)
        self._per_day, self._seed = per_day, seed
        self._days: dict[int, list[Restart]] = {}

    def starting(self, from_s: float, to_s: float) -> list[Restart]:
        """Return the restarts after ``from_s`` up to ``to_s``, in order."""
        if to_s <= from_s:
            return []
        days = range(max(0, int(from_s // DAY_S)), int(to_s // DAY_S) + 1)
        for day in [day for day in self._days if day < days.start]:
            del self._days[day]
        return [each for day in days for each in self._of(day) if from_s < each.start_s <= to_s]

    def _of(self, day: int) -> list[Restart]:
        if day not in self._days:
            self._days[day] = sorted(
                (each for pool in range(len(self._places)) for each in self._drawn(day, pool)),
                key=lambda each: (each.start_s, each.pool, each.place),
            )
        return self._days[day]

    def _drawn(self, day: int, pool: int) -> list[Restart]:
        draws = stream(self._seed, "workloads", "maintenance", str(pool), str(day))
        times = draws.poisson(self._per_day, self._places[pool])
        places = np.repeat(np.arange(self._places[pool]), times)
        starts_s = DAY_S * (day + draws.random(len(places)))
        return [Restart(float(at), pool, int(place)) for at, place in zip(starts_s, places, strict=True)]

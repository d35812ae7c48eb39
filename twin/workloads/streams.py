"""Customers who come and go: arrivals, sizes and lifetimes of opaque VMs."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from twin.chance import stream
from twin.clock import DAY_S, HOUR_S, Clock
from twin.sources import calibration
from twin.workloads.load import Load

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
SIZES: Final = (1, 2, 4, 8)
# Nobody rents for less; ticks are shorter, so that every VM is seen.
SHORTEST_S: Final = 600.0


def calibrated(path: str) -> Any:
    """Return a setting's default as ``data/calibration/workloads.toml`` has it."""
    table, _, name = path.partition(".")
    return Field(default_factory=lambda: calibration("workloads")[table][name]["value"])


def _sizes() -> dict[int, float]:
    return {gpus: float(calibration("workloads")["size"][f"gpus_{gpus}"]["value"]) for gpus in SIZES}


def varied_load() -> Load:
    """Return the default load, with VMs that differ."""
    spread = calibration("workloads")["spread"]
    return Load(spread_share=spread["mean_share"]["value"], spread_h=spread["peak_h"]["value"])


class Lifetime(BaseModel):
    """How long VMs live: a mix of two exponentials, hours and weeks, so that few VMs hold most of the GPUs.

    ``long_share`` is of the VMs that arrive. Lives that would end sooner last ten minutes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    short_mean_s: Annotated[float, Field(ge=SHORTEST_S, le=31_536_000)] = calibrated("lifetime.short_mean_s")
    long_mean_s: Annotated[float, Field(ge=SHORTEST_S, le=315_360_000)] = calibrated("lifetime.long_mean_s")
    long_share: Annotated[float, Field(ge=0, le=1)] = calibrated("lifetime.long_share")

    @property
    def mean_s(self) -> float:
        """Return the mean lifetime, which the shortest ones raise a little."""
        return (1.0 - self.long_share) * _lasting_s(self.short_mean_s) + self.long_share * _lasting_s(self.long_mean_s)


class VmStream(BaseModel):
    """Opaque VMs of one customer that arrive, live and leave, on GPU servers.

    How many there are is said by ``gpus_share``, the share of the fleet's GPUs (as built) that they hold on average, or by
    ``rate_per_h``. At the start of a run the population that belongs to it stands already. ``size_shares`` gives the share of
    VMs by their number of GPUs (1, 2, 4 or 8). Arrivals follow a daily wave, and at weekends ``arrival_weekend_share`` of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workload: Annotated[str, Field(min_length=1, max_length=60)]
    gpus_share: Annotated[float | None, Field(gt=0, le=1)] = None
    rate_per_h: Annotated[float | None, Field(gt=0, le=100_000)] = None
    lifetime: Lifetime = Field(default_factory=Lifetime)
    size_shares: dict[int, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=_sizes)
    load: Load = Field(default_factory=varied_load)
    arrival_swing_share: Annotated[float, Field(ge=0, le=1)] = calibrated("arrival.swing_share")
    arrival_peak_hour: Annotated[float, Field(ge=0, lt=24)] = calibrated("arrival.peak_hour")
    arrival_weekend_share: Annotated[float, Field(ge=0, le=1)] = calibrated("arrival.weekend_share")

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        if (self.gpus_share is None) == (self.rate_per_h is None):
            raise ValueError("write gpus_share or rate_per_h, one of them")
        if not set(self.size_shares) <= set(SIZES):
            raise ValueError("size_shares: a VM has 1, 2, 4 or 8 GPUs")
        if abs(sum(self.size_shares.values()) - 1.0) > 1e-6:
            raise ValueError(f"size_shares sum to {sum(self.size_shares.values()):g}; make it 1")
        return self

    @property
    def mean_gpus(self) -> float:
        """Return the mean number of GPUs of a VM."""
        return sum(gpus * share for gpus, share in self.size_shares.items())

    def mean_rate_per_s(self, gpus: int) -> float:
        """Return the mean rate of arrivals on a fleet of so many GPUs."""
        if self.rate_per_h is not None:
            return self.rate_per_h / HOUR_S
        return float(self.gpus_share or 0.0) * gpus / (self.mean_gpus * self.lifetime.mean_s)

    def held_gpus(self, gpus: int) -> float:
        """Return the mean number of GPUs held on a fleet of so many."""
        return self.mean_rate_per_s(gpus) * self.lifetime.mean_s * self.mean_gpus


class Arriving(Protocol):
    """How arrivals are spread over day and week: around a mean, with a daily wave that is weaker at weekends."""

    @property
    def arrival_swing_share(self) -> float: ...  # noqa: D102
    @property
    def arrival_peak_hour(self) -> float: ...  # noqa: D102
    @property
    def arrival_weekend_share(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Drawn:
    """The VMs of a stream in the order of their arrival, shape N; those with ``arrive_s`` 0 stand at the start.

    ``mean_shift_share`` and ``peak_shift_h`` are how a VM differs from its template.
    """

    arrive_s: Floats
    end_s: Floats
    gpus: Ints
    mean_shift_share: Floats
    peak_shift_h: Floats


def draw(asked: VmStream, rate_per_s: float, clock: Clock, horizon_s: float, seed: int, name: str) -> Drawn:
    """Return every VM of a stream up to the horizon. Each day has its own random stream, so a longer horizon shares its days."""
    days = [_day(asked, rate_per_s, clock, day, seed, name) for day in range(math.ceil(horizon_s / DAY_S))]
    arrive_s, life_s, size, *shifts = (np.concatenate(parts) for parts in zip(_standing(asked, rate_per_s, seed, name), *days, strict=True))
    keep = arrive_s < horizon_s
    sizes = np.array(sorted(asked.size_shares), dtype=np.int64)
    edges = np.cumsum([asked.size_shares[int(gpus)] for gpus in sizes])
    gpus = sizes[np.minimum(np.searchsorted(edges, size[keep], side="right"), len(sizes) - 1)]
    mean_shift, peak_shift = shifts[0][keep] * asked.load.spread_share, shifts[1][keep] * asked.load.spread_h
    return Drawn(arrive_s[keep], (arrive_s + life_s)[keep], gpus, mean_shift, peak_shift)


def _standing(asked: VmStream, rate_per_s: float, seed: int, name: str) -> tuple[Floats, ...]:
    """Return the population of the steady state with what is left of its lives.

    Little's law gives its mean, and of those that stand a lifetime's part is in proportion to how long it lasts. The daily wave
    of arrivals is left out here.
    """
    random, life = stream(seed, "workloads", "standing", name), asked.lifetime
    count = int(random.poisson(rate_per_s * life.mean_s))
    long_share = life.long_share * _lasting_s(life.long_mean_s) / life.mean_s
    drawn, mean_s, *rest = _attributes(random, count, life, long_share)
    return (np.zeros(count), _left_s(drawn, mean_s), *rest)


def _day(asked: VmStream, rate_per_s: float, clock: Clock, day: int, seed: int, name: str) -> tuple[Floats, ...]:
    """Return the arrivals of one day by thinning."""
    random = stream(seed, "workloads", "arrivals", name, str(day))
    arrive_s, keep = arriving(asked, rate_per_s, clock, day, random)
    drawn, mean_s, *rest = _attributes(random, len(arrive_s), asked.lifetime, asked.lifetime.long_share)
    life_s = np.maximum(drawn * mean_s, SHORTEST_S)
    return (arrive_s[keep], *(column[keep] for column in (life_s, *rest)))


def arriving(asked: Arriving, rate_per_s: float, clock: Clock, day: int, random: np.random.Generator) -> tuple[Floats, Bools]:
    """Return times of one day that are even, rising and more than needed, and which of them are kept to follow the wave."""
    weekend, swing = asked.arrival_weekend_share, asked.arrival_swing_share
    scale = rate_per_s / ((5.0 + 2.0 * weekend) / 7.0)
    count = int(random.poisson(scale * (1.0 + swing) * DAY_S))
    arrive_s = (day + np.sort(random.random(count))) * DAY_S
    # One on the very start of a run would be taken for one that stood there before.
    arrive_s = np.maximum(arrive_s, 1e-3)
    wave = 1.0 + swing * np.cos((clock.hour(arrive_s) - asked.arrival_peak_hour) * (2.0 * np.pi / 24.0))
    wave = wave * np.where(clock.weekday(arrive_s) >= 5, weekend, 1.0)
    return arrive_s, random.random(count) * (1.0 + swing) < wave


def _lasting_s(mean_s: float) -> float:
    """Return the mean of exponential lives of such a mean that last ten minutes at least."""
    return SHORTEST_S + mean_s * math.exp(-SHORTEST_S / mean_s)


def _left_s(drawn: Floats, mean_s: Floats) -> Floats:
    """Return what is left of the lives of those that stand, from draws of the standard exponential.

    At any moment of a steady state it has the density P(life > x) / mean life: even for the shortest lives, then exponential.
    """
    lasting_s = SHORTEST_S + mean_s * np.exp(-SHORTEST_S / mean_s)
    even_s, later_s = -np.expm1(-drawn) * lasting_s, mean_s * (drawn - np.log(lasting_s / mean_s))
    return np.asarray(np.where(even_s < SHORTEST_S, even_s, later_s))


def _attributes(random: np.random.Generator, count: int, life: Lifetime, long_share: float) -> tuple[Floats, ...]:
    """Return a standard exponential draw, the mean it belongs to, a level for the size, and two standard normal shifts of each VM."""
    mean_s = np.where(random.random(count) < long_share, life.long_mean_s, life.short_mean_s)
    drawn = random.standard_exponential(count)
    return drawn, mean_s, random.random(count), random.standard_normal(count), random.standard_normal(count)

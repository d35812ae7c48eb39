"""Customers' VMs on CPU hosts: arrivals, vCPUs, memory and lifetimes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from twin.chance import stream
from twin.clock import DAY_S, HOUR_S, Clock
from twin.sources import calibration
from twin.workloads.load import Load
from twin.workloads.streams import SHORTEST_S, arriving, calibrated, varied_load

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
GIB: Final = 1 << 30
LARGEST_VCPUS: Final = 1024


def _sizes() -> dict[int, float]:
    return {int(name.removeprefix("vcpus_")): float(entry["value"]) for name, entry in calibration("workloads")["host_size"].items()}


def _memory() -> dict[float, float]:
    return {float(entry["gb_per_vcpu"]): float(entry["value"]) for entry in calibration("workloads")["host_memory"].values()}


def default_memory_bytes(vcpus: int) -> int:
    """Return the memory of a VM of so many vCPUs of which nothing else is said: the mean of the default mix."""
    return round(vcpus * GIB * sum(gb * share for gb, share in _memory().items()))


class HostLifetime(BaseModel):
    """How long VMs on hosts live: a Pareto law between two bounds, so that most are short and few hold most of the memory.

    Of the VMs that arrive, the share that outlives t falls as t to the power of minus ``exponent``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    exponent: Annotated[float, Field(gt=0.05, lt=0.95)] = calibrated("host_lifetime.exponent")
    shortest_s: Annotated[float, Field(ge=SHORTEST_S, le=31_536_000)] = calibrated("host_lifetime.shortest_s")
    longest_s: Annotated[float, Field(ge=SHORTEST_S, le=315_360_000)] = calibrated("host_lifetime.longest_s")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.longest_s <= self.shortest_s:
            raise ValueError("longest_s is no longer than shortest_s; write more")
        return self

    @property
    def mean_s(self) -> float:
        """Return the mean lifetime."""
        low_s, high_s, rest = self.shortest_s, self.longest_s, 1.0 - self.exponent
        scale = low_s**self.exponent / (1.0 - (low_s / high_s) ** self.exponent)
        return float(self.exponent / rest * scale * (high_s**rest - low_s**rest))

    def lives_s(self, level: Floats) -> Floats:
        """Return the lifetimes of VMs that arrive, from even draws of 0 to 1."""
        low, high = self.shortest_s**-self.exponent, self.longest_s**-self.exponent
        return np.asarray((low - level * (low - high)) ** (-1.0 / self.exponent))

    def left_s(self, level: Floats, passed: Floats) -> Floats:
        """Return what is left of the lives of VMs that stand in a steady state, from even draws of 0 to 1.

        A VM is met in proportion to how long it lives, at a moment anywhere in its life.
        """
        rest = 1.0 - self.exponent
        low, high = self.shortest_s**rest, self.longest_s**rest
        return np.asarray((low + level * (high - low)) ** (1.0 / rest) * (1.0 - passed))

    def later_s(self, passed_s: Floats, level: Floats) -> Floats:
        """Return the whole lifetimes of VMs that have lived for so long already, from even draws of 0 to 1."""
        since_s = np.clip(passed_s, self.shortest_s, self.longest_s)
        low, high = since_s**-self.exponent, self.longest_s**-self.exponent
        return np.asarray(np.maximum((low - level * (low - high)) ** (-1.0 / self.exponent), passed_s))


class HostStream(BaseModel):
    """VMs of one customer that arrive on CPU hosts, live there and leave.

    How many there are is said by ``vcpus_share``, the share of the vCPUs of the fleet's hosts that they hold on average, or by
    ``rate_per_h``. At the start of a run the population that belongs to it stands already. ``size_shares`` gives the share of
    VMs by their vCPUs, ``memory_gb_per_vcpu`` by their memory (GB of 2^30 bytes) for each vCPU. They come and go in batches of one
    size: the share of batches with more than n VMs falls as n + 1 to the power of minus ``batch_exponent``, up to
    ``batch_largest``. ``memory_bound_share`` is how much of their time waits for memory while all of it is local. Arrivals
    follow a daily wave, weaker at weekends.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workload: Annotated[str, Field(min_length=1, max_length=60)]
    vcpus_share: Annotated[float | None, Field(gt=0, le=1)] = None
    rate_per_h: Annotated[float | None, Field(gt=0, le=1_000_000)] = None
    lifetime: HostLifetime = Field(default_factory=HostLifetime)
    size_shares: dict[Annotated[int, Field(ge=1, le=LARGEST_VCPUS)], Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=_sizes)
    memory_gb_per_vcpu: dict[Annotated[float, Field(gt=0, le=1024)], Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=_memory)
    batch_exponent: Annotated[float, Field(ge=0.5, le=10)] = calibrated("host_batch.exponent")
    batch_largest: Annotated[int, Field(ge=1, le=10_000)] = calibrated("host_batch.largest")
    memory_bound_share: Annotated[float, Field(ge=0, le=1)] = calibrated("host_memory_bound.share")
    load: Load = Field(default_factory=varied_load)
    arrival_swing_share: Annotated[float, Field(ge=0, le=1)] = calibrated("host_arrival.swing_share")
    arrival_peak_hour: Annotated[float, Field(ge=0, lt=24)] = calibrated("host_arrival.peak_hour")
    arrival_weekend_share: Annotated[float, Field(ge=0, le=1)] = calibrated("host_arrival.weekend_share")

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        if (self.vcpus_share is None) == (self.rate_per_h is None):
            raise ValueError("write vcpus_share or rate_per_h, one of them")
        for name, shares in (("size_shares", self.size_shares), ("memory_gb_per_vcpu", self.memory_gb_per_vcpu)):
            if abs(sum(shares.values()) - 1.0) > 1e-6:
                raise ValueError(f"{name} sum to {sum(shares.values()):g}; make it 1")
        return self

    @property
    def mean_vcpus(self) -> float:
        """Return the mean number of vCPUs of a VM."""
        return sum(vcpus * share for vcpus, share in self.size_shares.items())

    @property
    def mean_batch(self) -> float:
        """Return the mean number of VMs of a batch."""
        return float((np.arange(1, self.batch_largest + 1) ** -self.batch_exponent).sum())

    @property
    def largest_vcpus(self) -> int:
        """Return the vCPUs of the largest VM that comes."""
        return max(vcpus for vcpus, share in self.size_shares.items() if share > 0.0)

    def mean_rate_per_s(self, vcpus: int) -> float:
        """Return the mean rate at which VMs arrive on hosts of so many vCPUs in all."""
        if self.rate_per_h is not None:
            return self.rate_per_h / HOUR_S
        return float(self.vcpus_share or 0.0) * vcpus / (self.mean_vcpus * self.lifetime.mean_s)

    def held_vcpus(self, vcpus: int) -> float:
        """Return the mean number of vCPUs held on hosts of so many in all."""
        return self.mean_rate_per_s(vcpus) * self.lifetime.mean_s * self.mean_vcpus


@dataclass(frozen=True, slots=True)
class HostDrawn:
    """The VMs of a stream in the order of their arrival, shape N; those with ``arrive_s`` 0 stand at the start.

    ``mean_shift_share`` and ``peak_shift_h`` are how a VM differs from its template.
    """

    arrive_s: Floats
    end_s: Floats
    vcpus: Ints
    memory_bytes: Ints
    mean_shift_share: Floats
    peak_shift_h: Floats


def draw(asked: HostStream, rate_per_s: float, clock: Clock, horizon_s: float, seed: int, name: str) -> HostDrawn:
    """Return every VM of a stream up to the horizon. Each day has its own random stream, so a longer horizon shares its days."""
    batches_per_s = rate_per_s / asked.mean_batch
    days = [_day(asked, batches_per_s, clock, day, seed, name) for day in range(math.ceil(horizon_s / DAY_S))]
    columns = [np.concatenate(parts) for parts in zip(_standing(asked, batches_per_s, seed, name), *days, strict=True)]
    arrive_s, life_s, size, memory, *shifts = (column[columns[0] < horizon_s] for column in columns)
    vcpus = _picked(asked.size_shares, size).astype(np.int64)
    memory_bytes = np.rint(_picked(asked.memory_gb_per_vcpu, memory) * vcpus * GIB).astype(np.int64)
    return HostDrawn(arrive_s, arrive_s + life_s, vcpus, memory_bytes, shifts[0] * asked.load.spread_share, shifts[1] * asked.load.spread_h)


def _picked(shares: Mapping[Any, float], level: Floats) -> Floats:
    """Return the value that each even draw of 0 to 1 falls on."""
    values = sorted(value for value, share in shares.items() if share > 0.0)
    edges = np.cumsum([shares[value] for value in values])
    return np.array(values, dtype=np.float64)[np.minimum(np.searchsorted(edges, level, side="right"), len(values) - 1)]


def _standing(asked: HostStream, batches_per_s: float, seed: int, name: str) -> tuple[Floats, ...]:
    """Return the population of the steady state with what is left of its lives; Little's law gives its mean."""
    random, life = stream(seed, "workloads", "host-standing", name), asked.lifetime
    count = int(random.poisson(batches_per_s * life.mean_s))
    return _vms(asked, np.zeros(count), life.left_s(random.random(count), random.random(count)), random)


def _day(asked: HostStream, batches_per_s: float, clock: Clock, day: int, seed: int, name: str) -> tuple[Floats, ...]:
    """Return the arrivals of one day."""
    random = stream(seed, "workloads", "host-arrivals", name, str(day))
    arrive_s, keep = arriving(asked, batches_per_s, clock, day, random)
    arrive_s = arrive_s[keep]
    return _vms(asked, arrive_s, asked.lifetime.lives_s(random.random(len(arrive_s))), random)


def _vms(asked: HostStream, arrive_s: Floats, life_s: Floats, random: np.random.Generator) -> tuple[Floats, ...]:
    """Return the VMs of batches: times, levels for size and memory, which a batch shares, and two standard normal shifts of each VM."""
    level, batches = random.random((3, len(arrive_s))), len(arrive_s)
    # Even draws of (0, 1]: one of 0 would make a batch without end.
    count = np.minimum(np.floor((1.0 - level[0]) ** (-1.0 / asked.batch_exponent)), asked.batch_largest).astype(np.int64)
    of = np.repeat(np.arange(batches), count)
    return (arrive_s[of], life_s[of], level[1][of], level[2][of], random.standard_normal(len(of)), random.standard_normal(len(of)))

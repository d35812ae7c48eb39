"""Who asks for what and when: synthetic requests, or an imported trace.

Synthetic demand is labelled so wherever it is shown. Its rate is a daily curve times bursts; its token counts follow
published quantiles of real traces, prompt and output drawn independently. Every hour has its own random stream, so that
a longer horizon leaves the hours it shares with a shorter one as they were.
"""

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Annotated, Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from twin import chance
from twin.clock import DAY_S, HOUR_S, Clock
from twin.sources import calibration, imported

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_SLOTS: Final = 360  # rate steps of ten seconds in an hour


class Synthetic(BaseModel):
    """Built-in demand, labelled synthetic.

    Rates are requests per second averaged over a day. Bursts come and go at random (a two-state Markov chain); the mean
    rate is kept. ``image_share`` of the requests carry images and take the lengths of image requests.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["synthetic"] = "synthetic"
    rate_per_s: Annotated[float, Field(ge=0, le=10_000)] = 1.0
    peak_hour: Annotated[float, Field(ge=0, lt=24)] = 14.0
    peak_to_mean: Annotated[float, Field(ge=1, le=6)] = 1.5
    burst_factor: Annotated[float, Field(ge=1, le=20)] = 1.5
    burst_mean_s: Annotated[float, Field(ge=10, le=86_400)] = 300.0
    burst_time_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    lengths: Literal["conv", "code", "text"] = "conv"
    image_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    max_prompt_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 32_768
    max_output_tokens: Annotated[int, Field(ge=1, le=100_000)] = 2_048


class Trace(BaseModel):
    """An imported trace: arrivals ``rate_scale`` times as fast, over again to the horizon where ``repeat`` is set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["trace"]
    name: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9._-]+$")]
    rate_scale: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    repeat: bool = True
    max_output_tokens: Annotated[int, Field(ge=1, le=100_000)] = 100_000


Demand = Annotated[Synthetic | Trace, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests in the order of arrival, shape N. ``images`` counts the images of each.

    Those before ``first`` were counted and not drawn: their places are kept, so that a request has the same index
    whatever part of the day is drawn, and hold zeros.
    """

    arrive_s: Floats
    prompt_tokens: Ints
    output_tokens: Ints
    images: Ints
    first: int = 0

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.arrive_s)


def draw(demand: Synthetic | Trace, clock: Clock, horizon_s: float, seed: int, endpoint_id: str, from_s: float = 0.0) -> Requests:
    """Return every request of an endpoint up to the horizon; whole hours before ``from_s`` are only counted."""
    if isinstance(demand, Trace):
        return _replay(demand, horizon_s)
    return _drawn(demand, clock, horizon_s, seed, endpoint_id, from_s)


# Candidates are compared in the same world, one after the other: the last few endpoints' requests are worth keeping.
@lru_cache(maxsize=8)
def _drawn(demand: Synthetic, clock: Clock, horizon_s: float, seed: int, endpoint_id: str, from_s: float) -> Requests:
    burst = bursts(demand, horizon_s, seed, endpoint_id)
    streams = [chance.stream(seed, "serving", "requests", endpoint_id, str(hour)) for hour in range(math.ceil(horizon_s / HOUR_S))]
    begin = min(int(from_s // HOUR_S), len(streams))
    first = sum(int(_counts(demand, clock, hour, burst, streams[hour]).sum()) for hour in range(begin))
    hours = [_hour(demand, clock, hour, burst, streams[hour]) for hour in range(begin, len(streams))]
    arrive_s, *sizes = (np.concatenate(parts) for parts in zip(*hours, strict=True)) if hours else (np.zeros(0),) * 4
    keep = int(np.searchsorted(arrive_s, horizon_s))
    prompt_tokens, output_tokens, images = (_placed(column[:keep], first, np.int64) for column in sizes)
    return Requests(_placed(arrive_s[:keep], first, np.float64), prompt_tokens, output_tokens, images, first)


def _placed(drawn: NDArray[Any], first: int, kind: type) -> NDArray[Any]:
    column: NDArray[Any] = np.zeros(first + len(drawn), dtype=kind)
    column[first:] = drawn
    column.flags.writeable = False
    return column


def daily_curve(hour: Floats, peak_hour: float, peak_to_mean: float) -> Floats:
    """Return the rate over its daily mean: exp(k cos) over a day, k such that the peak is ``peak_to_mean``.

    >>> float(np.round(daily_curve(np.array(14.0), 14.0, 1.8), 6))
    1.8
    """
    if peak_to_mean <= 1.0:
        return np.ones_like(hour)
    k, mean = _sharpness(peak_to_mean)
    return np.asarray(np.exp(k * (np.cos(2.0 * np.pi * (hour - peak_hour) / 24.0) - 1.0)) / mean)


@cache
def _sharpness(peak_to_mean: float) -> tuple[float, float]:
    """Return k of the daily curve and its mean before scaling."""
    # Imported here: a fifth of what importing a model would cost, and traces do without.
    from scipy.optimize import brentq
    from scipy.special import ive

    k = float(brentq(lambda x: 1.0 / ive(0, x) - peak_to_mean, 0.0, 200.0))
    return k, float(ive(0, k))


def bursts(demand: Synthetic, horizon_s: float, seed: int, endpoint_id: str) -> tuple[Floats, Floats]:
    """Return when the burst level changes and the factor on the rate from then on; begins calm at 0."""
    share = demand.burst_time_share
    calm = 1.0 / (1.0 + share * (demand.burst_factor - 1.0))
    if share == 0.0 or demand.burst_factor == 1.0:
        return np.zeros(1), np.ones(1)
    rng = chance.stream(seed, "serving", "bursts", endpoint_id)
    calm_mean_s = demand.burst_mean_s * (1.0 - share) / share
    times, t_s = [0.0], 0.0
    while t_s < horizon_s:
        t_s += float(rng.exponential(calm_mean_s))
        times.append(t_s)
        t_s += float(rng.exponential(demand.burst_mean_s))
        times.append(t_s)
    levels = np.where(np.arange(len(times)) % 2 == 0, calm, calm * demand.burst_factor)
    return np.array(times), levels


def _edges_s(hour: int) -> Floats:
    return np.asarray(hour * HOUR_S + np.arange(_SLOTS + 1) * (HOUR_S / _SLOTS))


def _counts(demand: Synthetic, clock: Clock, hour: int, burst: tuple[Floats, Floats], rng: np.random.Generator) -> Ints:
    """Return how many requests arrive in each slot of an hour; the first draw of the hour's stream."""
    edges_s = _edges_s(hour)
    middle_s = 0.5 * (edges_s[1:] + edges_s[:-1])
    level = burst[1][np.searchsorted(burst[0], middle_s, side="right") - 1]
    rate = demand.rate_per_s * daily_curve(clock.hour(middle_s), demand.peak_hour, demand.peak_to_mean) * level
    return rng.poisson(rate * (HOUR_S / _SLOTS))


def _hour(
    demand: Synthetic, clock: Clock, hour: int, burst: tuple[Floats, Floats], rng: np.random.Generator
) -> tuple[Floats, Ints, Ints, Ints]:
    """Return the requests of one hour: arrival, prompt, output, images."""
    counts = _counts(demand, clock, hour, burst, rng)
    arrive_s = np.sort(np.repeat(_edges_s(hour)[:-1], counts) + rng.random(int(counts.sum())) * (HOUR_S / _SLOTS))
    u = rng.random((4, len(arrive_s)))
    prompt, output = quantiles(demand.lengths, "prompt", u[1]), quantiles(demand.lengths, "output", u[2])
    images = np.zeros(len(u[0]), dtype=np.int64)
    with_images = np.flatnonzero(u[0] < demand.image_share)
    if len(with_images):
        prompt[with_images] = quantiles("image", "prompt", u[1][with_images])
        output[with_images] = quantiles("image", "output", u[2][with_images])
        images[with_images] = _images(u[3][with_images])
    return arrive_s, np.clip(prompt, 1, demand.max_prompt_tokens), np.clip(output, 1, demand.max_output_tokens), images


def quantiles(lengths: str, what: Literal["prompt", "output"], u: Floats) -> Ints:
    """Return token counts by inverse distribution of the published quantiles at ``u`` in 0..1."""
    table = np.array(calibration("serving")["lengths"][lengths][what], dtype=np.float64)
    return np.rint(np.exp(np.interp(u * 100.0, table[:, 0], np.log(table[:, 1])))).astype(np.int64)


def _images(u: Floats) -> Ints:
    table = np.array(calibration("serving")["images"]["counts"], dtype=np.float64)
    return np.asarray(table[np.minimum(np.searchsorted(table[:, 0], u * 100.0), len(table) - 1), 1], dtype=np.int64)


def _replay(demand: Trace, horizon_s: float) -> Requests:
    frame = pl.read_parquet(imported("llm-trace", demand.name)).sort("t_s", maintain_order=True)
    if frame.is_empty():
        none = np.zeros(0, dtype=np.int64)
        return Requests(np.zeros(0), none, none, none)
    t_s = (frame["t_s"].to_numpy() - frame["t_s"][0]) / demand.rate_scale
    # The gap after the last request is taken to be the mean one.
    period_s = float(t_s[-1]) * len(t_s) / max(1, len(t_s) - 1) or DAY_S
    rounds = int(np.ceil(horizon_s / period_s)) if demand.repeat else 1
    arrive_s = (np.arange(rounds)[:, None] * period_s + t_s[None, :]).ravel()
    keep = arrive_s < horizon_s
    sizes = [np.tile(frame[name].to_numpy().astype(np.int64), rounds)[keep] for name in ("prompt_tokens", "output_tokens", "images")]
    return Requests(arrive_s[keep], np.maximum(sizes[0], 1), np.clip(sizes[1], 1, demand.max_output_tokens), sizes[2])

"""Who asks for what and when: synthetic requests, or an imported trace.

Synthetic demand is labelled so wherever it is shown. Its rate is a daily curve times bursts; its token counts follow
published quantiles of real traces, prompt and output drawn independently. Every hour has its own random stream, so that
a longer horizon leaves the hours it shares with a shorter one as they were. Requests with images may come as a process of
their own, with streams of their own: its bursts have nothing to do with those of text, and text stays as it was without it.
"""

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from twin import chance
from twin.clock import DAY_S, HOUR_S, Clock
from twin.serving.images import text_tokens
from twin.sources import calibration, imported, imported_table

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_SLOTS: Final = 360  # rate steps of ten seconds in an hour


class ImageRequests(BaseModel):
    """Requests with images as a process of their own: calm, or in a burst whose rate is drawn anew for each burst.

    Calm and burst times are exponential. The defaults follow the 2025 multimodal trace of Azure: about 40 a minute, bursts of
    150 to 450 a minute, and as many over a week as its text requests (0.83 a second). Numbers of images and token counts
    follow its quantiles; no request carries more than ``max_images``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    calm_rate_per_s: Annotated[float, Field(ge=0, le=10_000)] = 0.67
    burst_rate_low_per_s: Annotated[float, Field(ge=0, le=10_000)] = 2.5
    burst_rate_high_per_s: Annotated[float, Field(ge=0, le=10_000)] = 7.5
    calm_mean_s: Annotated[float, Field(ge=10, le=2_592_000)] = 23_400.0
    burst_mean_s: Annotated[float, Field(ge=10, le=604_800)] = 900.0
    max_images: Annotated[int, Field(ge=1, le=10_000)] = 64

    @model_validator(mode="after")
    def _ordered(self) -> "ImageRequests":
        if self.burst_rate_low_per_s > self.burst_rate_high_per_s:
            raise ValueError("burst_rate_low_per_s lies above burst_rate_high_per_s; swap them")
        return self

    @property
    def rate_per_s(self) -> float:
        """Return the mean rate over long times."""
        burst = 0.5 * (self.burst_rate_low_per_s + self.burst_rate_high_per_s)
        total = self.calm_rate_per_s * self.calm_mean_s + burst * self.burst_mean_s
        return total / (self.calm_mean_s + self.burst_mean_s)


class Synthetic(BaseModel):
    """Built-in demand, labelled synthetic.

    Rates are requests per second averaged over a day. Bursts come and go at random (a two-state Markov chain); the mean
    rate is kept. ``image_share`` of the requests carry images and take the lengths of image requests. With ``images``
    requests with images come beside these instead, independently; then ``lengths = "text"`` are those of the same trace.
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
    images: ImageRequests | None = None

    @model_validator(mode="after")
    def _one_kind_of_images(self) -> "Synthetic":
        if self.images is not None and self.image_share > 0.0:
            raise ValueError("image_share and images are both set; give one of them")
        return self

    def times(self, factor: float) -> "Synthetic":
        """Return the demand of so many times as many users."""
        images = self.images
        if images is not None:
            rates = ("calm_rate_per_s", "burst_rate_low_per_s", "burst_rate_high_per_s")
            images = images.model_copy(update={name: factor * getattr(images, name) for name in rates})
        return self.model_copy(update={"rate_per_s": factor * self.rate_per_s, "images": images})

    @property
    def mean_rate_per_s(self) -> float:
        """Return the mean rate of all requests, with and without images."""
        return self.rate_per_s + (0.0 if self.images is None else self.images.rate_per_s)


class Trace(BaseModel):
    """An imported trace: arrivals ``rate_scale`` times as fast, over again to the horizon where ``repeat`` is set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["trace"]
    name: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9._-]+$")]
    rate_scale: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    repeat: bool = True
    max_output_tokens: Annotated[int, Field(ge=1, le=100_000)] = 100_000

    def times(self, factor: float) -> "Trace":
        """Return the trace so many times as fast."""
        return self.model_copy(update={"rate_scale": factor * self.rate_scale})


Demand = Annotated[Synthetic | Trace, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests in the order of arrival, shape N. ``images`` counts the images of each.

    ``prompt_tokens`` are a context as published: with images, and before any model has cut them into tiles. ``text`` is
    what of it is text, kept only where it does not follow from the other two. Those before ``first`` were counted and not
    drawn: their places are kept, so that a request has the same index whatever part of the day is drawn, and hold zeros.
    """

    arrive_s: Floats
    prompt_tokens: Ints
    output_tokens: Ints
    images: Ints
    first: int = 0
    text: Ints | None = None

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.arrive_s)

    @property
    def text_tokens(self) -> Ints:
        """Return what of each prompt is text, by the rule of ``twin.serving.images.text_tokens``."""
        return text_tokens(self.prompt_tokens, self.images) if self.text is None else self.text


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
    hours: list[tuple[NDArray[Any], ...]] = [_hour(demand, clock, hour, burst, streams[hour]) for hour in range(begin, len(streams))]
    if demand.images is not None:
        level = image_bursts(demand.images, horizon_s, seed, endpoint_id)
        streams = [chance.stream(seed, "serving", "image-requests", endpoint_id, str(hour)) for hour in range(len(streams))]
        first += sum(int(_image_counts(hour, level, streams[hour]).sum()) for hour in range(begin))
        hours = [_both(text, _image_hour(demand, hour, level, streams[hour])) for hour, text in enumerate(hours, start=begin)]
    arrive_s, *sizes = (np.concatenate(parts) for parts in zip(*hours, strict=True)) if hours else (np.zeros(0),) * 4
    keep = int(np.searchsorted(arrive_s, horizon_s))
    prompt_tokens, output_tokens, images, *text = (_placed(column[:keep], first, np.int64) for column in sizes)
    return Requests(_placed(arrive_s[:keep], first, np.float64), prompt_tokens, output_tokens, images, first, *text)


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


def expected_share(demand: Synthetic | Trace, hour: Floats) -> Floats:
    """Return the expected rate at hours of the day over its highest; 1 throughout for a trace, of which nobody knows what comes."""
    if isinstance(demand, Trace):
        return np.ones_like(hour)
    beside = 0.0 if demand.images is None else demand.images.rate_per_s
    rate = demand.rate_per_s * daily_curve(hour, demand.peak_hour, demand.peak_to_mean) + beside
    return np.asarray(rate / max(float(rate.max()), 1e-12))


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


def image_bursts(asked: ImageRequests, horizon_s: float, seed: int, endpoint_id: str) -> tuple[Floats, Floats]:
    """Return when the rate of requests with images changes and what it is from then on; begins calm at 0."""
    rng = chance.stream(seed, "serving", "image-bursts", endpoint_id)
    times, levels, t_s = [0.0], [asked.calm_rate_per_s], 0.0
    while t_s < horizon_s:
        t_s += float(rng.exponential(asked.calm_mean_s))
        times.append(t_s)
        levels.append(float(rng.uniform(asked.burst_rate_low_per_s, asked.burst_rate_high_per_s)))
        t_s += float(rng.exponential(asked.burst_mean_s))
        times.append(t_s)
        levels.append(asked.calm_rate_per_s)
    return np.array(times), np.array(levels)


def _image_counts(hour: int, level: tuple[Floats, Floats], rng: np.random.Generator) -> Ints:
    """Return how many requests with images arrive in each slot of an hour; the first draw of the hour's stream."""
    edges_s = _edges_s(hour)
    rate = level[1][np.searchsorted(level[0], 0.5 * (edges_s[1:] + edges_s[:-1]), side="right") - 1]
    return rng.poisson(rate * (HOUR_S / _SLOTS))


def _image_hour(demand: Synthetic, hour: int, level: tuple[Floats, Floats], rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
    """Return the requests with images of one hour: arrival, prompt, output, images, text of the prompt.

    Text is what the images as drawn leave of the context, so that images above ``max_images`` do not turn into text.
    """
    assert demand.images is not None
    counts = _image_counts(hour, level, rng)
    arrive_s = np.sort(np.repeat(_edges_s(hour)[:-1], counts) + rng.random(int(counts.sum())) * (HOUR_S / _SLOTS))
    u = rng.random((3, len(arrive_s)))
    context, images = quantiles("image", "prompt", u[0]), _images(_correlated(u[0], u[2]))
    prompt = np.clip(context, 1, demand.max_prompt_tokens)
    output = np.clip(quantiles("image", "output", u[1]), 1, demand.max_output_tokens)
    text = np.minimum(text_tokens(context, images), demand.max_prompt_tokens)
    return arrive_s, prompt, output, np.minimum(images, demand.images.max_images), text


def _correlated(u: Floats, other: Floats) -> Floats:
    """Return levels that are uniform as ``other`` are, and correlated with ``u``: a Gaussian copula."""
    from scipy.special import ndtr, ndtri

    share = float(calibration("multimodal")["correlation"]["context_and_images"])
    return np.asarray(ndtr(share * ndtri(u) + math.sqrt(1.0 - share * share) * ndtri(other)))


def _both(text: tuple[NDArray[Any], ...], pictured: tuple[NDArray[Any], ...]) -> tuple[NDArray[Any], ...]:
    """Put requests without and with images into one order of arrival; all of a prompt without images is text."""
    columns = [np.concatenate(pair) for pair in zip((*text, text[1]), pictured, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return tuple(column[order] for column in columns)


def quantiles(lengths: str, what: Literal["prompt", "output"], u: Floats) -> Ints:
    """Return token counts by inverse distribution of the published quantiles at ``u`` in 0..1."""
    table = np.array(calibration("serving")["lengths"][lengths][what], dtype=np.float64)
    return np.rint(np.exp(np.interp(u * 100.0, table[:, 0], np.log(table[:, 1])))).astype(np.int64)


def _images(u: Floats) -> Ints:
    table = np.array(calibration("serving")["images"]["counts"], dtype=np.float64)
    return np.asarray(table[np.minimum(np.searchsorted(table[:, 0], u * 100.0), len(table) - 1), 1], dtype=np.int64)


def _replay(demand: Trace, horizon_s: float) -> Requests:
    frame = imported_table(imported("llm-trace", demand.name)).sort("t_s", maintain_order=True)
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

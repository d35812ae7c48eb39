"""What instances sustain inside their objectives, by their coefficients.

Instances of a pool share what comes: the wait before one of c is that of M/G/c (Sakasegawa's closed form), so the more
there are, the busier each may be. ``instances`` has the shape of the coefficients' rows, or is one number for all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.serving.latency import (
    DECODE_PER_CONTEXT_TOKEN_S,
    DECODE_PER_REQUEST_S,
    DECODE_S,
    KV_TOKENS,
    OVERHEAD_S,
    PREFILL_PER_TOKEN_S,
    prefill_s,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Count = Floats | float
# How busy an instance is planned that misses its objective even when idle: it cannot be met, so only queues are kept short.
_STRAINED_SHARE: Final = 0.5
_HALVINGS: Final = 30


def _tail(scv: float) -> float:
    """Return how many times its mean the 99th percentile of a lognormal distribution is."""
    spread = np.sqrt(np.log1p(scv))
    return float(np.exp(2.326 * spread - 0.5 * spread**2))


@dataclass(frozen=True, slots=True)
class Mix:
    """What one request asks on average; ``tiles`` of one with images, ``*_scv`` squared coefficients of variation.

    ``long_*`` are 99th percentiles, where they are known: of the prompts of all requests, and of the tiles of those with images.
    """

    prompt_tokens: float = 1024.0
    output_tokens: float = 200.0
    tiles: float = 4.0
    image_share: float = 0.0
    prompt_scv: float = 1.0
    tile_scv: float = 0.0
    long_prompt_tokens: float | None = None
    long_tiles: float | None = None

    @property
    def longest_prompt_tokens(self) -> float:
        """Return the 99th percentile of prompts, of a lognormal distribution where none was seen."""
        return self.prompt_tokens * _tail(self.prompt_scv) if self.long_prompt_tokens is None else self.long_prompt_tokens

    @property
    def longest_tiles(self) -> float:
        """Return the 99th percentile of tiles of requests with images."""
        return self.tiles * _tail(self.tile_scv) if self.long_tiles is None else self.long_tiles


@dataclass(frozen=True, slots=True)
class Objectives:
    """Time to first token and mean time per token that a stage has, and how busy its instances may be."""

    ttft_s: float
    atgt_s: float
    busy_limit_share: float


@dataclass(frozen=True, slots=True)
class Capacity:
    """What each slot sustains per second, and whether the objectives hold at that, shape n."""

    per_s: Floats
    fits: Bools


@dataclass(frozen=True, slots=True)
class Work:
    """How long instances take over one request: mean, squared coefficient of variation and 99th percentile, shape n."""

    mean_s: Floats
    scv: Floats
    longest_s: Floats

    def through_s(self, busy: Floats, instances: Count) -> Floats:
        """Return the 99th percentile of wait and work at one of some instances, each busy for a share of its time.

        The wait is exponential for those who wait at all; what wait and work lie above their means adds up as deviations do.
        """
        waits_share = np.maximum(busy, 1e-9) ** (np.sqrt(2.0 * (np.asarray(instances) + 1.0)) - 1.0)
        if_waits_s = 0.5 * self.mean_s * (1.0 + self.scv) / (instances * np.maximum(1.0 - busy, 1e-6))
        mean_s = waits_share * if_waits_s
        wait_s = if_waits_s * np.maximum(np.log(np.maximum(100.0 * waits_share, 1e-9)), 0.0)
        above_s = np.hypot(np.maximum(wait_s - mean_s, 0.0), np.maximum(self.longest_s - self.mean_s, 0.0))
        return np.asarray(mean_s + self.mean_s + above_s)


def encode_capacity(encode_s: Floats, mix: Mix, pieces: int, budget_s: float, busy_limit_share: float, instances: Count = 1.0) -> Capacity:
    """Return the tiles per second of image instances, from base and per-tile times, shape n x 2.

    A request's tiles come in up to ``pieces`` pieces, which wait in line: the 99th percentile of wait and piece must fit the budget.
    """
    tiles = max(1.0, mix.tiles / pieces)
    service_s = encode_s[:, 0] + encode_s[:, 1] * tiles
    longest_s = encode_s[:, 0] + encode_s[:, 1] * max(1.0, mix.longest_tiles / pieces)
    # Only the part that grows with tiles varies.
    work = Work(service_s, mix.tile_scv * (encode_s[:, 1] * tiles / service_s) ** 2, longest_s)
    found = _highest(lambda rate: work.through_s(rate * service_s, instances) <= budget_s, service_s, busy_limit_share)
    return Capacity(found.per_s * tiles, found.fits)


def prefill_capacity(latency: Floats, mix: Mix, goals: Objectives, encode_s: Floats | None = None, instances: Count = 1.0) -> Capacity:
    """Return the prompt tokens per second of instances that prefill (and encode, where ``encode_s`` is given), shape n."""
    work = _reading(latency, mix, encode_s)
    service_s = work.mean_s
    found = _highest(lambda rate: work.through_s(rate * service_s, instances) <= goals.ttft_s, service_s, goals.busy_limit_share)
    return Capacity(found.per_s * mix.prompt_tokens, found.fits)


def decode_capacity(latency: Floats, mix: Mix, goals: Objectives, max_batch: NDArray[np.int64]) -> Capacity:
    """Return the output tokens per second of instances that only decode, shape n."""
    service_s = latency[:, DECODE_PER_REQUEST_S] + latency[:, DECODE_PER_CONTEXT_TOKEN_S] * (mix.prompt_tokens + 0.5 * mix.output_tokens)
    most = np.maximum(service_s, 1e-7) * max(mix.output_tokens, 1.0)
    idle = np.zeros(len(latency))
    found = _highest(lambda rate: _decodes(latency, mix, goals, max_batch, rate, idle)[0], most, goals.busy_limit_share)
    return Capacity(found.per_s * mix.output_tokens, found.fits)


def whole_capacity(
    latency: Floats,
    mix: Mix,
    goals: Objectives,
    max_batch: NDArray[np.int64],
    encode_s: Floats | None = None,
    instances: Count = 1.0,
) -> Capacity:
    """Return the prompt tokens per second of instances that prefill and decode (and encode), shape n.

    While it prefills or encodes an instance decodes nothing, so that time is lost to the running batch.
    """
    work = _reading(latency, mix, encode_s)
    service_s = work.mean_s

    def able(rate: Floats) -> Bools:
        busy = rate * service_s
        decodes, iteration_s = _decodes(latency, mix, goals, max_batch, rate, busy)
        return np.asarray(decodes & (work.through_s(busy, instances) + iteration_s <= goals.ttft_s))

    found = _highest(able, service_s, goals.busy_limit_share)
    return Capacity(found.per_s * mix.prompt_tokens, found.fits)


def token_s(latency: Floats) -> Floats:
    """Return how long one more prompt token takes, shape n."""
    return np.asarray(latency[:, PREFILL_PER_TOKEN_S])


def _reading(latency: Floats, mix: Mix, encode_s: Floats | None) -> Work:
    """Return how long the prefill (and encoding) of a request takes."""
    squares = mix.prompt_tokens**2 * (1.0 + mix.prompt_scv)
    text_s = prefill_s(latency, mix.prompt_tokens, squares)
    longest = mix.longest_prompt_tokens
    longest_s = prefill_s(latency, longest, longest**2)
    if encode_s is None:
        return Work(text_s, np.full(len(latency), mix.prompt_scv), longest_s)
    image_s = encode_s[:, 0] + encode_s[:, 1] * mix.tiles
    mean = text_s + mix.image_share * image_s
    image_squares = np.maximum(mix.image_share * image_s**2 * (1.0 + mix.tile_scv) - (mix.image_share * image_s) ** 2, 0.0)
    # The longest prompts are those of the most images.
    longest_s = longest_s + (encode_s[:, 0] + encode_s[:, 1] * mix.longest_tiles) * (mix.image_share > 0.0)
    return Work(mean, (text_s**2 * mix.prompt_scv + image_squares) / mean**2, longest_s)


def _decodes(
    latency: Floats, mix: Mix, goals: Objectives, max_batch: NDArray[np.int64], rate: Floats, busy: Floats
) -> tuple[Bools, Floats]:
    """Return whether a batch that keeps up with the rate decodes within the objective, and its time per iteration, shape n.

    An iteration takes ``base + slope B``; by Little's law ``B = rate * tokens * iteration / (1 - busy)``.
    """
    base = latency[:, DECODE_S] + latency[:, OVERHEAD_S]
    slope = latency[:, DECODE_PER_REQUEST_S] + latency[:, DECODE_PER_CONTEXT_TOKEN_S] * (mix.prompt_tokens + 0.5 * mix.output_tokens)
    tokens_per_s = rate * max(mix.output_tokens - 1.0, 0.0) / np.maximum(1.0 - busy, 1e-6)
    batch = tokens_per_s * base / np.maximum(1.0 - tokens_per_s * slope, 1e-9)
    iteration_s = base + slope * batch
    held = batch * (mix.prompt_tokens + mix.output_tokens)
    fits = (batch <= max_batch) & (held <= latency[:, KV_TOKENS]) & (iteration_s <= goals.atgt_s * (1.0 - busy))
    return np.asarray(fits), np.asarray(iteration_s)


def _highest(able: Callable[[Floats], Bools], service_s: Floats, busy_limit_share: float) -> Capacity:
    """Return the highest rate of requests that an instance is able to take while not busier than the limit, shape n."""
    high = busy_limit_share / service_s
    low = np.zeros_like(high)
    fits = able(high * 1e-3)
    whole = able(high)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        ok = able(middle)
        low, high = np.where(ok, middle, low), np.where(ok, high, middle)
    rate = np.where(whole, busy_limit_share / service_s, low)
    return Capacity(np.where(fits, rate, min(_STRAINED_SHARE, busy_limit_share) / service_s), fits)

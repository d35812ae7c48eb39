"""What one instance sustains inside its objectives, from its coefficients."""

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
# How busy an instance is planned that misses its objective even when idle: it cannot be met, so only queues are kept short.
_STRAINED_SHARE: Final = 0.5
_HALVINGS: Final = 30


@dataclass(frozen=True, slots=True)
class Mix:
    """What one request asks on average; ``tiles`` of one with images, ``*_scv`` squared coefficients of variation."""

    prompt_tokens: float = 1024.0
    output_tokens: float = 200.0
    tiles: float = 4.0
    image_share: float = 0.0
    prompt_scv: float = 1.0
    tile_scv: float = 0.0


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


def encode_capacity(encode_s: Floats, mix: Mix, pieces: int, budget_s: float, busy_limit_share: float) -> Capacity:
    """Return the tiles per second of image instances, from base and per-tile times, shape n x 2.

    A request's tiles come in up to ``pieces`` pieces, which wait in line: an average piece and the 99th percentile of the wait
    before it must fit the budget.
    """
    tiles = max(1.0, mix.tiles / pieces)
    service_s = encode_s[:, 0] + encode_s[:, 1] * tiles
    # Only the part that grows with tiles varies.
    scv = mix.tile_scv * (encode_s[:, 1] * tiles / service_s) ** 2
    found = _highest(lambda rate: _waited_s(rate * service_s, service_s, scv) <= budget_s - service_s, service_s, busy_limit_share)
    return Capacity(found.per_s * tiles, found.fits)


def prefill_capacity(latency: Floats, mix: Mix, goals: Objectives, encode_s: Floats | None = None) -> Capacity:
    """Return the prompt tokens per second of instances that prefill (and encode, where ``encode_s`` is given), shape n."""
    service_s, scv = _reading(latency, mix, encode_s)
    found = _highest(
        lambda rate: _waited_s(rate * service_s, service_s, scv) <= goals.ttft_s - service_s, service_s, goals.busy_limit_share
    )
    return Capacity(found.per_s * mix.prompt_tokens, found.fits)


def decode_capacity(latency: Floats, mix: Mix, goals: Objectives, max_batch: NDArray[np.int64]) -> Capacity:
    """Return the output tokens per second of instances that only decode, shape n."""
    service_s = latency[:, DECODE_PER_REQUEST_S] + latency[:, DECODE_PER_CONTEXT_TOKEN_S] * (mix.prompt_tokens + 0.5 * mix.output_tokens)
    most = np.maximum(service_s, 1e-7) * max(mix.output_tokens, 1.0)
    idle = np.zeros(len(latency))
    found = _highest(lambda rate: _decodes(latency, mix, goals, max_batch, rate, idle)[0], most, goals.busy_limit_share)
    return Capacity(found.per_s * mix.output_tokens, found.fits)


def whole_capacity(latency: Floats, mix: Mix, goals: Objectives, max_batch: NDArray[np.int64], encode_s: Floats | None = None) -> Capacity:
    """Return the prompt tokens per second of instances that prefill and decode (and encode), shape n.

    While it prefills or encodes an instance decodes nothing, so that time is lost to the running batch.
    """
    service_s, scv = _reading(latency, mix, encode_s)

    def able(rate: Floats) -> Bools:
        busy = rate * service_s
        decodes, iteration_s = _decodes(latency, mix, goals, max_batch, rate, busy)
        return np.asarray(decodes & (_waited_s(busy, service_s, scv) + iteration_s <= goals.ttft_s - service_s))

    found = _highest(able, service_s, goals.busy_limit_share)
    return Capacity(found.per_s * mix.prompt_tokens, found.fits)


def token_s(latency: Floats) -> Floats:
    """Return how long one more prompt token takes, shape n."""
    return np.asarray(latency[:, PREFILL_PER_TOKEN_S])


def _reading(latency: Floats, mix: Mix, encode_s: Floats | None) -> tuple[Floats, Floats]:
    """Return how long the prefill (and encoding) of an average request takes, and how much that varies, shape n."""
    squares = mix.prompt_tokens**2 * (1.0 + mix.prompt_scv)
    text_s = prefill_s(latency, mix.prompt_tokens, squares)
    if encode_s is None:
        return text_s, np.full(len(latency), mix.prompt_scv)
    image_s = encode_s[:, 0] + encode_s[:, 1] * mix.tiles
    mean = text_s + mix.image_share * image_s
    image_squares = mix.image_share * image_s**2 * (1.0 + mix.tile_scv) - (mix.image_share * image_s) ** 2
    return mean, (text_s**2 * mix.prompt_scv + image_squares) / mean**2


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


def _waited_s(busy: Floats, service_s: Floats, scv: Floats) -> Floats:
    """Return the 99th percentile of the wait for one server: exponential beyond the share that waits (Kingman)."""
    mean_s = 0.5 * service_s * (1.0 + scv) / np.maximum(1.0 - busy, 1e-6)
    return np.asarray(mean_s * np.maximum(np.log(np.maximum(100.0 * busy, 1e-9)), 0.0))


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

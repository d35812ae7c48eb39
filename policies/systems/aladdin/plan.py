"""The best worker: how many requests it holds, how many a second it takes.

A worker with batch B gives each of its requests a token every ``decode(B) + B s / out`` seconds, if ``s`` is the prefill
time of a request and ``out`` its output tokens: in the time in which one token of each is decoded, B / out requests must be
prefilled, and decoding waits for that. So the share of time in prefill needs no iteration, and the largest batch within
the ATGT objective is the root of a linear equation. Time to the first token is bounded by the tail of an M/G/1 queue of
prefills that are read together. Facts: "Optimal worker configuration" (procedure from memory of the paper; the closed
forms are ours).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from twin.serving import latency as lat
from twin.serving.levers import Bools, Floats, Ints

# What a request takes of the KV cache beside its tokens: up to one block that is not full.
KV_OVERHEAD_TOKENS: Final = 16.0
# Loads of an instance that only prefills are told apart in thousandths of its time.
_LEVELS: Final = 1000.0
# However much stalls count, a worker takes a request now and then.
_LEAST_BATCH: Final = 0.1
_STEPS: Final = 24
_VARIATION: Final = 2.0


@dataclass(frozen=True, slots=True)
class Mix:
    """Means of the requests that each slot would serve, shape I: tokens, squared prompt tokens, context held in a batch.

    ``encode_s`` and ``squared_encode_s`` are mean and mean square of the time for their images, where the slot encodes them.
    """

    prompt_tokens: Floats
    squared_prompt_tokens: Floats
    output_tokens: Floats
    context_tokens: Floats
    encode_s: Floats
    squared_encode_s: Floats


@dataclass(frozen=True, slots=True)
class Aims:
    """Objectives of each slot, shape I: time to first token, time per token, and the share of requests that may miss them.

    ``atgt_share`` is the share of the time per token that may be planned with, beside gamma; ``stall_weight`` how many times it
    counts that prefills hold up decoding.
    """

    ttft_s: Floats
    atgt_s: Floats
    tail_share: Floats
    atgt_share: Floats
    stall_weight: Floats


@dataclass(frozen=True, slots=True)
class Duty:
    """Which stages each slot serves, shape I."""

    prefills: Bools
    decodes: Bools


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one worker on each slot can do, shape I: requests per second, and whether the objectives are met at that.

    ``batch`` is the limit for it: the largest batch whose decode iterations are in time. Stalls and waiting for the first token
    keep the mean batch lower; bursts may still fill it.
    """

    batch: Ints
    rate_per_s: Floats
    meets: Bools

    def of(self, which: Ints) -> "Capacity":
        """Return the same of some of the slots."""
        return Capacity(self.batch[which], self.rate_per_s[which], self.meets[which])


def capacity(coefficients: Floats, mix: Mix, aims: Aims, duty: Duty, theta: float, gamma: float, batch_limit: Ints) -> Capacity:
    """Return what one worker on each slot can do; ``coefficients`` as in ``twin.serving.latency``, shape I x columns.

    Where not even one request at a time meets the objectives it is the largest batch that memory and the limit allow.
    """
    worker = _Worker(coefficients, mix, duty)
    room = np.floor(theta * coefficients[:, lat.KV_TOKENS] / (mix.context_tokens + KV_OVERHEAD_TOKENS))
    held = np.where(duty.decodes, np.clip(np.nan_to_num(room), 1.0, batch_limit), _LEVELS - 1.0)
    # Requests in flight vary about as Poisson numbers do: a mean at the limit would be a queue half of the time.
    mean = np.where(duty.decodes, np.maximum(held - _VARIATION * np.sqrt(held), 0.3 * held), held)
    within = worker.most_within(gamma * aims.atgt_share * aims.atgt_s, aims.stall_weight, held)
    low, high = np.zeros_like(held), np.clip(np.nan_to_num(within), 0.0, mean)
    # Waiting grows with the batch: bisect for the largest that is in time. A mean batch need not be whole.
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        fits = worker.first_token_s(middle, aims.tail_share) <= aims.ttft_s
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    plain = worker.most_within(aims.atgt_s, np.zeros_like(held), held)
    alone = worker.most_within(gamma * aims.atgt_s, np.ones_like(held), held) >= 1.0
    alone &= worker.first_token_s(np.ones_like(held), aims.tail_share) <= aims.ttft_s
    level = np.where(alone, np.maximum(low, _LEAST_BATCH), held)
    limit = np.where(plain >= 1.0, np.minimum(plain, held), held)
    batch = np.where(duty.decodes, limit, batch_limit).astype(np.int64)
    # A model that does not fit has no coefficients and takes nothing.
    return Capacity(np.maximum(batch, 1), np.nan_to_num(worker.rate_per_s(level)), alone)


class _Worker:
    """One worker per slot under a level of load: its mean batch, or where nothing decodes thousandths of time in prefill."""

    def __init__(self, coefficients: Floats, mix: Mix, duty: Duty) -> None:
        c, self._duty = coefficients, duty
        self._output = np.where(duty.decodes, np.maximum(mix.output_tokens, 1.0), 1.0)
        per_context = c[:, lat.DECODE_PER_CONTEXT_TOKEN_S] * mix.context_tokens
        self._base_s = np.where(duty.decodes, c[:, lat.DECODE_S] + c[:, lat.OVERHEAD_S], 0.0)
        self._each_s = np.where(duty.decodes, c[:, lat.DECODE_PER_REQUEST_S] + per_context, 0.0)
        linear, square = c[:, lat.PREFILL_PER_TOKEN_S], c[:, lat.PREFILL_PER_SQUARED_TOKEN_S]
        fixed = c[:, lat.PREFILL_S] + c[:, lat.OVERHEAD_S]
        mean = fixed + linear * mix.prompt_tokens + square * mix.squared_prompt_tokens
        alone_s = np.maximum(mean, c[:, lat.FLOOR_S] + c[:, lat.OVERHEAD_S])
        self._prefill_s = np.where(duty.prefills, alone_s + mix.encode_s, 0.0)
        # The second moment with attention's share as a longer token.
        slope = linear + square * mix.squared_prompt_tokens / np.maximum(mix.prompt_tokens, 1.0)
        squared = fixed**2 + 2.0 * fixed * slope * mix.prompt_tokens + slope**2 * mix.squared_prompt_tokens
        squared = np.maximum(squared, alone_s**2) + 2.0 * alone_s * mix.encode_s + mix.squared_encode_s
        self._squared_s = np.where(duty.prefills, squared, 0.0)

    def most_within(self, atgt_s: Floats, stall_weight: Floats, held: Floats) -> Floats:
        """Return the largest batch whose tokens come within a time each, below zero where not even one does."""
        each_s = np.maximum(self._each_s + stall_weight * self._prefill_s / self._output, 1e-15)
        return np.asarray(np.where(self._duty.decodes, (atgt_s - self._base_s) / each_s, held))

    def rate_per_s(self, level: Floats) -> Floats:
        """Return the requests per second at a level of load."""
        busy_s = self._output * (self._base_s + self._each_s * level) + level * self._prefill_s
        alone = level / _LEVELS / np.maximum(self._prefill_s, 1e-9)
        return np.asarray(np.where(self._duty.decodes, level / np.maximum(busy_s, 1e-9), alone))

    def first_token_s(self, level: Floats, tail_share: Floats) -> Floats:
        """Return the time to the first token that this share of requests may pass; zero where nothing is prefilled."""
        rate = self.rate_per_s(level)
        busy = np.minimum(rate * self._prefill_s, 1.0 - 1e-6)
        # Prompts that came during one prefill are read together in the next, and whoever came first waits for the last of them.
        mean_wait_s = (1.0 + busy) * rate * self._squared_s / (2.0 * (1.0 - busy))
        wait_s = mean_wait_s / np.maximum(busy, 1e-9) * np.maximum(np.log(np.maximum(busy, 1e-12) / tail_share), 0.0)
        return np.asarray(np.where(self._duty.prefills, self._base_s + self._each_s * level + self._prefill_s + wait_s, 0.0))


def widths(seen_gpus: Ints, groups: Ints, found: Capacity) -> Ints:
    """Return how many GPUs a worker of each group should have, shape I (the same for all slots of a group).

    ``groups`` numbers the slots that are alternatives of one another (those of one pool on one server). Widths that meet the
    objectives come first, then the one with the highest throughput per GPU; where none meets them, the widest.
    """
    per_gpu = found.rate_per_s / seen_gpus
    value = np.where(found.meets, 1.0 + per_gpu / max(float(per_gpu.max(initial=0.0)), 1e-12), seen_gpus / 1e3)
    order = np.lexsort((np.arange(len(value)), -value, groups))
    first = np.concatenate([[True], groups[order][1:] != groups[order][:-1]]) if len(order) else np.zeros(0, dtype=np.bool_)
    best = np.zeros(int(groups.max(initial=-1)) + 1, dtype=np.int64)
    best[groups[order][first]] = seen_gpus[order][first]
    return np.asarray(best[groups])


def workers_needed(rate_per_s: Floats, demand_per_s: float) -> int:
    """Return how many workers, taken in this order, carry a demand; one more than there are if they do not.

    >>> workers_needed(np.array([2.0, 2.0, 1.0]), 3.5), workers_needed(np.array([2.0]), 0.0), workers_needed(np.array([2.0]), 3.0)
    (2, 1, 2)
    """
    return max(1, int(np.searchsorted(np.cumsum(rate_per_s), demand_per_s - 1e-12)) + 1)

"""Workers under a placement rule, without a world around them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from policies.systems.aladdin import routes, scores
from policies.systems.aladdin.lengths import BUCKETS, Lengths, Sizes
from policies.systems.aladdin.plan import Aims
from twin.serving import batching as b
from twin.serving.engine import Engine
from twin.serving.latency import KV_TOKENS, profile
from twin.serving.levers import Finished


def finished(prompt_tokens: Any, output_tokens: Any, instance: Any = 0, ttft_s: float = 0.5, atgt_s: float = 0.02) -> Finished:
    """Return requests of the first endpoint that have finished."""
    prompt = np.array(prompt_tokens, dtype=np.int64)
    none = np.zeros(len(prompt), dtype=np.int64)
    where, output = none + np.array(instance), none + np.array(output_tokens)
    return Finished(none, where, prompt, output, none, np.full(len(prompt), ttft_s), np.full(len(prompt), atgt_s))


@pytest.fixture(scope="session")
def ended() -> Callable[..., Finished]:
    """Make requests that have finished."""
    return finished


@dataclass
class Pool:
    """Some workers of one A100 each, their requests, and what the rule is told."""

    engine: Engine
    score: Any
    table: Any
    prompt: Any
    output: Any

    def run(self, route: Any, until_s: float, window_s: float = 10.0) -> "Pool":
        """Serve until a time."""
        self.engine.score, self.engine.memory = self.score, np.zeros(routes.MEMORY, dtype=np.int64)
        self.on(route, 0.0, until_s, window_s)
        return self

    def on(self, route: Any, since_s: float, until_s: float, window_s: float = 10.0) -> None:
        """Go on from one time to another."""
        entry, now = b.entry(route), round(since_s * b.TICKS_PER_S)
        while now < round(until_s * b.TICKS_PER_S):
            then = min(now + round(window_s * b.TICKS_PER_S), round(until_s * b.TICKS_PER_S))
            self.engine.advance(now, then, entry)
            now = then

    @property
    def done(self) -> Any:
        """Return which requests have finished."""
        return self.engine.requests[:, b.FINISH] < b.FOREVER

    @property
    def atgt_s(self) -> Any:
        """Return the time per token after the first of the finished ones with several tokens."""
        rows, several = self.engine.requests[self.done], self.output[self.done] > 1
        return ((rows[:, b.FINISH] - rows[:, b.FIRST]) / np.maximum(self.output[self.done] - 1, 1) / b.TICKS_PER_S)[several]

    @property
    def ttft_s(self) -> Any:
        """Return the time to the first token of the finished ones."""
        rows = self.engine.requests[self.done]
        return (rows[:, b.FIRST] - rows[:, b.ARRIVE]) / b.TICKS_PER_S


def pool(
    workers: int = 8,
    rate_per_s: float = 8.0,
    number: int = 2000,
    seed: int = 1,
    *,
    kv_tokens: float | None = None,
    batch: int = 150,
    ttft_s: float = 2.0,
    atgt_s: float = 0.1,
    theta: float = 0.9,
    gamma: float = 0.8,
    schedulers: int = 1,
    stall_weight: float = 1.0,
    drift: Any = 0.0,
    rules: Any = None,
    talkative: int | None = None,
) -> Pool:
    """Return workers with Poisson arrivals of middling prompts and outputs, and a predictor that has seen such.

    With ``talkative`` prompts longer than that are answered by 900 tokens, all others by 20.
    """
    rng = np.random.default_rng(seed)
    arrive_s = np.cumsum(rng.exponential(1.0 / rate_per_s, number))
    prompt = np.clip(rng.lognormal(6.5, 0.8, number), 16, 6000).astype(np.int64)
    output = np.clip(rng.lognormal(4.8, 0.7, number), 2, 1500).astype(np.int64)
    if talkative is not None:
        output = np.where(prompt > talkative, 900, 20)
    table = np.tile(np.array(profile("a100", "vllm", "8b", 1).coefficients), (workers, 1))
    if kv_tokens is not None:
        table[:, KV_TOKENS] = kv_tokens
    engine = Engine(table, arrive_s, (prompt, output), **({} if rules is None else {"rules": rules}))
    lengths, sizes = Lengths(1, 200.0), Sizes(1, 200.0)
    past = finished(prompt, output)
    lengths.learn(past, 60.0)
    sizes.learn(past, 60.0)
    one = np.ones(workers)
    aims = Aims(ttft_s * one, atgt_s * one, 0.01 * one, one, stall_weight * one)
    learned = scores.Learned(sizes, np.zeros((workers, 2)), lengths.table(), drift * one)
    score = scores.table(
        table, np.zeros(workers, dtype=np.int64), np.full(workers, batch), aims, learned, scores.Packing(theta, gamma, schedulers)
    )
    assert score.shape == (workers, routes.TABLE + BUCKETS)
    return Pool(engine, score, table, prompt, output)


@pytest.fixture(scope="session")
def workers() -> Callable[..., Pool]:
    """Make some workers and their requests."""
    return pool

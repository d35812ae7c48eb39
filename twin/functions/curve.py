"""One function on one host at a steady load, and the curve over loads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.functions import queueing as q
from twin.functions.engine import Engine
from twin.functions.latencies import low_s, quantile_s
from twin.functions.levers import Runtime
from twin.functions.path import alone
from twin.functions.settings import Function

Floats = NDArray[np.float64]
# Calls before any is counted, as a share of those that are: the queue begins empty.
_BEFORE_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Measured:
    """What calls at one load came to. ``low_s`` and ``counts`` (B) are the latencies in bins, ``segments_s`` (8) their means on the path.

    ``busy_cores`` are busy with calls, ``polling_cores`` spin beside them.
    """

    rate_per_s: float
    calls: int
    latency_p50_s: float
    latency_p99_s: float
    latency_mean_s: float
    cold_start_share: float
    busy_cores: float
    polling_cores: float
    segments_s: Floats
    low_s: Floats
    counts: Floats


def measured(runtime: Runtime, function: Function, cores: int, rate_per_s: float, *, calls: int = 200_000, seed: int = 1) -> Measured:
    """Return what about so many calls come to that arrive at random at one rate, after the queue has found its length.

    ValueError where the rate is not below what the cores can do: then there is no steady state.
    """
    asked = function.model_copy(update={"rate_per_s": rate_per_s, "trigger": "others", "trace": ""})
    settings, people = alone(asked, cores)
    needed_s = asked.cpu_mean_s + q.HOPS * runtime.hop.cpu_s
    if not 0.0 < rate_per_s * needed_s < cores:
        raise ValueError(
            f"rate_per_s: {rate_per_s:g} is not between 0 and the {cores / needed_s:g} calls a second that {cores} cores can do"
        )
    people.keys[0] += np.uint64(seed)
    engine = Engine(people, runtime, settings, 1, seed)
    engine.set_cores(0.0, np.array([float(cores)]), np.ones(1))
    begin_s = _BEFORE_SHARE * calls / rate_per_s
    end_s = begin_s + calls / rate_per_s
    engine.advance(begin_s)
    engine.bins()
    before, busy_s = engine.tally[0].copy(), engine.host_s[0, q.BUSY_S] - engine.overhang_s(begin_s)[0]
    engine.advance(end_s)
    counted, bins = engine.tally[0] - before, engine.bins()
    busy_s = engine.host_s[0, q.BUSY_S] - engine.overhang_s(end_s)[0] - busy_s
    lows, total = low_s(bins.bins), float(bins.calls.sum())
    return Measured(
        rate_per_s=rate_per_s,
        calls=int(total),
        latency_p50_s=quantile_s(lows, bins.calls, 0.50),
        latency_p99_s=quantile_s(lows, bins.calls, 0.99),
        latency_mean_s=float(counted[q.LATENCY_SUM]) / total,
        cold_start_share=float(counted[q.COLD_STARTS] / counted[q.ARRIVED]),
        busy_cores=float(busy_s / (end_s - begin_s)),
        polling_cores=runtime.polling_cores + runtime.polling_cores_each * float(engine.warm()[0]),
        segments_s=bins.segments.sum(axis=0) / total,
        low_s=lows,
        counts=bins.calls,
    )


def curve(
    runtime: Runtime, function: Function, cores: int, loads: Sequence[float], *, calls: int = 100_000, seed: int = 1
) -> list[Measured]:
    """Return the same at loads given as shares (below 1) of what the cores can do."""
    needed_s = function.cpu_mean_s + q.HOPS * runtime.hop.cpu_s
    return [measured(runtime, function, cores, load * cores / needed_s, calls=calls, seed=seed) for load in loads]

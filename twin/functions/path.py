"""The path of one invocation: what each segment of it takes."""

from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.clock import Clock
from twin.functions import queueing as q
from twin.functions.demand import Population, population
from twin.functions.engine import runtime_places
from twin.functions.levers import Runtime
from twin.functions.settings import Function, Settings

Floats = NDArray[np.float64]
HOPS: Final = q.HOPS
# Nothing that is drawn for a single path depends on the calendar.
_CLOCK: Final = Clock(datetime(2025, 1, 6, tzinfo=UTC))


def alone(function: Function, cores: int = 1) -> tuple[Settings, Population]:
    """Return the settings and the population of one function on one host."""
    settings = Settings(functions=(function,), hosts=("host",), workload="functions", cores=cores)
    return settings, population(settings, _CLOCK, 0, 1)


def sample(runtime: Runtime, function: Function, calls: int, seed: int) -> Floats:
    """Return what each segment of so many calls takes where nobody waits (N, 8), seconds; columns are SEGMENTS of the readings.

    The same calls under another runtime are drawn from the same numbers. Their latency is the sum over the columns.
    """
    settings, people = alone(function)
    rows = np.zeros((calls, q.CALL_COLUMNS))
    q.draws(people.numbers, runtime_places(runtime, settings), people.keys, 0, seed * 1_000_003, rows)
    return rows[:, : q.SEGMENT_COUNT].copy()


def mean_s(runtime: Runtime, function: Function) -> Floats:
    """Return the mean of each segment (8) where nobody waits and no instance starts, in closed form."""
    hop, means = runtime.hop, np.zeros(q.SEGMENT_COUNT)
    means[: HOPS // 2] = 2.0 * hop.stack_median_s * np.sqrt(1.0 + hop.stack_cv**2)
    means[q.LOOKUP] = 0.0 if runtime.cached else runtime.lookups * runtime.lookup_s
    means[q.INTERFERENCE] = HOPS * hop.spike_share * hop.spike_mean_s
    means[q.RUN] = function.run_median_s * np.sqrt(1.0 + function.run_cv**2)
    return means


def cpu_s(runtime: Runtime, function: Function) -> float:
    """Return the mean core time of a call: its own, and that of its six hops."""
    return function.cpu_mean_s + HOPS * runtime.hop.cpu_s


def saturation_per_s(runtime: Runtime, function: Function, cores: float) -> float:
    """Return the calls a second at which so many cores would all be busy."""
    return cores / cpu_s(runtime, function)

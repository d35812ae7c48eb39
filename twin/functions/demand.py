"""Who calls which function when: the laws of triggers, and recorded calls.

Named functions are as the scenario has them. Generated ones are synthetic: of the published mix of triggers, popularity, run times and
memory, independent of each other. What a function is, its calls and all that they take follows from its own streams, so that
another function beside it changes nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin import chance
from twin.clock import DAY_S, Clock
from twin.functions import queueing as q
from twin.functions.settings import Function, Settings, Trigger
from twin.functions.traces import replayed
from twin.sources import calibration

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_LAWS: Final = {"wave": q.WAVE, "random": q.RANDOM, "bursts": q.BURSTS, "clock": q.CLOCK}
MEGABYTE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Population:
    """The functions of a run (F) as the compiled part takes them; its columns are named there.

    ``rate_per_s`` (F) is how often each is called on average; ``first`` of them are named by the scenario, the others are generated.
    """

    functions: tuple[Function, ...]
    first: int
    numbers: Floats
    whose: Ints
    keys: NDArray[np.uint64]
    rate_per_s: Floats
    wave: Floats
    trace_s: Floats
    trace_run_s: Floats

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the functions."""
        return tuple(function.id for function in self.functions)


def population(settings: Settings, clock: Clock, seed: int, hosts: int) -> Population:
    """Return every function of a run on so many hosts; ValueError, one line, for a trace that is not there."""
    drawn = generated(settings.generated, settings.generated_rate_per_s, seed)
    functions = (*settings.functions, *drawn)
    peak, wave = weekly_wave(clock)
    count = len(functions)
    numbers, whose = np.zeros((count, q.FUNCTION_COLUMNS)), np.zeros((count, q.WHOSE_COLUMNS), dtype=np.int64)
    keys, rates = np.zeros(count, dtype=np.uint64), np.zeros(count)
    traces: list[tuple[Floats, Floats]] = []
    begin = 0
    for row, function in enumerate(functions):
        _describe(function, numbers[row], whose[row], peak)
        random = chance.stream(seed, "functions", "key", function.id)
        keys[row] = random.integers(2**64, dtype=np.uint64)
        whose[row, q.HOME] = int(random.integers(1 << 30)) % max(hosts, 1)
        rates[row] = function.rate_per_s
        if whose[row, q.LAW] == q.CLOCK:
            numbers[row, q.PHASE] = phase_s(function.rate_per_s, float(random.random()))
        if function.trace:
            times, runs, period_s = replayed(function.trace, function.id, seed)
            numbers[row, q.PERIOD] = period_s
            whose[row, (q.TRACE_BEGIN, q.TRACE_LENGTH)] = begin, len(times)
            whose[row, q.LAW] = q.TRACE if len(times) else q.SILENT
            rates[row] = len(times) / period_s
            traces.append((times, runs))
            begin += len(times)
    columns = [np.concatenate(column) for column in zip(*traces, strict=True)] if traces else [np.zeros(0), np.zeros(0)]
    return Population(functions, len(settings.functions), numbers, whose, keys, rates, wave, columns[0], columns[1])


def _describe(function: Function, numbers: Floats, whose: Ints, peak: float) -> None:
    """Fill one function's row."""
    known = calibration("functions")
    law = _LAWS[known["trigger"][function.trigger]["law"]] if function.rate_per_s > 0.0 else q.SILENT
    whose[:] = 0
    whose[[q.WAIT_HEAD, q.WAIT_TAIL]] = q.NONE
    whose[q.LAW] = law
    numbers[q.RUN_LOG_MEDIAN] = math.log(function.run_median_s)
    numbers[q.RUN_SIGMA] = sigma_of(function.run_cv)
    numbers[q.CPU_MEAN] = function.cpu_mean_s
    numbers[q.CPU_SIGMA] = sigma_of(function.cpu_cv)
    numbers[q.READY] = float(known["language"][function.language]["value"])
    numbers[q.BYTES] = float(function.memory_bytes)
    numbers[q.RATE] = function.rate_per_s * (peak if law == q.WAVE else 1.0)
    share = burst_share(float(known["arrivals"]["burst_cv"]["value"]))
    numbers[q.BURST_SHARE] = share
    numbers[q.BURST_RATE], numbers[q.CALM_RATE] = 2.0 * share * function.rate_per_s, 2.0 * (1.0 - share) * function.rate_per_s


def sigma_of(cv: float) -> float:
    """Return the standard deviation of the logarithm of a lognormal number of this coefficient of variation."""
    return math.sqrt(math.log1p(cv * cv))


def burst_share(cv: float) -> float:
    """Return the share of short gaps in a mixture of two exponential ones whose coefficient of variation is ``cv``.

    Balanced means: short gaps and long ones cover the same time (Whitt 1982). As arrivals this is an interrupted process of bursts.

    >>> share = burst_share(3.0)
    >>> round(2 * (share / (2 * share) ** 2 + (1 - share) / (2 * (1 - share)) ** 2) - 1, 6)
    9.0
    """
    squared = max(cv * cv, 1.0)
    return 0.5 * (1.0 + math.sqrt((squared - 1.0) / (squared + 1.0)))


def phase_s(rate_per_s: float, level: float) -> float:
    """Return when a timer first fires, from an even draw of 0 to 1; timers of a minute and more fire on whole minutes, as cron does."""
    period_s = 1.0 / rate_per_s
    within_s = level * period_s
    return math.floor(within_s / 60.0) * 60.0 if period_s >= 60.0 else within_s


def weekly_wave(clock: Clock) -> tuple[float, Floats]:
    """Return the highest rate over the mean, and the rate over its highest for each minute of the week from the start on (10080)."""
    known = calibration("functions")["arrivals"]
    t_s = (np.arange(q.MINUTES) + 0.5) * 60.0
    around = 2.0 * np.pi * (clock.hour(t_s) - float(known["peak_hour"]["value"])) / 24.0
    rate = 1.0 + float(known["swing_share"]["value"]) * np.cos(around)
    rate *= np.where(clock.weekday(t_s) >= 5, 1.0 - float(known["weekend_share"]["value"]), 1.0)
    rate /= rate.mean()
    return float(rate.max()), rate / rate.max()


# -- the generator ----------------------------------------------------------------


def generated(count: int, rate_per_s: float, seed: int) -> tuple[Function, ...]:
    """Return so many synthetic functions that are called ``rate_per_s`` times a second in all.

    Triggers have their published share of functions and of calls; within a trigger calls a day are spread evenly over powers of
    ten. Where a trigger has no function its calls go to the others.
    """
    if count == 0:
        return ()
    known, random = calibration("functions"), chance.stream(seed, "functions", "generated")
    terms = {key: float(entry["value"]) for key, entry in known["generated"].items()}
    level = random.random((4, count))
    names: list[Trigger] = list(known["trigger"])
    mix = np.array([known["trigger"][name]["functions"]["value"] for name in names], dtype=np.float64)
    trigger = np.minimum(np.searchsorted(np.cumsum(mix / mix.sum()), level[0], side="right"), len(names) - 1)
    calls = np.array([known["trigger"][name]["invocations"]["value"] for name in names], dtype=np.float64)
    rates = _rates(trigger, calls, 10.0 ** (terms["calls_log10_low"] + level[1] * (terms["calls_log10_high"] - terms["calls_log10_low"])))
    run_s = np.exp(terms["run_log_mean"] + terms["run_log_deviation"] * random.standard_normal(count))
    run_s = np.clip(run_s, 1e-4, terms["run_longest_s"])
    memory = burr(level[3], terms["memory_burr_c"], terms["memory_burr_k"], terms["memory_burr_scale_mb"]) * MEGABYTE
    languages = ("go", "python", "node", "jvm")
    language = np.minimum((level[2] * len(languages)).astype(np.int64), len(languages) - 1)
    width = len(str(count))
    rows: Sequence[dict[str, Any]] = [
        {
            "id": f"synthetic-{names[trigger[i]]}-{i + 1:0{width}d}",
            "trigger": names[trigger[i]],
            "rate_per_s": float(rates[i] * rate_per_s),
            # Published is the mean of a function's runs; the median of a lognormal time lies below it.
            "run_median_s": float(run_s[i] / math.sqrt(1.0 + terms["run_cv"] ** 2)),
            "run_cv": terms["run_cv"],
            "cpu_mean_s": float(run_s[i] * terms["cpu_share"]),
            "memory_bytes": int(np.clip(memory[i], 1 << 20, 1 << 40)),
            "language": languages[language[i]],
        }
        for i in range(count)
    ]
    return tuple(Function.model_validate(row) for row in rows)


def _rates(trigger: Ints, calls: Floats, popularity: Floats) -> Floats:
    """Return each function's share of all calls: its trigger's share, divided by popularity."""
    present = np.bincount(trigger, minlength=len(calls)) > 0
    weight = np.bincount(trigger, weights=popularity, minlength=len(calls))
    shares = np.where(present, calls, 0.0)
    shares /= shares.sum()
    return np.asarray(popularity / weight[trigger] * shares[trigger])


def burr(level: Floats, c: float, k: float, scale: float) -> Floats:
    """Return what a Burr law of type XII has at even draws of 0 to 1.

    >>> float(np.round(burr(np.array(0.5), 11.652, 0.221, 107.083), 0))
    140.0
    """
    return np.asarray(scale * ((1.0 - level) ** (-1.0 / k) - 1.0) ** (1.0 / c))


def warm_share(rate_per_s: Floats, keep_alive_s: float) -> Floats:
    """Return how likely each function was called within the time an instance is kept alive."""
    return np.asarray(-np.expm1(-rate_per_s * min(keep_alive_s, DAY_S)))

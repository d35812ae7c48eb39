"""What the claims are computed from: drawn paths, the queue, whole runs."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from policies.baselines.functions import Version, containers
from policies.systems.junctiond.knobs import JunctiondKnobs
from policies.systems.junctiond.policy import instances
from twin.functions.curve import measured
from twin.functions.latencies import quantile_s
from twin.functions.levers import Hop, Runtime
from twin.functions.path import cpu_s, sample, saturation_per_s
from twin.functions.settings import Function
from twin.memory.levers import TopologyObservation
from twin.sources import calibration

Floats = NDArray[np.float64]
Numbers = Mapping[str, float | None]
Tables = Mapping[str, pl.LazyFrame]
# The defaults of a function are what was calibrated: 600 microseconds of its own work, 60 of them on a core.
AES: Final = Function(id="aes")
# A 99th percentile of fewer calls than this says little; how little is a finding of its own.
FEWEST_CALLS: Final = 100_000
SEEDS: Final = tuple(range(1, 13))
# Loads and cores beside the claim's own, each a set-up that was tried.
LOADS: Final = (0.85, 0.925)
MANY_CORES: Final = 10
_LOADED_CALLS: Final = 600_000
_QUICK_CALLS: Final = 200_000
_HALVINGS: Final = 12

MEDIAN: Final = "change of the median, low load"
P99: Final = "change of the 99th percentile, low load"
THROUGHPUT: Final = "calls a second that fill the cores, junctiond over containerd"
THROUGHPUT_2: Final = "the same with the kernel's core time of version 2"
LOADED_MEDIAN: Final = "median, containerd over junctiond at five times its load"
LOADED_P99: Final = "99th percentile, containerd over junctiond at five times its load"
EXECUTION_MEDIAN: Final = "change of the median from provider to function and back"
EXECUTION_P99: Final = "change of the 99th percentile from provider to function and back"


def pair(kernel: Version = "version-1", *, cached: bool = True) -> tuple[Runtime, Runtime]:
    """Return containerd and junctiond as they are packaged, with metadata kept by both or by neither."""
    return containers(kernel, cached=cached), instances(JunctiondKnobs(), cached=cached)


# -- whole runs -------------------------------------------------------------------


def median_s(tables: Tables) -> float | None:
    """Return the median from call to answer over all functions of a run; None for fewer than 100,000 calls."""
    return _quantile_s(tables, 0.50)


def p99_s(tables: Tables) -> float | None:
    """Return the 99th percentile of the same."""
    return _quantile_s(tables, 0.99)


def _quantile_s(tables: Tables, share: float) -> float | None:
    if "function_latency" not in tables:
        return None
    bins = tables["function_latency"].group_by("low_s").agg(pl.col("calls").sum()).sort("low_s").collect()
    if bins["calls"].sum() < FEWEST_CALLS:
        return None
    return quantile_s(bins["low_s"].to_numpy(), bins["calls"].to_numpy(), share)


# -- without any load -------------------------------------------------------------


def low_load(seen: TopologyObservation) -> Numbers:
    """Return by how much median and tail fall where no call waits: medians over twelve seeds of 100,000 calls, and the ends."""
    del seen
    found: dict[str, float | None] = {}
    for cached, words in ((True, ""), (False, ", metadata looked up at each call")):
        cuts = np.array([_changes(*pair(cached=cached), seed) for seed in SEEDS])
        for column, label in enumerate((MEDIAN, P99)):
            found[f"{label}{words}"] = float(np.median(cuts[:, column]))
            found |= {f"{label}{words}, {end} of 12 seeds": float(cut) for end, cut in _ends(cuts[:, column])}
    for runtime in pair():
        level_s = np.percentile(sample(runtime, AES, FEWEST_CALLS, 1).sum(axis=1), (50.0, 99.0))
        found |= {f"{runtime.name}, {name}, us": float(each) * 1e6 for name, each in zip(("median", "P99"), level_s, strict=True)}
    return found


def _changes(before: Runtime, after: Runtime, seed: int) -> Floats:
    old, new = (np.percentile(sample(runtime, AES, FEWEST_CALLS, seed).sum(axis=1), (50.0, 99.0)) for runtime in (before, after))
    return np.asarray(new / old - 1.0)


def _ends(values: Floats) -> tuple[tuple[str, float], ...]:
    return ("least", float(values.max())), ("most", float(values.min()))


def execution(seen: TopologyObservation) -> Numbers:
    """Return by how much the last leg falls, from provider to function and back: two of six hops and the function's own run."""
    del seen
    before, after = (np.percentile(_leg_s(runtime.hop), (50.0, 99.0)) for runtime in pair())
    change = after / before - 1.0
    shown = {f"{name}, us": float(value) * 1e6 for name, value in zip(("containerd, median", "containerd, P99"), before, strict=True)}
    return {EXECUTION_MEDIAN: float(change[0]), EXECUTION_P99: float(change[1]), **shown}


def _leg_s(hop: Hop, calls: int = 6 * FEWEST_CALLS) -> Floats:
    """Return what two hops and a run take, N calls; drawn apart from the twin's own, which knows all six together."""
    random = np.random.default_rng(1)
    sigmas = np.sqrt(np.log1p(np.array([AES.run_cv, hop.stack_cv]) ** 2))
    took_s = AES.run_median_s * np.exp(sigmas[0] * random.standard_normal(calls))
    for _ in range(2):
        took_s += hop.stack_median_s * np.exp(sigmas[1] * random.standard_normal(calls))
        took_s += (random.random(calls) < hop.spike_share) * random.exponential(hop.spike_mean_s, calls)
    return np.asarray(took_s)


# -- under load -------------------------------------------------------------------


def throughput(seen: TopologyObservation) -> Numbers:
    """Return how many more calls fill the cores, what that is at one bound on the tail, and what the polling core makes of it."""
    del seen
    before, after = pair()
    cores, load = _published("cores"), _published("utilisation_share")
    own = int(cores)
    full = [saturation_per_s(runtime, AES, cores) for runtime in (before, after)]
    bound_s = measured(before, AES, own, load * full[0], calls=_LOADED_CALLS).latency_p99_s
    held = [_highest_per_s(runtime, own, bound_s) for runtime in (before, after)]
    # Where a call costs no less, no rate is high enough.
    least_s = cpu_s(before, AES) - cpu_s(after, AES)
    return {
        THROUGHPUT: full[1] / full[0],
        "containerd, calls a second that fill four cores": full[0],
        "junctiond, calls a second that fill four cores": full[1],
        f"the same ratio where the P99 must stay within {bound_s * 1e3:.1f} ms": held[1] / held[0],
        "the same ratio where the polling core is one of the four": saturation_per_s(after, AES, cores - after.polling_cores) / full[0],
        "calls a second on a host from which junctiond burns fewer cores": after.polling_cores / least_s if least_s > 0.0 else None,
        "cores busy and polling at 5,000 calls a second, containerd": 5e3 * cpu_s(before, AES) + before.polling_cores,
        "cores busy and polling at 5,000 calls a second, junctiond": 5e3 * cpu_s(after, AES) + after.polling_cores,
        "cores polling on a host for 100 isolated functions, junctiond": after.polling_cores,
        "cores polling on a host for 100 isolated functions, plain DPDK": 100.0,
    }


def _highest_per_s(runtime: Runtime, cores: int, bound_s: float) -> float:
    """Return the highest rate at which the 99th percentile stays within a bound, by halving."""
    low, high = 0.3, 0.999
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        rate = middle * saturation_per_s(runtime, AES, cores)
        fits = measured(runtime, AES, cores, rate, calls=_QUICK_CALLS).latency_p99_s <= bound_s
        low, high = (middle, high) if fits else (low, middle)
    return low * saturation_per_s(runtime, AES, cores)


def version_2(seen: TopologyObservation) -> Numbers:
    """Return the same ratio with the kernel's core time that version 2 of the paper asks for, and both latencies' under load."""
    del seen
    before, after = pair("version-2")
    cores, load = int(_published("cores")), _published("utilisation_share")
    ratio = saturation_per_s(before, AES, cores)
    return {THROUGHPUT_2: saturation_per_s(after, AES, cores) / ratio, **_ratios("version 2", before, after, cores, load)}


def loaded(seen: TopologyObservation) -> Numbers:
    """Return how much lower median and tail are at the published multiple of the load, and at other loads and cores."""
    del seen
    before, after = pair()
    cores, load = int(_published("cores")), _published("utilisation_share")
    own = list(_ratios("", before, after, cores, load).values())
    found: dict[str, float | None] = {LOADED_MEDIAN: own[0], LOADED_P99: own[1]}
    for other in LOADS:
        found |= _ratios(f"{other:.1%} busy", before, after, cores, other)
    return found | _ratios(f"{MANY_CORES} cores, {load:.0%} busy", before, after, MANY_CORES, load)


def _ratios(words: str, before: Runtime, after: Runtime, cores: int, load: float) -> dict[str, float | None]:
    """Return median and 99th percentile of one over the other's where both are as busy, and the latencies themselves."""
    old, new = (
        measured(runtime, AES, cores, load * saturation_per_s(runtime, AES, cores), calls=_LOADED_CALLS) for runtime in (before, after)
    )
    return {
        f"{words}: median, containerd over junctiond": old.latency_p50_s / new.latency_p50_s,
        f"{words}: P99, containerd over junctiond": old.latency_p99_s / new.latency_p99_s,
        f"{words}: P99, containerd, us": old.latency_p99_s * 1e6,
        f"{words}: P99, junctiond, us": new.latency_p99_s * 1e6,
    }


def _published(key: str) -> float:
    return float(calibration("functions")["published_load"][key]["value"])

"""How much a figure of so many calls is worth."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.systems.junctiond.evidence import AES, FEWEST_CALLS, Numbers, pair
from twin.functions.levers import Runtime
from twin.functions.path import sample
from twin.memory.levers import TopologyObservation

Floats = NDArray[np.float64]
OF_100: Final = "spread of the P99 figure of 100 calls, standard deviation"
OF_100_000: Final = "spread of the P99 figure of 100,000 calls, standard deviation"
NEEDED: Final = "calls under each runtime for the P99 figure to lie within 2 points, 19 times of 20"
COUNTS: Final = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
WITHIN: Final = 0.02
_POOL: Final = 4_000_000
_AT_ONCE: Final = 500_000
# Measurements of one runtime and of the other meet different calls: their draws have nothing in common.
_SEEDS: Final = (1_000, 2_000)
# So many sets were drawn when the spread of 100 calls was looked at before.
_SETS_BEFORE: Final = 12


def spread(seen: TopologyObservation) -> Numbers:
    """Return how far the change of median and tail moves from one measurement of so many calls to the next, low load."""
    del seen
    drawn = [_pool(runtime, seed) for runtime, seed in zip(pair(), _SEEDS, strict=True)]
    found: dict[str, float | None] = {}
    reach = []
    for calls in COUNTS:
        median, tail = (_cuts(drawn, calls, share) for share in (50.0, 99.0))
        found |= {f"{calls:,} calls, median, standard deviation": float(median.std()), f"{calls:,} calls, P99": float(tail.std())}
        reach.append(float(np.quantile(np.abs(tail - _true(drawn)), 0.95)))
        found[f"{calls:,} calls, P99 within, 19 times of 20"] = reach[-1]
    first = _cuts(drawn, COUNTS[0], 99.0)
    few = first[: len(first) // _SETS_BEFORE * _SETS_BEFORE].reshape(-1, _SETS_BEFORE).std(axis=1)
    return {
        OF_100: found["100 calls, P99"],
        OF_100_000: found["100,000 calls, P99"],
        NEEDED: needed(COUNTS, reach),
        "mean P99 figure of 100 calls, which is off": float(first.mean()),
        "spread of 100 calls as 12 sets show it, lowest of 19 in 20": float(np.quantile(few, 0.025)),
        "spread of 100 calls as 12 sets show it, highest of 19 in 20": float(np.quantile(few, 0.975)),
        **found,
    }


def needed(counts: tuple[int, ...], reach: list[float]) -> float | None:
    """Return the count at which a figure reaches no farther than two points, between two that were tried; None for more than all.

    >>> round(needed((100, 10_000), [0.2, 0.002]))
    1000
    """
    if min(reach) > WITHIN:
        return None
    at = next(place for place, value in enumerate(reach) if value <= WITHIN)
    if at == 0:
        return float(counts[0])
    share = np.log(reach[at - 1] / WITHIN) / np.log(reach[at - 1] / reach[at])
    return float(counts[at - 1] * (counts[at] / counts[at - 1]) ** share)


def _pool(runtime: Runtime, seed: int) -> Floats:
    """Return the latencies of four million calls where none waits."""
    parts = [sample(runtime, AES, _AT_ONCE, seed + part).sum(axis=1) for part in range(_POOL // _AT_ONCE)]
    return np.concatenate(parts)


def _cuts(drawn: list[Floats], calls: int, percentile: float) -> Floats:
    """Return the change of a percentile in each measurement of so many calls under either runtime."""
    sets = [latency_s[: len(latency_s) // calls * calls].reshape(-1, calls) for latency_s in drawn]
    before, after = (np.percentile(each, percentile, axis=1) for each in sets)
    return np.asarray(after / before - 1.0)


def _true(drawn: list[Floats]) -> float:
    assert len(drawn[0]) > FEWEST_CALLS
    before, after = (float(np.percentile(latency_s, 99.0)) for latency_s in drawn)
    return after / before - 1.0

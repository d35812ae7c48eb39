# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, disallow-incomplete-defs=False
"""What a window says of one endpoint's requests, counted in one pass."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from twin.serving import batching as b
from twin.serving.layout import Endpoint
from twin.serving.pipeline import Pipeline

Floats = NDArray[np.float64]
# What is counted of the requests that were over in the window, besides the first tokens given in it.
FINISHED: Final = 0
REJECTED: Final = 1
MET: Final = 2  # finished within both objectives
FIRST_TOKENS: Final = 3


def endpoint_row(pipeline: Pipeline, spec: Endpoint, over: NDArray[np.int64], span: tuple[int, int]) -> dict[str, float]:
    """Return what a window (its begin and end in ticks) says of one endpoint's requests: counts and latencies.

    ``over`` is the id in each of the pipeline's ranges before which all was over when the window began; it becomes that of
    its end.
    """
    ranges = [(max(low, int(open_)), high) for (low, high), open_ in zip(pipeline.ranges(), over, strict=True)]
    ttft_s, counts = np.empty(sum(high - low for low, high in ranges)), np.zeros(4, dtype=np.int64)
    by_place = np.zeros(len(pipeline.stages.roles), dtype=np.int64)
    tables = (pipeline.requests, np.ascontiguousarray(pipeline.book.output_tokens, dtype=np.int64))
    for index, (low, high) in enumerate(ranges):
        over[index] = _counter()(*tables, low, high, *span, spec.ttft_slo_s, spec.atgt_slo_s, ttft_s, counts, by_place)
    finished, rejected, met, began = counts.tolist()
    ttft_p50_s, ttft_p99_s = _quantiles(ttft_s[:began], (0.5, 0.99))
    return {
        "finished": float(finished),
        "rejected": float(rejected),
        "ttft_p50_s": ttft_p50_s,
        "ttft_p99_s": ttft_p99_s,
        "slo_share": met / (finished + rejected) if finished + rejected else np.nan,
        "quality_share": float(by_place @ pipeline.stages.quality_share / finished) if finished else spec.quality,
    }


def _quantiles(values: Floats, shares: Sequence[float]) -> list[float]:
    """Return what ``numpy.quantile`` does, without its preparations; not-a-number of nothing."""
    last = len(values) - 1
    if last < 0:
        return [np.nan] * len(shares)
    places = [(int(last * share), min(int(last * share) + 1, last)) for share in shares]
    placed = np.partition(values, list(chain.from_iterable(places)))
    return [
        _between(float(placed[low]), float(placed[high]), last * share - low) for (low, high), share in zip(places, shares, strict=True)
    ]


def _between(low: float, high: float, part: float) -> float:
    # Numpy begins at the nearer of the two, and so must this for the same last digit.
    return high - (high - low) * (1.0 - part) if part >= 0.5 else low + (high - low) * part


def _count(requests, output_tokens, low, high, since, until, ttft_slo_s, atgt_slo_s, ttft_s, counts, by_place):
    per_tick, open_ = 1.0 / b.TICKS_PER_S, high
    for i in range(low, high):
        first = requests[i, b.FIRST]
        if since <= first < until:
            ttft_s[counts[FIRST_TOKENS]] = (first - requests[i, b.ARRIVE]) / b.TICKS_PER_S
            counts[FIRST_TOKENS] += 1
        finish = requests[i, b.FINISH]
        if finish >= until:
            open_ = min(open_, i)
        if since <= finish < until:
            if requests[i, b.PLACE] == b.REJECTED:
                counts[REJECTED] += 1
                continue
            counts[FINISHED] += 1
            by_place[requests[i, b.PLACE]] += 1
            late = (first - requests[i, b.ARRIVE]) * per_tick > ttft_slo_s
            if output_tokens[i] > 1:
                late |= (finish - first) * per_tick / (output_tokens[i] - 1) > atgt_slo_s
            if not late:
                counts[MET] += 1
    return open_


@cache
def _counter() -> Callable[..., int]:
    """Return the compiled count; compiled at the first call and kept on disk."""
    number, share = types.int64, types.float64
    tokens = types.Array(number, 1, "C", readonly=True)
    signature = number(number[:, ::1], tokens, number, number, number, number, share, share, share[::1], number[::1], number[::1])
    kernel: Any = numba.njit(signature, cache=True)(_count)
    counter: Callable[..., int] = kernel.get_compile_result(signature).entry_point
    return counter

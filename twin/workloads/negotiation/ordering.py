# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, disallow-incomplete-defs=False
"""The order of times that lie evenly in a span, at one look at each."""

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.workloads.negotiation.taking import COMPILED

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_FEW: Final = 256


def _place(t_s, low_s, width_s, starts, order) -> None:
    """Put times into as many even parts of their span as there are, in their order, and then each where it belongs among its near ones."""
    count = len(t_s)
    for i in range(count):
        starts[min(int((t_s[i] - low_s) / width_s), count - 1) + 1] += 1
    for part in range(count):
        starts[part + 1] += starts[part]
    for i in range(count):
        part = min(int((t_s[i] - low_s) / width_s), count - 1)
        order[starts[part]] = i
        starts[part] += 1
    for i in range(1, count):
        moved, at = order[i], i
        while at > 0 and t_s[order[at - 1]] > t_s[moved]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = moved


@cache
def _placer() -> Any:
    return COMPILED(_place)


def in_order(t_s: Floats) -> Ints:
    """Return the order of times, those that are equal as they come: what a stable sort gives, much sooner where they lie evenly.

    >>> in_order(np.array([3.0, 1.0, 3.0, 2.0])).tolist()
    [1, 3, 0, 2]
    """
    count = len(t_s)
    low_s, high_s = (float(t_s.min()), float(t_s.max())) if count else (0.0, 0.0)
    width_s = (high_s - low_s) / max(count, 1)
    if count < _FEW or not width_s > 0.0 or not _even(t_s, low_s, width_s):
        return np.argsort(t_s, kind="stable")
    order = np.empty(count, dtype=np.int64)
    _placer()(np.ascontiguousarray(t_s), low_s, width_s, np.zeros(count + 1, dtype=np.int64), order)
    return order


def _even(t_s: Floats, low_s: float, width_s: float) -> bool:
    """Return whether no part of the span is crowded, by a look at some: sorting a crowd one by one would take for ever."""
    some = t_s[:: max(len(t_s) // _FEW, 1)]
    parts = np.bincount(((some - low_s) / (width_s * len(t_s)) * 16.0).astype(np.int64))
    return bool(parts.max() <= len(some) // 4)

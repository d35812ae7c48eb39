"""Latencies as counts in narrow bins: quantiles and tails."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# A bin is a quarter of a percent wide.
BIN_RATIO: Final = 1.0025
# The slowest hundredth of calls is what the tail of a path is about.
TAIL_SHARE: Final = 0.01


def low_s(bins: Ints) -> Floats:
    """Return the lower edges of bins by number, seconds; bin 0 begins at 1 s."""
    return np.asarray(BIN_RATIO ** bins.astype(np.float64))


def quantile_s(lows_s: NDArray[Any], calls: NDArray[Any], share: float) -> float:
    """Return a quantile of latency from lower edges (B, ascending) and calls of bins (B), even within a bin; exact to half a bin."""
    return float(quantiles_s(np.asarray(lows_s), np.asarray(calls, dtype=np.float64), np.zeros(1, dtype=np.int64), share)[0])


def quantiles_s(lows_s: Floats, calls: Floats, begins: Ints, share: float) -> Floats:
    """Return a quantile of each group of bins (B) that begin at ``begins`` (G), shape G."""
    done = np.cumsum(calls)
    before = done[begins] - calls[begins]
    total = np.append(before[1:], done[-1]) - before
    wanted = before + share * total
    at = np.minimum(np.searchsorted(done, wanted, side="left"), len(done) - 1)
    within = (wanted - (done[at] - calls[at])) / calls[at]
    return np.asarray(lows_s[at] * BIN_RATIO ** np.clip(within, 0.0, 1.0))


def tail_weights(calls: Floats, begins: Ints) -> Floats:
    """Return the share of each bin (B) that belongs to the slowest hundredth of its group; the bin at its edge belongs in part."""
    done = np.cumsum(calls)
    before = done[begins] - calls[begins]
    ends = np.append(before[1:], done[-1])
    sizes = np.diff(np.append(begins, len(calls)))
    above = np.repeat(ends, sizes) - done
    wanted = np.repeat((ends - before) * TAIL_SHARE, sizes)
    return np.asarray(np.clip(wanted - above, 0.0, calls) / calls)

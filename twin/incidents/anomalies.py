"""How far each column has left its normal range, and since when."""

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.incidents.series import Series

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RELATIVE_FLOOR: Final = 0.01
"""A column that hardly ever moves is taken to scatter by at least a hundredth of its level: below that nobody is hurt."""
AVAILABILITY_FLOOR: Final = 0.002
"""Availability rests near its ceiling, and users notice smaller drops: two thousandths (chosen by looking at PetShop's training
issues, where drops of 2 to 5 points are incidents; 0.001 does the same)."""
FEW_SAMPLES: Final = 10
FEW_FACTOR: Final = 5.0
"""With fewer normal samples than ten their scatter says little: five times the floor is assumed."""
TAIL: Final = 0.25
"""Share of the standard deviation below which the robust scale never falls (chosen by looking at PetShop's training issues and
Nezha's 2022-08-22; 0.5 and 0 differ by one case)."""
_TINY: Final = 1e-12
"""Where the level is nought too, any movement counts."""
_MOST_SAMPLES: Final = 512
_MAD_TO_SD: Final = 1.4826
_SLACK: Final = 1.0
"""Page's reference value, in standard deviations: shifts of two of them are found soonest."""


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Normal behaviour of S columns: ``centre`` (median), ``scale`` (robust, floored), ``mean``, ``sd`` (floored), ``samples``."""

    centre: Floats
    scale: Floats
    mean: Floats
    sd: Floats
    samples: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores (S,) of columns in an anomalous window, positive where they moved in the direction in which they fail.

    ``robust_z``: largest excursion over the median in robust scales. ``n_sigma``: largest excursion over the mean in standard
    deviations. ``median_shift``: shift of the median in robust scales. ``onset_s``: when the excursion began, NaN without one.
    NaN where a column has no sample on either side.
    """

    robust_z: Floats
    n_sigma: Floats
    median_shift: Floats
    onset_s: Floats


def levels(values: Floats, floors: Floats | float = RELATIVE_FLOOR) -> Levels:
    """Describe normal samples (T, S). Spread is judged by at most 512 evenly spaced samples (its error stays below 5 %).

    ``floors`` is the least spread of each column as a share of its level. The robust scale is at least a quarter of the standard
    deviation too: a column that mostly rests and leaps now and then is not surprising when it leaps again.
    """
    step = max(1, len(values) // _MOST_SAMPLES)
    thin = np.ascontiguousarray(values[::step].T)
    known = np.isfinite(thin)
    samples = known.sum(axis=1)
    centre = _medians(thin, known)
    spread = _medians(np.abs(thin - centre[:, None]), known) * _MAD_TO_SD
    filled = thin if bool(known.all()) else np.where(known, thin, 0.0)
    mean = np.where(samples > 0, filled.sum(axis=1) / np.maximum(samples, 1), np.nan)
    squares = np.einsum("st,st->s", filled, filled) / np.maximum(samples, 1)
    sd = np.sqrt(np.maximum(squares - np.nan_to_num(mean) ** 2, 0.0))
    least = floors * np.where(samples < FEW_SAMPLES, FEW_FACTOR, 1.0) * np.abs(centre) + _TINY  # NaN without a sample
    sd = np.where(samples > 0, sd, np.nan)
    return Levels(centre, np.fmax(np.fmax(spread, TAIL * sd), least), mean, np.fmax(sd, least), samples.astype(np.int64))


def normal_levels(series: Series, normal: Bools) -> Levels:
    """Describe the ``normal`` rows (T,) of series, each column with the floor of its kind."""
    return levels(series.values[normal], np.where(series.kinds == "availability", AVAILABILITY_FLOOR, RELATIVE_FLOOR))


def scores(series: Series, normal: Bools, anomalous: Bools, known: Levels | None = None) -> Scores:
    """Score each column of ``anomalous`` rows (T,) against the ``normal`` ones; ``known`` saves describing these again."""
    base = normal_levels(series, normal) if known is None else known
    rows = np.flatnonzero(anomalous)
    window = np.ascontiguousarray(series.values[rows].T)
    if not len(rows):
        blank = np.full(len(series.metrics), np.nan)
        return Scores(blank, blank, blank, blank)
    robust = _excursion(window, base.centre, base.scale, series.fails)
    sigma = _excursion(window, base.mean, base.sd, series.fails)
    shift = _signed((_medians(window, np.isfinite(window)) - base.centre) / base.scale, series.fails)
    return Scores(robust, sigma, shift, onsets(series, base, rows))


def onsets(series: Series, base: Levels, rows: NDArray[np.int64]) -> Floats:
    """Return when each column began to leave its normal range in ``rows`` (S,): last reset of Page's sum before its peak.

    The time is the stamp of the sample before the first deviating one (a sample covers the time up to its stamp); NaN where the
    sum never exceeds five standard deviations, the usual alarm limit of Page's scheme.
    """
    window = series.values[rows]
    z = np.nan_to_num((window - base.centre) / base.scale, nan=0.0)
    found, best = np.full(z.shape[1], np.nan), np.full(z.shape[1], 5.0)
    before_s = np.concatenate([[series.t_s[rows[0]] - series.step_s], series.t_s[rows]])
    for sign, allowed in ((1.0, series.fails >= 0), (-1.0, series.fails <= 0)):
        total = np.zeros((len(rows) + 1, z.shape[1]))
        np.cumsum(sign * z - _SLACK, axis=0, out=total[1:])
        low = np.minimum.accumulate(total, axis=0)
        rise = total - low
        peak = rise.argmax(axis=0)
        columns = np.arange(z.shape[1])
        height, reset = rise[peak, columns], low[peak, columns]
        start = (total == reset).argmax(axis=0)
        better = allowed & (height > best)
        found[better], best[better] = before_s[start[better]], height[better]
    return found


def detect_onset(t_s: Floats, values: Floats, base_centre: float, base_scale: float, fails: int) -> float | None:
    """Return the onset of the strongest spell of a symptom's samples (T,), or None where nothing stands out.

    The spell is the stretch whose mean stands out most from the samples outside it (from the normal centre, where nothing is
    outside), times the root of its length: an epidemic change point. The onset is the stamp of the sample before it. A spell
    below five normal scales is none.
    """
    at = np.flatnonzero(np.isfinite(values))
    if not len(at):
        return None
    z = (values[at] - base_centre) / base_scale
    best, onset = 5.0, None
    for sign in {1: (1.0,), -1: (-1.0,)}.get(fails, (1.0, -1.0)):
        height, start = _spell(sign * z)
        if height > best:
            step = float(np.median(np.diff(t_s))) if len(t_s) > 1 else 0.0
            best, onset = height, float(t_s[at[start - 1]]) if start else float(t_s[at[0]]) - step
    return onset


def _spell(z: Floats) -> tuple[float, int]:
    """Return height and first place of the spell that stands out most; spells are at most half of the samples, and one at least."""
    total = np.concatenate([[0.0], np.cumsum(z)])
    best, place = 0.0, 0
    longest = max(1, (len(z) + 1) // 2)
    for length in range(1, longest + 1):
        inside = (total[length:] - total[:-length]) / length
        outside = (total[-1] - inside * length) / (len(z) - length) if len(z) > length else np.zeros_like(inside)
        height = (inside - outside) * np.sqrt(length * (len(z) - length) / len(z) if len(z) > length else length)
        at = int(height.argmax())
        if height[at] > best:
            best, place = float(height[at]), at
    return best, place


def _excursion(window: Floats, level: Floats, scale: Floats, fails: NDArray[np.int64]) -> Floats:
    """Return the largest excursion of each row (S, T) in the direction in which it fails, in scales."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        high, low = np.fmax.reduce(window, axis=1), np.fmin.reduce(window, axis=1)
    up, down = (high - level) / scale, (level - low) / scale
    return np.asarray(np.where(fails > 0, up, np.where(fails < 0, down, np.fmax(up, down))))


def _signed(shift: Floats, fails: NDArray[np.int64]) -> Floats:
    return np.where(fails == 0, np.abs(shift), shift * fails)


def _medians(rows: Floats, known: Bools) -> Floats:
    """Return the median of each row (S, T) over its known samples, NaN without one. Gaps are sorted to the end."""
    full = known.all(axis=1)
    found = np.full(len(rows), np.nan)
    if not rows.size:
        return found
    if full.any():
        found[full] = np.median(rows if full.all() else rows[full], axis=1)
    gaps = np.flatnonzero(~full & known.any(axis=1))
    if len(gaps):
        ordered, count = np.sort(rows[gaps], axis=1), known[gaps].sum(axis=1)
        at = np.arange(len(gaps))
        found[gaps] = (ordered[at, (count - 1) // 2] + ordered[at, count // 2]) / 2.0
    return found

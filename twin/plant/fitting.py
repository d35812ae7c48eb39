"""Coefficients of inlets and GPUs from telemetry: robust least squares."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
# Residuals beyond this many robust standard deviations pull with constant force (Huber 1964, 95 % efficient on normal noise).
_HUBER: Final = 1.345
_PASSES: Final = 8
_MAD_TO_SIGMA: Final = 1.4826
# Of a column's unit variance: columns that the data cannot tell apart share their effect instead of cancelling.
_RIDGE: Final = 1e-6
LEAST_SAMPLES: Final = 24
# One hour in four is never fitted on.
_HELD_OUT: Final = 4


@dataclass(frozen=True)
class Fitted:
    """What telemetry says of a site in place of what is drawn; not a number where it does not say enough.

    Shapes: S servers, G GPUs. ``gpu_sink_scale`` multiplies the model's sink resistance. ``supply_shift`` is added to the
    supply curve's three coefficients: at cold, per degree outside, per degree outside when hot.
    """

    server_offset_c: Floats
    gpu_offset_c: Floats
    gpu_sink_scale: Floats
    supply_shift: tuple[float, float, float] = (0.0, 0.0, 0.0)


def held_out(t_s: Floats) -> Flags:
    """Return which samples (shape T) are kept for judging: every fourth hour, or eighth of a shorter span."""
    span_s = float(t_s[-1] - t_s[0]) if len(t_s) else 0.0
    block_s = min(3600.0, max(span_s / (2 * _HELD_OUT), 1.0))
    return np.asarray(np.floor((t_s - t_s[:1]) / block_s).astype(np.int64) % _HELD_OUT == _HELD_OUT - 1)


def pieces(outside_c: Floats, knee_c: float, bend_c: float) -> Floats:
    """Return the regressors of the piecewise supply curve (TAPAS eq. 1): one, degrees above the knee, above the bend; (T, 3)."""
    warm = np.clip(outside_c - knee_c, 0.0, bend_c - knee_c)
    return np.column_stack([np.ones(len(outside_c)), warm, np.maximum(outside_c - bend_c, 0.0)])


def plane(x: Floats, y: Floats, use: Flags) -> Floats:
    """Fit each column of ``y`` (T, n; NaN is missing) on the regressors ``x`` (T, k), first column ones; coefficients (n, k).

    Columns with fewer than ``LEAST_SAMPLES`` usable samples are NaN.
    """
    scale = np.where((spread := x.std(axis=0)) > 0.0, spread, 1.0)
    z = x / scale
    there = np.isfinite(y) & (use & np.isfinite(x).all(axis=1))[:, None]
    z, values, weight = np.where(np.isfinite(z), z, 0.0), np.where(there, y, 0.0), there.astype(np.float64)
    ridge = _RIDGE * np.maximum(there.sum(axis=0), 1.0)[:, None, None] * np.eye(x.shape[1])
    found = np.zeros((y.shape[1], x.shape[1]))
    for _ in range(_PASSES):
        normal = np.einsum("tn,tk,tl->nkl", weight, z, z, optimize=True) + ridge
        found = np.linalg.solve(normal, np.einsum("tn,tk,tn->nk", weight, z, values, optimize=True)[:, :, None])[:, :, 0]
        weight = there * _pull(np.where(there, values - z @ found.T, np.nan))
    found[there.sum(axis=0) < LEAST_SAMPLES] = np.nan
    return np.asarray(found / scale)


def line(x: Floats, y: Floats, use: Flags) -> tuple[Floats, Floats]:
    """Fit y = offset + slope x column by column (T, n; NaN is missing); NaN where samples are too few or x does not move."""
    there = use[:, None] & np.isfinite(y) & np.isfinite(x)
    xs, ys, weight = np.where(there, x, 0.0), np.where(there, y, 0.0), there.astype(np.float64)
    offset, slope = np.zeros(y.shape[1]), np.zeros(y.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(_PASSES):
            total = weight.sum(axis=0)
            mean_x, mean_y = (weight * xs).sum(axis=0) / total, (weight * ys).sum(axis=0) / total
            spread = (weight * (xs - mean_x) ** 2).sum(axis=0)
            slope = (weight * (xs - mean_x) * (ys - mean_y)).sum(axis=0) / spread
            offset = mean_y - slope * mean_x
            weight = there * _pull(np.where(there, ys - offset - slope * xs, np.nan))
    few = (there.sum(axis=0) < LEAST_SAMPLES) | ~(spread > 1e-9)
    return np.where(few, np.nan, offset), np.where(few, np.nan, slope)


def settled(x: Floats, dt_s: Floats, tau_s: Floats) -> Floats:
    """Return what a first-order node of time constant ``tau_s`` (n) makes of ``x`` (T, n) held over steps ``dt_s`` (T)."""
    out = x.copy()
    for k in range(1, len(x)):
        before = np.where(np.isfinite(out[k - 1]), out[k - 1], x[k])
        out[k] = before - np.expm1(-dt_s[k] / tau_s) * (x[k] - before)
    return out


def mean_error(y: Floats, predicted: Floats, judged: Flags) -> Floats:
    """Return each column's mean absolute error over the judged samples; NaN where there is none."""
    error = np.where(judged[:, None], np.abs(y - predicted), np.nan)
    return nanmean(error)


def nanmean(values: Floats) -> Floats:
    """Return the mean over the first axis of what is there; NaN where nothing is."""
    there = np.isfinite(values)
    count = there.sum(axis=0)
    return np.asarray(np.where(count > 0, np.where(there, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan))


def nanmedian(values: Floats) -> Floats:
    """Return the median over the first axis of what is there; NaN where nothing is."""
    out = np.full(values.shape[1], np.nan)
    some = np.isfinite(values).any(axis=0)
    out[some] = np.nanmedian(values[:, some], axis=0)
    return out


def _pull(residual: Floats) -> Floats:
    """Return Huber's weight of each residual (T, n), by each column's own spread; missing ones weigh nothing."""
    sigma = np.maximum(_MAD_TO_SIGMA * nanmedian(np.abs(residual)), 1e-9)
    away = np.abs(np.nan_to_num(residual, nan=np.inf)) / np.where(np.isfinite(sigma), sigma, 1.0)
    return np.where(np.isfinite(away), _HUBER / np.maximum(away, _HUBER), 0.0)

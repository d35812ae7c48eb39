"""Which metrics of all entities changed in a window, as rows of a table."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from twin.incidents.anomalies import normal_levels, scores
from twin.incidents.series import FAILS, Series, kind_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Beyond a hundred scales nothing becomes clearer; a change of a few percent rarely matters, however many scales it is. Proposed.
_MOST_SCALES: Final = 100.0
_SHARE_HALF: Final = 0.03
# Scores of columns that never moved before have no size of their own.
_BEYOND: Final = 10_000.0
ROWS: Final = {
    "entity": pl.String,
    "kind": pl.String,
    "metric": pl.String,
    "unit": pl.String,
    "before": pl.Float64,
    "after": pl.Float64,
    "robust_z": pl.Float64,
    "n_sigma": pl.Float64,
    "median_shift": pl.Float64,
    "onset_s": pl.Float64,
    "samples": pl.Int64,
    "clear": pl.Float64,
}


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Series that share their times; ``units`` has one unit for each column, ``kind`` is what the entities are where nothing says more."""

    series: Series
    units: tuple[str, ...]
    kind: str = ""


def block(t_s: Floats, entities: pl.Series, columns: dict[str, Floats], units: dict[str, str], kind: str = "") -> Block:
    """Arrange rows (time, entity, one value of each metric) as series: the mean where a time is there twice, added up in the order of rows.

    Columns without any value are left out.
    """
    times, row = np.unique(t_s, return_inverse=True)
    names = entities.unique().sort()
    code = entities.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int64)
    metrics = tuple(columns)
    cells, cell = len(times) * len(names), row * len(names) + code
    values = np.full((cells, len(metrics)), np.nan)
    once = len(cell) <= cells and bool((np.bincount(cell, minlength=cells) <= 1).all())
    for j, metric in enumerate(metrics):
        values[:, j] = _scattered(cell, columns[metric], cells) if once else _means(cell, columns[metric], cells)
    flat = values.reshape(len(times), -1)
    kept = np.flatnonzero(np.isfinite(flat).any(axis=0))
    of_metric = kept % len(metrics)
    fails = np.array([FAILS[kind_of(metric)] for metric in metrics], dtype=np.int64)
    told = tuple(metrics[j] for j in of_metric)
    series = Series(times, np.ascontiguousarray(flat[:, kept]), tuple(names.to_list()), kept // len(metrics), told, fails[of_metric])
    return Block(series, tuple(units[name] for name in told), kind)


def _scattered(cell: Ints, values: Floats, cells: int) -> Floats:
    found = np.full(cells, np.nan)
    found[cell] = values
    return found


def _means(cell: Ints, values: Floats, cells: int) -> Floats:
    known = np.isfinite(values)
    count = np.bincount(cell[known], minlength=cells)
    total = np.bincount(cell[known], values[known], minlength=cells)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def scan(given: Block, from_s: float, to_s: float) -> pl.DataFrame:
    """Score every column of a block: readings in (``from_s``, ``to_s``] against those before. Columns ``ROWS``.

    ``before`` is the median of the normal readings, ``after`` that of the suspect ones since the column's onset (all of them where
    it has none): an incident may be minutes old and the window half an hour. A column that fell silent has no scores and 0 samples; one
    without normal readings is left out. ``clear`` orders: scores, weighed by how much of its level a column moved.
    """
    series = given.series
    window = (series.t_s > from_s) & (series.t_s <= to_s)
    normal = series.t_s <= from_s
    if not normal.any():
        return pl.DataFrame(schema=ROWS)
    base = normal_levels(series, normal)
    found = scores(series, normal, window, base)
    inside = series.values[window]
    since = np.where(np.isfinite(found.onset_s), found.onset_s, -np.inf)
    after = medians(np.where(series.t_s[window][:, None] > since, inside, np.nan))
    shift = (after - base.centre) / base.scale
    shift = np.where(series.fails == 0, np.abs(shift), shift * series.fails)
    frame = pl.DataFrame(
        {
            "entity": np.array(series.entity_ids, dtype=np.str_)[series.entity] if len(series.entity) else [],
            "kind": [given.kind] * len(series.metrics),
            "metric": list(series.metrics),
            "unit": list(given.units),
            "before": base.centre,
            "after": after,
            "robust_z": np.clip(found.robust_z, -_BEYOND, _BEYOND),
            "n_sigma": np.clip(found.n_sigma, -_BEYOND, _BEYOND),
            "median_shift": np.clip(shift, -_BEYOND, _BEYOND),
            "onset_s": found.onset_s,
            "samples": np.isfinite(inside).sum(axis=0),
            "clear": _clear(found.robust_z, found.n_sigma, shift, base.centre, after),
        },
        schema=ROWS,
    )
    return frame.filter(base.samples > 0).with_columns(pl.selectors.float().fill_nan(None))


def _clear(robust: Floats, sigma: Floats, shift: Floats, before: Floats, after: Floats) -> Floats:
    sizes = np.sort(np.abs(np.vstack([robust, sigma, shift])), axis=0)
    moved = np.abs(after - before) / np.maximum(np.maximum(np.abs(before), np.abs(after)), 1e-12)
    return np.asarray(np.nan_to_num(np.log1p(np.minimum(sizes[1], _MOST_SCALES)) * moved / (moved + _SHARE_HALF), nan=0.0))


def medians(values: Floats) -> Floats:
    """Return the median of each column (T, S) over its known values, NaN without one."""
    count = np.isfinite(values).sum(axis=0)
    if not len(values):
        return np.full(values.shape[1], np.nan)
    ordered, at = np.sort(values, axis=0), np.arange(values.shape[1])
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    middle = (ordered[low, at] + ordered[np.minimum(high, len(values) - 1), at]) / 2.0
    return np.asarray(np.where(count > 0, middle, np.nan))


def step(t_s: Floats, values: Floats) -> tuple[float, float, float, float] | None:
    """Return when a series (T,) changed most, its medians before and after, and the change in robust scales; None below six values.

    The split is where the means on both sides differ most, each weighed by its length, with values beyond the 5th and 95th
    percentile drawn in, so that no single value decides. The time is the stamp of the last value before the change.
    """
    known = np.isfinite(values)
    t_s, values = t_s[known], values[known]
    n = len(values)
    if n < 6:
        return None
    tame = np.clip(values, *np.percentile(values, (5.0, 95.0))) if n >= 40 else values
    total = np.cumsum(tame)
    left = np.arange(2, n - 1)
    heights = np.abs(total[left - 1] / left - (total[-1] - total[left - 1]) / (n - left)) * np.sqrt(left * (n - left) / n)
    at = int(left[heights.argmax()])
    before, after = float(np.median(values[:at])), float(np.median(values[at:]))
    rest = np.concatenate([values[:at] - before, values[at:] - after])
    scale = max(1.4826 * float(np.median(np.abs(rest))), 0.01 * abs(before), 1e-12)
    return float(t_s[at - 1]), before, after, (after - before) / scale

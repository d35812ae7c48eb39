"""What each column and entity say before the graph is asked."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.incidents.anomalies import Levels, normal_levels, onsets
from twin.incidents.series import KINDS, Series

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

SIGNIFICANT: Final = 3.0
"""An anomaly counts from three normal scales on, as control charts have it."""
CAP: Final = 100.0
"""Beyond a hundred scales nothing becomes more certain: such figures come from columns that hardly ever move."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Evidence of S columns. ``slope``: change at the height of the incident, in the column's unit; ``error``: its standard error;
    ``z``: both as a ratio, positive in the failing direction, 0 where nothing is known; ``magnitude``: slope over the largest
    slope of the same metric anywhere, 0..1; ``onset_s``: when it began, NaN unless it did."""

    slope: Floats
    error: Floats
    z: Floats
    magnitude: Floats
    onset_s: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Evidence of N entities.

    ``anomaly``: per kind of metric the strength 0..1 of its strongest anomaly; ``shown``: the same, each column weighted by its
    magnitude; ``share``: how much of the symptom's excess passes through the entity (1: all of it); ``requests``: how often it is
    called, NaN where not told; ``gone``: share of its usual columns that fell silent; ``observed``: whether it reports the
    symptom's metric; ``loudest``: the column that speaks loudest, -1 without; ``onset_s``: earliest onset of its anomalies;
    ``symptom_z``: how far the symptom itself left its range.
    """

    columns: Columns
    anomaly: dict[str, Floats]
    shown: dict[str, Floats]
    share: Floats
    requests: Floats
    gone: Floats
    observed: Bools
    loudest: Ints
    onset_s: Floats
    symptom_z: float


def strength(z: Floats) -> Floats:
    """Map scores to 0..1: logarithmic, 1 at a hundred scales.

    >>> strength(np.array([-5.0, 0.0, 100.0])).tolist()
    [0.0, 0.0, 1.0]
    """
    return np.asarray(np.log1p(np.clip(z, 0.0, CAP) / SIGNIFICANT) / float(np.log1p(CAP / SIGNIFICANT)))


def gather(series: Series, at: Ints, entities: int, symptom: int, normal: Bools, window: Bools, onset_s: float) -> Evidence:
    """Weigh all columns of an incident; ``at`` (S,) is each column's entity among ``entities``, ``symptom`` a column.

    Level and scatter come from different places. Scatter is that of the normal rows, which may be days away. Level is that of the
    window's own quiet rows, so that a service that has merely changed since the normal days is not accused; where the window has
    none, the normal centre stands in.
    """
    base = normal_levels(series, normal)
    rows = np.flatnonzero(window)
    after = series.t_s[rows] > onset_s
    values = series.values[rows]
    profile, symptom_z, seen = _profile(values[:, symptom], after, base, symptom, int(series.fails[symptom]))
    if not (profile <= 0.1).any():
        values, profile = np.vstack([base.centre[None, :], values]), np.concatenate([[0.0], profile])
    columns = _columns(series, values, profile, base, rows, after)
    requests = _requests(series, at, entities, values[profile > 0.0] if (profile > 0.0).any() else values)
    share, observed = _shares(series, at, entities, symptom, columns, requests)
    gone = _gone(series, at, entities, series.values[normal], values, profile)
    return _by_entity(series, at, entities, columns, (share * seen, requests, gone, observed, symptom_z))


def _profile(y: Floats, after: Bools, base: Levels, symptom: int, fails: int) -> tuple[Floats, float, float]:
    """Return how much of the incident each row carries (0..1), the symptom's score, and how much that score is trusted (0..1).

    Rows after the onset carry all of it; the more plainly the symptom shows, the more its own shape decides (an incident that is
    over before the window ends, or that covers half a sample).
    """
    known = np.isfinite(y)
    quiet = y[known & ~after]
    level = float(np.median(quiet)) if len(quiet) else float(base.centre[symptom])
    moved = np.where(known & after, y - level, 0.0)
    sign = float(fails) if fails else float(np.sign(moved[np.abs(moved).argmax()]) or 1.0) if len(moved) else 1.0
    excess = np.nan_to_num(np.maximum(moved * sign, 0.0))
    height = float(excess.max(initial=0.0))
    z = height / float(base.scale[symptom]) if np.isfinite(base.scale[symptom]) else 0.0
    trust = z * z / (z * z + SIGNIFICANT**2)
    shape = excess / height if height > 0.0 else np.ones(len(y))
    return np.asarray(after * ((1.0 - trust) + trust * shape), dtype=np.float64), z, trust


def _columns(series: Series, values: Floats, profile: Floats, base: Levels, rows: Ints, after: Bools) -> Columns:
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    count = np.maximum(known.sum(axis=0), 1)
    weights = profile[:, None] * known
    mean_w, mean_y = weights.sum(axis=0) / count, filled.sum(axis=0) / count
    spread = (weights * profile[:, None]).sum(axis=0) - count * mean_w**2
    usable = (spread > 1e-6 * max(float(profile @ profile), 1e-12)) & np.isfinite(base.scale)
    spread = np.where(usable, spread, 1.0)
    slope = np.where(usable, ((weights * filled).sum(axis=0) - count * mean_w * mean_y) / spread, np.nan)
    error = np.where(usable, base.scale / np.sqrt(spread), np.nan)
    z = np.where(series.fails == 0, np.abs(slope), slope * series.fails) / error
    z = np.where(np.isfinite(z), z, 0.0)
    quiet = np.where(after[:, None], np.nan, series.values[rows])
    told = np.isfinite(quiet).sum(axis=0)
    level = np.where(told > 0, np.nan_to_num(quiet).sum(axis=0) / np.maximum(told, 1), base.centre)
    began = onsets(series, Levels(level, base.scale, base.mean, base.sd, base.samples), rows)
    return Columns(slope, error, z, _magnitudes(series, slope, z), np.where(z > SIGNIFICANT, began, np.nan))


def _magnitudes(series: Series, slope: Floats, z: Floats) -> Floats:
    names = {name: place for place, name in enumerate(sorted(set(series.metrics)))}
    of = np.array([names[name] for name in series.metrics], dtype=np.int64)
    size = np.where(z > 0.0, np.abs(np.nan_to_num(slope)), 0.0)
    most = np.zeros(len(names))
    np.maximum.at(most, of, size)
    return np.where(most[of] > 0.0, size / np.where(most[of] > 0.0, most[of], 1.0), 0.0)


def _requests(series: Series, at: Ints, entities: int, values: Floats) -> Floats:
    """Return how often each entity is called while the incident lasts: mean of its first metric of requests."""
    found = np.full(entities, np.nan)
    places = np.flatnonzero(series.kinds == "requests")[::-1]
    part = values[:, places]
    known = np.isfinite(part)
    found[at[places]] = np.where(known.any(axis=0), np.where(known, part, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1), np.nan)
    return found


def _gone(series: Series, at: Ints, entities: int, usual: Floats, values: Floats, profile: Floats) -> Floats:
    """Return which share of an entity's columns fell silent, of those that hardly ever do (19 of 20 samples, ten samples at least)
    and that still reported just before the incident."""
    reports = np.isfinite(usual).mean(axis=0) >= 0.95 if len(usual) >= 10 else np.zeros(len(at), dtype=np.bool_)
    reports &= np.isfinite(values[profile <= 0.1]).any(axis=0)
    silent = reports & ~np.isfinite(values[profile >= 0.5 * profile.max(initial=0.0)]).any(axis=0)
    return np.asarray(np.bincount(at[silent], minlength=entities) / np.maximum(np.bincount(at[reports], minlength=entities), 1))


def _shares(series: Series, at: Ints, entities: int, symptom: int, columns: Columns, requests: Floats) -> tuple[Floats, Bools]:
    """Return each entity's part of the symptom's excess, and who reports the symptom's metric.

    Excess latency times calls is time, lost successes times calls are failures: both add up along calls, so they can be compared
    with the symptom's. One standard error is taken off: what can at least be asserted.
    """
    share, observed = np.zeros(entities), np.zeros(entities, dtype=np.bool_)
    same = np.flatnonzero((np.array(series.metrics) == series.metrics[symptom]) & np.isfinite(columns.slope))
    observed[at[same]] = True
    sign = float(series.fails[symptom]) or float(np.sign(np.nan_to_num(columns.slope[symptom]))) or 1.0
    unit = float(np.nan_to_num(columns.slope[symptom])) * sign
    root = requests[at[symptom]]
    if unit > 0.0:
        calls = requests[at[same]] / (root if root > 0.0 else np.nan)
        calls = np.where(np.isfinite(calls), calls, 1.0)
        share[at[same]] = np.maximum(columns.slope[same] * sign - columns.error[same], 0.0) / unit * calls
    return share, observed


def _by_entity(series: Series, at: Ints, entities: int, columns: Columns, told: tuple[Floats, Floats, Floats, Bools, float]) -> Evidence:
    kinds, power = series.kinds, strength(columns.z)
    anomaly: dict[str, Floats] = {}
    shown: dict[str, Floats] = {}
    for kind in KINDS:
        of = kinds == kind
        for found, each in ((anomaly, power), (shown, power * columns.magnitude)):
            found[kind] = np.zeros(entities)
            np.maximum.at(found[kind], at[of], each[of])
    loudest = np.full(entities, -1, dtype=np.int64)
    order = np.argsort(columns.z, kind="stable")
    loudest[at[order]] = order
    began = np.full(entities, np.inf)
    np.fmin.at(began, at, columns.onset_s)
    share, requests, gone, observed, symptom_z = told
    began[~np.isfinite(began)] = np.nan
    return Evidence(columns, anomaly, shown, share, requests, gone, observed, loudest, began, symptom_z)

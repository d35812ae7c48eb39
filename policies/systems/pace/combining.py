"""Two scores become one confidence: weight and map from earlier labels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from twin.incidents.levers import Labelled

Floats = NDArray[np.float64]
Map = Literal["uncalibrated", "Platt", "isotonic"]
# Below this many labels a map would say more about chance than about the predictor.
FEWEST: Final = 30
# Two parameters are enough until there are labels for a free monotone curve.
ISOTONIC_FROM: Final = 200
EQUAL: Final = 0.5
_WEIGHTS: Final = np.linspace(0.0, 1.0, 21)
_BLOCKS: Final = 5
_NEWTON_STEPS: Final = 50
# Slopes of one in a hundred and less are pulled to nothing, those that calibrate are left alone.
_RIDGE: Final = 1e-2


@dataclass(frozen=True)
class Curve:
    """A monotone map from a score to a confidence, by knots between which it is straight; ``slope`` and ``offset`` where logistic."""

    scores: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    slope: float = 0.0
    offset: float = 0.0

    def at(self, score: Floats) -> Floats:
        """Return the confidence at each score, shape N."""
        if self.scores:
            return np.asarray(np.interp(score, self.scores, self.shares))
        return _logistic(self.slope * score + self.offset)


@dataclass(frozen=True)
class Fitted:
    """What earlier incidents taught: how much the sufficiency of the history counts, and the map from the sum to a confidence.

    ``sufficient_weight`` is its share, the rest is that of the cause's own score. ``brier`` was found on later blocks of the labels than
    each was fitted on, NaN without any. ``right_share`` is of the labels.
    """

    kind: Map
    labels: int
    sufficient_weight: float = EQUAL
    curve: Curve | None = None
    brier: float = np.nan
    right_share: float = np.nan

    def confidence(self, sufficient: Floats, likely: Floats) -> Floats:
        """Return how sure one may be, shape N, from both scores, shape N."""
        mixed = mix(self.sufficient_weight, sufficient, likely)
        return np.clip(mixed if self.curve is None else self.curve.at(mixed), 0.0, 1.0)


def mix(weight: float, sufficient: Floats, likely: Floats) -> Floats:
    """Return the weighted sum of both scores."""
    return np.asarray(weight * sufficient + (1.0 - weight) * likely)


def known_before(labelled: Iterable[Labelled], began: float, predictor: str, incident_id: str) -> list[Labelled]:
    """Return the labels that may be learned from: of this predictor, known before the incident began, of other incidents.

    Ids count within a run, so that an incident is another one where it began at another time.
    """
    return [
        each
        for each in labelled
        if each.known < began
        and each.prediction.predictor == predictor
        and (each.prediction.incident.incident_id, each.prediction.incident.began) != (incident_id, began)
        and isfinite(each.sufficient)
        and isfinite(each.likely)
    ]


def fit(labelled: Sequence[Labelled]) -> Fitted:
    """Return what labels teach; a pure function of them, whatever their order.

    The weight is chosen by the Brier score on blocks of labels later than those it was fitted on, and stays at one half unless another
    is better by more than one standard error. The map is a logistic curve (Platt 1999) from 30 labels, isotonic from 200; below 30
    the plain sum is returned, uncalibrated.
    """
    sufficient, likely, right, known = _columns(labelled)
    count = len(right)
    share = float(right.mean()) if count else np.nan
    if count < FEWEST:
        return Fitted("uncalibrated", count, right_share=share)
    kind: Map = "Platt" if count < ISOTONIC_FROM else "isotonic"
    weight, brier = _weight(sufficient, likely, right, known, kind)
    return Fitted(kind, count, weight, _curve(mix(weight, sufficient, likely), right, kind), brier, share)


def platt(score: Floats, right: Floats) -> Curve:
    """Return the logistic curve through labels, with Platt's smoothed targets and a slope that never falls."""
    hits = right.sum()
    targets = np.where(right > 0.5, (hits + 1.0) / (hits + 2.0), 1.0 / (right.size - hits + 2.0))
    centre = float(score.mean())
    rows = np.column_stack((score - centre, np.ones_like(score)))
    ridge = np.diag((_RIDGE, 0.0))
    found = np.array((0.0, _logit(float(targets.mean()))))
    loss = _loss(rows, targets, found)
    for _ in range(_NEWTON_STEPS):
        said = _logistic(rows @ found)
        slope = rows.T @ (said - targets) + ridge @ found
        step = np.linalg.solve((rows * (said * (1.0 - said))[:, None]).T @ rows + ridge + 1e-9 * np.eye(2), slope)
        # Newton's step overshoots where labels nearly come apart: it is halved until it helps.
        while (after := _loss(rows, targets, found - step)) > loss + 1e-12 and np.abs(step).max() > 1e-9:
            step = step / 2.0
        found, loss = found - step, min(after, loss)
        if np.abs(step).max() < 1e-9:
            break
    if found[0] <= 0.0:
        return Curve(offset=_logit(float(targets.mean())))
    return Curve(slope=float(found[0]), offset=float(found[1] - found[0] * centre))


def isotonic(score: Floats, right: Floats) -> Curve:
    """Return the rising curve nearest to the labels: steps, smoothed by one label of the base rate each, joined at their middles."""
    from scipy.optimize import isotonic_regression  # whoever lists the systems must not wait for it

    order = np.argsort(score, kind="stable")
    levels, which, count = np.unique(score[order], return_inverse=True, return_counts=True)
    shares = np.bincount(which, weights=right[order]) / count
    blocks = isotonic_regression(shares, weights=count.astype(np.float64)).blocks[:-1]
    held = np.add.reduceat(count, blocks)
    hits = np.add.reduceat(shares * count, blocks)
    middles = np.add.reduceat(levels * count, blocks) / held
    smoothed = (hits + right.mean()) / (held + 1.0)
    # Smoothing pulls small steps further than large ones and may undo their order.
    rising = isotonic_regression(smoothed, weights=held.astype(np.float64)).x
    return Curve(tuple(middles.tolist()), tuple(rising.tolist()))


def _columns(labelled: Sequence[Labelled]) -> tuple[Floats, Floats, Floats, Floats]:
    """Return scores, answers and times of labels in one order, whatever order they came in."""
    rows = np.array([(each.known, each.sufficient, each.likely, float(each.right)) for each in labelled], dtype=np.float64).reshape(-1, 4)
    rows = rows[np.lexsort(rows.T[::-1])]
    return rows[:, 1], rows[:, 2], rows[:, 3], rows[:, 0]


def _weight(sufficient: Floats, likely: Floats, right: Floats, known: Floats, kind: Map) -> tuple[float, float]:
    """Return the weight, and the Brier score of that weight on labels that it was not fitted on."""
    splits = _splits(known)
    losses = np.stack([_later_losses(mix(float(weight), sufficient, likely), right, splits, kind) for weight in _WEIGHTS])
    means = losses.mean(axis=1)
    plain = int(np.argmin(np.abs(_WEIGHTS - EQUAL)))
    best = int(np.argmin(means))
    gain = losses[plain] - losses[best]
    certain = gain.mean() > gain.std(ddof=1) / np.sqrt(gain.size)
    chosen = best if certain else plain
    return float(_WEIGHTS[chosen]), float(means[chosen])


def _splits(known: Floats) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Return what is fitted on and what is judged: blocks in the order of time, the first two fifths never judged.

    Labels that became known at one moment stay together. Where all did, every fifth is judged by the others.
    """
    place = np.arange(known.size)
    if known[0] == known[-1]:
        return [(place % _BLOCKS != block, place % _BLOCKS == block) for block in range(_BLOCKS)]
    edges = {float(known[known.size * block // _BLOCKS]) for block in range(2, _BLOCKS)} - {float(known[0])}
    starts = sorted(edges or {float(known[-1])})
    ends = [*starts[1:], np.inf]
    return [(known < start, (known >= start) & (known < end)) for start, end in zip(starts, ends, strict=True)]


def _later_losses(score: Floats, right: Floats, splits: Sequence[tuple[NDArray[np.bool_], NDArray[np.bool_]]], kind: Map) -> Floats:
    found = [(_curve(score[fitted], right[fitted], kind).at(score[judged]) - right[judged]) ** 2 for fitted, judged in splits]
    return np.concatenate(found)


def _curve(score: Floats, right: Floats, kind: Map) -> Curve:
    return isotonic(score, right) if kind == "isotonic" else platt(score, right)


def _loss(rows: Floats, targets: Floats, found: Floats) -> float:
    reached = rows @ found
    return float(np.sum(np.logaddexp(0.0, reached) - targets * reached) + 0.5 * _RIDGE * found[0] ** 2)


def _logistic(value: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(value, -500.0, 500.0))))


def _logit(share: float) -> float:
    return float(np.log(share / (1.0 - share)))

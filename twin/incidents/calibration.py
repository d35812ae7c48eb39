"""How far stated confidences can be believed: error, resolution, bins."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin import chance

Floats = NDArray[np.float64]
Binning = Literal["mass", "width"]
BINS: Final = 10
FEW_BINS: Final = 5
# Below this many predictions a tenth of them is too few to tell a share from.
FEW: Final = 200
_DRAWS: Final = 2000
# A forecaster who was certain and wrong would cost infinitely many nats; one in a million is as certain as anybody is taken to be.
_LEAST: Final = 1e-6
_Z_95: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions of like confidence: how many, what they said on average, how many were right, and a 95 % Wilson interval of that."""

    least: float
    most: float
    count: int
    confidence: float
    right_share: float
    low_share: float
    high_share: float


@dataclass(frozen=True, slots=True)
class Perfect:
    """The ECE that a forecaster whose confidences are true would show on as many predictions: mean, and what 95 % stay below."""

    mean: float
    most: float


@dataclass(frozen=True, slots=True)
class Abstention:
    """What is left when the least sure are not answered: shares answered, ascending, and how many of those are right.

    ``confidence`` is the least one answered. ``area`` is the mean error over all shares answered, lower is better.
    """

    answered_share: Floats
    right_share: Floats
    confidence: Floats
    area: float


@dataclass(frozen=True, slots=True)
class Measures:
    """All that is said of confidences together, because each alone can be had cheaply: a constant has no calibration error.

    ``base_brier`` is the Brier score of the constant that knows how many are right. ``auroc`` is NaN where all or none are right.
    """

    count: int
    right_share: float
    confidence_mean: float
    ece_mass: float
    ece_width: float
    mce: float
    brier: float
    base_brier: float
    log_loss: float
    auroc: float
    perfect_mass: Perfect
    perfect_width: Perfect


def bins_for(count: int) -> int:
    """Return how many bins so many predictions are put into: 10, or 5 below 200."""
    return BINS if count >= FEW else FEW_BINS


def reliability(confidence: ArrayLike, right: ArrayLike, *, bins: int = BINS, by: Binning = "mass") -> tuple[Bin, ...]:
    """Return the bins of a reliability diagram that hold anything, from unsure to sure.

    By mass each holds about as many, and equal confidences stay together, so that there may be fewer; by width each is as wide.
    ``confidence`` and ``right`` have shape N. ValueError for shapes that differ and confidences outside 0 to 1.
    """
    stated, correct = _checked(confidence, right)
    if not stated.size:
        return ()
    which = _binned(stated, bins, by)
    count = np.bincount(which, minlength=bins)
    said, hits = (np.bincount(which, weights=values, minlength=bins) for values in (stated, correct))
    found = []
    for place in np.flatnonzero(count):
        n, share = int(count[place]), float(hits[place] / count[place])
        low, high = wilson(hits[place], n)
        inside = stated[which == place]
        edges = (float(inside.min()), float(inside.max())) if by == "mass" else (place / bins, (place + 1) / bins)
        found.append(Bin(*edges, n, float(said[place] / n), share, low, high))
    return tuple(found)


def wilson(hits: float, count: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a share (Wilson 1927).

    >>> [round(end, 3) for end in wilson(5, 10)]
    [0.237, 0.763]
    """
    share, spread = hits / count, _Z_95**2 / count
    middle = (share + spread / 2.0) / (1.0 + spread)
    half = _Z_95 * np.sqrt(share * (1.0 - share) / count + spread / (4.0 * count)) / (1.0 + spread)
    return float(max(middle - half, 0.0)), float(min(middle + half, 1.0))


def ece(confidence: ArrayLike, right: ArrayLike, *, bins: int = BINS, by: Binning = "mass") -> float:
    """Return the expected calibration error: the mean gap of a bin between what was said and what was right, by counts; NaN of none."""
    stated, correct = _checked(confidence, right)
    return float(_gaps(stated, correct[None], bins, by)[0].sum()) if stated.size else np.nan


def mce(confidence: ArrayLike, right: ArrayLike, *, bins: int = BINS, by: Binning = "mass") -> float:
    """Return the largest gap of any bin; NaN of none."""
    return max((abs(each.confidence - each.right_share) for each in reliability(confidence, right, bins=bins, by=by)), default=np.nan)


def brier(confidence: ArrayLike, right: ArrayLike) -> float:
    """Return the mean squared error of the confidences (Brier 1950); NaN of none."""
    stated, correct = _checked(confidence, right)
    return float(np.mean((stated - correct) ** 2)) if stated.size else np.nan


def log_loss(confidence: ArrayLike, right: ArrayLike) -> float:
    """Return the mean loss in nats; confidences count as at least one in a million away from certainty. NaN of none."""
    stated, correct = _checked(confidence, right)
    clipped = np.clip(stated, _LEAST, 1.0 - _LEAST)
    return float(-np.mean(np.where(correct > 0.5, np.log(clipped), np.log1p(-clipped)))) if stated.size else np.nan


def auroc(confidence: ArrayLike, right: ArrayLike) -> float:
    """Return how often a right prediction was given more confidence than a wrong one; ties count half, NaN without both."""
    stated, correct = _checked(confidence, right)
    _, which, count = np.unique(stated, return_inverse=True, return_counts=True)
    hits = correct.sum()
    misses = correct.size - hits
    if not hits or not misses:
        return float(np.nan)
    rank = (np.cumsum(count) - 0.5 * (count - 1))[which]
    return float((rank[correct > 0.5].sum() - hits * (hits + 1.0) / 2.0) / (hits * misses))


def abstention(confidence: ArrayLike, right: ArrayLike) -> Abstention:
    """Return what is right of what is answered when only the surest are (risk and coverage); equal confidences come together."""
    stated, correct = _checked(confidence, right)
    levels, which, count = np.unique(-stated, return_inverse=True, return_counts=True)
    if not stated.size:
        return Abstention(np.empty(0), np.empty(0), np.empty(0), np.nan)
    answered = np.cumsum(count)
    share = np.cumsum(np.bincount(which, weights=correct)) / answered
    return Abstention(answered / stated.size, share, -levels, float(np.sum((1.0 - share) * count) / stated.size))


def perfect(confidence: ArrayLike, *, bins: int = BINS, by: Binning = "mass", draws: int = _DRAWS, seed: int = 1) -> Perfect:
    """Return what ECE these very confidences would show if each were true: the bias of few predictions, drawn.

    An ECE below ``most`` cannot be told from that of a perfect forecaster.
    """
    stated, _ = _checked(confidence, np.zeros(np.shape(confidence)))
    if not stated.size:
        return Perfect(np.nan, np.nan)
    random = chance.stream(seed, "incidents", "calibration", "perfect")
    # In pieces, so that many predictions need little memory.
    piece = max(1, min(draws, 2_000_000 // stated.size))
    found = [
        _gaps(stated, (random.random((min(piece, draws - first), stated.size)) < stated).astype(np.float64), bins, by).sum(axis=1)
        for first in range(0, draws, piece)
    ]
    values = np.concatenate(found)
    return Perfect(float(values.mean()), float(np.quantile(values, 0.95)))


def measures(confidence: ArrayLike, right: ArrayLike, *, bins: int | None = None, seed: int = 1) -> Measures:
    """Return everything that is reported together; ``bins`` is 10, or 5 below 200 predictions. ValueError of none."""
    stated, correct = _checked(confidence, right)
    if not stated.size:
        raise ValueError("no prediction is labelled; confirm or reject at least one cause")
    count = bins_for(stated.size) if bins is None else bins
    share = float(correct.mean())
    return Measures(
        count=stated.size,
        right_share=share,
        confidence_mean=float(stated.mean()),
        ece_mass=ece(stated, correct, bins=count),
        ece_width=ece(stated, correct, bins=count, by="width"),
        mce=mce(stated, correct, bins=count),
        brier=brier(stated, correct),
        base_brier=share * (1.0 - share),
        log_loss=log_loss(stated, correct),
        auroc=auroc(stated, correct),
        perfect_mass=perfect(stated, bins=count, seed=seed),
        perfect_width=perfect(stated, bins=count, by="width", seed=seed),
    )


def _checked(confidence: ArrayLike, right: ArrayLike) -> tuple[Floats, Floats]:
    stated, correct = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if stated.ndim != 1 or stated.shape != correct.shape:
        raise ValueError(f"confidences of shape {stated.shape} and answers of shape {correct.shape}; give one answer for each confidence")
    bad = ~((stated >= 0.0) & (stated <= 1.0))
    if bad.any():
        raise ValueError(f"confidence {int(np.flatnonzero(bad)[0])} is {stated[bad][0]:g}; write a number from 0 to 1")
    return stated, correct


def _binned(stated: Floats, bins: int, by: Binning) -> NDArray[np.int64]:
    """Return the bin of each confidence. By mass a group of equals goes where its middle lies: ties are never split."""
    if by == "width":
        return np.minimum((stated * bins).astype(np.int64), bins - 1)
    _, which, count = np.unique(stated, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - 0.5 * count
    return np.asarray(np.minimum(middle * bins / stated.size, bins - 1).astype(np.int64)[which])


def _gaps(stated: Floats, correct: Floats, bins: int, by: Binning) -> Floats:
    """Return the gap of each bin times its share of all, shape (R, bins), for answers of shape (R, N)."""
    order = np.argsort(which := _binned(stated, bins, by), kind="stable")
    starts = np.flatnonzero(np.diff(which[order], prepend=-1))
    return np.asarray(np.abs(np.add.reduceat((stated - correct)[:, order], starts, axis=1)) / stated.size)

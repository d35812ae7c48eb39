"""What the claims are computed from: labelled predictions, two parts."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from policies.systems.pace.combining import fit
from twin.incidents import calibration
from twin.incidents.levers import Labelled

Numbers = Mapping[str, float | None]
# Of fewer, a perfect forecaster shows an ECE of a twentieth and more by chance alone.
FEWEST: Final = 500
OWN: Final = "ECE over that of the predictor's own score"
FIRST: Final = "react_rca"
PLAIN: Final = "retrieval_k10"


def first(earlier: Sequence[Labelled], later: Sequence[Labelled]) -> Numbers:
    """Return the numbers of our own investigator's predictions."""
    return compared(earlier, later, FIRST)


def plain(earlier: Sequence[Labelled], later: Sequence[Labelled]) -> Numbers:
    """Return the numbers of what most of the ten nearest resolved incidents were."""
    return compared(earlier, later, PLAIN)


def compared(earlier: Sequence[Labelled], later: Sequence[Labelled], predictor: str) -> Numbers:
    """Return measures of PACE, fitted on ``earlier``, and of a predictor's own score, both on ``later``, in bins of equal width.

    ``OWN`` is None where fewer than 500 later predictions carry a score, or where all scores are one: a constant is nothing to be
    held against. ValueError where a label to be fitted on became known after an incident of ``later`` had begun.
    """
    taught, asked = ([each for each in part if _scored(each, predictor)] for part in (earlier, later))
    if (
        taught
        and asked
        and (known := max(each.known for each in taught)) >= (began := min(each.prediction.incident.began for each in asked))
    ):
        raise ValueError(
            f"{predictor}: a label became known at {known:.0f} s, after a later incident began at {began:.0f} s; part them by time"
        )
    counted = {"earlier predictions": float(len(taught)), "later predictions": float(len(asked))}
    fitted = fit(taught)
    if len(asked) < FEWEST or fitted.curve is None:
        return {OWN: None, **counted}
    right = np.array([each.right for each in asked], dtype=np.float64)
    own = np.clip(np.array([each.prediction.score for each in asked]), 0.0, 1.0)
    sufficient, likely = (np.array([getattr(each, name) for each in asked]) for name in ("sufficient", "likely"))
    ours = fitted.confidence(sufficient, likely)
    before = calibration.ece(own, right, by="width")
    ratio = calibration.ece(ours, right, by="width") / before if np.ptp(own) > 0.0 and before > 0.0 else None
    found: dict[str, float | None] = {OWN: ratio, **counted, "share of them right": float(right.mean())}
    found["weight of the history"] = fitted.sufficient_weight
    for who, confidence in (("PACE", ours), ("own score", own)):
        found |= {f"{name}, {who}": value for name, value in _measured(confidence, right).items()}
    return found | {"Brier, a constant that knows how many are right": float(right.mean() * (1.0 - right.mean()))}


def _scored(each: Labelled, predictor: str) -> bool:
    return each.prediction.predictor == predictor and bool(np.isfinite([each.prediction.score, each.sufficient, each.likely]).all())


def _measured(confidence: calibration.Floats, right: calibration.Floats) -> dict[str, float | None]:
    found = calibration.measures(confidence, right, bins=calibration.BINS)
    return {
        "ECE, bins of equal width": found.ece_width,
        "what a perfect forecaster stays below, equal width": found.perfect_width.most,
        "ECE, bins of equal mass": found.ece_mass,
        "what a perfect forecaster stays below, equal mass": found.perfect_mass.most,
        "MCE": found.mce,
        "Brier": found.brier,
        "log loss, nats": found.log_loss,
        "AUROC": found.auroc if np.isfinite(found.auroc) else None,
    }

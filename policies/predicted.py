"""How sure one may be of what somebody else's predictor named."""

from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from policies.investigate import confider
from policies.knowledge import known, of_predictions
from policies.policy import PolicySet
from twin.incidents import calibration
from twin.incidents.case import Case
from twin.incidents.levers import ConfidenceAction, ConfidenceObservation, Labelled, Prediction
from twin.store.toolbox import CaseToolbox


@dataclass(frozen=True, slots=True)
class Told:
    """One prediction, what was said of it, and whether it was right; None where nobody knows."""

    prediction: Prediction
    said: ConfidenceAction
    right: bool | None


def confided(name: str, policy: PolicySet, home: Path) -> list[Told]:
    """Return how sure one may be of each prediction imported under a name, in order of their incidents' beginning.

    Of each only what was known then is used: incidents resolved before, and which of the earlier predictions had turned out right.
    ValueError where there are no such predictions, or their incidents are not imported.
    """
    asked = of_predictions(name, home)
    holder = confider(policy)
    labelled: list[Labelled] = []
    out = []
    knows = known(home, asked[0][0].incident.began)
    for prediction, right, resolved in asked:
        case = Case(f"import {name}", prediction.incident, {}, knows.history, knows.runbooks)
        with CaseToolbox(case, 0.0, similar=knows.similar) as tools:
            said = holder.confide(ConfidenceObservation(prediction, tools, labelled))
        if right is not None and isfinite(said.sufficient) and isfinite(said.likely):
            labelled.append(Labelled(prediction, right, resolved, said.sufficient, said.likely))
        out.append(Told(prediction, said, right))
    return out


def measured(told: list[Told]) -> dict[str, dict[str, Any]]:
    """Return what calibration measures say of the confidence, and of the predictor's own score on the same predictions.

    Those with a score count whose confidence is calibrated (all, where none is); empty where nothing is known to be right or wrong.
    """
    judged = [each for each in told if each.right is not None and isfinite(each.prediction.score)]
    counted = [each for each in judged if each.said.calibrated] or judged
    if not counted:
        return {}
    right = [float(bool(each.right)) for each in counted]
    return {
        "confidence": _plain(calibration.measures([each.said.confidence for each in counted], right)),
        "own score": _plain(calibration.measures([min(max(each.prediction.score, 0.0), 1.0) for each in counted], right)),
    }


def _plain(found: calibration.Measures) -> dict[str, Any]:
    told = asdict(found)
    for name in ("perfect_mass", "perfect_width"):
        told[f"{name}_most"] = told.pop(name)["most"]
    return {name: None if isinstance(value, float) and not isfinite(value) else value for name, value in told.items()}

"""The plain holder of confidence: a predictor is as sure as it says."""

from math import isfinite, nan
from typing import Final

from policies.system import Knobs, Surroundings, System
from twin.incidents.levers import ConfidenceAction, ConfidenceObservation

# What is said without any score: it may be right or not.
_UNTOLD: Final = 0.5


class RawScore:
    """Passes on the predictor's own score. It looks at no history and learns from no label."""

    def __init__(self, knobs: Knobs, surroundings: Surroundings) -> None:
        del knobs, surroundings

    def confide(self, seen: ConfidenceObservation) -> ConfidenceAction:
        """Return the score that came with a prediction, one half where none did."""
        prediction = seen.prediction
        if not isfinite(prediction.score):
            return ConfidenceAction(_UNTOLD, nan, nan, False, 0, f"{prediction.predictor} gives no score")
        score = min(max(prediction.score, 0.0), 1.0)
        return ConfidenceAction(score, nan, score, False, 0, f"{prediction.predictor}'s own score, as it stands")


RAW_SCORE: Final = System(
    id="raw_score",
    name="the predictor's own score",
    question="What if a named cause is believed as firmly as whoever named it says?",
    levers={"confidence": "holder"},
    serves=(),
    costs=(),
    knobs=Knobs,
    build=RawScore,
)

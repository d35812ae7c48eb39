"""Says how sure one may be of a named cause, by earlier incidents."""

from dataclasses import replace
from math import isfinite

import numpy as np

from policies import llm
from policies.system import Surroundings
from policies.systems.pace import asking, scoring
from policies.systems.pace.combining import FEWEST, Fitted, fit, known_before
from policies.systems.pace.knobs import PaceKnobs
from policies.systems.pace.references import references
from twin.incidents.levers import ConfidenceAction, ConfidenceObservation


class Pace:
    """Scores history and cause, and turns both into a confidence by what earlier labels teach. It remembers nothing."""

    def __init__(self, knobs: PaceKnobs, surroundings: Surroundings) -> None:
        del surroundings
        self._knobs = knobs

    def confide(self, seen: ConfidenceObservation) -> ConfidenceAction:
        """Return how sure one may be of a prediction; labels that were not known when its incident began change nothing."""
        prediction = seen.prediction
        if not prediction.cause and not prediction.text:
            return ConfidenceAction(0.0, 0.0, 0.0, False, 0, "no cause is named")
        scores = self._scores(seen)
        sufficient, likely = float(scores.sufficient.mean()), float(scores.likely.mean())
        incident = prediction.incident
        fitted = fit(known_before(seen.labelled, incident.began, prediction.predictor, incident.incident_id))
        confidence = float(fitted.confidence(np.array([sufficient]), np.array([likely]))[0])
        calibrated = fitted.curve is not None
        return ConfidenceAction(confidence, sufficient, likely, calibrated, fitted.labels, f"{scores.words}; {_of(fitted)}")

    def _scores(self, seen: ConfidenceObservation) -> scoring.Scores:
        knobs, refused = self._knobs, ""
        if knobs.judge == "model":
            model = llm.available()
            if model is None:
                refused = f"{llm.MODEL_VARIABLE} names no language model"
            else:
                found = references(seen.prediction, seen.tools, knobs.neighbours)
                purse = asking.Purse(knobs.budget_usd, knobs.timeout_s)
                try:
                    return asking.score(seen.prediction, found, model=model, samples=knobs.model_samples, purse=purse)
                except llm.ModelError as error:
                    refused = str(error)
        scores = scoring.score(seen, samples=knobs.samples, neighbours=knobs.neighbours, seed=knobs.seed)
        return replace(scores, words=f"{scores.words}; judged without a language model: {refused}") if refused else scores


def _of(fitted: Fitted) -> str:
    """Return in words what a confidence rests on."""
    if fitted.curve is None:
        count = fitted.labels
        return (
            f"uncalibrated: {count} earlier {'answer is' if count == 1 else 'answers are'} known to be right or wrong, {FEWEST} are needed"
        )
    by = "a logistic curve" if fitted.kind == "Platt" else "a rising curve"
    words = f"calibrated by {by} on {fitted.labels:,} earlier answers, {fitted.right_share:.0%} of them right"
    return f"{words}; Brier {fitted.brier:.3f} on later ones" if isfinite(fitted.brier) else words

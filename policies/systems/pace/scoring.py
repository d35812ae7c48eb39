"""Both scores without a language model: what resampled evidence says.

Ours, not the paper's: there a language model judges. A sample draws the neighbours, steps and statements again with replacement, as a
model at temperature 1 words its judgement anew, and judges what it has drawn. What the parts are and that they weigh alike is proposed;
what they are worth is learned from labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.systems.pace.references import References, references
from twin import chance
from twin.incidents.levers import ConfidenceObservation, Prediction
from twin.incidents.trajectory import Hypothesis, Investigation

Floats = NDArray[np.float64]
# A cause may be seen somewhat later than its symptom: telemetry comes by the minute.
_LATE_S: Final = 120.0
_STATUS: Final[Mapping[str, float]] = {"confirmed": 1.0, "likely": 0.5, "inconclusive": 0.0}
_TENTHS: Final = 10.0


@dataclass(frozen=True)
class Scores:
    """Samples of both scores, shape M: verdicts on the history (0 or 1), and how likely the cause is (0 to 1); ``words`` say why."""

    sufficient: Floats
    likely: Floats
    words: str


def score(seen: ConfidenceObservation, *, samples: int, neighbours: int, seed: int) -> Scores:
    """Return the embedded samples of both scores, the same for the same observation and seed."""
    prediction = seen.prediction
    found = references(prediction, seen.tools, neighbours)
    names = (prediction.incident.incident_id, prediction.predictor, prediction.cause, prediction.entity_id, f"{seen.tools.as_of_s:.3f}")
    random = chance.stream(seed, "policies", "pace", *names)
    size = found.similarity.size
    drawn = random.integers(0, size, (samples, size)) if size else np.zeros((samples, 0), dtype=np.int64)
    sufficient = _sufficient(found, drawn, prediction.investigation, random)
    likely, said = _likely(found, drawn, prediction, random)
    return Scores(sufficient, likely, said)


def _sufficient(found: References, drawn: NDArray[np.int64], investigation: Investigation | None, random: np.random.Generator) -> Floats:
    """Return verdicts, shape M: whether near incidents that agree, and tools that answered, pass the bar of a sample.

    The bars are spread evenly over 0 to 1, so that no threshold was chosen: the mean is how sufficient the history is.
    """
    samples = len(drawn)
    bars = (random.permutation(samples) + 0.5) / samples
    if not drawn.shape[1]:
        return np.zeros(samples)
    parts = [found.similarity[drawn].mean(axis=1), _agreement(found, drawn)]
    if investigation is not None and investigation.steps:
        parts.append(_resampled([float(step.ok and bool(step.evidence_id)) for step in investigation.steps], samples, random))
    return np.asarray(np.prod(parts, axis=0) ** (1.0 / len(parts)) > bars, dtype=np.float64)


def _agreement(found: References, drawn: NDArray[np.int64]) -> Floats:
    """Return the largest share of one cause among the drawn neighbours, by nearness, shape M."""
    _, which = np.unique(np.array(found.causes), return_inverse=True)
    weights = np.eye(which.max() + 1)[which] * found.similarity[:, None]
    by_cause = weights[drawn].sum(axis=1)
    return np.asarray(by_cause.max(axis=1) / np.maximum(by_cause.sum(axis=1), 1e-12))


def _likely(found: References, drawn: NDArray[np.int64], prediction: Prediction, random: np.random.Generator) -> tuple[Floats, str]:
    """Return how likely the cause is out of ten, shape M, as the mean of what there is to judge by."""
    samples = len(drawn)
    parts: list[Floats] = []
    said: list[str] = []
    if drawn.shape[1]:
        near = found.similarity[drawn]
        parts.append((near * found.matches[drawn]).sum(axis=1) / np.maximum(near.sum(axis=1), 1e-12))
        said.append(f"{found.matches.sum():.3g} of {found.matches.size} near incidents had this cause")
    if np.isfinite(prediction.score):
        parts.append(np.full(samples, float(np.clip(prediction.score, 0.0, 1.0))))
        said.append(f"{prediction.predictor} itself says {prediction.score:.2f}")
    hypothesis = _hypothesis(prediction)
    if prediction.investigation is not None and hypothesis is not None:
        parts += _investigated(prediction.investigation, hypothesis, prediction, samples, random)
        held = sum(each.supports and each.supported is not False for each in hypothesis.statements)
        against = sum(not each.supports and each.supported is not False for each in hypothesis.statements)
        said.append(f"{held} findings speak for it, {against} against it")
    if not parts:
        return np.full(samples, 0.5), "there is nothing to judge it by"
    return np.rint(_TENTHS * np.mean(parts, axis=0)) / _TENTHS, "; ".join(said)


def _hypothesis(prediction: Prediction) -> Hypothesis | None:
    """Return the hypothesis that the prediction is about, None where the investigation has no such one."""
    there = prediction.investigation.hypotheses if prediction.investigation is not None else ()
    same = (each for each in there if each.cause == prediction.cause and each.entity_id == prediction.entity_id)
    return next(same, None)


def _investigated(
    investigation: Investigation, hypothesis: Hypothesis, prediction: Prediction, samples: int, random: np.random.Generator
) -> list[Floats]:
    """Return what an investigation says for its hypothesis, each of shape M."""
    support, held = _support(hypothesis, samples, random)
    parts = [np.full(samples, _STATUS[investigation.status])]
    if held:
        parts.append(support)
    # How often it still leads when what speaks for and against each is drawn again.
    lead = hypothesis.score * support
    for other in investigation.hypotheses:
        if other is not hypothesis:
            lead = np.minimum(lead, hypothesis.score * support - other.score * _support(other, samples, random)[0])
    parts.append((lead > 0.0).astype(np.float64))
    if np.isfinite(hypothesis.onset_s):
        parts.append(np.full(samples, float(hypothesis.onset_s <= prediction.incident.onset_s + _LATE_S)))
    if hypothesis.path:
        parts.append(np.full(samples, float(hypothesis.path[-1] == prediction.incident.entity_id)))
    return parts


def _support(hypothesis: Hypothesis, samples: int, random: np.random.Generator) -> tuple[Floats, bool]:
    """Return the share of drawn statements that speak for it, shape M, and whether any was left to draw from."""
    told = [float(each.supports) for each in hypothesis.statements if each.supported is not False]
    return (_resampled(told, samples, random), True) if told else (np.ones(samples), False)


def _resampled(values: Sequence[float], samples: int, random: np.random.Generator) -> Floats:
    held = np.asarray(values, dtype=np.float64)
    return np.asarray(held[random.integers(0, held.size, (samples, held.size))].mean(axis=1))

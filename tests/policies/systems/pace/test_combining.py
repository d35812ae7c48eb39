"""Two scores become one confidence."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.systems.pace.combining import Curve, fit, isotonic, known_before, platt
from twin.incidents import calibration


def columns(labels):
    return (np.array([getattr(each, name) for each in labels], dtype=float) for name in ("sufficient", "likely", "right"))


@pytest.mark.parametrize("count", [60, 150, 500])
def test_an_overconfident_predictor_is_calibrated(overconfident, count):
    fitted = fit(overconfident(count))
    later = overconfident(2000, seed=2, first=1e6)
    sufficient, likely, right = columns(later)
    own = np.array([each.prediction.score for each in later])
    ours = fitted.confidence(sufficient, likely)
    assert calibration.ece(own, right, by="width") > 0.35
    assert calibration.ece(ours, right, by="width") < 0.12
    assert calibration.brier(ours, right) < right.mean() * (1.0 - right.mean()) < calibration.brier(own, right)
    assert calibration.auroc(ours, right) > 0.7


def test_a_constant_predictor_gains_no_resolution(overconfident):
    random = np.random.default_rng(3)
    same = [replace(each, sufficient=0.8, likely=0.8, right=bool(random.random() < 0.4)) for each in overconfident(400)]
    for count in (100, 400):
        fitted = fit(same[:count])
        confidence = fitted.confidence(np.full(300, 0.8), np.full(300, 0.8))
        right = (np.arange(300) % 3 == 0).astype(float)
        assert calibration.auroc(confidence, right) == 0.5
        assert confidence[0] == pytest.approx(np.mean([each.right for each in same[:count]]), abs=0.02), "it becomes the base rate"


def test_scores_that_tell_nothing_become_the_base_rate(overconfident):
    random = np.random.default_rng(4)
    blind = [replace(each, right=bool(random.random() < 0.3)) for each in overconfident(150)]
    sufficient, likely, _ = columns(overconfident(500, seed=5))
    confidence = fit(blind).confidence(sufficient, likely)
    assert abs(confidence.mean() - 0.3) < 0.08
    assert np.ptp(confidence) < 0.35


def test_the_weight_goes_to_the_score_that_knows(overconfident):
    random = np.random.default_rng(6)
    labels = overconfident(1500)
    for name, other in (("sufficient", "likely"), ("likely", "sufficient")):
        knows = [replace(each, **{name: 0.9 if each.right else 0.2, other: float(random.random())}) for each in labels]
        weight = fit(knows).sufficient_weight
        assert weight > 0.6 if name == "sufficient" else weight < 0.4


def test_without_a_certain_gain_both_scores_count_alike(overconfident):
    random = np.random.default_rng(7)
    noise = [replace(each, sufficient=float(random.random()), likely=float(random.random())) for each in overconfident(60)]
    assert fit(noise).sufficient_weight == 0.5


def test_the_map_depends_on_how_many_labels_there_are(overconfident):
    kinds = {count: fit(overconfident(count)).kind for count in (0, 29, 30, 199, 200)}
    assert kinds == {0: "uncalibrated", 29: "uncalibrated", 30: "Platt", 199: "Platt", 200: "isotonic"}
    few = fit(overconfident(29))
    assert few.labels == 29
    assert few.confidence(np.array([0.2]), np.array([0.6])).tolist() == pytest.approx([0.4]), "the plain mean"


@pytest.mark.parametrize("count", [50, 300])
def test_the_order_of_labels_changes_nothing(overconfident, count):
    at_once = [replace(each, known=float(index // 10)) for index, each in enumerate(overconfident(count))]
    shuffled = [at_once[place] for place in np.random.default_rng(8).permutation(count)]
    assert fit(at_once) == fit(shuffled)


@pytest.mark.parametrize("count", [40, 300])
def test_labels_that_all_came_at_one_moment_can_be_learned_from(overconfident, count):
    fitted = fit([replace(each, known=5.0) for each in overconfident(count)])
    assert fitted.curve is not None
    assert 0.0 < fitted.brier < 0.26


@pytest.mark.parametrize(("right", "count"), [(True, 40), (False, 40), (True, 250), (False, 250)])
def test_labels_that_are_all_alike_never_make_certain(overconfident, right, count):
    confidence = fit([replace(each, right=right) for each in overconfident(count)]).confidence(np.array([0.5]), np.array([0.5]))[0]
    assert (0.9 < confidence <= 1.0) if right else (0.0 <= confidence < 0.1)
    if count < 200:
        assert 0.0 < confidence < 1.0


def test_only_earlier_labels_of_this_predictor_and_of_other_incidents_are_learned_from(overconfident):
    labels = overconfident(10)
    assert [each.known for each in known_before(labels, 4.0, "rival", "now")] == [0.0, 1.0, 2.0, 3.0]
    own = replace(labels[1].prediction, incident=replace(labels[1].prediction.incident, began=4.0))
    with_own = [labels[0], replace(labels[1], prediction=own), *labels[2:]]
    assert [each.known for each in known_before(with_own, 4.0, "rival", "i-1")] == [0.0, 2.0, 3.0]
    assert known_before(labels, 4.0, "somebody", "") == []
    untold = [replace(labels[0], sufficient=float("nan"))]
    assert known_before(untold, 4.0, "rival", "") == []


def test_incidents_of_other_runs_teach_though_each_run_counts_its_own_from_one(overconfident):
    """Nearly every run's first incident is its only one, and is called like all the others."""
    labels = overconfident(10)
    alike = [replace(each, prediction=replace(each.prediction, incident=replace(each.prediction.incident, incident_id="incident-1")))
             for each in labels]  # fmt: skip
    assert len(known_before(alike, 20.0, "rival", "incident-1")) == 10


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=80))
@settings(max_examples=60, deadline=None)
def test_more_evidence_never_lowers_the_confidence(pairs):
    score, right = np.array([pair[0] for pair in pairs]), np.array([float(pair[1]) for pair in pairs])
    grid = np.linspace(0.0, 1.0, 101)
    for curve in (platt(score, right), isotonic(score, right)):
        said = curve.at(grid)
        assert (np.diff(said) >= -1e-12).all()
        assert ((said >= 0.0) & (said <= 1.0)).all()


def test_a_logistic_curve_that_is_there_is_found():
    random = np.random.default_rng(9)
    score = random.random(20_000)
    curve = platt(score, (random.random(20_000) < Curve(slope=4.0, offset=-1.5).at(score)).astype(float))
    assert curve.slope == pytest.approx(4.0, rel=0.05)
    assert curve.offset == pytest.approx(-1.5, rel=0.07)


def test_labels_that_come_apart_entirely_give_a_finite_curve():
    score = np.linspace(0.0, 1.0, 100)
    curve = platt(score, (score > 0.5).astype(float))
    assert np.isfinite(curve.slope)
    assert curve.at(np.array([0.0, 1.0])).tolist() == pytest.approx([0.0, 1.0], abs=0.05)


def test_one_more_answer_moves_what_few_taught_more_than_what_many_taught(overconfident):
    score = np.array([0.6])

    def moved(count):
        labels = overconfident(count)
        return abs(fit(labels[:-1]).confidence(score, score)[0] - fit(labels).confidence(score, score)[0])

    assert moved(5000) < 0.01
    assert 0.0 < moved(40) < 0.1

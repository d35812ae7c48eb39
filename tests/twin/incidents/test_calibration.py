"""How far stated confidences can be believed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from twin.incidents import calibration as c

# 43 of 118 right: what a published statistic reaches on PetShop and Sock Shop.
RIGHT = np.r_[np.ones(43), np.zeros(75)]
stated = arrays.arrays(np.float64, st.integers(2, 60), elements=st.floats(0.0, 1.0).map(lambda x: round(x, 2)))


def forecaster(count: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return confidences of mean 0.364 that are true."""
    random = np.random.default_rng(seed)
    confidence = random.beta(2.0, 3.5, count)
    return confidence, (random.random(count) < confidence).astype(float)


@pytest.mark.parametrize(("count", "bins", "mean", "most"), [(118, 10, 0.102, 0.143), (118, 5, 0.073, 0.117), (500, 10, 0.049, 0.067)])
def test_a_perfect_forecaster_shows_an_error_too(count, bins, mean, most):
    """Six figures of another program. How its confidences spread is not known: a beta of mean 0.364 was chosen to meet the first."""
    found = [c.perfect(np.random.default_rng(seed).beta(2.0, 3.5, count), bins=bins, draws=500, seed=seed) for seed in range(20)]
    assert np.mean([each.mean for each in found]) == pytest.approx(mean, rel=0.04)
    assert np.mean([each.most for each in found]) == pytest.approx(most, rel=0.06)


def test_the_base_rate_said_always_has_no_error_and_no_resolution():
    constant = np.full(118, 43 / 118)
    assert c.ece(constant, RIGHT, by="width") == pytest.approx(0.0, abs=1e-12)
    assert c.ece(constant, RIGHT) == pytest.approx(0.0, abs=1e-12), "ties are never split; split by row order it would be 0.46"
    assert c.brier(constant, RIGHT) == pytest.approx(0.232, abs=5e-4)
    assert c.auroc(constant, RIGHT) == 0.5
    assert c.measures(constant, RIGHT).base_brier == pytest.approx(c.brier(constant, RIGHT))


def test_numbers_that_can_be_checked_by_hand():
    confidence, right = [0.1, 0.1, 0.9, 0.9], [0, 1, 1, 1]
    assert c.ece(confidence, right, bins=2) == pytest.approx((0.4 + 0.1) / 2)
    assert c.mce(confidence, right, bins=2) == pytest.approx(0.4)
    assert c.brier(confidence, right) == pytest.approx((0.01 + 0.81 + 0.01 + 0.01) / 4)
    assert c.log_loss(confidence, right) == pytest.approx(-(3 * np.log(0.9) + np.log(0.1)) / 4)
    assert c.auroc(confidence, right) == pytest.approx((1 + 1 + 0.5) / 3)


def test_certainty_that_is_wrong_costs_much_but_not_everything():
    assert c.log_loss([1.0], [0]) == pytest.approx(-np.log(1e-6))


def test_who_answers_only_when_sure_is_wrong_less_often():
    left = c.abstention([0.9, 0.8, 0.8, 0.2], [1, 1, 0, 0])
    assert left.answered_share.tolist() == [0.25, 0.75, 1.0], "equal confidences are answered together"
    assert left.right_share.tolist() == pytest.approx([1.0, 2 / 3, 0.5])
    assert left.confidence.tolist() == [0.9, 0.8, 0.2]
    assert left.area == pytest.approx((0 + 2 / 3 + 0.5) / 4)


def test_bins_say_how_many_they_hold_and_how_certain_their_share_is():
    confidence, right = forecaster(400)
    found = c.reliability(confidence, right)
    assert [each.count for each in found] == [40] * 10
    assert all(each.low_share <= each.right_share <= each.high_share for each in found)
    assert sum(each.low_share <= each.confidence <= each.high_share for each in found) >= 8
    assert c.wilson(0, 10)[0] == 0.0
    assert c.wilson(10, 10)[1] == pytest.approx(1.0)


def test_bins_of_equal_width_reach_from_edge_to_edge():
    found = c.reliability([0.05, 1.0, 0.3], [0, 1, 0], by="width")
    assert [(each.least, each.most) for each in found] == [(0.0, 0.1), (0.3, 0.4), (0.9, 1.0)]


@given(stated, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_predictions_changes_nothing(confidence, shuffler):
    right = (np.arange(confidence.size) % 3 == 0).astype(float)
    order = list(range(confidence.size))
    shuffler.shuffle(order)
    for by in ("mass", "width"):
        assert c.ece(confidence, right, by=by) == pytest.approx(c.ece(confidence[order], right[order], by=by))
    assert c.auroc(confidence, right) == pytest.approx(c.auroc(confidence[order], right[order]))
    assert c.abstention(confidence, right).area == pytest.approx(c.abstention(confidence[order], right[order]).area)


@given(stated)
@settings(max_examples=40, deadline=None)
def test_errors_are_bounded_and_bins_hold_everybody_once(confidence):
    right = (np.arange(confidence.size) % 2).astype(float)
    for by in ("mass", "width"):
        bins = c.reliability(confidence, right, by=by)
        assert sum(each.count for each in bins) == confidence.size
        gaps = sum(each.count * abs(each.confidence - each.right_share) for each in bins) / confidence.size
        assert c.ece(confidence, right, by=by) == pytest.approx(gaps)
        assert 0.0 <= c.ece(confidence, right, by=by) <= c.mce(confidence, right, by=by) + 1e-12 <= 1.0 + 1e-9
        groups = [set(confidence[(confidence >= each.least) & (confidence <= each.most)]) for each in bins] if by == "mass" else []
        assert sum(len(group) for group in groups) == (len(set(confidence)) if by == "mass" else 0), "equal confidences stay together"
    assert c.auroc(confidence, right) + c.auroc(1.0 - confidence, right) == pytest.approx(1.0)


def test_true_confidences_are_told_from_inflated_ones():
    confidence, right = forecaster(1000)
    true, inflated = c.measures(confidence, right), c.measures(np.sqrt(confidence), right)
    assert true.ece_mass < true.perfect_mass.most
    assert inflated.ece_mass > 2 * inflated.perfect_mass.most
    assert true.brier < inflated.brier
    assert true.auroc == pytest.approx(inflated.auroc), "a monotone map moves no rank"


def test_few_predictions_are_put_into_fewer_bins():
    assert (c.bins_for(199), c.bins_for(200)) == (5, 10)


def test_without_both_outcomes_there_is_no_resolution_and_without_predictions_nothing():
    assert np.isnan(c.auroc([0.2, 0.3], [1, 1]))
    assert np.isnan(c.ece([], []))
    assert c.reliability([], []) == ()
    with pytest.raises(ValueError, match="confirm or reject"):
        c.measures([], [])


def test_what_is_no_confidence_is_refused():
    with pytest.raises(ValueError, match=r"confidence 1 is 1\.5"):
        c.ece([0.5, 1.5], [0, 1])
    with pytest.raises(ValueError, match="confidence 0 is nan"):
        c.brier([float("nan")], [0])
    with pytest.raises(ValueError, match="one answer for each"):
        c.brier([0.5], [0, 1])


def test_the_null_is_drawn_the_same_way_each_time():
    confidence, _ = forecaster(300)
    assert c.perfect(confidence) == c.perfect(confidence)

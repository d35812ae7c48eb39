"""What PACE's numbers are computed from."""

from dataclasses import replace

import pytest

from policies.claim import judge
from policies.systems.pace.claims import CLAIMS
from policies.systems.pace.evidence import OWN, compared


def test_an_overconfident_predictor_is_beaten_by_a_wide_margin(overconfident):
    found = compared(overconfident(1000), overconfident(600, seed=2, first=1e6), "rival")
    assert 0.0 < found[OWN] < 0.35
    assert found["Brier, PACE"] < found["Brier, a constant that knows how many are right"] < found["Brier, own score"]
    assert found["AUROC, PACE"] > 0.7
    assert found["later predictions"] == 600


def test_fewer_than_five_hundred_incidents_prove_nothing(overconfident):
    assert compared(overconfident(1000), overconfident(499, seed=2, first=1e6), "rival")[OWN] is None


def test_a_constant_score_is_nothing_to_be_held_against(overconfident):
    later = [replace(each, prediction=replace(each.prediction, score=0.9)) for each in overconfident(600, seed=2, first=1e6)]
    assert compared(overconfident(1000), later, "rival")[OWN] is None


def test_what_is_fitted_on_must_lie_before_what_is_judged(overconfident):
    with pytest.raises(ValueError, match="part them by time"):
        compared(overconfident(1000), overconfident(600, seed=2, first=500.0), "rival")


def test_a_predictor_without_labels_or_scores_gives_no_number(overconfident):
    assert compared([], overconfident(600, first=1e6), "rival")[OWN] is None
    assert compared(overconfident(1000), [], "rival")[OWN] is None
    assert compared(overconfident(1000), overconfident(600, first=1e6), "somebody")[OWN] is None


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_reads_its_own_predictor(claim, overconfident):
    who = "react_rca" if claim.id == "ece" else "retrieval_k10"
    earlier, later = overconfident(1000, predictor=who), overconfident(600, seed=2, first=1e6, predictor=who)
    ours = claim.evidence.read(earlier, later)[claim.evidence.ours]
    assert ours is not None
    assert judge(claim, ours).word in {"reproduced", "direction only"}
    assert judge(claim, 1.2).word == "not reproduced"

"""Claims are held against runs, and what cannot be compared says why."""

from dataclasses import replace

import pytest

from policies import catalogue
from policies.claim import judge
from policies.reproduce import evidence, reproduce

CLAIM = catalogue.card("tapas").claims[0]


def test_a_claim_is_read_off_runs_of_its_policies(tiny_scenario, tmp_path):
    claim = replace(CLAIM, scenario="tiny", seeds=(1,))
    found = evidence(claim, tiny_scenario, tmp_path)
    assert set(found) == {"baseline", "tapas"}
    before, after = found["baseline"][claim.metric][0], found["tapas"][claim.metric][0]
    assert claim.evidence.read(found) == pytest.approx(after / before - 1.0)


@pytest.mark.parametrize(
    ("ours", "word"),
    [(-0.17, "reproduced"), (-0.13, "reproduced"), (-0.05, "direction only"), (0.02, "not reproduced"), (0.0, "not reproduced")],
)
def test_verdicts_are_inside_the_tolerance_right_direction_or_neither(ours, word):
    assert judge(replace(CLAIM, comparable=""), ours).word == word


def test_what_cannot_be_compared_shows_ours_and_says_why():
    verdict = judge(CLAIM, -0.17)
    assert verdict.word == "not comparable"
    assert verdict.ours == -0.17
    assert "placement" in verdict.why


def test_a_baseline_without_events_leaves_nothing_to_avoid():
    throttling = next(claim for claim in catalogue.card("tapas").claims if claim.id == "thermal-throttling")
    metric = throttling.metric
    assert throttling.evidence.read({"baseline": {metric: (0.0, 0.0)}, "tapas": {metric: (0.0, 0.0)}}) is None
    assert throttling.evidence.read({"baseline": {metric: (10.0, 30.0)}, "tapas": {metric: (0.0, 2.0)}}) == pytest.approx(-0.95)


def test_an_unknown_system_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="did you mean tapas"):
        reproduce(tmp_path, "tapass")

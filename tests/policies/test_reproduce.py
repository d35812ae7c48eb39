"""Claims are held against runs, and what cannot be compared says why."""

from dataclasses import replace

import pytest

from policies import catalogue
from policies.claim import Contender, Search, Sizing, judge
from policies.probes import Outcome, Point
from policies.reproduce import _searched, evidence, reproduce
from policies.trial import Answer

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


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        ((3.0, None, 2.0), "for new on 1 of 3 seeds"),
        ((None, None, 2.0), "for new on 2 of 3 seeds"),
        ((None, None, None), "for new"),
    ],
)
def test_who_found_nothing_is_told_with_the_seeds_on_which(ours, said):
    search = Search(Sizing(()), {label: Contender({}) for label in ("old", "new")}, "new", ("old",))
    claim = replace(CLAIM, evidence=search, comparable="")

    def outcome(label, values):
        return Outcome(
            label, Point("", None, {}), tuple(Answer(n, v, 1, True, {}, None) for n, v in zip(claim.seeds, values, strict=True)), {}
        )

    verdict, told = _searched(claim, search, [outcome("old", (4.0, 4.0, 4.0)), outcome("new", ours)])
    assert verdict.why == f"no size that was tried holds the objective {said}"
    assert verdict.word == "not reproduced"
    assert told["points"][0]["failed"] == ["new"]

"""Claims are held against runs, and what cannot be compared says why."""

from dataclasses import replace

import pytest

from policies import catalogue
from policies.claim import Computed, Contender, Search, Sizing, judge
from policies.probes import Outcome, Point
from policies.reproduce import _computed, _searched, reproduce
from policies.trial import Answer

CLAIM = catalogue.card("tapas").claims[0]


@pytest.mark.parametrize(
    ("ours", "word"),
    [(-0.17, "reproduced"), (-0.13, "reproduced"), (-0.05, "direction only"), (0.02, "not reproduced"), (0.0, "not reproduced")],
)
def test_verdicts_are_inside_the_tolerance_right_direction_or_neither(ours, word):
    assert judge(replace(CLAIM, comparable=""), ours).word == word


def test_what_cannot_be_compared_shows_ours_and_says_why():
    verdict = judge(replace(CLAIM, comparable="the paper's site is another one"), -0.17)
    assert verdict.word == "not comparable"
    assert verdict.ours == -0.17
    assert verdict.why == "the paper's site is another one"


def test_a_baseline_without_events_leaves_nothing_to_avoid():
    claim = next(claim for claim in catalogue.card("tapas").claims if claim.id == "thermal-throttling")
    search = replace(claim.evidence, contenders={label: claim.evidence.contenders[label] for label in ("baseline", "tapas")})

    def outcome(label, values):
        answers = tuple(Answer(n, v, 1, True, {}, None) for n, v in zip(claim.seeds, values, strict=True))
        return Outcome(label, Point("", None, {}), answers, {})

    verdict, _ = _searched(claim, search, [outcome("baseline", (0.0, 9.0, 9.0)), outcome("tapas", (0.0, 0.0, 0.0))])
    assert verdict.ours is None
    assert "baseline shows none on some seed" in verdict.why
    verdict, _ = _searched(claim, search, [outcome("baseline", (10.0, 40.0, 20.0)), outcome("tapas", (0.0, 2.0, 1.0))])
    assert verdict.ours == pytest.approx(-0.95)


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


COMPUTED = Computed(lambda seen: {"ratio": None}, "ratio")


def test_what_is_computed_is_the_median_over_seeds_with_everything_beside_it():
    claim = replace(CLAIM, evidence=COMPUTED, paper=3.0, paper_high=None, tolerance=0.1, comparable="")
    verdict, told = _computed(claim, COMPUTED, [{"ratio": value, "cost, $": 10.0 * value} for value in (3.1, 2.5, 3.0)])
    assert (verdict.ours, verdict.word) == (3.0, "reproduced")
    assert verdict.details == {"ratio": 3.0, "cost, $": 30.0}
    (point,) = told["points"]
    assert (point["low"], point["high"], point["labels"]) == (2.5, 3.1, verdict.details)


def test_what_one_seed_cannot_compute_is_not_claimed_and_the_rest_is_shown():
    claim = replace(CLAIM, evidence=COMPUTED, comparable="")
    verdict, told = _computed(claim, COMPUTED, [{"ratio": 3.0, "other": 1.0}, {"ratio": None, "other": 1.0}])
    assert verdict.word == "not comparable"
    assert verdict.details == {"other": 1.0}
    assert told["points"][0]["failed"] == ["ratio"]


def test_a_finding_of_our_own_is_held_against_our_earlier_measurement():
    ours = replace(CLAIM, source="intentwin: before", evidence=COMPUTED, paper=0.7, paper_high=None, tolerance=0.1, comparable="")
    assert judge(ours, 0.71).why == "within 10% of our earlier number"
    assert "the paper's" in judge(replace(ours, source="tapas: abstract"), 0.71).why

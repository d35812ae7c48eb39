"""Verdicts: inside the paper's number or range, the right direction only, or neither."""

from dataclasses import replace

import pytest

from policies.catalogue import systems
from policies.claim import Capacity, Claim, Computed, Learned, Measured, Objective, Scored, Search, Sizing, judge, middle

CLAIM = Claim(
    id="throughput",
    text="serves three to five times as much",
    metric="serving.throughput_per_s",
    paper=3.3,
    paper_high=5.5,
    unit="x",
    no_effect=1.0,
    source="tapas: nowhere",
    tolerance=0.1,
    fitted_parameters=0,
    setup="made up for this test, nothing is tuned on it at all",
    scenario="tiny",
    evidence=Learned(lambda past, plant: None),
)


@pytest.mark.parametrize(
    ("ours", "word", "said"),
    [
        (4.0, "reproduced", "inside the paper's range"),
        (3.3, "reproduced", "inside the paper's range"),
        (3.0, "reproduced", "within 10%"),
        (6.0, "reproduced", "within 10%"),
        (2.0, "direction only", "less by 39%"),
        (9.0, "direction only", "more by 64%"),
        (1.0, "not reproduced", "absent"),
        (0.8, "not reproduced", "other way"),
    ],
)
def test_a_range_is_met_inside_it_or_within_the_tolerance_of_its_ends(ours, word, said):
    verdict = judge(CLAIM, ours)
    assert verdict.word == word
    assert said in verdict.why


@pytest.mark.parametrize(
    ("ours", "word"), [(-0.30, "reproduced"), (-0.24, "reproduced"), (-0.1, "direction only"), (0.1, "not reproduced")]
)
def test_a_range_of_savings_is_judged_alike(ours, word):
    saving = replace(CLAIM, paper=-0.25, paper_high=-0.413, unit="share of the baseline's cost", no_effect=0.0)
    assert saving.span == (-0.413, -0.25)
    assert judge(saving, ours).word == word


@pytest.mark.parametrize(("ours", "word"), [(0.75, "reproduced"), (0.4, "not reproduced"), (0.99, "not reproduced")])
def test_a_level_is_met_or_not_and_has_no_direction(ours, word):
    share = replace(CLAIM, paper=0.79, paper_high=None, unit="share of TTFT", no_effect=None)
    assert judge(share, ours).word == word


def test_without_a_number_nothing_is_claimed():
    assert judge(CLAIM, None).word == "not comparable"
    assert judge(CLAIM, float("nan")).word == "not comparable"


@pytest.mark.parametrize(
    ("find", "form", "ours"),
    [
        (Sizing((), "serving.gpus_mean"), "change", 8 / 16 - 1),
        (Sizing((), "serving.gpus_mean"), "ratio", 8 / 16),
        (Capacity((), (), ()), "ratio", 8 / 20),
        (Measured(lambda tables: None), "change", 8 / 16 - 1),
    ],
)
def test_ours_is_held_against_the_best_of_the_others(find, form, ours):
    search = Search(find, {}, "ours", ("one", "other"), form)
    assert search.compare({"ours": 8.0, "one": 16.0, "other": 20.0}) == pytest.approx(ours)
    assert search.compare({"ours": None, "one": 16.0, "other": 20.0}) is None
    assert search.compare({"ours": 8.0, "one": None, "other": None}) is None
    assert search.compare({"ours": 8.0, "one": 0.0, "other": 0.0}) is None, "there is nothing to be a share of"


def test_the_median_does_not_hide_a_seed_without_an_answer():
    assert middle([3.0, None, 2.0]) is None
    assert middle([]) is None


def test_one_seed_far_off_does_not_move_the_median():
    assert middle([30.0, 1.0, 2.0]) == 2.0, "their mean is 11"


@pytest.mark.parametrize("claim", [claim for card in systems().values() for claim in card.claims], ids=lambda claim: claim.id)
def test_every_claim_on_runs_rests_on_three_seeds_at_least(claim):
    """A function of the hosts and of the past is given no seed to differ by; what it draws, it draws itself. Each incident has its own."""
    assert len(set(claim.seeds)) == len(claim.seeds) >= (1 if isinstance(claim.evidence, Computed | Scored) else 3)


def test_an_objective_without_evidence_does_not_hold():
    within = Objective("serving.slo_attainment_share", ">=", 0.99)
    assert within.holds(0.99)
    assert not within.holds(0.98)
    assert not within.holds(None)
    assert Objective("serving.ttft_p99_s", "<=", 1.0).holds(0.5)

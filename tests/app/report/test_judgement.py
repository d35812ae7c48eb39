"""Lines, verdicts and recommendations follow from paired values alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.report.effects import heading
from app.report.judgement import Bound, Judged, Line, change_words, recommendation
from app.report.pairing import Held
from app.report.story import unasked
from policies.policy import TODAY, Schedule

HOT, COST, SLO = "plant.gpu_temp_max_c", "serving.cost_usd_per_h", "serving.slo_attainment_share"


def _held(name: str) -> Held:
    return Held(name, name, Schedule.of(TODAY), False, {1: "a", 2: "b"}, {})


def _line(metric: str, before: tuple[float, ...], after: tuple[float, ...], bound: Bound | None = None) -> Line:
    return Line(metric, before, after, bound)


def test_a_bound_holds_under_every_seed_or_is_broken() -> None:
    below_80 = Bound("I-01", "<=", 80.0, False, True)
    assert _line(HOT, (84.0, 83.0), (70.0, 70.2), below_80).state == "met"
    assert _line(HOT, (84.0, 83.0), (78.0, 80.5), below_80).state == "broken"
    assert _line(HOT, (84.0, 83.0), (78.0, 80.5), below_80).seeds_met == 1


def test_a_value_near_its_bound_is_at_risk_as_the_judge_of_intents_says() -> None:
    assert _line(HOT, (84.0,), (79.4,), Bound("I-01", "<=", 80.0, False, True)).state == "at risk"
    assert _line(HOT, (84.0,), (77.7,), Bound("I-01", "<=", 80.0, False, True)).state == "met"


def test_an_interval_that_reaches_past_the_bound_is_at_risk() -> None:
    assert _line(HOT, (84.0, 84.0, 84.0), (75.9, 70.0, 75.8), Bound("I-01", "<=", 80.0, False, True)).state == "at risk"


def test_relative_bounds_are_held_against_today_seed_by_seed() -> None:
    cheaper = Bound("I-01", "<=", -0.2, True, True)
    assert cheaper.holds(100.0, 80.0)
    assert not cheaper.holds(100.0, 80.1)
    assert cheaper.change(100.0) == pytest.approx(-20.0)
    assert cheaper.words(COST) == "≤ −20.0\u00a0%"
    assert Bound("I-01", "<=", 0.0, True, True).words(COST) == "≤ today"


def test_better_follows_the_metric_and_the_interval() -> None:
    assert _line(HOT, (84.0, 83.0), (78.0, 77.0)).better is True
    assert _line(SLO, (0.99, 0.99), (0.9, 0.9)).better is False
    assert _line(HOT, (84.0, 80.0), (80.0, 84.0)).better is None


def test_changes_are_said_in_the_bounds_own_terms() -> None:
    assert change_words(_line(COST, (100.0,), (80.0,), Bound("I-01", "<=", -0.1, True, True))) == "serving cost 20.0\u00a0% lower"
    assert change_words(_line(HOT, (84.0,), (84.0,))) == "hottest GPU unchanged"


def test_only_a_candidate_that_keeps_every_bound_is_recommended_and_its_cost_is_named() -> None:
    bound = Bound("I-01", "<=", 80.0, False, True)
    dear = _line(COST, (100.0, 100.0), (110.0, 110.0))
    good = Judged(_held("good"), (_line(HOT, (84.0, 84.0), (78.0, 78.0), bound),), (dear,), (1, 2))
    bad = Judged(_held("bad"), (_line(HOT, (84.0, 84.0), (82.0, 82.0), bound),), (), (1, 2))
    best, words = recommendation([bad, good])
    assert best is good
    assert words.startswith("The only one that keeps every bound on 2 seeds. It costs: serving cost")
    nobody, words = recommendation([bad])
    assert nobody is None
    assert "breaks hottest GPU" in words


def test_a_bound_without_evidence_is_never_taken_as_kept() -> None:
    blind = Judged(_held("blind"), (), (), (1,), missing=(HOT,))
    assert not blind.meets
    best, words = recommendation([blind])
    assert best is None
    assert "no evidence" in words


@given(
    today=st.floats(1.0, 1e6),
    value=st.floats(-0.9, 3.0),
    candidate=st.floats(0.1, 1e6),
    op=st.sampled_from(["<=", ">="]),
)
def test_a_relative_bound_is_the_same_as_the_absolute_one_that_it_stands_for(today: float, value: float, candidate: float, op: str) -> None:
    relative, absolute = Bound("I-01", op, value, True, True), Bound("I-01", op, today + value * today, False, True)
    assert relative.holds(today, candidate) == absolute.holds(today, candidate)


def test_one_seed_is_not_written_as_several() -> None:
    one = Held("x", "x", Schedule.of(TODAY), False, {1: "a"}, {})
    assert heading(Judged(one, (), (_line(HOT, (84.0,), (78.0,)),), (1,))) == "1 metrics over 1 paired seed"


def test_a_candidate_of_which_nothing_was_asked_is_called_by_the_headlines_that_move() -> None:
    still = (_line(HOT, (81.2,), (81.0,)), _line(COST, (1760.0,), (1760.0,)))
    moved = _line("workflows.cost_usd_per_job", (2.31,), (1.82,))
    assert unasked(Judged(_held("jobs"), (), (*still, moved), (1,))) == (moved,)
    assert unasked(Judged(_held("nothing"), (), still, (1,))) == still

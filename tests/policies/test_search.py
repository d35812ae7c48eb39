"""The least size that holds is found in few questions, and luck does not count."""

from math import ceil, log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.search import fewest


@given(count=st.integers(1, 200), least=st.integers(0, 220), guess=st.none() | st.integers(0, 199))
@settings(max_examples=200, deadline=None)
def test_a_monotone_answer_is_found_exactly(count, least, guess):
    found = fewest(lambda size: size >= least, count, budget=60, guess=None if guess is None else min(guess, count - 1))
    assert found.index == (least if least < count else None)
    assert found.exact
    assert len(found.asked) == len(set(found.asked)), "nothing is asked twice"


@given(least=st.integers(0, 127))
@settings(max_examples=60, deadline=None)
def test_without_a_guess_it_halves_and_with_a_good_one_it_is_quicker(least):
    cold = fewest(lambda size: size >= least, 128, budget=60)
    near = fewest(lambda size: size >= least, 128, budget=60, guess=least)
    assert len(cold.asked) <= ceil(log2(128)) + 2
    assert len(near.asked) <= 3


def test_both_neighbours_are_asked():
    found = fewest(lambda size: size >= 9, 64, budget=20)
    assert {8, 9, 10} <= set(found.asked)


@given(flags=st.lists(st.booleans(), min_size=1, max_size=40), guess=st.none() | st.integers(0, 39))
@settings(max_examples=300, deadline=None)
def test_what_is_found_holds_together_with_the_next_and_the_one_below_does_not(flags, guess):
    found = fewest(lambda size: flags[size], len(flags), budget=100, guess=None if guess is None else min(guess, len(flags) - 1))
    if found.index is not None:
        assert flags[found.index]
        assert found.index + 1 == len(flags) or flags[found.index + 1]
        assert found.index == 0 or not flags[found.index - 1]
    else:
        assert not flags[-1], "the largest size is asked before giving up"


def test_a_lucky_size_does_not_count():
    held = {5: True, 9: True, 10: True, 11: True}
    found = fewest(lambda size: held.get(size, size > 11), 32, budget=40, guess=5)
    assert found.index == 9


@pytest.mark.parametrize("budget", [0, 1, 2, 3])
def test_the_budget_bounds_the_questions_and_the_rest_is_said(budget):
    found = fewest(lambda size: size >= 40, 64, budget=budget)
    assert len(found.asked) <= budget
    assert not found.exact


def test_a_hopeless_failure_ends_it():
    found = fewest(lambda size: size >= 40, 64, budget=40, guess=10, hopeless=lambda size: size >= 10)
    assert found.index is None
    assert found.asked == (10,)

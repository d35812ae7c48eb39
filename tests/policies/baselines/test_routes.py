"""The compiled routers: allowed instances only, no pile on the first one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.baselines import routes

ROUTERS = [routes.least_outstanding, routes.round_robin, routes.power_of_two]
COUNT = 7


def pick(route, outstanding, allowed, memory):
    table, load = np.zeros((COUNT, 8), dtype=np.int64), np.array([outstanding, [0] * COUNT], dtype=np.int64)
    return route(0, 0, COUNT, table, table, table, load, np.array(allowed, dtype=np.uint8), np.zeros((COUNT, 1)), memory)


@pytest.mark.parametrize("route", ROUTERS)
@settings(max_examples=40)
@given(
    outstanding=st.lists(st.integers(0, 50), min_size=COUNT, max_size=COUNT),
    allowed=st.lists(st.integers(0, 1), min_size=COUNT, max_size=COUNT).filter(any),
)
def test_only_allowed_instances_of_the_endpoint_are_taken(route, outstanding, allowed):
    memory = np.zeros(8, dtype=np.int64)
    for _ in range(5):
        assert allowed[pick(route, outstanding, allowed, memory)] == 1


@settings(max_examples=40)
@given(outstanding=st.lists(st.integers(0, 50), min_size=COUNT, max_size=COUNT))
def test_least_outstanding_takes_one_of_the_fewest(outstanding):
    memory = np.zeros(8, dtype=np.int64)
    assert outstanding[pick(routes.least_outstanding, outstanding, [1] * COUNT, memory)] == min(outstanding)


@pytest.mark.parametrize("route", ROUTERS)
def test_idle_instances_share_the_requests(route):
    memory = np.zeros(8, dtype=np.int64)
    taken = [pick(route, [0] * COUNT, [1] * COUNT, memory) for _ in range(700)]
    counts = np.bincount(taken, minlength=COUNT)
    assert counts.min() > 60
    assert counts.max() < 140


def test_two_choices_prefer_the_less_busy():
    memory = np.zeros(8, dtype=np.int64)
    outstanding = [0, 10, 10, 10, 10, 10, 10]
    taken = [pick(routes.power_of_two, outstanding, [1] * COUNT, memory) for _ in range(2000)]
    # The idle one is among two distinct draws of seven with probability 2/7.
    assert abs(taken.count(0) / 2000 - 2 / 7) < 0.04


@pytest.mark.parametrize("route", ROUTERS)
def test_the_same_memory_gives_the_same_picks(route):
    one, two = np.zeros(8, dtype=np.int64), np.zeros(8, dtype=np.int64)
    for _ in range(20):
        assert pick(route, [1, 2, 1, 2, 1, 2, 1], [1] * COUNT, one) == pick(route, [1, 2, 1, 2, 1, 2, 1], [1] * COUNT, two)

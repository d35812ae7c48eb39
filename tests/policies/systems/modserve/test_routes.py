"""The router of the text pools: fewest pending tokens, allowed instances only."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.systems.modserve.routes import fewest_tokens
from twin.serving.levers import PLACED_FEASIBLE, PLACED_REASON, PLACEMENT_REASONS

COUNT = 6
COUNTS = st.lists(st.integers(0, 5000), min_size=COUNT, max_size=COUNT)


def pick(waiting, outstanding, allowed=(1,) * COUNT, token_s=(1e-5,) * COUNT, memory=None):
    table, load = np.zeros((COUNT, 8), dtype=np.int64), np.array([outstanding, waiting], dtype=np.int64)
    memory = np.zeros(8, dtype=np.int64) if memory is None else memory
    return fewest_tokens(0, 0, COUNT, table, table, table, load, np.array(allowed, dtype=np.uint8), np.array(token_s)[:, None], memory)


@settings(max_examples=40)
@given(waiting=COUNTS, outstanding=COUNTS, allowed=st.lists(st.integers(0, 1), min_size=COUNT, max_size=COUNT).filter(any))
def test_it_takes_an_allowed_instance_with_the_fewest_pending_tokens(waiting, outstanding, allowed):
    chosen = pick(waiting, outstanding, allowed)
    assert allowed[chosen] == 1
    assert waiting[chosen] == min(tokens for tokens, able in zip(waiting, allowed, strict=True) if able)


def test_many_short_prompts_weigh_less_than_one_long_one():
    assert pick(waiting=[8000, 900, 8000, 8000, 8000, 8000], outstanding=[1, 9, 1, 1, 1, 1]) == 1


def test_among_equals_the_one_with_fewest_requests_is_taken():
    assert pick(waiting=[0] * COUNT, outstanding=[3, 4, 2, 5, 3, 3]) == 2


def test_a_faster_instance_may_have_more_tokens_waiting():
    assert pick([1000, 1500, 2000, 2000, 2000, 2000], [1] * COUNT, token_s=[2e-5, 1e-5, 2e-5, 2e-5, 2e-5, 2e-5]) == 1


def test_idle_instances_share_the_requests():
    memory = np.zeros(8, dtype=np.int64)
    taken = [pick([0] * COUNT, [0] * COUNT, memory=memory) for _ in range(600)]
    assert set(np.bincount(taken, minlength=COUNT)) == {100}


def test_it_says_why():
    memory = np.zeros(8, dtype=np.int64)
    pick([0] * COUNT, [0] * COUNT, [1, 1, 0, 1, 0, 0], memory=memory)
    assert PLACEMENT_REASONS[memory[PLACED_REASON]] == "fewest pending tokens"
    assert memory[PLACED_FEASIBLE] == 3


def test_what_another_router_left_in_memory_does_no_harm():
    for left in (10**12, -(10**12)):
        memory = np.full(8, left, dtype=np.int64)
        assert 0 <= pick([5] * COUNT, [1] * COUNT, memory=memory) < COUNT

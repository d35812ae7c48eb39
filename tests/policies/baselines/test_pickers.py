"""The compiled rules of the pool: a device with room, or none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.baselines import pickers

RULES = [pickers.least_loaded, pickers.first_fit, pickers.scattered]


def pick(rule, reach, used, room):
    arrays = (np.array(values, dtype=np.int64) for values in (reach, used, room))
    return rule(*arrays, np.zeros(len(used)))


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=40, deadline=None)
@given(
    used=st.lists(st.integers(0, 9), min_size=8, max_size=8),
    room=st.lists(st.integers(0, 2), min_size=8, max_size=8),
    reach=st.lists(st.integers(0, 7), min_size=1, max_size=5, unique=True),
)
def test_a_device_with_room_is_taken_or_none_where_there_is_none(rule, used, room, reach):
    place = pick(rule, reach, used, room)
    if any(room[device] for device in reach):
        assert 0 <= place < len(reach)
        assert room[reach[place]] > 0
    else:
        assert place == -1


def test_the_least_loaded_device_with_room_is_taken_and_the_first_one_at_ties():
    assert pick(pickers.least_loaded, [0, 2, 3], [5, 0, 2, 2], [9, 9, 9, 9]) == 1
    assert pick(pickers.least_loaded, [0, 2, 3], [5, 0, 2, 3], [9, 9, 0, 9]) == 2


def test_the_first_device_with_room_is_taken_by_first_fit():
    assert pick(pickers.first_fit, [3, 1, 2], [0, 0, 0, 9], [1, 1, 1, 0]) == 1


def test_scattered_slices_fall_on_all_devices_about_as_often():
    used, taken = np.zeros(5, dtype=np.int64), np.zeros(5, dtype=np.int64)
    for _ in range(2000):
        place = pickers.scattered(np.arange(5), used, np.full(5, 10**6), np.zeros(5))
        used[place] += 1
        taken[place] += 1
    assert taken.min() > 320
    assert taken.max() < 480

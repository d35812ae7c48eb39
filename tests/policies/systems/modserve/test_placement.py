"""Where pools lie: room for each, servers of one kind or shared, one step at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.systems.modserve.placement import NONE, Pool, Present, Readiness, Slots, place, servers_used, sized, towards
from twin.serving.levers import DECODE, IMAGE, PREFILL, WHOLE

SERVERS = 4
WIDTHS = (4, 1, 2, 8)


def all_slots():
    """Every slot of four servers in the order of the layout: those of four GPUs first."""
    rows = [(server, server * 8 + place * width, width) for width in WIDTHS for server in range(SERVERS) for place in range(8 // width)]
    return Slots(*(np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)))


SLOTS = all_slots()
NOTHING = Present(np.full(len(SLOTS.gpus), NONE), np.ones(len(SLOTS.gpus), dtype=np.bool_))


def pool(role, width, need=1.0, capacity=1.0, held=None):
    able = SLOTS.gpus == width
    return Pool(role, width, able, np.full(int(able.sum()), capacity), True, need, need if held is None else held)


def no_gpu_twice(role):
    covered = np.zeros(SLOTS.all_gpus, dtype=np.int64)
    for slot in np.flatnonzero(role != NONE):
        covered[SLOTS.covers(int(slot))] += 1
    return bool((covered <= 1).all())


def settled(now, role):
    return Readiness((now == role) & (now != NONE), np.zeros(len(now), dtype=np.bool_))


def kinds_by_server(role):
    return [set(role[(SLOTS.server == server) & (role != NONE)].tolist()) for server in range(SERVERS)]


def test_instances_are_the_load_over_the_capacity_rounded_up():
    assert sized([pool(IMAGE, 1, need=10.0, capacity=4.0), pool(WHOLE, 4, need=8.0, capacity=4.0)], 32, False, [0, 0], 0.1) == [3, 2]


def test_instances_that_share_what_comes_are_needed_less_than_in_proportion():
    alike = SLOTS.gpus == 1
    sharing = Pool(IMAGE, 1, alike, 1.0 - 0.5 / np.arange(1.0, alike.sum() + 1.0), True, 1.0, 1.0)
    assert [sharing.instances(load) for load in (0.5, 1.5, 7.5, 15.5)] == [1, 2, 8, 16]
    assert sharing.instances(40.0) > alike.sum(), "more than there are"


def test_what_is_kept_for_the_cool_down_gives_way_to_what_is_needed_now():
    pools = [pool(IMAGE, 4, need=3.0), pool(WHOLE, 4, need=2.0, held=7.0)]
    assert sized(pools, 32, False, [0, 0], 0.1) == [3, 2]


@settings(max_examples=40)
@given(need=st.lists(st.floats(0.1, 100.0), min_size=2, max_size=3), gpus=st.integers(12, 32), fill=st.booleans())
def test_pools_never_ask_for_more_gpus_than_there_are(need, gpus, fill):
    pools = [pool(role, width, each) for role, width, each in zip((IMAGE, PREFILL, DECODE), (1, 4, 2), need, strict=False)]
    counts = sized(pools, gpus, fill, [0] * len(pools), 0.1)
    assert min(counts) >= 1
    assert sum(each.width * count for each, count in zip(pools, counts, strict=True)) <= gpus


def test_all_gpus_are_divided_as_the_needs_are():
    counts = sized([pool(IMAGE, 1, need=30.0), pool(WHOLE, 4, need=30.0, capacity=4.0)], 32, True, [0, 0], 0.1)
    assert counts == [16, 4]


def test_a_division_stays_while_another_gains_little():
    pools = [pool(IMAGE, 1, need=31.0), pool(WHOLE, 4, need=30.0, capacity=4.0)]
    assert sized(pools, 32, True, [16, 4], 0.3) == [16, 4]
    assert sized([pool(IMAGE, 1, need=90.0), pools[1]], 32, True, [16, 4], 0.3) != [16, 4]


def test_stages_have_servers_of_their_own_while_there_is_room():
    role = place(SLOTS, [pool(IMAGE, 1), pool(WHOLE, 4)], [6, 3], NOTHING, shared=False)
    assert no_gpu_twice(role)
    assert kinds_by_server(role) == [{WHOLE}, {WHOLE}, set(), {IMAGE}]


def test_at_low_load_they_share_servers_so_that_whole_ones_are_off():
    pools, counts = [pool(IMAGE, 1), pool(WHOLE, 4)], [4, 3]
    apart, shared = (place(SLOTS, pools, counts, NOTHING, shared=shared) for shared in (False, True))
    assert servers_used(SLOTS, apart) == 3
    assert servers_used(SLOTS, shared) == 2
    assert no_gpu_twice(shared)


def test_what_is_held_stays_where_it_is():
    pools = [pool(IMAGE, 1), pool(WHOLE, 4)]
    first = place(SLOTS, pools, [4, 3], NOTHING, shared=False)
    more = place(SLOTS, pools, [6, 4], Present(first, NOTHING.busy), shared=False)
    assert (more[first != NONE] == first[first != NONE]).all()


def test_a_burst_takes_idle_instances_before_busy_ones():
    held = np.where(SLOTS.gpus == 4, WHOLE, NONE)
    busy = np.ones(len(held), dtype=np.bool_)
    busy[2] = False
    role = place(SLOTS, [pool(WHOLE, 4), pool(IMAGE, 1)], [7, 4], Present(held, busy), shared=False)
    np.testing.assert_array_equal(np.flatnonzero((SLOTS.gpus == 4) & (role != WHOLE)), [2])
    assert set(SLOTS.server[role == IMAGE].tolist()) == {1}


def test_another_width_of_the_same_role_starts_beside_what_serves_and_not_in_its_place():
    """Else the only instance would have to go before its replacement could begin to load."""
    now = place(SLOTS, [pool(WHOLE, 2)], [1], NOTHING, shared=False)
    target = place(SLOTS, [pool(WHOLE, 1)], [2], Present(now, NOTHING.busy), shared=False)
    held, wanted = (SLOTS.flags(role != NONE) for role in (now, target))
    assert not (held & wanted).any()
    following = towards(SLOTS, now, target, settled(now, now), 8)
    assert (following[now != NONE] == WHOLE).all(), "it stays until the others are on"
    assert (following[target != NONE] == WHOLE).all()


def test_a_stage_that_finds_no_room_is_told():
    assert place(SLOTS, [pool(WHOLE, 8), pool(IMAGE, 1)], [4, 1], NOTHING, shared=False) is None


@settings(max_examples=60)
@given(data=st.data())
def test_every_step_towards_a_layout_is_one_that_can_be_and_it_arrives(data):
    draw = data.draw
    counts = [draw(st.integers(1, 6)), draw(st.integers(1, 3))]
    widths = [draw(st.sampled_from([1, 2])), draw(st.sampled_from([4, 8]))]
    start = np.where(SLOTS.gpus == 4, WHOLE, NONE) if draw(st.booleans()) else np.where(SLOTS.gpus == 2, PREFILL, NONE)
    target = place(SLOTS, [pool(IMAGE, widths[0]), pool(WHOLE, widths[1])], counts, Present(start, NOTHING.busy), shared=False)
    turn = draw(st.integers(1, 32))
    now = start
    for _ in range(40):
        before, now = now, towards(SLOTS, now, target, settled(now, now), turn)
        assert no_gpu_twice(now)
        gone = (before != NONE) & (now != before) & (SLOTS.any_of(SLOTS.flags((now != NONE) & (now != before))))
        assert SLOTS.gpus[gone].sum() <= max(turn, 8)
    np.testing.assert_array_equal(now, target)


def test_what_is_given_up_stays_until_its_replacement_is_on():
    first = place(SLOTS, [pool(IMAGE, 1), pool(WHOLE, 4)], [2, 1], NOTHING, shared=False)
    packed = place(SLOTS, [pool(IMAGE, 1), pool(WHOLE, 4)], [2, 1], NOTHING, shared=True)
    both = towards(SLOTS, first, packed, settled(first, first), 32)
    assert (both == IMAGE).sum() == 4, "old and new image instances"
    starting = Readiness((both == first) & (both != NONE), (both != NONE) & (first == NONE))
    np.testing.assert_array_equal(towards(SLOTS, both, packed, starting, 32), both)
    np.testing.assert_array_equal(towards(SLOTS, both, packed, settled(both, both), 32), packed)


def test_a_release_with_nothing_to_wait_for_is_at_once():
    held = np.where(SLOTS.gpus == 4, WHOLE, NONE)
    fewer = place(SLOTS, [pool(WHOLE, 4)], [3], Present(held, NOTHING.busy), shared=False)
    np.testing.assert_array_equal(towards(SLOTS, held, fewer, settled(held, held), 1), fewer)


@pytest.mark.parametrize("turn", [8, 16])
def test_prefill_and_decode_instances_come_together(turn):
    held = np.where(SLOTS.gpus == 4, WHOLE, NONE)
    parted = place(SLOTS, [pool(PREFILL, 4), pool(DECODE, 4)], [6, 2], Present(held, NOTHING.busy), shared=False)
    step = towards(SLOTS, held, parted, settled(held, held), turn)
    assert (step == DECODE).any()
    assert (step == PREFILL).any()

"""Who goes to which host: best fit, never too full, the same whenever it is asked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.workloads.hosting import NO_HOST, events_of, place

FREE = np.full(6, 40, dtype=np.int64)


def _vms(seed: int, count: int = 400):
    random = np.random.default_rng(seed)
    arrive_s = np.sort(random.random(count) * 10_000.0)
    return arrive_s, arrive_s + 1.0 + random.pareto(0.8, count) * 300.0, random.choice([1, 2, 4, 8, 16], count).astype(np.int64)


def _placed(seed: int, until_s: float = np.inf):
    arrive_s, end_s, vcpus = _vms(seed)
    hosts = place(arrive_s, end_s, vcpus, FREE, np.random.default_rng(1), until_s)
    return hosts, events_of(arrive_s, end_s, hosts, until_s), vcpus


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_host_holds_more_than_it_has_and_nobody_is_turned_away_while_one_has_room(seed):
    arrive_s, end_s, vcpus = _vms(seed)
    hosts = place(arrive_s, end_s, vcpus, FREE, np.random.default_rng(seed))
    for vm, (at_s, host) in enumerate(zip(arrive_s, hosts, strict=True)):
        standing = (arrive_s <= at_s) & (end_s > at_s) & (hosts != NO_HOST)
        standing[vm:] = False
        used = np.bincount(hosts[standing], vcpus[standing], len(FREE))
        assert (used <= FREE).all()
        if host == NO_HOST:
            assert (FREE - used < vcpus[vm]).all()
        else:
            assert used[host] + vcpus[vm] <= FREE[host]


def test_the_fullest_host_that_fits_is_taken():
    """Of six hosts, eight draws see the fullest one nearly always; with one host left that fits it is found without being drawn."""
    arrive_s, end_s = np.arange(1.0, 5.0), np.full(4, np.inf)
    hosts = place(arrive_s, end_s, np.array([30, 20, 8, 10], dtype=np.int64), FREE[:2], np.random.default_rng(3))
    assert hosts[0] != hosts[1]
    assert hosts[2] == hosts[0]
    assert hosts[3] == hosts[1]
    last = place(
        arrive_s[:1], end_s[:1], np.array([40], dtype=np.int64), np.array([39] * 500 + [40], dtype=np.int64), np.random.default_rng(1)
    )
    assert last.tolist() == [500]
    assert place(arrive_s, end_s, np.full(4, 40, dtype=np.int64), FREE[:1], np.random.default_rng(1)).tolist() == [0, -1, -1, -1]
    assert place(arrive_s, end_s, np.full(4, 1, dtype=np.int64), FREE[:0], np.random.default_rng(1)).tolist() == [-1] * 4


def test_one_who_leaves_makes_room_for_one_who_comes_at_the_same_time():
    arrive_s, end_s = np.array([0.0, 10.0]), np.array([10.0, 20.0])
    hosts = place(arrive_s, end_s, np.array([40, 40], dtype=np.int64), FREE[:1], np.random.default_rng(1))
    assert hosts.tolist() == [0, 0]
    events = events_of(arrive_s, end_s, hosts)
    assert events.t_s.tolist() == [0.0, 10.0, 10.0, 20.0]
    assert events.begins.tolist() == [True, False, True, False]


@pytest.mark.parametrize("until_s", [0.0, 3000.0, 9000.0])
def test_a_later_end_changes_nothing_before(until_s):
    hosts, events, _ = _placed(5, until_s)
    all_hosts, all_events, _ = _placed(5)
    here = _vms(5)[0] <= until_s
    assert np.array_equal(hosts[here], all_hosts[here])
    first = all_events.part(0, len(events))
    assert np.array_equal(events.t_s, first.t_s)
    assert np.array_equal(events.host, first.host)
    assert len(all_events) > len(events)


def test_every_vm_with_a_host_begins_once_and_ends_once():
    hosts, events, _ = _placed(9)
    assert (hosts == NO_HOST).any()
    for flag in (True, False):
        assert sorted(events.vm[events.begins == flag].tolist()) == np.flatnonzero(hosts != NO_HOST).tolist()
    assert (np.diff(events.t_s) >= 0.0).all()
    assert np.array_equal(events.host, hosts[events.vm])

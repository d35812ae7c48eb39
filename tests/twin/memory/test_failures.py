"""What fails with what, and what capacity a pod needs then."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.memory.blocks import block_design
from twin.memory.demand import HostEvents, HostVms, PastDemand
from twin.memory.designs import parse
from twin.memory.failures import demand_at_peak, more_capacity, what_if
from twin.memory.plain import fully_connected, switched
from twin.memory.pods import Pod
from twin.memory.terms import Terms

GIB = 1 << 30


@cache
def pod_of(name: str) -> Pod:
    return {"seven": lambda: block_design(7, 3), "25": lambda: block_design(25, 4), "eight": lambda: fully_connected(8, 8)}[name]()


def even(pod: Pod) -> np.ndarray:
    return np.full(pod.hosts, 64 * GIB)


def test_one_device_of_the_25_host_pod_takes_six_of_300_one_hop_pairs() -> None:
    # Facts sheet, 1.7: C(4, 2) = 6 pairs, 2 % of 300; each of four hosts loses one of eight ports.
    pod = pod_of("25")
    gone = what_if(pod, even(pod), devices=[11])
    assert len(gone.pairs_lost) == 6
    assert (gone.one_hop_before_share, gone.one_hop_after_share) == (1.0, 294 / 300)
    np.testing.assert_array_equal(gone.hosts_hit, np.flatnonzero(pod.incidence[:, 11]))
    assert set(gone.pairs_lost.ravel()) == set(gone.hosts_hit)
    assert gone.devices_lost.sum() == 4
    assert not len(gone.isolated)
    assert gone.lost_bytes == 4 * 64 * GIB / 8


def test_a_fully_connected_pod_needs_p_over_1_minus_p_more_when_devices_fail() -> None:
    pod = pod_of("eight")
    for count in (1, 2, 4):
        share = count / 8
        gone = what_if(pod, even(pod), devices=range(count))
        assert gone.more_capacity_share == pytest.approx(share / (1 - share))
        assert len(gone.hosts_hit) == 8
        assert not len(gone.pairs_lost)


@pytest.mark.parametrize(("share", "low", "high"), [(0.02, 0.015, 0.05), (0.05, 0.04, 0.10), (0.10, 0.09, 0.19)])
def test_the_25_host_pod_needs_about_as_much_more(share: float, low: float, high: float) -> None:
    # Facts sheet, 1.7: x1.02, x1.05 and x1.10 for 2, 5 and 10 % of devices; the worst draw x1.19.
    random = np.random.default_rng(1)
    demand = random.gamma(4.0, 16.0, 25) * GIB
    more = more_capacity(pod_of("25"), demand, share)
    assert more.shape == (6,)
    assert low <= more.mean() <= high
    assert (more >= round(share * 50) / (50 - round(share * 50)) - 1e-9).all()


def test_lost_links_of_an_octopus_pod_need_no_more() -> None:
    # Facts sheet, 1.7: 2 to 10 % of the links lost leave the capacity unchanged.
    random = np.random.default_rng(2)
    pod, demand = parse("islands-96x8n4").build(), random.gamma(4.0, 16.0, 96) * GIB
    links = [(int(at) // 8, int(at) % 8) for at in random.permutation(96 * 8)[:38]]
    gone = what_if(pod, demand, links=links)
    assert gone.more_capacity_share == pytest.approx(0.0, abs=1e-6)
    assert gone.devices_lost.sum() == 38
    assert gone.one_hop_after_share < gone.one_hop_before_share


def test_a_link_takes_three_pairs_and_what_the_host_had_there() -> None:
    pod = pod_of("25")
    held = np.arange(25 * 8).reshape(25, 8) * GIB
    gone = what_if(pod, held.sum(axis=1), links=[(4, 2)], held_bytes=held)
    assert gone.lost_bytes == held[4, 2]
    assert gone.pairs_lost.shape == (3, 2)
    assert (gone.pairs_lost == 4).any(axis=1).all()


def test_a_host_that_loses_all_its_ports_is_alone() -> None:
    pod = pod_of("seven")
    gone = what_if(pod, even(pod), links=[(0, 0), (0, 1), (0, 2)])
    np.testing.assert_array_equal(gone.isolated, [0])
    assert gone.stranded_bytes == 64 * GIB
    assert len(gone.pairs_lost) == 6
    assert gone.need_after_bytes == pytest.approx(6 * 64 * GIB / 7)


def test_a_switch_takes_every_device_behind_it_from_every_host() -> None:
    pod = switched(24, 8, 32)
    gone = what_if(pod, even(pod), switches=[0])
    assert len(gone.hosts_hit) == 24
    assert (gone.devices_lost == 8).all()
    assert gone.more_capacity_share == pytest.approx(1 / 7)
    assert gone.lost_bytes == pytest.approx(24 * 64 * GIB / 8)
    assert not len(gone.pairs_lost)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_the_more_fails_the_more_is_lost_and_needed(data: st.DataObject) -> None:
    pod = pod_of("seven")
    demand = np.array(data.draw(st.lists(st.integers(0, 50), min_size=7, max_size=7))) * GIB
    some = data.draw(st.lists(st.integers(0, 6), unique=True, max_size=4))
    more = data.draw(st.lists(st.integers(0, 6), unique=True, max_size=3))
    a, b = what_if(pod, demand, devices=some), what_if(pod, demand, devices=sorted({*some, *more}))
    assert a.lost_bytes <= b.lost_bytes <= demand.sum() + 1e-6
    assert a.one_hop_after_share >= b.one_hop_after_share
    assert set(map(tuple, a.pairs_lost)) <= set(map(tuple, b.pairs_lost))
    assert set(a.isolated) <= set(b.isolated)
    # Hosts that are left alone ask for nothing any more.
    if len(a.isolated) == len(b.isolated):
        assert a.need_after_bytes <= b.need_after_bytes * (1 + 1e-6) + 1.0
    assert a.need_before_bytes >= demand.sum() / 7 * (1 - 1e-9)


def test_nothing_lost_changes_nothing() -> None:
    pod = pod_of("seven")
    gone = what_if(pod, even(pod))
    assert gone.lost_bytes == gone.stranded_bytes == gone.more_capacity_share == 0.0
    assert not len(gone.hosts_hit)
    assert what_if(pod, 0 * even(pod), devices=[0]).more_capacity_share == 0.0


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        ({"devices": [7]}, "device-8"),
        ({"devices": [-1]}, "device-0"),
        ({"links": [(0, 3)]}, "host-1/port-4"),
        ({"links": [(7, 0)]}, "host-8/port-1"),
        ({"switches": [0]}, "switch-1"),
    ],
)
def test_what_a_pod_does_not_have_is_refused(lost: dict[str, list[int]], named: str) -> None:
    pod = pod_of("seven")
    with pytest.raises(ValueError, match=f"has no {named}; it has 7 hosts x 3 ports, 7 devices and 0 switches"):
        what_if(pod, even(pod), **lost)


def test_demand_at_the_peak_is_that_of_the_fullest_pod_when_it_was_fullest() -> None:
    # Two pods of seven hosts; the second is the fullest when its VMs of 8 and 12 GiB stand together.
    vms = HostVms(np.array([10, 8, 12, 4]) * GIB, np.ones(4, dtype=np.int64), np.zeros(4))
    t_s, vm, host = np.array([0.0, 1.0, 2.0, 3.0, 4.0]), np.array([0, 1, 2, 1, 3]), np.array([2, 7, 9, 7, 9])
    past = PastDemand(15, vms, HostEvents(t_s, vm, host, np.array([True, True, True, False, True])), 10.0)
    demand = demand_at_peak(pod_of("seven"), past, Terms(0.5, GIB))
    np.testing.assert_array_equal(demand, np.array([4, 0, 6, 0, 0, 0, 0]) * GIB)

"""The least largest load: no allocator beats it, and counting tells it."""

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.memory.blocks import block_design
from twin.memory.optimum import least_peak

DEMANDS = st.lists(st.integers(0, 40), min_size=7, max_size=7)


def fullest_set(reach, demand):
    """The largest demand of a set of hosts over the devices that it reaches: what the linear program's dual says (Hall's condition)."""
    hosts = range(len(reach))
    sets = chain.from_iterable(combinations(hosts, size) for size in range(1, len(reach) + 1))
    return max(demand[list(each)].sum() / len(np.unique(reach[list(each)])) for each in sets)


@pytest.mark.parametrize(("hosts", "device_ports"), [(13, 4), (16, 4), (25, 4)])
def test_equal_hosts_fill_all_devices_evenly(hosts, device_ports):
    pod = block_design(hosts, device_ports)
    peak, loads = least_peak(pod.reach, pod.devices, np.full(hosts, 10))
    assert peak == pytest.approx(10 * hosts / pod.devices)
    assert loads == pytest.approx(np.full(pod.devices, peak))


def test_one_host_alone_fills_its_own_devices_evenly():
    pod = block_design(13, 4)
    peak, loads = least_peak(pod.reach, pod.devices, np.where(np.arange(13) == 5, 12, 0))
    assert peak == pytest.approx(3.0)
    assert np.flatnonzero(loads > 1e-9).tolist() == pod.reach[5].tolist()


@settings(max_examples=25, deadline=None)
@given(demand=DEMANDS)
def test_the_optimum_is_what_the_fullest_set_of_hosts_says(demand):
    pod, asked = block_design(7, 3), np.array(demand)
    peak, loads = least_peak(pod.reach, pod.devices, asked)
    assert peak == pytest.approx(fullest_set(pod.reach, asked), abs=1e-6)
    assert loads.max(initial=0) == pytest.approx(peak, abs=1e-6)
    assert loads.sum() == pytest.approx(asked.sum(), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(demand=st.lists(st.integers(0, 40), min_size=25, max_size=25))
def test_the_optimum_is_never_better_than_all_demand_over_all_devices(demand):
    pod = block_design(25, 4)
    peak, _ = least_peak(pod.reach, pod.devices, np.array(demand))
    assert peak >= sum(demand) / pod.devices - 1e-9


@pytest.mark.parametrize("lost", [1, 3, 5])
def test_lost_devices_cost_about_their_share_of_those_that_are_left(lost):
    # Facts: losing a share p of the devices takes p / (1 - p) more capacity of the others; 1.02, 1.05, 1.10 at 2, 5, 10 %.
    pod, demand = block_design(25, 4), np.random.default_rng(1).integers(20, 60, 25)
    whole, _ = least_peak(pod.reach, pod.devices, demand)
    gone = np.random.default_rng(2).permutation(pod.devices)[:lost]
    left, loads = least_peak(pod.reach, pod.devices, demand, ~np.isin(pod.reach, gone))
    share = lost / pod.devices
    assert left / whole - 1 == pytest.approx(share / (1 - share), rel=0.3)
    assert left / whole - 1 >= share / (1 - share) - 1e-6
    assert not loads[gone].any()


def test_a_unit_of_memory_is_as_good_as_another():
    pod, demand = block_design(7, 3), np.array([3, 1, 4, 1, 5, 9, 2])
    gib, _ = least_peak(pod.reach, pod.devices, demand)
    in_bytes, _ = least_peak(pod.reach, pod.devices, demand << 30)
    assert in_bytes / 2**30 == pytest.approx(gib)


def test_without_demand_nothing_is_held_and_a_host_that_reaches_nothing_is_named():
    pod = block_design(7, 3)
    assert least_peak(pod.reach, 7, np.zeros(7))[0] == 0.0
    links = np.ones((7, 3), dtype=np.bool_)
    links[4] = False
    with pytest.raises(ValueError, match="host 5 asks for memory and reaches no device"):
        least_peak(pod.reach, 7, np.ones(7), links)

"""DRAM that is not bought: against which baseline, and of which part."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.baselines.pickers import least_loaded
from twin.memory.blocks import block_design
from twin.memory.demand import HostEvents, HostVms, PastDemand
from twin.memory.planning import replay
from twin.memory.pods import NO_ISLAND, Pod
from twin.memory.saving import BASELINES, provisioned, saved_share, saving
from twin.memory.terms import Terms

GIB = 1 << 30


def shared_by_all(hosts):
    """A pod in which every host reaches both of two devices."""
    none = np.full(hosts, NO_ISLAND)
    return Pod(f"all-{hosts}", "fully_connected", np.tile([0, 1], (hosts, 1)), 2, 2, hosts, none, none[:2])


def turns():
    """Two hosts that need 8 GiB each, one after the other, and 2 GiB all the time."""
    t_s, vm = np.array([0.0, 0.0, 10.0, 50.0, 60.0, 90.0]), np.array([0, 1, 2, 2, 3, 3])
    begins = np.array([True, True, True, False, True, False])
    vms = HostVms(np.array([2, 2, 8, 8]) * GIB, np.ones(4, dtype=np.int64), np.zeros(4))
    return PastDemand(2, vms, HostEvents(t_s, vm, np.array([0, 1, 0, 0, 1, 1]), begins), 100.0)


def test_hosts_that_peak_one_after_the_other_share_what_each_needs_for_a_while():
    done = replay(shared_by_all(2), turns(), Terms(0.5, GIB), least_loaded, False, None)
    # Each host peaks at 10 GiB, half of it pooled: 5 each, and never more than 1 + 5 at once, 3 on each of two devices.
    assert (done.host_peak_bytes // GIB).tolist() == [10, 10]
    assert (done.host_peak_local_bytes // GIB).tolist() == [5, 5]
    assert (done.host_peak_slices.tolist(), done.device_peak_slices.tolist(), done.pod_peak_slices.tolist()) == ([5, 5], [3, 3], [6])
    found = saving(done, "sum_of_peaks")
    assert (found.baseline_bytes, found.local_bytes, found.device_bytes) == (20 * GIB, 10 * GIB, 6 * GIB)
    assert found.total_share == pytest.approx(0.2)
    assert found.pooled_share == pytest.approx(0.4)
    assert found.of_ideal == pytest.approx(1.0)


def test_hosts_in_no_pod_save_nothing_on_the_site():
    """Two hosts share what each needs for a while, of 20 GiB 4; a third one that fills no pod keeps its 6, or as much as the worst."""
    past = turns()
    events = HostEvents(
        np.append(past.events.t_s, 95.0), np.append(past.events.vm, 4), np.append(past.events.host, 2), np.append(past.events.begins, True)
    )
    three = replace(past, hosts=3, vms=HostVms(np.array([2, 2, 8, 8, 6]) * GIB, np.ones(5, dtype=np.int64), np.zeros(5)), events=events)
    done = replay(shared_by_all(2), three, Terms(0.5, GIB), least_loaded, False, None)
    assert (done.host_peak_bytes // GIB).tolist() == [10, 10, 6]
    found = saving(done, "sum_of_peaks")
    assert (found.total_share, found.site_share) == pytest.approx((4 / 20, 4 / 26))
    found = saving(done, "uniform_sku")
    assert (found.total_share, found.site_share) == pytest.approx((4 / 20, 4 / 30))
    inside = saving(replay(shared_by_all(2), turns(), Terms(0.5, GIB), least_loaded, False, None), "sum_of_peaks")
    assert inside.site_share == inside.total_share


def test_what_overflows_is_bought_in_the_host():
    done = replay(shared_by_all(2), turns(), Terms(0.5, GIB), least_loaded, False, 2)
    found = saving(done, "sum_of_peaks")
    assert done.overflow_slices.sum() == 4
    assert (found.local_bytes, found.device_bytes) == (14 * GIB, 4 * GIB)
    assert found.total_share == pytest.approx(0.1)
    assert found.pooled_share == pytest.approx(0.2)
    assert found.ideal_total_share == pytest.approx(0.2)


def test_the_two_baselines_are_named_and_differ_where_hosts_do():
    peaks = np.array([10, 20, 60]) * GIB
    assert set(BASELINES) == {"sum_of_peaks", "uniform_sku"}
    assert provisioned(peaks, "sum_of_peaks") == 90 * GIB
    assert provisioned(peaks, "uniform_sku") == 180 * GIB
    assert saved_share(peaks, peaks // 2, 20 * GIB, "sum_of_peaks") == pytest.approx(1 - 65 / 90)
    assert saved_share(peaks, peaks // 2, 20 * GIB, "uniform_sku") == pytest.approx(1 - 110 / 180)
    assert saved_share(peaks * 0, peaks * 0, 0, "uniform_sku") == 0.0


@pytest.mark.parametrize("against", ["sum_of_peaks", "uniform_sku"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_ideal_saving_never_falls_when_pods_are_joined(past_of, against, seed):
    past, shares = past_of(seed, hosts=16), []
    for hosts in (1, 2, 4, 8, 16):
        done = replay(shared_by_all(hosts), past, Terms(0.5, GIB), least_loaded, False, None)
        found = saving(done, against)
        assert found.pooled_share <= found.ideal_pooled_share + 1e-12
        assert found.total_share <= found.ideal_total_share + 1e-12
        shares.append(found.ideal_pooled_share)
    assert shares == sorted(shares)
    assert shares[-1] > shares[0]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), slices=st.integers(2, 20), migrate=st.booleans())
def test_no_pool_needs_less_than_all_memory_at_its_peak(past_of, seed, slices, migrate):
    # What overflows is bought in the host, so a pool that is too small is no way round.
    past = past_of(seed, hosts=7)
    done = replay(block_design(7, 3), past, Terms(0.5, GIB), least_loaded, migrate, slices)
    change = np.where(past.events.begins, 1, -1) * past.vms.memory_bytes[past.events.vm]
    found = saving(done, "sum_of_peaks")
    assert found.local_bytes + found.device_bytes >= np.cumsum(change).max()


def test_a_saving_without_a_pod_is_refused():
    done = replay(None, turns(), Terms(0.5, GIB), least_loaded, False, None)
    with pytest.raises(ValueError, match="no pod"):
        saving(done, "sum_of_peaks")

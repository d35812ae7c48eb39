"""Devices are as large as past peaks and the room above them ask for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.baselines.pickers import least_loaded
from twin.memory.blocks import block_design
from twin.memory.planning import replay
from twin.memory.sizing import bought_bytes, device_bytes, host_peaks, pod_slices
from twin.memory.terms import Terms

GIB = 1 << 30
POD = block_design(7, 3)


def by_the_clock(past, terms, from_s):
    """Peaks of each pod and of its fullest host, one event after the other."""
    now, of_pod, of_host = np.zeros(14, dtype=np.int64), [0, 0], [0, 0]
    slices = terms.slices(past.vms.memory_bytes)
    for i in range(len(past.events) + 1):
        if i == len(past.events) or past.events.t_s[i] > from_s:
            for pod in range(2):
                mine = now[7 * pod : 7 * pod + 7]
                of_pod[pod], of_host[pod] = max(of_pod[pod], mine.sum()), max(of_host[pod], mine.max())
        if i < len(past.events) and past.events.host[i] < 14:
            now[past.events.host[i]] += slices[past.events.vm[i]] * (1 if past.events.begins[i] else -1)
    return of_pod, of_host


@pytest.mark.parametrize("vms", [1, 6, 300])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), from_s=st.sampled_from([0.0, 300.0, 950.0]), headroom=st.sampled_from([0.0, 0.05, 0.1, 0.5]))
def test_the_size_is_the_pods_peak_over_its_devices_or_a_hosts_over_its_own(past_of, vms, seed, from_s, headroom):
    """Few VMs lie on few hosts, whose own devices must hold them; the first event of all may be the peak."""
    past, terms = past_of(seed, vms=vms), Terms(0.5, GIB)
    of_pod, of_host = by_the_clock(past, terms, from_s)
    expected = [max(int(np.ceil(max(p / 7, h / 3) * (1 + headroom) - 1e-9)), 1) for p, h in zip(of_pod, of_host, strict=True)]
    assert pod_slices(POD, past, terms, headroom, from_s=from_s).tolist() == expected
    assert device_bytes(POD, past, terms, headroom, from_s=from_s) == max(expected) * GIB


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_what_was_sized_for_holds_with_moves(past_of, seed):
    past, terms = past_of(seed, vms=800, largest=6), Terms(1.0, GIB)
    slices = pod_slices(POD, past, terms, 0.05)
    done = replay(POD, past, terms, least_loaded, True, slices)
    assert not done.overflow_slices.any()
    assert (done.device_peak_slices.reshape(2, 7) <= slices[:, None]).all()


def test_a_device_is_never_of_no_size(past_of):
    past = past_of(1)
    assert pod_slices(POD, past, Terms(0.0, GIB), 0.05).tolist() == [1, 1]


def test_slices_are_whole_nearest_to_the_share_and_never_more_than_the_vm_has():
    memory = (np.array([0.75, 1.75, 3.5, 7, 14, 28]) * GIB).astype(np.int64)
    assert Terms(0.5, GIB).slices(memory).tolist() == [0, 1, 2, 4, 7, 14]
    assert Terms(1.0, GIB).slices(memory).tolist() == [0, 1, 3, 7, 14, 28]
    assert Terms(0.0, GIB).slices(memory).tolist() == [0] * 6
    assert Terms(0.7, GIB).slices(np.array([5, 15]) * GIB).tolist() == [4, 11]


@pytest.mark.parametrize("share", [0.3, 0.5, 0.65])
def test_the_slices_of_many_vms_are_about_the_share_of_their_memory(share):
    memory = np.random.default_rng(1).integers(2 * GIB, 64 * GIB, 5000)
    assert Terms(share, GIB).slices(memory).sum() * GIB / memory.sum() == pytest.approx(share, rel=0.01)


def test_devices_are_bought_as_hosts_are_each_pod_its_own_or_one_size_for_all(past_of):
    past, terms = past_of(5), Terms(0.5, GIB)
    each = (pod_slices(POD, past, terms, 0.05) * GIB).tolist()
    assert bought_bytes(POD, past, terms, 0.05, "sum_of_peaks") == tuple(each)
    assert bought_bytes(POD, past, terms, 0.05, "uniform_sku") == max(each)


@given(st.integers(0, 500), st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=10, deadline=None)
def test_the_peak_of_a_host_is_the_highest_that_stood_there(past_of, seed, share):
    past, terms = past_of(seed), Terms(share, GIB)
    pooled = terms.slices(past.vms.memory_bytes) * GIB
    now = np.zeros((2, past.hosts), dtype=np.int64)
    highest = now.copy()
    for vm, host, begins in zip(past.events.vm, past.events.host, past.events.begins, strict=True):
        size = past.vms.memory_bytes[vm]
        now[:, host] += np.array([size, size - pooled[vm]]) * (1 if begins else -1)
        highest = np.maximum(highest, now)
    whole, local = host_peaks(past, terms)
    assert np.array_equal(whole, highest[0])
    assert np.array_equal(local, highest[1])

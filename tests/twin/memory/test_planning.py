"""Past demand replayed: peaks, series, what was moved, and real demand."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.baselines.pickers import least_loaded
from twin.memory.blocks import block_design
from twin.memory.demand import HostEvents, HostVms, PastDemand
from twin.memory.designs import parse
from twin.memory.optimum import least_peak
from twin.memory.planning import replay
from twin.memory.saving import saving
from twin.memory.sizing import pod_slices
from twin.memory.terms import Terms

GIB = 1 << 30
POD = block_design(7, 3)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), capacity=st.sampled_from([None, 12, 25]), migrate=st.booleans())
def test_series_lie_within_the_peaks_and_say_what_hosts_ask_for(past_of, seed, capacity, migrate):
    past, terms = past_of(seed), Terms(0.5, GIB)
    done = replay(POD, past, terms, least_loaded, migrate, capacity, from_s=200.0, sample_s=50.0)
    assert done.t_s.tolist() == list(range(250, 1001, 50))
    assert (done.device_series <= done.device_peak_slices).all()
    assert (done.host_series <= done.host_peak_slices).all()
    assert (done.host_series[:, :14].reshape(-1, 2, 7).sum(axis=2) <= done.pod_peak_slices).all()
    assert not done.host_series[:, 14].any()
    slices = terms.slices(past.vms.memory_bytes)
    for row, t_s in ((0, 250.0), (7, 600.0), (15, 1000.0)):
        seen = past.events.t_s <= t_s
        now = np.zeros(15, dtype=np.int64)
        np.add.at(now, past.events.host[seen], np.where(past.events.begins[seen], 1, -1) * slices[past.events.vm[seen]])
        assert done.host_series[row, :14].tolist() == now[:14].tolist()
    if capacity is None:
        assert (done.device_series.sum(axis=1) == done.host_series.sum(axis=1)).all()
        assert not done.overflow_events.any()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_greedy_is_never_better_than_the_optimum_at_any_sample(past_of, seed):
    past = past_of(seed, hosts=7)
    done = replay(POD, past, Terms(0.5, GIB), least_loaded, False, None, sample_s=200.0)
    for demand, loads in zip(done.host_series, done.device_series, strict=True):
        assert loads.max() >= least_peak(POD.reach, POD.devices, demand)[0] - 1e-9
    assert done.device_peak_slices.max() >= done.pod_peak_slices[0] / POD.devices


def test_peaks_do_not_depend_on_how_often_is_sampled(past_of):
    past, terms = past_of(5), Terms(0.5, GIB)
    fine, coarse = (replay(POD, past, terms, least_loaded, True, 20, sample_s=sample_s) for sample_s in (7.0, 333.0))
    assert fine.device_peak_slices.tolist() == coarse.device_peak_slices.tolist()
    assert fine.host_peak_local_bytes.tolist() == coarse.host_peak_local_bytes.tolist()
    assert fine.migrated_slices.tolist() == coarse.migrated_slices.tolist()
    assert fine.migrated_slices.sum() > 0


def test_what_happens_before_is_not_counted_but_felt(past_of):
    past, terms = past_of(5), Terms(0.5, GIB)
    whole, late = (replay(POD, past, terms, least_loaded, False, 14, from_s=from_s) for from_s in (0.0, 500.0))
    assert 0 < late.overflow_slices.sum() < whole.overflow_slices.sum()
    assert late.device_series[-1].tolist() == whole.device_series[-1].tolist()
    assert late.days == pytest.approx(500.0 / 86400.0)
    assert (late.device_peak_slices <= whole.device_peak_slices).all()


def test_peaks_before_are_forgotten():
    """Two VMs stand one after the other on one host; only the second, smaller one stands later."""
    events = HostEvents(np.array([0.0, 100.0, 100.0]), np.array([0, 0, 1]), np.zeros(3, dtype=np.int64), np.array([True, False, True]))
    vms = HostVms(np.array([40, 12]) * GIB, np.ones(2, dtype=np.int64), np.zeros(2))
    late = replay(POD, PastDemand(15, vms, events, 1000.0), Terms(0.5, GIB), least_loaded, False, None, from_s=500.0)
    assert late.host_peak_bytes[0] == 12 * GIB
    assert late.host_peak_local_bytes[0] == late.host_peak_unpooled_bytes[0] == 6 * GIB
    assert late.host_peak_slices[0] == late.pod_peak_slices[0] == 6
    assert late.device_peak_slices.sum() == 6


def test_a_size_may_be_one_for_all_each_pods_or_each_devices(past_of):
    past, terms = past_of(5), Terms(0.5, GIB)
    one, pods, each = (replay(POD, past, terms, least_loaded, True, size) for size in (20, np.array([20, 20]), np.full(14, 20)))
    assert one.device_slices.tolist() == pods.device_slices.tolist() == each.device_slices.tolist()
    assert one.device_series.tobytes() == pods.device_series.tobytes() == each.device_series.tobytes()
    apart = replay(POD, past, terms, least_loaded, True, np.array([15, 30]))
    assert apart.device_peak_slices[:7].max() <= 15 < apart.device_peak_slices[7:].max()


def test_a_replay_that_begins_after_its_past_is_refused(past_of):
    with pytest.raises(ValueError, match="from_s 1000 lies outside"):
        replay(POD, past_of(1), Terms(0.5, GIB), least_loaded, False, None, from_s=1000.0)


@pytest.fixture(scope="module")
def azure(test_data):
    """Nine days of real VMs on 192 hosts, and how they were made; see tests/azure.py."""
    at = runpy.run_path(str(Path(__file__).resolve().parents[2] / "azure.py"))
    return at["past"](at["traced"](test_data, 192), 192)


@pytest.mark.parametrize("name", ["block-design-13x4n4", "block-design-25x8n4", "islands-96x8n4"])
def test_on_real_demand_the_allocator_loses_the_saving_and_moves_on_overflow_win_most_of_it_back(azure, name):
    # Measured before by another simulator (facts: 192 hosts, peaks at five-minute samples): least loaded alone reaches 43 to 77 %
    # of what an ideal pool saves, moves on overflow at 5 % headroom 85 to 89 %, with 2 to 8 % of the pooled memory moved a day.
    # Here moves win back 80 to 84 %: devices hold whole slices, so that 5 % is 6 to 7; and fewer slices move, one path at a time.
    pod, terms, warm_s = parse(name).build(), Terms(0.5, GIB), 3 * 86400.0
    greedy = saving(replay(pod, azure, terms, least_loaded, False, None, warm_s), "sum_of_peaks")
    size = pod_slices(pod, azure, terms, 0.05, from_s=warm_s)
    done = replay(pod, azure, terms, least_loaded, True, size, warm_s)
    moving = saving(done, "sum_of_peaks")
    assert 0.2 < moving.ideal_pooled_share < 0.35
    assert greedy.of_ideal < 0.78 < moving.of_ideal < 0.95
    assert 0.0 < done.migrated_share_per_day < 0.08
    assert not done.overflow_events.any()


@pytest.mark.parametrize("name", ["block-design-25x8n4", "islands-96x8n4"])
def test_on_real_demand_the_topology_loses_nothing(azure, name):
    # Facts: at the peak the optimum is all demand over all devices, exactly.
    pod = parse(name).build()
    done = replay(pod, azure, Terms(0.5, GIB), least_loaded, False, None, 3 * 86400.0)
    demand = done.host_series[:, : pod.hosts]
    fullest = demand[demand.sum(axis=1).argmax()]
    assert least_peak(pod.reach, pod.devices, fullest)[0] == pytest.approx(fullest.sum() / pod.devices, rel=1e-6)

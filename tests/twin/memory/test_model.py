"""Memory of the VMs on hosts: pooled, lost, placed anew, and what it costs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.baselines.pickers import least_loaded
from twin.faults import Fault
from twin.fleet import Fleet
from twin.memory import slices
from twin.memory.blocks import block_design
from twin.memory.demand import HostEvents, HostVms, PastDemand
from twin.memory.levers import PoolAction, TopologyAction
from twin.memory.model import Model, Settings
from twin.memory.plain import fully_connected, switched

GIB = 1 << 30
SMALL = TopologyAction(block_design(13, 4), 256 * GIB)
EIGHT = TopologyAction(fully_connected(8, 4), 200 * GIB)
NONE = TopologyAction(None)
SPAN_S = 3600.0
Drive = Callable[..., Any]
Make = Callable[..., Any]


def _conserved(model: Model) -> None:
    """Every byte of every VM lies in one place, and no device holds more than it can."""
    pool = model._pool
    vms, hosts, pooled, spilled = pool.standing()
    size = model.settings.slice_bytes
    demand = np.bincount(hosts, weights=pool.memory_bytes[vms], minlength=len(pool.hosts))
    in_pods = np.bincount(hosts, weights=pool.wanted[vms], minlength=len(pool.hosts)) * pool.pooled
    np.testing.assert_array_equal(
        pool.hosts[:, slices.LOCAL_BYTES] + size * (pool.hosts[:, slices.POOLED] + pool.hosts[:, slices.OVERFLOWN]), demand
    )
    np.testing.assert_array_equal(pool.hosts[:, slices.POOLED] + pool.hosts[:, slices.OVERFLOWN], in_pods)
    assert pool.used.sum() == pooled.sum()
    assert spilled.sum() == pool.hosts[:, slices.OVERFLOWN].sum()
    assert (pool.used <= np.where(pool.open_devices, pool.capacity, 0)).all()


# -- known numbers --------------------------------------------------------------


def test_a_device_draws_its_controller_and_its_dram_in_the_racks_of_its_hosts(fleet: Fleet, drive: Drive, steady: Make) -> None:
    # GreenSKU (facts sheet, 2): CXL controller 5.8 W, DDR5-4800 64 GB 23.68 W.
    model = drive(steady(8), TopologyAction(block_design(13, 4), 64 * GIB)).model
    pods = 96 // 13
    assert model.rack_power_w.sum() == pytest.approx(pods * 13 * (5.8 + 23.68))
    # Each of 13 hosts is reached by four of 13 devices that four hosts share: one device's watts a host.
    hosts = np.bincount(fleet.host_racks[: pods * 13], minlength=len(fleet.rack_ids))
    np.testing.assert_allclose(model.rack_power_w, hosts * (5.8 + 23.68))


def test_devices_of_each_pod_draw_by_their_own_size(fleet: Fleet, drive: Drive, steady: Make) -> None:
    sizes = tuple(64 * GIB * (number + 1) for number in range(7))
    run = drive(steady(8), TopologyAction(block_design(13, 4), sizes)).go(10.0)
    assert run.tables()["pods"]["power_w"].to_list() == pytest.approx([13 * (5.8 + 23.68 * (number + 1)) for number in range(7)])
    hosts = np.array([5.8 + 23.68 * (number + 1) for number in np.repeat(np.arange(7), 13)])
    expected = np.bincount(fleet.host_racks[:91], weights=hosts, minlength=len(fleet.rack_ids))
    np.testing.assert_allclose(run.model.rack_power_w, expected)
    np.testing.assert_array_equal(run.model.observe().device_slices, np.repeat(64 * np.arange(1, 8), 13))


@pytest.mark.parametrize("pod", [TopologyAction(None), SMALL], ids=["alone", "pooled"])
def test_what_a_vm_takes_is_no_longer_free_where_it_stands(fleet: Fleet, pod: TopologyAction) -> None:
    hosts, size = len(fleet.host_ids), 16 * GIB
    vms = HostVms(np.array([size, size]), np.array([4, 4]), np.zeros(2))
    stood = HostEvents(np.zeros(2), np.arange(2), np.array([0, 1]), np.ones(2, dtype=np.bool_))
    model = Model(Settings(), fleet, vms, 40, ())
    model.build(pod, PastDemand(hosts, vms, stood, SPAN_S))
    before = model.host_free_bytes
    begins = HostEvents(np.array([1.0]), np.array([0]), np.array([0]), np.ones(1, dtype=np.bool_))
    model.advance(10.0, begins, least_loaded, PoolAction(np.zeros(len(model.device_ids)), migrate=False))
    taken = before - model.host_free_bytes
    # Alone the host gives all of it; in a pod what it keeps to itself, and every host that reaches the devices a part of the rest.
    assert taken.sum() == pytest.approx(size)
    assert taken[0] >= size * (1.0 - model.settings.pooled_share)
    assert (taken[1:] > 0.0).any() == (pod.pod is not None)
    if pod.pod is None:
        assert before.tolist() == [size, size, *[0.0] * (hosts - 2)]


def test_half_of_memory_on_four_port_devices_slows_a_fifth_memory_bound_vm_by_a_seventh(drive: Drive, steady: Make) -> None:
    # 0.2 x 0.5 x (267 / 115 - 1): latencies of the facts sheet, 1.4.
    model = drive(steady(8, bound_share=0.2), SMALL).go(10.0).model
    np.testing.assert_allclose(model.slowdown[:91], 0.2 * 0.5 * (267.0 / 115.0 - 1.0), rtol=1e-9)
    np.testing.assert_array_equal(model.slowdown[91:], 0.0)


def test_a_switch_slows_more_than_a_shared_device(drive: Drive, steady: Make) -> None:
    shared = drive(steady(8), SMALL).go(10.0).model.slowdown[0]
    behind = drive(steady(8), TopologyAction(switched(24, 8, 32), 64 * GIB)).go(10.0).model.slowdown[0]
    assert behind / shared == pytest.approx((545.0 - 115.0) / (267.0 - 115.0))


# -- laws -----------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), migrate=st.booleans(), device_gib=st.integers(4, 60))
def test_every_byte_lies_in_one_place_and_no_device_overflows(
    drive: Drive, coming: Make, seed: int, migrate: bool, device_gib: int
) -> None:
    run = drive(coming(seed, 800, SPAN_S), TopologyAction(block_design(13, 4), device_gib * GIB))
    run.migrate = migrate
    for until_s in (600.0, 1800.0, SPAN_S):
        run.go(until_s, tick_s=60.0)
        _conserved(run.model)


def test_when_all_vms_have_ended_everything_is_free_and_nobody_is_slowed(drive: Drive, coming: Make) -> None:
    stand = coming(3, 600, SPAN_S)
    stand.end_s = np.minimum(stand.end_s, SPAN_S - 100.0)
    stand.begin_s = np.minimum(stand.begin_s, stand.end_s - 1.0).clip(0.0)
    model = drive(stand, SMALL).go(SPAN_S, 30.0).model
    assert not model._pool.used.any()
    assert not model._pool.hosts[:, [slices.POOLED, slices.OVERFLOWN, slices.LOCAL_BYTES]].any()
    # To the last bit: the sums are of whole parts.
    assert not model.slowdown.any()
    assert not model._selling.vcpus.any()


@pytest.mark.parametrize("migrate", [False, True])
def test_what_is_held_and_written_does_not_depend_on_the_tick(drive: Drive, coming: Make, migrate: bool) -> None:
    stand, tables = coming(5, 900, SPAN_S), []
    for tick_s in (5.0, 10.0, 300.0):
        run = drive(stand, TopologyAction(block_design(13, 4), 12 * GIB))
        run.migrate = migrate
        tables.append(run.go(SPAN_S, tick_s).tables())
    for other in tables[1:]:
        for name in ("memory_hosts", "memory_devices"):
            assert other[name].equals(tables[0][name]), name
        exact = [name for name in tables[0]["memory_pool"].columns if name != "slowdown_share"]
        assert other["memory_pool"].select(exact).equals(tables[0]["memory_pool"].select(exact))
        slow = [frame["memory_pool"]["slowdown_share"].mean() for frame in (other, tables[0])]
        assert slow[0] == pytest.approx(slow[1], rel=0.1)
    assert tables[0]["memory_pool"]["overflow_events"].sum() > 0


def test_more_pooled_memory_slows_more_and_needs_less_of_the_host(drive: Drive, coming: Make) -> None:
    runs = [drive(coming(2, 500, SPAN_S), SMALL, pooled_share=share).go(SPAN_S, 60.0) for share in (0.2, 0.5, 0.8)]
    slow, local = [run.model.slowdown.sum() for run in runs], [run.tables()["memory_hosts"]["local_bytes"].sum() for run in runs]
    assert slow == sorted(slow)
    assert slow[0] < slow[2]
    assert local == sorted(local, reverse=True)
    assert local[0] > local[2]


def test_vms_that_do_not_wait_for_memory_are_not_slowed(drive: Drive, steady: Make) -> None:
    assert not drive(steady(8, bound_share=0.0), SMALL).go(60.0).model.slowdown.any()


def test_migration_makes_room_where_slices_overflow_without_it(drive: Drive, coming: Make) -> None:
    counts = {}
    for migrate in (False, True):
        run = drive(coming(7, 900, SPAN_S), TopologyAction(block_design(13, 4), 16 * GIB))
        run.migrate = migrate
        pool = run.go(SPAN_S, 60.0).tables()["memory_pool"]
        counts[migrate] = pool.select("overflow_bytes", "migrated_bytes").sum().row(0)
    assert counts[False][1] == 0
    assert counts[True][1] > 0
    assert counts[True][0] < counts[False][0]


# -- without ----------------------------------------------------------------------


def test_without_vms_on_hosts_and_without_a_pod_nothing_is_written(fleet: Fleet, drive: Drive, steady: Make) -> None:
    stand = steady(8)
    for name in ("host", "begin_s", "end_s", "gib", "vcpus"):
        setattr(stand, name, getattr(stand, name)[:0])
    run = drive(stand, NONE).go(900.0)
    assert not run.model.holds
    assert not run.tables()
    assert not run.model.slowdown.any()
    assert run.model.rack_power_w.shape == (len(fleet.rack_ids),)
    assert not run.model.rack_power_w.any()


def test_without_a_pod_all_memory_is_local_and_costs_nothing(drive: Drive, coming: Make, metrics: Make) -> None:
    run = drive(coming(1, 500, SPAN_S), NONE).go(SPAN_S, 60.0)
    tables = run.tables()
    assert set(tables) == {"memory_terms", "memory_hosts"}
    hosts = tables["memory_hosts"]
    assert hosts["local_bytes"].equals(hosts["demand_bytes"].alias("local_bytes"))
    assert not hosts.select("pooled_bytes", "spilled_bytes").sum().sum_horizontal().item()
    read = metrics(tables, SPAN_S)
    assert read["dram_saving_share"] == 0.0
    assert read["cost_usd_per_host"] == 0.0
    assert read["overflow_events"] == read["migrated_bytes"] == 0.0
    assert read["access_latency_s"] is read["pod_hosts"] is None


def test_a_pod_that_cannot_be_is_refused_in_one_line(fleet: Fleet, steady: Make) -> None:
    model = Model(Settings(), fleet, steady(8).vms, 40, ())
    with pytest.raises(ValueError, match="has 120 hosts and the fleet 96"):
        model.build(TopologyAction(fully_connected(120, 2), GIB))
    with pytest.raises(ValueError, match="hold no slice of 1,073,741,824"):
        model.build(TopologyAction(block_design(13, 4), GIB - 1))
    with pytest.raises(ValueError, match="3 sizes of devices for 7 pods"):
        model.build(TopologyAction(block_design(13, 4), (GIB, GIB, GIB)))
    with pytest.raises(ValueError, match=r"1\.5 m"):
        Model(Settings(cable_slack_m=1.0), fleet, steady(8).vms, 40, ()).build(TopologyAction(block_design(25, 4), GIB))
    with pytest.raises(ValueError, match="v1-calibrated have no device of 3 ports"):
        Model(Settings(prices="v1-calibrated"), fleet, steady(8).vms, 40, ()).build(TopologyAction(block_design(7, 3), GIB))


# -- snapshots ----------------------------------------------------------------------

_LOST = (
    Fault(kind="cxl_device_loss", target="device-3", from_s=600.0, until_s=2400.0),
    Fault(kind="cxl_device_loss", target="device-9", from_s=1200.0),
    Fault(kind="cxl_link_loss", target="host-2/port-1", from_s=1500.0),
)


@pytest.mark.parametrize("sample_s", [300.0, 900.0])
@pytest.mark.parametrize("action", [NONE, SMALL, EIGHT], ids=["none", "block", "eight"])
def test_a_run_goes_on_from_a_snapshot_to_the_byte(drive: Drive, coming: Make, action: TopologyAction, sample_s: float) -> None:
    stand, at_s = coming(11, 900, SPAN_S), 1500.0
    whole = drive(stand, action, _LOST, sample_s=sample_s)
    whole.migrate = True
    whole.go(SPAN_S, keep=(at_s,))
    later = drive(stand, action, _LOST, whole.snapshots[at_s], sample_s=sample_s)
    later.migrate = True
    np.testing.assert_array_equal(later.model.observe().used_slices, whole.snapshots[at_s]["pool"]["used"])
    later.go(SPAN_S)
    np.testing.assert_array_equal(later.model.slowdown, whole.model.slowdown)
    np.testing.assert_array_equal(later.model.rack_power_w, whole.model.rack_power_w)
    # The fault at the very time of the snapshot begins after it.
    written, late = later.tables(), pl.col("t_s") > at_s
    for name, frame in whole.tables().items():
        rest = frame.filter((late | (pl.col("t_s") == at_s)) if name == "events" else (late | (pl.col("t_s") == 0.0)))
        assert written[name].equals(rest), name


@pytest.mark.parametrize(("before", "after"), [(SMALL, EIGHT), (NONE, SMALL), (SMALL, NONE)], ids=["other", "built", "taken"])
def test_under_another_pod_the_vms_that_stand_are_given_memory_afresh(
    drive: Drive, coming: Make, before: TopologyAction, after: TopologyAction
) -> None:
    stand, at_s = coming(13, 900, SPAN_S), 1800.0
    first = drive(stand, before, _LOST)
    first.migrate = True
    first.go(SPAN_S, keep=(at_s,))
    other = drive(stand, after, _LOST, first.snapshots[at_s]).go(at_s + 60.0)
    straight = drive(stand, after, _LOST).go(at_s + 60.0)
    _conserved(other.model)
    for mine, theirs in zip(other.model._pool.standing()[:2], straight.model._pool.standing()[:2], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(other.model._selling.vcpus, straight.model._selling.vcpus)
    np.testing.assert_array_equal(other.model.rack_power_w, straight.model.rack_power_w)
    assert not other.model._pool.pods[:, slices.MIGRATED].any()
    # What has failed by then has failed for the new pod too.
    assert (other.model._pool.open_devices == straight.model._pool.open_devices).all()
    tables = other.go(SPAN_S).tables()
    assert tables["memory_hosts"]["t_s"][0] == at_s + tables["memory_hosts"]["span_s"][0] == at_s + 300.0
    np.testing.assert_array_equal(
        tables["memory_hosts"].filter(pl.col("t_s") > at_s + 300.0)["demand_bytes"],
        straight.go(SPAN_S).tables()["memory_hosts"].filter(pl.col("t_s") > at_s + 300.0)["demand_bytes"],
    )


def test_devices_of_another_size_are_another_pod(drive: Drive, steady: Make) -> None:
    kept = drive(steady(8), SMALL).go(300.0, keep=(300.0,)).snapshots[300.0]
    larger = drive(steady(8), TopologyAction(SMALL.pod, 2 * SMALL.device_bytes), (), kept).go(310.0).model
    assert larger.observe().device_slices[0] == 512
    assert larger.observe().used_slices.sum() == 91 * 4


# -- faults ---------------------------------------------------------------------------


def test_a_lost_device_loses_what_lay_there_and_its_capacity_until_it_is_back(drive: Drive, steady: Make) -> None:
    fault = Fault(kind="cxl_device_loss", target="device-1", from_s=300.0, until_s=600.0)
    run = drive(steady(16), SMALL, (fault,)).go(300.0)
    held, power_w = int(run.model._pool.used[0]), run.model.rack_power_w.sum()
    assert held > 0
    run.go(310.0)
    _conserved(run.model)
    assert run.model.observe().device_slices[0] == run.model._pool.used[0] == 0
    assert run.model._pool.used.sum() == 91 * 8
    assert run.model.rack_power_w.sum() < power_w
    run.go(900.0)
    assert run.model.observe().device_slices[0] == 256
    assert run.model.rack_power_w.sum() == pytest.approx(power_w)
    tables = run.tables()
    devices = tables["memory_devices"].filter(pl.col("device_id") == "device-1")
    assert devices["capacity_bytes"].to_list() == [256 * GIB, 0, 256 * GIB]
    assert tables["memory_pool"]["lost_bytes"].sum() == held * GIB
    told = tables["events"].filter(pl.col("entity_id") == "device-1").select("t_s", "kind", "value").rows()
    hosts = 4
    assert told == [
        (300.0, "cxl_device_loss", 1.0),
        (300.0, "vms_hit", float(hosts)),
        (300.0, "memory_lost_bytes", float(held * GIB)),
        (600.0, "cxl_device_loss", 0.0),
    ]


def test_a_lost_link_takes_one_device_from_one_host(drive: Drive, steady: Make) -> None:
    fault = Fault(kind="cxl_link_loss", target="host-3/port-2", from_s=300.0)
    run = drive(steady(16), SMALL, (fault,)).go(320.0)
    _conserved(run.model)
    assert run.model._pool.links[2, 1] == 0
    assert run.model._pool.links[2, [0, 2, 3]].sum() == 8
    assert run.model._pool.open_devices.all()


def test_a_lost_switch_takes_its_devices_from_every_host(drive: Drive, steady: Make) -> None:
    fault = Fault(kind="cxl_switch_loss", target="switch-2", from_s=300.0)
    run = drive(steady(16), TopologyAction(switched(24, 8, 32), 64 * GIB), (fault,)).go(320.0)
    _conserved(run.model)
    lost = np.flatnonzero(~run.model._pool.open_devices)
    np.testing.assert_array_equal(lost, np.arange(8, 16))
    assert not run.model._pool.used[lost].any()


def test_a_cable_to_a_switch_takes_the_way_to_all_devices_behind_it(drive: Drive, steady: Make) -> None:
    fault = Fault(kind="cxl_link_loss", target="host-25/port-8", from_s=0.0)
    run = drive(steady(16), TopologyAction(switched(24, 8, 32), 64 * GIB), (fault,)).go(20.0)
    assert not run.model._pool.open_links[24, 56:].any()
    assert run.model._pool.open_links[24, :56].all()
    assert run.model._pool.open_links[25].all()


def test_what_a_pod_does_not_have_cannot_fail_and_an_event_says_so(drive: Drive, steady: Make) -> None:
    faults = (
        Fault(kind="cxl_device_loss", target="device-92", from_s=100.0),
        Fault(kind="cxl_switch_loss", target="switch-1", from_s=100.0),
        Fault(kind="cxl_link_loss", target="host-1/port-5", from_s=100.0),
        Fault(kind="cxl_link_loss", target="host-96/port-1", from_s=100.0, until_s=200.0),
    )
    run, plain = drive(steady(16), SMALL, faults).go(600.0), drive(steady(16), SMALL).go(600.0)
    tables, without = run.tables(), plain.tables()
    assert tables["events"]["kind"].to_list() == ["no_such_device", "no_such_switch", "no_such_link", "no_such_link"]
    for name, frame in without.items():
        assert tables[name].equals(frame), name


def test_slices_that_find_no_room_after_a_fault_lie_on_their_host(drive: Drive, steady: Make) -> None:
    # 8 of 16 GiB are pooled on four devices of 8 GiB that four hosts share each: full to the last slice.
    faults = [Fault(kind="cxl_device_loss", target=f"device-{n}", from_s=300.0) for n in (1, 2, 3)]
    run = drive(steady(16), TopologyAction(block_design(13, 4), 8 * GIB), faults)
    run.migrate = True
    run.go(400.0)
    _conserved(run.model)
    hosts = run.model._pool.hosts
    assert hosts[:13, slices.OVERFLOWN].sum() == 3 * 8
    assert not hosts[13:, slices.OVERFLOWN].any()
    # What lies on the host itself is not waited for.
    spilled = hosts[:91, slices.OVERFLOWN] / 16
    np.testing.assert_allclose(run.model.slowdown[:91], 0.2 * (0.5 - spilled) * (267.0 / 115.0 - 1.0), atol=1e-9)
    overflow = run.tables()["events"].filter(pl.col("kind") == "pool_overflow")
    assert set(overflow["entity_id"]) == {"pod-1"}
    assert overflow["value"].sum() == 3 * 8 * GIB


def test_observations_cannot_be_written_to(drive: Drive, steady: Make) -> None:
    seen = drive(steady(8), SMALL).go(10.0).model.observe()
    assert seen.device_ids[0] == "device-1"
    assert seen.host_pooled_bytes[0] == 4 * GIB
    with pytest.raises(ValueError, match="read-only"):
        seen.used_slices[0] = 1


def test_vms_of_no_memory_are_no_trouble(fleet: Fleet) -> None:
    one = np.ones(1, dtype=np.int64)
    model = Model(Settings(), fleet, HostVms(0 * one, one, np.ones(1)), 40, ())
    model.build(SMALL)
    model.stand(0 * one, 0 * one)
    none = np.zeros(0, dtype=np.int64)
    model.advance(10.0, HostEvents(np.zeros(0), none, none, none.astype(np.bool_)), least_loaded, PoolAction(np.zeros(91), False))
    assert not model.slowdown.any()

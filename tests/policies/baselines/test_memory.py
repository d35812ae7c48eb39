"""The plain holders of memory: no pool, fully connected, behind switches, least loaded."""

import numpy as np
import pytest

from policies.baselines.memory import BASELINES
from policies.catalogue import card
from twin.memory.demand import HostEvents, HostVms, PastDemand
from twin.memory.levers import PoolObservation, TopologyObservation
from twin.memory.settings import Settings

GIB = 1 << 30


def seen(hosts, **settings):
    """Return hosts with one VM each that stands all day; the VM of host h has 4 GiB and as many more as h."""
    gib = 4 + np.arange(hosts, dtype=np.int64)
    number = np.arange(hosts, dtype=np.int64)
    events = HostEvents(np.zeros(hosts), number, number, np.ones(hosts, dtype=np.bool_))
    past = PastDemand(hosts, HostVms(gib * GIB, np.ones(hosts, dtype=np.int64), np.zeros(hosts)), events, 86_400.0)
    return TopologyObservation(
        tuple(f"host-{each}" for each in number), np.zeros(hosts, dtype=np.int64), Settings(**settings), lambda: past
    )


def designed(system_id, around, hosts=16, knobs=None, **settings):
    system = card(system_id)
    return system.build(system.knobs.model_validate(knobs or {}), around).design(seen(hosts, **settings))


def test_no_pool_is_no_pod(around):
    assert designed("none", around).pod is None


@pytest.mark.parametrize("hosts", [2, 4, 8])
def test_a_fully_connected_pod_has_as_many_hosts_as_a_device_has_ports(around, hosts):
    pod = designed("fully_connected", around, knobs={"hosts": hosts}).pod
    assert pod.hosts == pod.device_ports == hosts
    assert pod.incidence.all()


def test_behind_switches_every_host_reaches_every_device(around):
    pod = designed("switch", around, hosts=30).pod
    assert (pod.hosts, pod.switches, pod.devices) == (24, 8, 64)
    assert pod.incidence.all()


def test_devices_hold_what_each_pod_asked_before_with_headroom(around):
    # Half of 4 to 11 GiB: 48 slices with those of half a slice rounded up; over 8 devices with no headroom 6 each.
    action = designed("fully_connected", around, knobs={"headroom_share": 0.0})
    slices = np.floor(0.5 * (4 + np.arange(16)) + 0.5).reshape(2, 8).sum(axis=1)
    assert action.device_bytes == tuple(int(np.ceil(each / 8)) * GIB for each in slices)
    larger = designed("fully_connected", around, knobs={"headroom_share": 0.5})
    assert all(ample > plain for ample, plain in zip(larger.device_bytes, action.device_bytes, strict=True))


def test_where_hosts_are_alike_so_are_devices(around):
    own, alike = (designed("fully_connected", around, saving_against=name) for name in ("sum_of_peaks", "uniform_sku"))
    assert alike.device_bytes == max(own.device_bytes)


@pytest.mark.parametrize("system_id", ["fully_connected", "switch"])
def test_a_site_with_too_few_hosts_gets_no_pod_and_is_told_why(around, system_id):
    action = designed(system_id, around, hosts=3)
    assert action.pod is None
    assert "the site has 3 hosts" in action.why


def test_a_switch_without_a_port_left_is_refused(around):
    with pytest.raises(ValueError, match="none left for devices"):
        designed("switch", around, hosts=30, knobs={"hosts": 24, "switch_ports": 24})


def test_the_least_loaded_device_is_filled_and_nothing_moved(around):
    holder = card("least_loaded").build(card("least_loaded").knobs(), around)
    used, room = np.array([4, 2, 3], dtype=np.int64), np.array([9, 9, 9], dtype=np.int64)
    assert holder.pick(np.array([0, 1, 2], dtype=np.int64), used, room, np.zeros(3)) == 1
    now = PoolObservation(0.0, ("device-1", "device-2", "device-3"), used, room, np.zeros(1))
    action = holder.refresh(now)
    assert not action.migrate
    assert action.score.shape == (3,)


def test_the_default_holders_are_no_pool_and_least_loaded():
    assert {system.id for system in BASELINES} == {"none", "fully_connected", "switch", "least_loaded"}

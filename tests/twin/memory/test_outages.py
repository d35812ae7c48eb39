"""Faults of the pool: what they may be called and what they take away."""

import numpy as np
import pytest

from twin.faults import Fault
from twin.memory.blocks import block_design
from twin.memory.outages import DEVICE, LINK, SWITCH, Outages, Place, check, exists, lost
from twin.memory.plain import switched
from twin.memory.tiling import Tiling

HOSTS = tuple(f"host-{n}" for n in range(1, 31))
TWO = Tiling(block_design(13, 4), 30)


def fault(kind: str, target: str, from_s: float = 0.0, **more: float) -> Fault:
    return Fault(kind=kind, target=target, from_s=from_s, **more)


def test_targets_are_read_as_they_are_written() -> None:
    faults = [fault(LINK, "host-3/port-2"), fault(DEVICE, "device-7"), fault(SWITCH, "switch-1")]
    places = check(faults, HOSTS)
    assert places == [Place(LINK, 2, 1), Place(DEVICE, 6), Place(SWITCH, 0)]
    assert [place.name for place in places] == [each.target for each in faults]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (fault(LINK, "host-31/port-1"), "'host-31/port-1' names no port of a host; write one such as host-1/port-1"),
        (fault(LINK, "host-3"), "'host-3' names no port of a host"),
        (fault(LINK, "host-3/port-0"), "'host-3/port-0' names no port of a host"),
        (fault(DEVICE, "switch-1"), "'switch-1' is no device; write one such as device-7"),
        (fault(DEVICE, "device-0"), "'device-0' is no device"),
        (fault(SWITCH, "switch-x"), "'switch-x' is no switch; write one such as switch-1"),
        (fault(DEVICE, "device-1", severity=0.5), "severity is 0.5; a cable, device or switch is lost whole"),
        (fault("ups_loss", "ups-1"), "'ups_loss' is not of the memory pool; it is one of cxl_link_loss, cxl_device_loss, cxl_switch_loss"),
    ],
)
def test_what_no_pod_could_have_is_refused_in_one_line(wrong: Fault, says: str) -> None:
    with pytest.raises(ValueError, match=r"^faults: ") as told:
        check([wrong], HOSTS)
    assert says in str(told.value)
    assert "\n" not in str(told.value)


def test_what_there_is_depends_on_the_pod() -> None:
    there = [Place(DEVICE, 25), Place(LINK, 25, 3)]
    absent = [Place(DEVICE, 26), Place(LINK, 25, 4), Place(LINK, 26, 0), Place(SWITCH, 0)]
    assert all(exists(place, TWO) for place in there)
    assert not any(exists(place, TWO) for place in absent)
    assert not any(exists(place, Tiling(None, 30)) for place in there + absent)
    assert exists(Place(SWITCH, 7), Tiling(switched(24, 8, 32), 30))
    assert not exists(Place(SWITCH, 8), Tiling(switched(24, 8, 32), 30))


def test_a_device_of_the_second_pod_is_lost_there() -> None:
    links, devices = lost([Place(DEVICE, 14), Place(LINK, 15, 2)], TWO)
    np.testing.assert_array_equal(np.flatnonzero(devices), [14])
    np.testing.assert_array_equal(np.argwhere(links), [[15, 2]])


def test_switches_of_the_second_pod_are_its_own() -> None:
    tiling = Tiling(switched(24, 8, 32), 48)
    links, devices = lost([Place(SWITCH, 9), Place(LINK, 30, 0)], tiling)
    np.testing.assert_array_equal(np.flatnonzero(devices), 64 + np.arange(8, 16))
    np.testing.assert_array_equal(tiling.reach[30][links[30]], 64 + np.arange(8))
    assert links.sum() == 8


def test_edges_pass_once_in_their_order_and_repairs_come_first() -> None:
    faults = [fault(DEVICE, "device-1", 10.0, until_s=20.0), fault(DEVICE, "device-2", 20.0), fault(DEVICE, "device-99", 5.0)]
    outages = Outages(faults, HOSTS)
    assert [edge.place for edge in outages.passed(5.0, TWO)] == [None]
    assert [(edge.t_s, edge.begins) for edge in outages.passed(15.0, TWO)] == [(10.0, True)]
    assert outages.on(TWO) == [Place(DEVICE, 0)]
    assert [(edge.fault.target, edge.begins) for edge in outages.passed(30.0, TWO)] == [("device-1", False), ("device-2", True)]
    assert outages.on(TWO) == [Place(DEVICE, 1)]
    assert not list(outages.passed(99.0, TWO))


def test_what_was_due_at_a_snapshot_is_due_after_it() -> None:
    outages = Outages([fault(DEVICE, "device-1", 10.0), fault(DEVICE, "device-2", 20.0)], HOSTS)
    outages.resume(20.0)
    assert outages.on(TWO) == [Place(DEVICE, 0)]
    assert [edge.fault.target for edge in outages.passed(20.0, TWO)] == ["device-2"]


def test_two_faults_on_one_device_end_when_both_have() -> None:
    faults = [fault(DEVICE, "device-1", 10.0, until_s=20.0), fault(DEVICE, "device-1", 15.0, until_s=40.0)]
    outages = Outages(faults, HOSTS)
    assert len(list(outages.passed(30.0, TWO))) == 3
    assert outages.on(TWO) == [Place(DEVICE, 0)]

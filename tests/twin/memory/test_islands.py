"""Islands of hosts, tied together by devices outside."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.memory import blocks
from twin.memory.islands import islands, why_not
from twin.memory.pods import NO_ISLAND
from twin.memory.reach import reach_of


def test_the_pod_of_the_paper_has_six_islands_and_72_devices_outside() -> None:
    """Octopus-96 (facts, octopus_cxl): 96 hosts x 8 ports, 192 devices; a host meets 15 on its island and 9 outside."""
    pod = islands(6, 16, 4, 3)
    assert (pod.name, pod.hosts, pod.host_ports, pod.devices, pod.device_ports) == ("islands-96x8n4", 96, 8, 192, 4)
    assert int((pod.device_islands == NO_ISLAND).sum()) == 72
    reach = reach_of(pod)
    same = pod.host_islands[:, None] == pod.host_islands
    met = reach.hops == 1
    assert set((met & same).sum(axis=1).tolist()) == {15}
    assert set((met & ~same).sum(axis=1).tolist()) == {9}
    assert reach.one_hop_share == pytest.approx(0.253, abs=0.001)
    assert reach.two_hop_share == pytest.approx(0.998, abs=0.002)
    assert reach.expansion == pytest.approx(0.831, abs=0.01)


_SHAPES = [(v, k) for v, k in blocks.CONSTRUCTIONS if v <= 28]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(_SHAPES), st.integers(1, 8), st.integers(0, 4), st.integers(0, 100))
def test_islands_are_refused_or_tied_by_devices_that_join_different_ones(
    shape: tuple[int, int], count: int, outside: int, seed: int
) -> None:
    size, device_ports = shape
    if why_not(count, size, device_ports, outside):
        with pytest.raises(ValueError, match="islands: "):
            islands(count, size, device_ports, outside, seed)
        return
    pod = islands(count, size, device_ports, outside, seed)
    linked = pod.incidence
    overlap = linked.astype(int) @ linked.T.astype(int)
    off = ~np.eye(pod.hosts, dtype=bool)
    same = pod.host_islands[:, None] == pod.host_islands
    assert set(overlap[same & off].tolist()) == {1}
    assert overlap[off].max() == 1
    for device in range(pod.devices):
        on = pod.host_islands[linked[:, device]]
        assert len(on) == device_ports
        if pod.device_islands[device] == NO_ISLAND:
            assert len(set(on.tolist())) == device_ports
        else:
            assert set(on.tolist()) == {int(pod.device_islands[device])}
    assert set(linked[:, pod.device_islands == NO_ISLAND].sum(axis=1).tolist()) == {outside}
    assert np.bincount(pod.host_islands).tolist() == [size] * count


@pytest.mark.parametrize(
    ("count", "size", "device_ports", "outside", "reason"),
    [
        (6, 15, 4, 3, "an island of 15 hosts: a host meets 14 others"),
        (6, 16, 4, 0, "leave a port outside"),
        (5, 13, 4, 3, "65 hosts x 3 ports outside are no multiple of 4"),
        (3, 16, 4, 4, "a device outside joins 4 islands, but there are only 3"),
        (3, 7, 3, 7, "a host would meet 14 of 14 hosts on other islands"),
    ],
)
def test_what_cannot_be_tied_is_refused_with_the_reason(count: int, size: int, device_ports: int, outside: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        islands(count, size, device_ports, outside)


def test_a_seed_ties_the_same_islands_always_and_another_seed_others() -> None:
    """The bytes are those that stored runs were made with: a change here changes the runs of these pods."""
    pod = islands(6, 16, 4, 3)
    assert np.array_equal(pod.reach, islands(6, 16, 4, 3).reach)
    assert hashlib.sha256(pod.reach.astype("<i8").tobytes()).hexdigest()[:16] == "5d83de22e550f7f6"
    other = islands(6, 16, 4, 3, 2)
    assert not np.array_equal(pod.reach, other.reach)
    assert other.name == "islands-96x8n4-s2"


def test_the_islands_themselves_are_their_block_design() -> None:
    pod, island = islands(6, 16, 4, 3), blocks.block_design(16, 4)
    for index in range(6):
        hosts, devices = pod.host_islands == index, pod.device_islands == index
        assert np.array_equal(pod.incidence[np.ix_(hosts, devices)], island.incidence)

"""One pod repeated over a fleet's hosts."""

import numpy as np
import pytest

from twin.memory.blocks import block_design
from twin.memory.plain import switched
from twin.memory.tiling import NONE, Tiling


def test_hosts_left_over_keep_to_themselves() -> None:
    tiling = Tiling(block_design(25, 4), 96)
    assert (tiling.pods, tiling.devices, tiling.switches) == (3, 150, 0)
    assert tiling.pooled.sum() == 75
    assert (tiling.host_pods[75:] == NONE).all()
    assert (tiling.reach[75:] == NONE).all()
    assert tiling.pod_ids == ("pod-1", "pod-2", "pod-3")
    assert tiling.device_ids[-1] == "device-150"


def test_every_pod_is_wired_alike_to_devices_of_its_own() -> None:
    pod = block_design(13, 4)
    tiling = Tiling(pod, 40)
    for number in range(3):
        hosts = np.flatnonzero(tiling.host_pods == number)
        np.testing.assert_array_equal(tiling.reach[hosts] - number * 13, pod.reach)


def test_watts_of_devices_are_shared_by_the_hosts_that_reach_them() -> None:
    tiling, random = Tiling(block_design(13, 4), 30), np.random.default_rng(1)
    watts = random.uniform(5.0, 30.0, tiling.devices)
    by_host = tiling.by_host(watts)
    assert by_host.sum() == pytest.approx(watts.sum())
    np.testing.assert_array_equal(by_host[26:], 0.0)
    assert by_host[0] == pytest.approx(watts[tiling.reach[0]].sum() / 4)


def test_devices_hang_on_switches_of_their_own_pod() -> None:
    tiling = Tiling(switched(24, 8, 32), 50)
    np.testing.assert_array_equal(np.bincount(tiling.device_switches), np.full(16, 8))
    assert tiling.device_switches[64] == 8


def test_no_pod_is_no_devices() -> None:
    tiling = Tiling(None, 5)
    assert (tiling.pods, tiling.devices, tiling.switches) == (0, 0, 0)
    assert tiling.reach.shape == (5, 0)
    assert not tiling.pooled.any()
    np.testing.assert_array_equal(tiling.by_host(np.zeros(0)), np.zeros(5))


def test_a_pod_larger_than_the_fleet_is_refused() -> None:
    with pytest.raises(ValueError, match=r"pod_topology: pod block-design-25x8n4 has 25 hosts and the fleet 24; choose a smaller pod"):
        Tiling(block_design(25, 4), 24)

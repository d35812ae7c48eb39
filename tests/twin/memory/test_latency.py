"""Latencies of pooled memory, calls over it, and what they slow."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.memory import designs, latency
from twin.memory.pods import Pod


def test_latencies_are_those_that_are_remembered_of_the_paper() -> None:
    assert latency.local_s() == 115e-9
    assert [latency.device_s(ports) for ports in (1, 2, 4)] == [233e-9, 250e-9, 267e-9]
    assert 490e-9 <= latency.switch_s() <= 600e-9
    assert latency.bounds_s("switch_s") == (490e-9, 600e-9)
    assert latency.bounds_s("rpc_rdma_s") == (3.5e-6, 3.5e-6)


def test_more_ports_are_slower_and_a_switch_is_slowest() -> None:
    rising = [latency.local_s(), *(latency.device_s(ports) for ports in range(1, 33)), latency.switch_s()]
    assert (np.diff(rising) > 0).all()


@pytest.mark.parametrize(
    ("built", "expected_ns", "strength"),
    [
        (lambda: designs.parse("islands-96x8n4").build(), 267, "memory"),
        (lambda: designs.fully_connected(8, 8), 284, "fitted"),
        (lambda: designs.parse("block-design-13x6n3").build(), 260, "fitted"),
        (lambda: designs.switched(24, 8, 32), 545, "memory"),
    ],
)
def test_a_pod_answers_as_its_devices_do(built: Callable[[], Pod], expected_ns: int, strength: str) -> None:
    pod = built()
    assert round(1e9 * latency.access_s(pod)) == expected_ns
    assert latency.access_strength(pod) == strength


def test_a_call_takes_four_accesses_and_is_faster_than_the_network_and_a_switch() -> None:
    """1.2 microseconds are remembered; the published ratios (3.2 and 2.4) are not built in, ours are what our latencies give."""
    assert latency.rpc_s() == pytest.approx(4 * 267e-9 + 130e-9) == pytest.approx(1.2e-6, rel=0.01)
    assert latency.rpc_rdma_s() / latency.rpc_s() == pytest.approx(2.92, abs=0.01)
    assert latency.rpc_switch_s() / latency.rpc_s() == pytest.approx(1.93, abs=0.01)
    assert latency.rpc_switch_s() == latency.rpc_s(1, latency.switch_s())


def test_each_hop_adds_a_call_and_a_host_that_passes_it_on() -> None:
    steps = np.diff([latency.rpc_s(hops) for hops in (1, 2, 3, 4)])
    np.testing.assert_allclose(steps, latency.rpc_s() + 300e-9)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(115e-9, 1e-6), st.floats(1e-9, 1e-6))
def test_slowing_grows_with_latency_and_with_what_is_pooled(bound: float, pooled: float, access_s: float, more_s: float) -> None:
    slowed = latency.slowdown_share(np.array([bound]), pooled, access_s)[0]
    assert slowed >= 0
    assert latency.slowdown_share(np.array([bound]), pooled, access_s + more_s)[0] >= slowed
    assert latency.slowdown_share(np.array([bound]), 0.0, access_s)[0] == 0
    assert latency.slowdown_share(np.array([0.0]), pooled, access_s)[0] == 0
    assert slowed <= bound * (access_s / latency.local_s() - 1) + 1e-12


def test_work_that_only_waits_for_memory_takes_as_much_longer_as_the_memory() -> None:
    slowed = latency.slowdown_share(np.array([0.0, 0.5, 1.0]), np.array([1.0, 1.0, 1.0]), 2 * latency.local_s())
    np.testing.assert_allclose(slowed, [0.0, 0.5, 1.0])

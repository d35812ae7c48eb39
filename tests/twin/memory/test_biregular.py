"""Random pods in which two hosts share at most one device."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin import chance
from twin.memory.biregular import TIGHTEST_SHARE, biregular, why_not
from twin.memory.packing import packed
from twin.memory.reach import reach_of


@pytest.mark.parametrize(("hosts", "one_hop", "two_hop", "expansion"), [(64, 24 / 63, 1.0, 0.690), (96, 24 / 95, 0.999, 0.719)])
def test_drawn_pods_reach_and_expand_as_the_prototype_measured(hosts: int, one_hop: float, two_hop: float, expansion: float) -> None:
    """Facts, octopus_cxl: rand64 and rand96 with 8 ports a host and 4 a device; another draw differs in the second digit."""
    for seed in (1, 2, 3):
        reach = reach_of(biregular(hosts, 8, 4, seed))
        assert reach.one_hop_share == pytest.approx(one_hop)
        assert reach.two_hop_share == pytest.approx(two_hop, abs=0.003)
        assert reach.expansion == pytest.approx(expansion, abs=0.03)


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 120), st.integers(1, 10), st.integers(1, 6), st.integers(0, 1000))
def test_a_pod_is_refused_or_drawn_without_four_cycles(hosts: int, host_ports: int, device_ports: int, seed: int) -> None:
    reason = why_not(hosts, host_ports, device_ports)
    if reason:
        with pytest.raises(ValueError, match="biregular pod of"):
            biregular(hosts, host_ports, device_ports, seed)
        return
    pod = biregular(hosts, host_ports, device_ports, seed)
    linked = pod.incidence.astype(int)
    overlap = linked @ linked.T
    assert overlap[~np.eye(hosts, dtype=bool)].max() <= 1
    assert set(linked.sum(axis=1).tolist()) == {host_ports}
    assert set(linked.sum(axis=0).tolist()) == {device_ports}
    assert pod.hosts * pod.host_ports == pod.devices * pod.device_ports


@pytest.mark.parametrize(("host_ports", "device_ports"), [(4, 2), *((x, n) for x in (4, 8) for n in TIGHTEST_SHARE if n > 2)])
def test_the_tightest_pod_that_is_offered_is_found(host_ports: int, device_ports: int) -> None:
    offered = (hosts for hosts in range(3, 513) if not why_not(hosts, host_ports, device_ports))
    hosts = next(offered)
    assert biregular(hosts, host_ports, device_ports, 4).hosts == hosts


@pytest.mark.parametrize(
    ("hosts", "host_ports", "device_ports", "reason"),
    [
        (24, 8, 4, "a host meets 24 others on its 8 devices, but there are only 23"),
        (8, 2, 4, "the hosts of a device reach 4 other devices, but there are only 3"),
        (25, 8, 4, "too near to a block design"),
        (97, 7, 4, "no multiple of 4"),
        (96, 8, 2, "two-port pods of more than 9 hosts expand too poorly"),
        (96, 8, 9, "2 to 8 ports a device"),
        (4, 3, 4, "fewer than hosts"),
    ],
)
def test_what_counting_forbids_is_refused_with_the_count(hosts: int, host_ports: int, device_ports: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        biregular(hosts, host_ports, device_ports)


def test_two_port_pods_of_many_hosts_expand_too_poorly_indeed() -> None:
    """Why they are refused: facts give an expansion of .90 for 96 hosts of 8 ports on two-port devices, against .72 on four ports."""
    members = packed(np.zeros((96, 96), dtype=np.int64), 8, 2, chance.stream(1, "test"))
    assert members is not None
    linked = np.zeros((96, len(members)))
    linked[members, np.arange(len(members))[:, None]] = 1
    first, second = np.linalg.svd(linked, compute_uv=False)[:2]
    assert second / first == pytest.approx(0.90, abs=0.02)
    assert second / first > reach_of(biregular(96, 8, 4)).expansion + 0.15


def test_a_seed_draws_the_same_pod_always_and_another_seed_another() -> None:
    """The bytes are those that stored runs were made with: a change here changes the runs of every drawn pod."""
    pod = biregular(64, 8, 4)
    assert np.array_equal(pod.reach, biregular(64, 8, 4).reach)
    assert hashlib.sha256(pod.reach.astype("<i8").tobytes()).hexdigest()[:16] == "9b5cf7154b433075"
    assert not np.array_equal(pod.reach, biregular(64, 8, 4, 2).reach)
    assert biregular(64, 8, 4, 2).name == "biregular-64x8n4-s2"


@pytest.mark.parametrize(("hosts", "ports", "device_ports"), [(7, 4, 3), (6, 2, 4)])
def test_a_packing_that_cannot_be_is_given_up(hosts: int, ports: int, device_ports: int) -> None:
    """Seven hosts meet six others, not eight; four hosts of one device meet on three devices at least."""
    assert packed(np.zeros((hosts, hosts), dtype=np.int64), ports, device_ports, chance.stream(1, "test")) is None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_hosts_that_met_before_are_kept_apart(seed: int) -> None:
    met = (np.arange(40)[:, None] // 10 == np.arange(40) // 10).astype(np.int64)
    before = met.copy()
    members = packed(met, 3, 4, chance.stream(seed, "test"))
    assert members is not None
    assert np.array_equal(met, before)
    assert all(len({host // 10 for host in hosts}) == 4 for hosts in members.tolist())

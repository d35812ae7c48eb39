"""Block designs: their published parameters, and the laws of all of them."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.memory import blocks
from twin.memory.pods import NO_ISLAND
from twin.memory.reach import reach_of

# (v, k, r, b) of 2-(v, k, 1) designs as listed by Mathon and Rosa in the Handbook of Combinatorial Designs, table II.1.1.
_LISTED = (
    (7, 3, 3, 7),
    (9, 3, 4, 12),
    (13, 4, 4, 13),
    (13, 3, 6, 26),
    (16, 4, 5, 20),
    (15, 3, 7, 35),
    (21, 5, 5, 21),
    (25, 5, 6, 30),
    (31, 6, 6, 31),
    (25, 4, 8, 50),
    (57, 8, 8, 57),
    (49, 7, 8, 56),
    (19, 3, 9, 57),
    (28, 4, 9, 63),
    (64, 8, 9, 72),
    (37, 4, 12, 111),
    (40, 4, 13, 130),
)


@pytest.mark.parametrize(("v", "k", "r", "b"), _LISTED)
def test_a_design_has_the_parameters_that_are_published(v: int, k: int, r: int, b: int) -> None:
    pod = blocks.block_design(v, k)
    assert (pod.hosts, pod.device_ports, pod.host_ports, pod.devices) == (v, k, r, b)
    assert pod.name == f"block-design-{v}x{r}n{k}"


def test_every_listed_design_is_built_and_no_other() -> None:
    assert set(blocks.CONSTRUCTIONS) == {(v, k) for v, k, _, _ in _LISTED}


@pytest.mark.parametrize(("v", "k"), blocks.CONSTRUCTIONS)
def test_any_two_hosts_share_exactly_one_device(v: int, k: int) -> None:
    """Counted from the members of each device, not with the pod's own overlap."""
    pod = blocks.block_design(v, k)
    pairs = Counter(
        (one, other)
        for device in range(pod.devices)
        for one, other in product(np.flatnonzero(pod.incidence[:, device]).tolist(), repeat=2)
        if one < other
    )
    assert len(pairs) == v * (v - 1) // 2
    assert set(pairs.values()) == {1}
    assert pod.hosts * pod.host_ports == pod.devices * pod.device_ports
    assert set(pod.incidence.sum(axis=0).tolist()) == {k}
    assert set(pod.host_islands.tolist()) == set(pod.device_islands.tolist()) == {NO_ISLAND}


@pytest.mark.parametrize(("v", "k"), blocks.CONSTRUCTIONS)
def test_a_design_expands_as_its_overlap_says(v: int, k: int) -> None:
    """The overlap is (r - 1) I + J: its eigenvalues are r k, once, and r - 1."""
    r = blocks.host_ports_of(v, k)
    assert reach_of(blocks.block_design(v, k)).expansion == pytest.approx(((r - 1) / (r * k)) ** 0.5)


@pytest.mark.parametrize(("modulus", "k"), [(7, 3), (13, 3), (19, 3), (13, 4), (37, 4)])
def test_a_cyclic_design_stays_itself_when_each_host_moves_on_by_one(modulus: int, k: int) -> None:
    pod = blocks.block_design(modulus, k)
    members = [np.flatnonzero(pod.incidence[:, device]) for device in range(pod.devices)]
    moved = {tuple(sorted(((block + 1) % modulus).tolist())) for block in members}
    assert moved == {tuple(block.tolist()) for block in members}


@pytest.mark.parametrize(("k", "modulus", "residues"), [(3, 6, {1, 3}), (4, 12, {1, 4}), (5, 20, {1, 5})])
def test_counting_forbids_just_what_hanani_says(k: int, modulus: int, residues: set[int]) -> None:
    """For k = 3, 4 and 5 a 2-(v, k, 1) design exists if and only if v (v - 1) and v - 1 divide (Kirkman 1847; Hanani 1961, 1972)."""
    allowed = {v for v in range(k * k - k + 1, 200) if not _forbidden(v, k)}
    assert allowed == {v for v in range(k * k - k + 1, 200) if v % modulus in residues}


def _forbidden(v: int, k: int) -> bool:
    reason = blocks.why_not(v, k)
    return bool(reason) and not reason.endswith("is built in")


@pytest.mark.parametrize(
    ("v", "k", "reason"),
    [
        (24, 4, "23 is no multiple of 3"),
        (19, 4, "pairs of hosts do not fill whole devices"),
        (16, 6, "Fisher"),
        (43, 7, "no projective plane of order 6"),
        (36, 6, "no affine plane of order 6"),
        (61, 5, "no construction for 61 hosts"),
        (4, 4, "more hosts than that"),
    ],
)
def test_what_is_no_design_is_refused_with_the_law_it_breaks(v: int, k: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        blocks.block_design(v, k)


@settings(max_examples=200, deadline=None)
@given(st.integers(-3, 400), st.integers(-3, 40))
def test_a_design_is_built_or_refused_in_one_line(v: int, k: int) -> None:
    reason = blocks.why_not(v, k)
    assert bool(reason) == ((v, k) not in blocks.CONSTRUCTIONS)
    assert "\n" not in reason


def test_a_construction_that_fails_is_not_handed_out() -> None:
    """One cable of (7, 3) moved, so that two hosts share two devices; and one host with a port too many."""
    members = blocks.develop((7,), ((0, 1, 3),))
    twice = members.copy()
    twice[0], twice[1] = members[1], members[1]
    with pytest.raises(ValueError, match="correct the construction"):
        blocks.wired("broken", "block_design", twice)
    crooked = members.copy()
    one, other = crooked[0, 0], crooked[-1, -1]
    assert one != other
    crooked[0, 0], crooked[-1, -1] = other, one
    with pytest.raises(ValueError, match="share"):
        blocks.wired("crooked", "block_design", crooked)


def test_a_pod_cannot_be_rewired_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        blocks.block_design(13, 4).reach[0, 0] = 5

"""Hops, expansion and blast of pods."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import shortest_path

from twin.memory import designs
from twin.memory.reach import BEYOND, hops_of, reach_of


@pytest.mark.parametrize("design", designs.BUILT_IN, ids=lambda design: design.name)
def test_hops_are_the_shortest_paths_over_shared_devices(design: designs.Design) -> None:
    pod = design.build()
    paths = shortest_path(pod.overlap > 0, unweighted=True)
    assert np.array_equal(reach_of(pod).hops, np.minimum(paths, BEYOND))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.integers(1, 10), st.floats(0.05, 0.6), st.integers(0, 10_000))
def test_hops_of_any_incidence_are_shortest_paths(hosts: int, devices: int, density: float, seed: int) -> None:
    """Incidences with devices lost too: hosts that nothing ties together are beyond."""
    incidence = np.random.default_rng(seed).random((hosts, devices)) < density
    shared = (incidence.astype(int) @ incidence.T.astype(int)) > 0
    paths = shortest_path(shared, unweighted=True)
    assert np.array_equal(hops_of(incidence), np.minimum(paths, BEYOND))


@pytest.mark.parametrize("design", designs.BUILT_IN, ids=lambda design: design.name)
def test_expansion_is_the_ratio_of_singular_values(design: designs.Design) -> None:
    pod = design.build()
    first, second, *_ = np.linalg.svd(pod.incidence.astype(float), compute_uv=False)
    assert reach_of(pod).expansion == pytest.approx(second / first, abs=1e-6)


def test_block_designs_reach_everybody_in_one_hop_and_a_random_pod_a_quarter() -> None:
    assert reach_of(designs.parse("block-design-25x8n4").build()).one_hop_share == 1.0
    reach = reach_of(designs.parse("biregular-96x8n4").build())
    assert reach.one_hop_share == pytest.approx(24 / 95)
    assert all(int(reach.one_hop_of(host).sum()) == 24 and not reach.one_hop_of(host)[host] for host in range(96))


@pytest.mark.parametrize(
    ("name", "blast", "links"),
    [("block-design-25x8n4", 4, 200), ("islands-96x8n4", 4, 768), ("fully-connected-8x8n8", 8, 64), ("switch-24x8n1-p32", 24, 256)],
)
def test_a_device_that_fails_hits_the_hosts_on_it_and_all_hosts_behind_switches(name: str, blast: int, links: int) -> None:
    """A switch pod of 24 hosts: 8 x 24 cables to hosts and 8 x 8 to devices."""
    reach = reach_of(designs.parse(name).build())
    assert (reach.blast_hosts, reach.links) == (blast, links)


def test_the_loss_of_one_device_takes_the_pairs_that_shared_it() -> None:
    """(25, 4, 1): one device is C(4, 2) = 6 of 300 pairs, 2 % (facts, octopus_cxl); they are two hops apart from then on."""
    incidence = designs.parse("block-design-25x8n4").build().incidence.copy()
    incidence[:, 17] = False
    hops = hops_of(incidence)
    assert int((np.triu(hops, 1) == 2).sum()) == 6
    assert hops.max() == 2

"""Swaps of hosts and devices: the same places, a lower cost, the same every time."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.memory import annealing


def ring(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Host i is cabled to devices i and i + 1."""
    hosts = np.arange(size)
    return np.stack([hosts, (hosts + 1) % size], axis=1), np.stack([hosts, (hosts - 1) % size], axis=1)


def total(host_units: np.ndarray, device_units: np.ndarray, of_host: np.ndarray, costs: np.ndarray) -> int:
    return int(costs[np.abs(host_units[:, None] - device_units[of_host])].sum())


def test_the_best_order_of_a_small_ring_is_found() -> None:
    """Against every order there is: 5 hosts and 5 devices, a unit each."""
    of_host, of_device = ring(5)
    costs = np.arange(10) ** 2
    best = min(
        total(np.array(hosts), np.array(devices), of_host, costs)
        for hosts in itertools.permutations(range(5))
        for devices in itertools.permutations(range(5))
    )
    host_units, device_units = np.arange(5), np.array([3, 0, 4, 1, 2])
    annealing.anneal(host_units, device_units, (of_host, of_device), costs, 20_000, 1)
    assert total(host_units, device_units, of_host, costs) == best


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 30), st.integers(0, 3), st.integers(0, 2**31 - 1))
def test_the_places_stay_the_same_and_the_seed_decides_who_has_which(size: int, per_unit_less_one: int, seed: int) -> None:
    of_host, of_device = ring(size)
    places = np.arange(size) // (per_unit_less_one + 1)
    found = []
    for _ in range(2):
        host_units, device_units = places.copy(), np.roll(places, size // 2)
        annealing.anneal(host_units, device_units, (of_host, of_device), np.arange(40), 2_000, seed)
        found.append((host_units, device_units))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(np.sort(found[0][0]), np.sort(places))
    np.testing.assert_array_equal(np.sort(found[0][1]), np.sort(places))


def test_cables_untangle() -> None:
    """A ring of 40 that is dealt out at random costs little more than one that is folded once."""
    of_host, of_device = ring(40)
    places, costs = np.arange(40) // 2, np.arange(40)
    folded = np.minimum(np.arange(40), 39 - np.arange(40))
    host_units, device_units = np.random.default_rng(3).permutation(places), np.random.default_rng(4).permutation(places)
    dealt = total(host_units, device_units, of_host, costs)
    annealing.anneal(host_units, device_units, (of_host, of_device), costs, 400_000, 1)
    assert total(host_units, device_units, of_host, costs) <= 1.2 * total(folded, folded, of_host, costs) < 0.2 * dealt

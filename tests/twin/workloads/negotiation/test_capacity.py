"""Who holds the cores of each pool."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.workloads.negotiation.capacity import Pools, holders
from twin.workloads.negotiation.treatments import HARVEST, MA, RIGHTSIZED, SPOT

Make = Callable[..., Any]


def _held(treated: Any, tenants: Any) -> dict[str, np.ndarray]:
    names = ("regular", "spot", "harvest", "reserve", "turned_away", "surplus", "evicted")
    held = holders(tenants, treated.pools, treated.vm, treated.granted, treated.size_share, treated.running, treated.moved)
    return dict(zip(names, held, strict=True))


def test_holders_are_counted_in_cores_of_their_own_pool(treated: Make, tenants_of: Make) -> None:
    tenants = tenants_of(6)
    pools = Pools(np.array([100.0, 64.0]), np.array([10.0, 8.0]), np.array([20.0, 4.0]))
    grants = [MA | RIGHTSIZED, SPOT, HARVEST, 0, HARVEST, 0]
    held = _held(treated(tenants, granted=grants, size_share=[0.5, 1, 1, 1, 2, 1], pools=pools), tenants)
    cores = tenants.cores
    assert held["regular"].tolist() == [10 + 0.5 * cores[0] + cores[3], 8 + 8]
    assert held["spot"].tolist() == [cores[1], 0]
    assert held["harvest"].tolist() == [2 * cores[4], 8]
    assert held["turned_away"].tolist() == [0, 0]
    assert held["surplus"].tolist() == [100 - 20 - held["regular"][0] - held["spot"][0] - held["harvest"][0], 64 - 4 - 24]


def test_customers_who_find_no_room_are_turned_away(treated: Make, tenants_of: Make) -> None:
    tenants = tenants_of(3)
    pools = Pools(np.array([20.0, 8.0]), np.array([5.0, 0.0]), np.array([10.0, 3.0]))
    held = _held(treated(tenants, pools=pools, granted=[SPOT, 0, 0]), tenants)
    left = 20.0 - 5.0 - tenants.cores[0] - tenants.cores[1]
    assert held["turned_away"].tolist() == [10.0 - left, 3.0]
    assert held["surplus"].tolist() == [0.0, 0.0]


def test_harvest_vms_that_have_grown_turn_nobody_away(treated: Make, tenants_of: Make) -> None:
    tenants = tenants_of(3)
    total = 5.0 + tenants.cores[0] + tenants.cores[1] + 10.0
    pools = Pools(np.array([total, 8.0]), np.array([5.0, 0.0]), np.array([10.0, 0.0]))
    held = _held(treated(tenants, pools=pools, granted=[HARVEST, 0, 0], size_share=[2.0, 1.0, 1.0]), tenants)
    assert held["harvest"][0] == 2 * tenants.cores[0]
    assert held["turned_away"][0] == 0.0
    assert held["surplus"][0] == max(10.0 - tenants.cores[0] - 10.0, 0.0)


def test_a_vm_that_is_away_waits_and_one_that_was_moved_is_gone(treated: Make, tenants_of: Make) -> None:
    tenants = tenants_of(6)
    held = _held(
        treated(tenants, granted=SPOT, running=[False, True, True, True, True, True], moved=[False, True, False, False, False, False]),
        tenants,
    )
    assert held["evicted"].tolist() == [tenants.cores[0], 0]
    assert held["spot"].tolist() == [tenants.cores[3] + tenants.cores[4], 16]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), reserve=st.floats(0, 200))
def test_all_cores_of_a_pool_are_somebodys(treated: Make, tenants_of: Make, seed: int, reserve: float) -> None:
    tenants, rng = tenants_of(12), np.random.default_rng(seed)
    said = {"granted": rng.choice([0, MA, SPOT, HARVEST], 12), "running": rng.random(12) < 0.7}
    pools = Pools(np.array([160.0, 64.0]), np.array([16.0, 8.0]), np.array([reserve, reserve / 8]))
    held = _held(treated(tenants, pools=pools, size_share=rng.uniform(0.25, 1.0, 12), **said), tenants)
    whole = held["regular"] + held["spot"] + held["harvest"] + held["reserve"] - held["turned_away"] + held["surplus"]
    np.testing.assert_allclose(whole, pools.total_cores)
    assert (held["surplus"] >= 0.0).all()


def test_rows_are_means_of_five_minutes(till: Make, tenants_of: Make) -> None:
    tenants = tenants_of(3)
    capacity = till(tenants).go(120.0, granted=[SPOT, 0, 0]).go(300.0).go(450.0).tables()["vm_capacity"]
    hosts = capacity.filter(capacity["pool"] == "hosts")
    assert hosts["t_s"].to_list() == [300.0, 450.0]
    assert hosts["spot_cores"].to_list() == pytest.approx([tenants.cores[0] * 0.4, 0.0])


def test_a_pool_that_is_not_there_has_no_rows(till: Make, tenants_of: Make) -> None:
    capacity = till(tenants_of(2)).go(300.0).tables()["vm_capacity"]
    assert capacity["pool"].to_list() == ["hosts"]

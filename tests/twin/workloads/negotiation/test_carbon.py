"""Power and emissions of VMs as they are treated."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.workloads.negotiation.carbon import Draw, regions, watts
from twin.workloads.negotiation.treatments import AUTOSCALED, HARVEST, MA, OVERCLOCKED, REGION, RIGHTSIZED, TREATMENTS, clashes, discounts

HOUR_S = 3600.0
Make = Callable[..., Any]
GRANTS = np.flatnonzero(~clashes(np.arange(1 << len(TREATMENTS))))


def _shares(granted: int, size: float = 1.0, clock: float = 1.0, busy: float = 0.35) -> tuple[float, float]:
    now, alike = Draw(discounts()).shares(np.array([granted]), np.array([size]), np.array([clock]), np.array([busy]))
    return float(now[0]), float(alike[0])


def test_a_vcpu_draws_eight_watts_when_busy_and_four_when_idle() -> None:
    full = watts(np.array([4, 8]), np.array([0, 1]))
    assert full.tolist() == [32.0, 4800.0]
    assert full[0] * _shares(0, busy=1.0)[0] == 32.0
    assert full[0] * _shares(0, busy=0.0)[0] == 16.0
    assert full[0] * _shares(0)[0] == pytest.approx(21.6)


@settings(max_examples=60, deadline=None)
@given(granted=st.sampled_from(GRANTS.tolist()), busy=st.floats(0, 1), size=st.floats(0.25, 2.0), clock=st.floats(1.0, 1.2))
def test_no_treatment_at_the_rated_clock_draws_more_for_the_same_work(granted: int, busy: float, size: float, clock: float) -> None:
    now, alike = _shares(granted, size, clock, busy)
    assert 0.0 <= now <= alike + 1e-12


@given(busy=st.floats(0, 1))
def test_an_opaque_vm_draws_what_an_opaque_vm_draws(busy: float) -> None:
    for granted in (0, MA, REGION, OVERCLOCKED):
        now, alike = _shares(granted, busy=busy)
        assert now == alike


def test_half_of_a_rightsized_vm_is_gone_whether_its_holder_sizes_it_or_not() -> None:
    assert _shares(RIGHTSIZED) == _shares(RIGHTSIZED, size=0.5) == pytest.approx((0.425, 0.675))


def test_core_hours_that_autoscaling_gives_back_are_not_idle() -> None:
    now, alike = _shares(AUTOSCALED)
    assert alike - now == pytest.approx(0.30 * 0.5)


def test_a_harvest_vm_that_shrinks_below_its_load_is_held_against_fewer_opaque_ones() -> None:
    # A quarter of its cores do 25/35 of the work that it has, and so would 25/35 of an opaque VM.
    now, alike = _shares(HARVEST, size=0.25)
    assert now == pytest.approx(0.25)
    assert alike == pytest.approx(0.675 * 25 / 35)


def test_a_slow_clock_does_less_work_and_saves_none_of_the_idle_power() -> None:
    now, alike = _shares(0, clock=0.6, busy=0.9)
    assert now == pytest.approx(0.5 + 0.3)
    assert alike == pytest.approx(0.6 / 0.9 * 0.95)


def test_emissions_follow_power_and_the_grid(till: Make, tenants_of: Make) -> None:
    tenants = tenants_of(3)
    row = till(tenants).go(HOUR_S, busy_share=1.0, carbon_kg_per_kwh=0.5).tables()["bills"].row(0, named=True)
    assert row["carbon_kg"] == row["regular_carbon_kg"] == pytest.approx(8.0 * tenants.cores[0] / 1000.0 * 0.5)


def test_a_vm_that_was_moved_emits_as_the_cheapest_other_region_does(till: Make, tenants_of: Make) -> None:
    assert [region.name for region in regions()] == ["north", "coast"]
    row = till(tenants_of(3)).go(HOUR_S, granted=REGION, moved=[True, False, False]).tables()["bills"]
    assert (row["carbon_kg"] / row["regular_carbon_kg"]).to_list() == pytest.approx([0.4, 1.0, 1.0])


def test_a_vm_that_is_away_emits_nothing_and_is_compared_with_nothing(till: Make, tenants_of: Make) -> None:
    bills = till(tenants_of(3)).go(HOUR_S, running=[False, True, True]).tables()["bills"]
    assert bills.row(0, named=True)["carbon_kg"] == bills.row(0, named=True)["regular_carbon_kg"] == 0.0
    assert bills.row(1, named=True)["carbon_kg"] > 0.0

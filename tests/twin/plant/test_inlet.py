"""Inlet air of servers."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.faults import Fault
from twin.fleet import Fleet
from twin.plant.airflow import Airflow
from twin.plant.cooling import Cooling
from twin.plant.heat import Heat
from twin.plant.inlet import Inlet, mix, mixing_share, returned_heat_w, supply_temp_c
from twin.plant.layout import build, site_record
from twin.plant.model import GpuLoad, Model
from twin.plant.records import Layout
from twin.plant.throttling import Throttling


def _site(inlet: Inlet) -> np.ndarray:
    return site_record(Airflow(), inlet, Heat(), Throttling(), Cooling())


def _laid_out(fleet: Fleet, inlet: Inlet) -> Layout:
    return build(fleet, _site(inlet).view(np.ndarray), inlet, Heat(), 7)


@pytest.mark.parametrize(("outside_c", "supply_c"), [(-5.0, 18.0), (15.0, 18.0), (20.0, 21.0), (25.0, 24.0), (40.0, 27.0)])
def test_supply_follows_the_outside_as_in_the_facts(outside_c: float, supply_c: float) -> None:
    assert supply_temp_c(_site(Inlet())[0], outside_c) == pytest.approx(supply_c)


def _mixed(lay: Layout, heat_w: np.ndarray, flow_w_per_c: np.ndarray, shares: np.ndarray) -> Layout:
    lay.racks["heat_w"], lay.racks["flow_w_per_c"] = heat_w, flow_w_per_c
    lay.aisles["mixing_share"] = shares
    lay.aisles["flow_w_per_c"] = np.bincount(lay.racks["aisle"], weights=flow_w_per_c, minlength=len(lay.aisles))
    mix(lay.racks.view(np.recarray), lay.aisles.view(np.recarray), lay.neighbours, lay.neighbour_share)
    return lay


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.03, 0.6), st.floats(0.03, 0.6))
def test_heat_that_leaves_with_the_return_air_is_the_power_that_went_in(fleet: Fleet, seed: int, one: float, other: float) -> None:
    random = np.random.default_rng(seed)
    racks = len(fleet.rack_ids)
    lay = _mixed(_laid_out(fleet, Inlet()), random.uniform(0, 40e3, racks), random.uniform(200, 3000, racks), np.array([one, other]))
    returned_w = returned_heat_w(lay.racks, lay.aisles, lay.neighbours, lay.neighbour_share)
    assert returned_w == pytest.approx(lay.racks["heat_w"].sum(), rel=1e-6)


def test_recirculation_solves_the_heat_flow_matrix_of_tang(fleet: Fleet) -> None:
    """Without aisle mixing: rise = ((K - A^T K)^-1 - K^-1) P (Tang et al. 2008)."""
    random = np.random.default_rng(1)
    racks = len(fleet.rack_ids)
    heat_w, flow = random.uniform(0, 40e3, racks), random.uniform(800, 3000, racks)
    lay = _mixed(_laid_out(fleet, Inlet()), heat_w, flow, np.zeros(2))
    given_away = np.zeros((racks, racks))
    for rack in range(racks):
        for other, share in zip(lay.neighbours[rack], lay.neighbour_share[rack], strict=True):
            if other >= 0:
                given_away[other, rack] = share
    k = np.diag(flow)
    matrix = np.linalg.inv(k - given_away.T @ k) - np.linalg.inv(k)
    np.testing.assert_allclose(lay.racks["rise_c"], matrix @ heat_w, atol=1e-7)


def test_a_rack_alone_mixes_by_the_closed_form(fleet: Fleet) -> None:
    """One source of heat, no neighbours: rise = phi / (1 - phi) * P / K for the whole aisle."""
    alone = Inlet(adjacent_share=0.0, second_share=0.0, across_share=0.0)
    racks = len(fleet.rack_ids)
    lay = _mixed(_laid_out(fleet, alone), np.full(racks, 10e3), np.full(racks, 1000.0), np.array([0.25, 0.03]))
    np.testing.assert_allclose(lay.racks["rise_c"][:6], 0.25 / 0.75 * 10.0, rtol=1e-9)


def test_the_plants_air_balance_closes_while_it_runs(
    plant: Callable[..., Model], load: Callable[..., GpuLoad], run_on: Callable[..., Model]
) -> None:
    arrays = run_on(plant(inlet={"air_supply_share": 0.6}), load(), 600.0).arrays
    returned_w = returned_heat_w(arrays.racks, arrays.aisles, arrays.neighbours, arrays.neighbour_share)
    assert returned_w == pytest.approx(arrays.racks["heat_w"].sum(), rel=1e-6)
    assert arrays.racks["heat_w"].sum() == pytest.approx(arrays.site["it_power_w"][0], rel=1e-6)
    assert arrays.aisles["mixing_share"].max() > 0.03


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 50), st.floats(0.1, 50))
def test_more_supply_never_mixes_more(supply: float, demand: float) -> None:
    assert mixing_share(supply * 1.1, demand, 0.03, 0.6) <= mixing_share(supply, demand, 0.03, 0.6)


def test_servers_draw_from_behind_what_is_not_given_within_a_leak_and_six_tenths() -> None:
    assert [mixing_share(supply, 10.0, 0.03, 0.6) for supply in (0.0, 3.0, 8.0, 9.9, 20.0)] == pytest.approx([0.6, 0.6, 0.2, 0.03, 0.03])


def test_more_airflow_from_the_air_handlers_never_heats_a_rack(
    plant: Callable[..., Model], load: Callable[..., GpuLoad], run_on: Callable[..., Model]
) -> None:
    inlets = [run_on(plant(inlet={"air_supply_share": share}), load(), 1800.0).observe().inlet_c for share in (0.5, 0.7, 0.9)]
    assert (inlets[1] <= inlets[0] + 1e-6).all()
    assert (inlets[2] <= inlets[1] + 1e-6).all()


def test_an_offset_for_a_place_that_is_not_there_is_refused(plant: Callable[..., Model]) -> None:
    with pytest.raises(ValueError, match=r"plant\.inlet\.row_offset_c: 'row-9' is not in the fleet"):
        plant(inlet={"row_offset_c": {"row-9": 1.0}})


def test_heat_of_servers_that_throttle_inside_a_tick_reaches_the_air_to_the_last_joule(
    plant: Callable[..., Model], load: Callable[..., GpuLoad], run_on: Callable[..., Model]
) -> None:
    """Over an hour with an aisle short of air, what reaches the air and what is still on its way is what the servers drew."""
    model = plant([Fault(kind="ahu_loss", target="aisle-1", from_s=300.0, severity=0.6)])
    arrived_j = drawn_j = 0.0
    while model.t_s < 3600.0:
        run_on(model, load(0.5, 0.5), model.t_s + 10.0)
        arrived_j += model.arrays.racks["heat_w"].sum() * 10.0
        drawn_j += model.arrays.site["it_power_w"][0] * 10.0
    assert (model.observe().gpu_clock_share < 1.0).any()
    assert arrived_j + model.arrays.servers["owed_j"].sum() == pytest.approx(drawn_j, rel=1e-9)

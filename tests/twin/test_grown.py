"""More servers than a site was built for: nameplate grows, budgets, feeds and air do not, and no index moves."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.clock import Clock
from twin.fleet import grown
from twin.fleet_file import named
from twin.plant.model import GpuLoad, Settings
from twin.plant.model import Model as Plant

NOON = Clock(datetime(2026, 7, 14, 12, tzinfo=UTC))


def test_no_extra_server_is_the_same_fleet():
    fleet = named("example")
    assert grown(fleet, [0] * len(fleet.row_ids)) is fleet


@settings(max_examples=20, deadline=None)
@given(extra=st.lists(st.integers(0, 40), min_size=4, max_size=4))
def test_what_was_there_stays_where_it_was(extra):
    fleet = named("example")
    larger = grown(fleet, [*extra, *[0] * (len(fleet.row_ids) - 4)])
    built = len(fleet.server_ids)
    assert larger.server_ids[:built] == fleet.server_ids
    assert larger.rack_ids[: len(fleet.rack_ids)] == fleet.rack_ids
    assert np.array_equal(larger.server_racks[:built], fleet.server_racks)
    assert larger.built_servers == built
    assert len(set(larger.server_ids)) == len(larger.server_ids) == built + sum(extra)
    assert len(set(larger.rack_ids)) == len(larger.rack_ids)
    assert np.array_equal(np.bincount(larger.server_rows, minlength=len(fleet.row_ids))[:4], 40 + np.array(extra))
    for row in range(len(fleet.row_ids)):
        positions = larger.rack_positions[larger.rack_rows == row]
        assert len(set(positions)) == len(positions)
    for name in ("row_power_budgets_w", "ups_rated_w", "pdu_rated_w", "pdu_ups_share"):
        assert np.array_equal(getattr(larger, name), getattr(fleet, name)), name


def test_ids_go_on_where_the_fleet_ends():
    larger = grown(named("example"), [5, 0, 0, 0, 0])
    assert larger.server_ids[160:] == ("server-161", "server-162", "server-163", "server-164", "server-165")
    assert larger.rack_ids[-2:] == (larger.rack_ids[-2], larger.rack_ids[-1])
    assert larger.server_slots[160:].tolist() == [0, 1, 2, 3, 0]


def test_a_row_without_gpu_servers_takes_none():
    fleet = named("example")
    with pytest.raises(ValueError, match="has no GPU servers and cannot take 1 more"):
        grown(fleet, [0] * (len(fleet.row_ids) - 1) + [1])


def test_nameplate_grows_and_budget_air_and_rating_do_not():
    fleet = named("example")
    plants = [Plant(Settings(), place, NOON, 600.0, (), 1) for place in (fleet, grown(fleet, [16, 0, 0, 0, 0]))]
    built, larger = (plant.arrays for plant in plants)
    assert plants[1].ratings.server_nameplate_w.sum() == pytest.approx(plants[0].ratings.server_nameplate_w.sum() + 16 * 10_200.0)
    for name in ("design_m3_per_s",):
        assert np.array_equal(built.aisles[name], larger.aisles[name])
    assert np.array_equal(built.rows["budget_w"], larger.rows["budget_w"])
    assert built.site["rated_w"] == larger.site["rated_w"]
    # What was there is the same machine, with the same place in the room.
    assert np.array_equal(built.servers["offset_c"], larger.servers["offset_c"][:160])
    assert np.array_equal(built.gpus.offset_c, larger.gpus.offset_c[: 160 * 8])


def test_extra_servers_draw_on_the_budget_of_their_row_and_warm_its_aisle():
    fleet = named("example")
    peaks = []
    for place in (fleet, grown(fleet, [16, 0, 0, 0, 0])):
        plant = Plant(Settings(), place, NOON, 3600.0, (), 1)
        gpus, hosts = len(place.gpu_servers), len(place.host_ids)
        none, one = np.zeros(gpus), np.ones(gpus)
        load = GpuLoad(none, none, none, 0.6 * one, none > 0.0, one, np.zeros(hosts))
        for step in range(60):
            plant.advance(15.0 * (step + 1), load, one)
        seen = plant.observe()
        own = np.bincount(place.server_rows, weights=seen.server_power_w, minlength=len(place.row_ids))
        assert seen.row_power_w[:4] == pytest.approx(own[:4], rel=1e-6)
        peaks.append((seen.row_power_w, seen.aisle_airflow_m3_per_s, seen.aisle_supply_m3_per_s, float(seen.inlet_c[:40].mean())))
    (built, air, supply, inlet_c), (larger, more_air, same_supply, warmer_c) = peaks
    assert larger[0] == pytest.approx(built[0] * 56 / 40, rel=0.02)
    assert larger[2] == pytest.approx(built[2], rel=0.01)
    assert more_air[0] > air[0]
    assert np.array_equal(supply, same_supply)
    assert warmer_c > inlet_c

"""The facts' figures in a plant that runs: steps, inlets, money and carbon by the hour."""

from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.clock import Clock
from twin.faults import Fault
from twin.fleet import Fleet
from twin.fleet_file import build
from twin.fleet_spec import FleetSpec
from twin.metrics import Asked
from twin.plant import tree
from twin.plant.model import GpuLoad, Model, Settings
from twin.plant.readings import READINGS
from twin.plant.throttling import Throttling
from twin.plant.tree import PowerTree
from twin.tables import Sink

Maker = Callable[..., Model]
Loads = Callable[..., GpuLoad]


@pytest.mark.parametrize("dt_s", [1.0, 5.0, 60.0])
def test_the_plants_own_step_is_the_analytic_one_at_any_tick(clock: Clock, dt_s: float) -> None:
    """82 to 294 W on an A100 at full airflow, R 0.045 and 0.063 C/W, tau 1.4 and 24 s: to 1e-9 C after one, two and five minutes."""
    row = {"id": "row-1", "kind": "gpu", "aisle": "aisle-1", "racks": 1, "first_rack": "rack-1", "per_rack": 1, "model": "a100"}
    row |= {"first_server": "server-1", "power_budget_w": 9e3}
    fleet = build(FleetSpec.model_validate({"name": "one", "site_power_budget_w": 9e3, "aisle": [{"id": "aisle-1"}], "row": [row]}))
    settings = Settings.model_validate({"airflow": {"fan_floor_share": 1.0}, "max_step_s": 60.0})
    model, every = Model(settings, fleet, clock, 7200.0, (), 7), np.ones(8)

    def at(opaque: float) -> GpuLoad:
        return GpuLoad(0 * every, 0 * every, every, opaque * every, every > 0, every, np.zeros(0))

    model.advance(3600.0, at(0.0), every)
    busy, gpus = at((294.0 - 82.0) / (0.8 * 400.0 - 82.0)), model.arrays.gpus
    for after_s in (60.0, 120.0, 300.0):
        while model.t_s < 3600.0 + after_s - 1e-9:
            model.advance(model.t_s + dt_s, busy, every)
        rise_c = 82.0 * 0.108 + 212.0 * (0.045 * -np.expm1(-after_s / 1.4) + 0.063 * -np.expm1(-after_s / 24.0))
        np.testing.assert_allclose(gpus.temp_c - gpus.inlet_c - gpus.offset_c, rise_c, rtol=0, atol=1e-9)


def test_inlets_are_supply_and_two_degrees_of_load_and_what_air_comes_back(plant: Maker, load: Loads, run_on: Maker, fleet: Fleet) -> None:
    """Facts sheet on heat and power, 5d: T_sup + 2.0 x load of the site + offsets + recirculation; colder where an aisle is told so."""
    places = {"aisle_supply_offset_c": {"aisle-2": -1.5}, "row_offset_c": {"row-1": 0.7}, "rack_offset_c": {"rack-2": -0.4}}
    model = run_on(
        plant(inlet={"offset_spread_c": 0.0, **places}, weather={"mean_c": 10.0, "swing_c": 0.0, "hour_noise_c": 0.0}), load(), 1800.0
    )
    arrays = model.arrays
    nameplate_w = 12 * 10_200.0 + 6 * 6_500.0 + 6 * 550.0
    full = arrays.site["it_power_w"][0] / nameplate_w
    assert 0.4 < full < 1.0
    supply_c = 18.0 + np.array([0.0, -1.5])[arrays.racks["aisle"]]
    np.testing.assert_allclose(arrays.racks["air_c"], supply_c + 2.0 * full + arrays.racks["rise_c"], atol=0.01)
    assert (arrays.racks["rise_c"] > 0.0).all()
    near = np.where(fleet.rack_positions == 0, 1.0, 0.0)
    given = np.where(fleet.rack_rows == 0, 0.7, 0.0)
    given[1] = 0.7 - 0.4
    np.testing.assert_allclose(arrays.racks["offset_c"], near + given, atol=1e-12)
    # The top of a rack is 1.5 C warmer than its bottom.
    inlets = model.observe().inlet_c
    np.testing.assert_allclose(inlets[1::2] - inlets[::2], 1.5, atol=1e-9)


def test_air_handlers_that_are_lost_take_their_coils_with_them(plant: Maker, load: Loads, run_on: Maker) -> None:
    """Supply of the aisle warmer by 4 C times the share that is lost, with the time constant of two minutes."""
    model = run_on(plant([Fault(kind="ahu_loss", target="aisle-1", from_s=60.0, severity=0.5)]), load(), 60.0 + 120.0, tick_s=10.0)
    aisles, site = model.arrays.aisles, model.arrays.site[0]
    np.testing.assert_allclose(aisles["supply_c"] - site["supply_c"], [4.0 * 0.5 * -np.expm1(-1.0), 0.0], atol=1e-9)


def test_a_gpu_that_shuts_down_stays_off_for_its_restart_time_and_no_longer(plant: Maker, load: Loads, run_on: Maker, fleet: Fleet) -> None:
    """A100 above 92 C: its server is off, draws its standby power alone, and is back after 300 s."""
    faults = [Fault(kind="rack_blocked", target="rack-7", from_s=0.0, until_s=3600.0)]
    model, off, begun = plant(faults, inlet={"supply_offset_c": 25.0}), [], np.zeros(2)
    while model.t_s < 1500.0:
        run_on(model, load(1.0, 0.0), model.t_s + 1.0, tick_s=1.0)
        off.append(model.gpu_clock_share.reshape(-1, 8)[12:14, 0] == 0.0)
        begun = np.where(off[-1] & (begun == 0.0), model.t_s, begun)
    gone = np.array(off)
    assert gone.any(axis=0).all()
    for server in range(2):
        first = int(np.argmax(gone[:, server]))
        back = first + int(np.argmin(gone[first:, server]))
        assert back - first == pytest.approx(Throttling().restart_s, abs=1.0)


def test_money_and_carbon_follow_the_local_hour_tick_by_tick(plant: Maker, load: Loads, run_on: Maker, fleet: Fleet) -> None:
    """Four hours from noon in Phoenix over the change of tariff at two; a tick is charged at the hour in which it began."""
    tariff, carbon = tuple(0.01 * (hour + 1) for hour in range(24)), tuple(0.1 + 0.02 * hour for hour in range(24))
    noon = Clock.of(datetime(2026, 7, 14, 12), "America/Phoenix")  # noqa: DTZ001  (the zone is attached by Clock.of)
    spec: dict[str, Any] = {"cooling": {"tariff_usd_per_kwh": tariff, "carbon_kg_per_kwh": carbon}}
    model = Model(Settings.model_validate(spec), fleet, noon, 4 * 3600.0, (), 7)
    sink = Sink({kind: fleet.ids(kind) for kind in ("row", "rack", "server", "gpu", "aisle", "feed")})
    run_on(model, load(), 4 * 3600.0, tick_s=50.0, sink=sink)
    model.close(sink)
    frames = sink.frames()
    site = frames["site"].with_columns(hour=12 + ((pl.col("t_s") - pl.col("tick_s")) // 3600.0))
    hours, kw = site["hour"].to_numpy(), site["site_power_w"].to_numpy() / 1e3
    np.testing.assert_allclose(site["cost_usd_per_h"], 0.01 * (hours + 1) * kw, rtol=1e-9)
    np.testing.assert_allclose(site["carbon_kg_per_s"], (0.1 + 0.02 * hours) * kw / 3600.0, rtol=1e-9)
    assert set(hours) == {12.0, 13.0, 14.0, 15.0}
    asked = Asked({name: frame.lazy() for name, frame in frames.items()}, noon, 4 * 3600.0)
    kwh = kw * site["tick_s"].to_numpy() / 3600.0
    for name, rate in (("energy_cost_usd", 0.01 * (hours + 1)), ("carbon_kg", 0.1 + 0.02 * hours)):
        assert READINGS[f"plant.{name}"](asked) == pytest.approx(float((rate * kwh).sum()) * 6.0, rel=1e-9)


def test_gpus_of_one_server_differ_by_the_air_they_get(plant: Maker, load: Loads, run_on: Maker) -> None:
    """Facts sheet on heat and power, 5e: 0, 3, 0, 3, 2, 5, 2, 5 C by slot, and one degree of spread."""
    still = run_on(plant(heat={"gpu_spread_c": 0.0}), load(), 600.0).observe().gpu_temp_c.reshape(-1, 8)
    np.testing.assert_allclose(still - still[:, :1], np.tile([0.0, 3.0, 0.0, 3.0, 2.0, 5.0, 2.0, 5.0], (18, 1)), atol=1e-9)
    drawn = plant().arrays.gpus.offset_c.reshape(-1, 8) - plant(heat={"gpu_spread_c": 0.0}).arrays.gpus.offset_c.reshape(-1, 8)
    assert drawn.std() == pytest.approx(1.0, abs=0.2)


def test_a_racks_exhaust_reaches_two_on_each_side_and_one_across(plant: Maker) -> None:
    """Facts sheet, 5d: 2 % to the next rack, 0.5 % to the second and 0.5 % across the aisle; rows of three racks, two rows to an aisle."""
    arrays = plant().arrays
    shares = np.zeros((12, 12))
    for rack, (others, parts) in enumerate(zip(arrays.neighbours, arrays.neighbour_share, strict=True)):
        for other, part in zip(others, parts, strict=True):
            if other >= 0:
                shares[rack, other] = part
    in_row = np.array([[0.0, 0.02, 0.005], [0.02, 0.0, 0.02], [0.005, 0.02, 0.0]])
    aisle = np.block([[in_row, 0.005 * np.eye(3)], [0.005 * np.eye(3), in_row]])
    np.testing.assert_allclose(shares, np.block([[aisle, np.zeros((6, 6))], [np.zeros((6, 6)), aisle]]))


def test_a_pdu_carries_half_too_much_for_a_minute() -> None:
    feed = SimpleNamespace(rated_w=100.0, lost_share=0.0, power_w=150.0, spent_share=0.0, tripped_s=0.0, part_power_w=0.0)
    site = SimpleNamespace(**PowerTree().model_dump())
    assert [tree.strain(feed, site, 1.0, False) for _ in range(59)] == [1.0] * 59
    assert feed.tripped_s == 0.0
    tree.strain(feed, site, 1.0, False)
    assert feed.tripped_s == site.reclose_s

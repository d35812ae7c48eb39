"""Devices that are neither servers nor hosts: they draw power in their rack and warm it."""

from collections.abc import Callable

import numpy as np
import pytest

from twin.faults import Fault
from twin.fleet import Fleet
from twin.plant.model import GpuLoad, Model

Plant = Callable[..., Model]
Go = Callable[..., Model]


def _after_half_an_hour(plant: Plant, load: Callable[..., GpuLoad], run_on: Go, watts: np.ndarray | None) -> Model:
    model = plant()
    if watts is not None:
        model.set_devices(watts)
    return run_on(model, load(), 1800.0)


def test_devices_count_in_their_rack_their_row_and_at_the_meter(
    plant: Plant, load: Callable[..., GpuLoad], run_on: Go, fleet: Fleet
) -> None:
    rack = len(fleet.rack_ids) - 1
    watts = np.zeros(len(fleet.rack_ids))
    watts[rack] = 600.0
    without, with_them = (_after_half_an_hour(plant, load, run_on, drawn) for drawn in (None, watts))
    more = with_them.arrays.racks["power_w"] - without.arrays.racks["power_w"]
    assert more[rack] == pytest.approx(600.0, abs=1.0)
    # Its warmth makes fans of servers nearby turn faster, never slower.
    assert (more > -1e-6).all()
    row = int(fleet.rack_rows[rack])
    assert with_them.arrays.rows["power_w"][row] - without.arrays.rows["power_w"][row] >= 600.0 - 1e-6
    assert with_them.arrays.site["site_power_w"][0] - without.arrays.site["site_power_w"][0] > 600.0


def test_devices_warm_the_air_of_their_aisle(plant: Plant, load: Callable[..., GpuLoad], run_on: Go, fleet: Fleet) -> None:
    watts = np.full(len(fleet.rack_ids), 2000.0)
    without, with_them = (_after_half_an_hour(plant, load, run_on, drawn) for drawn in (None, watts))
    assert (with_them.arrays.racks["inlet_c"] > without.arrays.racks["inlet_c"] + 0.01).all()


def test_no_devices_change_nothing_at_all(plant: Plant, load: Callable[..., GpuLoad], run_on: Go, fleet: Fleet) -> None:
    without, none = (_after_half_an_hour(plant, load, run_on, drawn) for drawn in (None, np.zeros(len(fleet.rack_ids))))
    assert np.array_equal(without.arrays.racks["power_w"], none.arrays.racks["power_w"])
    assert np.array_equal(without.arrays.racks["inlet_c"], none.arrays.racks["inlet_c"])


def test_a_row_without_power_has_devices_without_power(plant: Plant, load: Callable[..., GpuLoad], run_on: Go, fleet: Fleet) -> None:
    model = plant(faults=[Fault(kind="pdu_loss", target=pdu, from_s=30.0) for pdu in fleet.pdu_ids])
    model.set_devices(np.full(len(fleet.rack_ids), 500.0))
    run_on(model, load(), 20.0)
    assert (model.arrays.racks["power_w"] >= 500.0).all()
    run_on(model, load(), 300.0)
    assert (model.arrays.rows["live"] == 0.0).all()
    assert (model.arrays.racks["power_w"] == 0.0).all()

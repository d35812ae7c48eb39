"""Faults of the plant."""

from collections.abc import Callable

import numpy as np
import pytest

from twin.faults import Fault
from twin.plant.model import GpuLoad, Model

Maker = Callable[..., Model]
Loads = Callable[..., GpuLoad]


def test_an_aisle_that_loses_air_warms_with_its_time_constant_and_recovers(plant: Maker, load: Loads, run_on: Maker) -> None:
    model = plant([Fault(kind="ahu_loss", target="aisle-1", from_s=600.0, until_s=1800.0, severity=0.5)])
    run_on(model, load(), 600.0)
    before = model.observe().inlet_c.copy()
    run_on(model, load(), 720.0, tick_s=1.0)
    assert model.arrays.aisles["air_share"][0] == pytest.approx(0.5 + 0.5 * np.exp(-1.0), abs=1e-6)
    run_on(model, load(), 1800.0)
    hot = model.observe().inlet_c
    assert (hot[:12] > before[:12] + 2.0).all()
    assert hot[12:] == pytest.approx(before[12:], abs=1.5)
    assert model.observe().aisle_airflow_share[0] > 1.0
    run_on(model, load(), 4200.0)
    assert model.observe().inlet_c[:12] == pytest.approx(before[:12], abs=2.0)


def test_ticks_are_fine_for_a_minute_after_each_edge(plant: Maker, load: Loads, run_on: Maker) -> None:
    model = plant([Fault(kind="ahu_loss", target="aisle-1", from_s=300.0, until_s=900.0, severity=0.1)])
    run_on(model, load(), 310.0)
    assert model.fine_until_s == 360.0
    run_on(model, load(), 910.0)
    assert model.fine_until_s == 960.0


def test_a_whole_afternoon_of_throttling_does_not_run_at_fine_ticks(plant: Maker, load: Loads) -> None:
    model = plant([Fault(kind="rack_blocked", target="rack-1", from_s=0.0, severity=0.7)])
    busy, fine, ticks = load(0.5, 0.5), 0, 0
    while model.t_s < 4 * 3600.0:
        step_s = 1.0 if model.t_s < model.fine_until_s else 10.0
        fine += step_s == 1.0
        ticks += 1
        model.advance(model.t_s + step_s, busy, np.ones(len(busy.clock_share)))
    assert (model.observe().gpu_clock_share[:16] < 1.0).any()
    assert fine <= 60 + 2 * 30 + 10


@pytest.mark.parametrize(
    ("kind", "target", "line"),
    [
        ("ahu_loss", "aisle-9", r"fault ahu_loss: target 'aisle-9' names no aisle of the fleet, such as aisle-1"),
        ("ups_loss", "row-1", r"fault ups_loss: target 'row-1' names no site of the fleet, such as site"),
        ("flood", "row-1", r"fault 'flood' is not of the plant; it is one of ahu_loss, rack_blocked, ups_loss"),
    ],
)
def test_a_fault_that_cannot_happen_here_is_refused(plant: Maker, kind: str, target: str, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        plant([Fault(kind=kind, target=target, from_s=0.0)])

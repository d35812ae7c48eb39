"""Rows of several models: order is a matter of speed alone."""

from datetime import datetime
from typing import Any

import numpy as np

from twin.clock import Clock
from twin.fleet_file import build
from twin.fleet_spec import FleetSpec
from twin.plant.model import GpuLoad, Model, Settings

CLOCK = Clock.of(datetime(2026, 7, 14, 12), "America/Phoenix")  # noqa: DTZ001  (the zone is attached by Clock.of)
# Nothing that is drawn by index: what a server meets depends on where it stands only.
STILL = {"inlet": {"offset_spread_c": 0.0}, "heat": {"gpu_spread_c": 0.0}, "weather": {"climate": "phoenix", "day_noise_c": 0.0}}
# Three racks of uneven size with an empty place between them; the mix is as bad for speed as can be.
RACKS = ((0, ("h100", "a100", "h100")), (1, ("a100", "h100")), (3, ("a100", "h100", "a100", "h100")))


def model(grouped: bool) -> Model:
    """Return a plant of two rows; ``grouped`` lists servers of one model after another in each rack, which stand where they stood."""
    rows = []
    for row in ("row-1", "row-2"):
        racks: list[dict[str, Any]] = []
        for position, models in RACKS:
            machines = [{"id": f"{row}-{position}-{slot}", "slot": slot, "model": name} for slot, name in enumerate(models)]
            machines = sorted(machines, key=lambda each: str(each["model"])) if grouped else machines
            racks.append({"id": f"{row}-{position}", "position": position, "machine": machines})
        rows.append({"id": row, "aisle": "aisle-1", "power_budget_w": 90_000.0, "rack": racks})
    spec = {"name": "mixed", "site_power_budget_w": 250_000.0, "aisle": [{"id": "aisle-1"}], "row": rows}
    return Model(Settings.model_validate(STILL), build(FleetSpec.model_validate(spec)), CLOCK, 7200.0, (), 7)


def run(plant: Model) -> dict[str, tuple[float, ...]]:
    """Advance an hour with a load that follows a server's name; returns what every server came to."""
    fleet = plant._fleet
    names = np.repeat(np.array([int(name[-1]) + int(name[4]) for name in fleet.server_ids]), 8)
    every = np.ones(len(names))
    busy = 0.2 + 0.15 * names
    load = GpuLoad(busy / 3, busy / 2, every * 32, every * 0.0, every > 0, every, np.zeros(0))
    for tick in range(360):
        plant.advance((tick + 1) * 10.0, load, every)
    seen = plant.observe()
    hottest = seen.gpu_temp_c.reshape(-1, 8)
    return {
        name: (float(seen.inlet_c[index]), float(seen.server_power_w[index]), *map(float, hottest[index]))
        for index, name in enumerate(fleet.server_ids)
    }


def test_a_server_comes_to_the_same_in_a_mixed_row_as_in_a_grouped_one() -> None:
    mixed, grouped = model(grouped=False), model(grouped=True)
    assert len(mixed.arrays.runs) > len(grouped.arrays.runs)
    one, other = run(mixed), run(grouped)
    assert list(one) != list(other)
    assert set(one) == set(other)
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], rtol=0, atol=1e-6)


def test_heights_are_those_of_the_rows_tallest_rack() -> None:
    plant = model(grouped=False)
    slots, offsets = plant._fleet.server_slots, plant.arrays.servers["offset_c"]
    settings = Settings.model_validate(STILL).inlet
    near = np.where(plant._fleet.rack_positions[plant._fleet.server_racks] == 0, settings.near_air_handler_c, 0.0)
    np.testing.assert_allclose(offsets, near + settings.height_rise_c * slots / 3.0)

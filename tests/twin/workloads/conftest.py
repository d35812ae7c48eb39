"""A small site without a plant."""

import pytest

from twin.fleet import Fleet
from twin.fleet_file import FleetSpec, build

_ROW = {"kind": "gpu", "aisle": "aisle-1", "racks": 2, "per_rack": 3, "model": "a100", "power_budget_w": 40_000.0}


@pytest.fixture(scope="session")
def site() -> Fleet:
    """Twelve servers in two rows, and four hosts."""
    rows = [
        {"id": "row-1", "first_rack": "rack-1", "first_server": "server-1", **_ROW},
        {"id": "row-2", "first_rack": "rack-3", "first_server": "server-7", **_ROW},
        {
            "id": "hosts",
            "first_rack": "host-rack-1",
            "first_server": "host-1",
            **_ROW,
            "kind": "host",
            "model": "cpu-host",
            "racks": 1,
            "per_rack": 4,
        },
    ]
    spec = {"name": "dozen", "site_power_budget_w": 100_000.0, "aisle": [{"id": "aisle-1"}], "row": rows}
    return build(FleetSpec.model_validate(spec))

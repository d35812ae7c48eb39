"""A small site without a plant, and holders of placement that need none."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from twin.clock import Clock
from twin.fleet import Fleet
from twin.fleet_file import FleetSpec, build
from twin.workloads.model import Model

MONDAY = Clock(datetime(2026, 7, 13, tzinfo=UTC))
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


Choice = Callable[[np.ndarray, int], int]


def fullest(free: np.ndarray, gpus: int) -> int:
    """Best fit: the server with the fewest free GPUs that are enough."""
    return int(np.argmin(np.where(free >= gpus, free, 99)))


def emptiest(free: np.ndarray, gpus: int) -> int:
    """Spread: the server with the most free GPUs."""
    return int(np.argmax(free))


def settle(model: Model, choice: Choice, t_s: float) -> None:
    """Place everyone who waits and finds room."""
    for vm in tuple(model.waiting):
        gpus = int(model.vms.gpus[vm])
        if (model.gpus_free >= gpus).any():
            model.put(vm, choice(model.gpus_free, gpus), t_s)
    model.settle(t_s)

"""A small fleet and a plant on it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from twin.clock import Clock
from twin.faults import Fault
from twin.fleet import Fleet
from twin.fleet_file import build
from twin.fleet_spec import FleetSpec
from twin.plant.model import GpuLoad, Model, Settings

_AISLES = [{"id": "aisle-1"}, {"id": "aisle-2"}]
_ROW = {"racks": 3, "per_rack": 2}
_ROWS = [
    {"id": "row-1", "kind": "gpu", "aisle": "aisle-1", "first_rack": "rack-1", "first_server": "server-1", "model": "h100", **_ROW},
    {"id": "row-2", "kind": "gpu", "aisle": "aisle-1", "first_rack": "rack-4", "first_server": "server-7", "model": "h100", **_ROW},
    {"id": "row-3", "kind": "gpu", "aisle": "aisle-2", "first_rack": "rack-7", "first_server": "server-13", "model": "a100", **_ROW},
    {
        "id": "hosts-row",
        "kind": "host",
        "aisle": "aisle-2",
        "first_rack": "host-rack-1",
        "first_server": "host-1",
        "model": "cpu-host",
        **_ROW,
    },
]


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    rows = [row | {"power_budget_w": 6 * 10_200.0} for row in _ROWS]
    return build(FleetSpec.model_validate({"name": "small", "site_power_budget_w": 200_000, "aisle": _AISLES, "row": rows}))


@pytest.fixture(scope="session")
def clock() -> Clock:
    return Clock.of(datetime(2026, 7, 14), "America/Phoenix")  # noqa: DTZ001  (the zone is attached by Clock.of)


@pytest.fixture(scope="session")
def plant(fleet: Fleet, clock: Clock) -> Callable[..., Model]:
    def make(faults: Sequence[Fault] = (), seed: int = 7, **settings: Any) -> Model:
        weather = {"climate": "phoenix", "day_noise_c": 0.0} | settings.pop("weather", {})
        return Model(Settings.model_validate({"weather": weather, **settings}), fleet, clock, 86_400.0, faults, seed)

    return make


@pytest.fixture(scope="session")
def load(fleet: Fleet) -> Callable[..., GpuLoad]:
    gpus, hosts = len(fleet.gpu_servers), len(fleet.host_ids)

    def make(prefill: Any = 0.25, decode: Any = 0.7, batch: float = 32.0, clock_share: float = 1.0, opaque: float = 0.0) -> GpuLoad:
        every = np.ones(gpus)
        return GpuLoad(
            prefill_share=every * prefill,
            decode_share=every * decode,
            decode_batch=every * batch,
            opaque_share=every * opaque,
            resident=np.ones(gpus, dtype=np.bool_),
            clock_share=every * clock_share,
            host_share=np.full(hosts, 0.5),
        )

    return make


@pytest.fixture(scope="session")
def run_on() -> Callable[..., Model]:
    """Advance a plant at constant load and full clock; returns it."""

    def go(model: Model, load: GpuLoad, until_s: float, tick_s: float = 10.0, sink: Any = None) -> Model:
        caps = np.ones(len(load.prefill_share))
        while model.t_s < until_s - 1e-9:
            model.advance(min(model.t_s + tick_s, until_s), load, caps)
            if sink is not None:
                model.record(sink)
        return model

    return go

"""Routers and a small fleet for the tests of serving."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
import polars as pl
import pytest

from twin.clock import Clock
from twin.faults import Fault
from twin.fleet import Fleet
from twin.fleet_file import build
from twin.fleet_spec import AisleSpec, FleetSpec, RowSpec
from twin.metrics import Asked
from twin.serving.batching import ROUTE_SIGNATURE
from twin.serving.demand import Synthetic
from twin.serving.encoder import Encoder
from twin.serving.images import encode_s, vision
from twin.serving.layout import Endpoint, Variant
from twin.serving.levers import ConfigAction
from twin.serving.model import Model, Settings
from twin.tables import Sink


def least_outstanding(t, i, count, requests, instances, heap, load, allowed, score, memory):  # type: ignore[no-untyped-def]
    """Take the least loaded instance; ties go round."""
    best = -1
    for step in range(count):
        r = (memory[0] + step) % count
        if allowed[r] != 0 and (best < 0 or load[0, r] < load[0, best]):
            best = r
    memory[0] = (best + 1) % count
    return best


@pytest.fixture(scope="session")
def router() -> Any:
    """A compiled router: least outstanding, ties in rotation."""
    return numba.njit(ROUTE_SIGNATURE)(least_outstanding)


@pytest.fixture(scope="session")
def small_fleet() -> Fleet:
    """One row of H100 and one of A100 servers, four each."""

    def row(name: str, model: str, first: int) -> RowSpec:
        return RowSpec(
            id=name, kind="gpu", aisle="aisle-1", racks=2, first_rack=f"rack-{first}", per_rack=2,
            first_server=f"server-{2 * first - 1}", model=model, power_budget_w=40_000,
        )  # fmt: skip

    return build(
        FleetSpec(
            name="small", site_power_budget_w=1e5, aisle=(AisleSpec(id="aisle-1"),), row=(row("row-1", "h100", 1), row("row-2", "a100", 3))
        )
    )


@dataclass
class Run:
    """A model that is driven as the world drives it, with everything at full speed."""

    model: Model
    router: Any
    horizon_s: float
    speed: float = 1.0
    sink: Sink = field(init=False)
    _now_s: float = 0.0

    def __post_init__(self) -> None:
        self.sink = Sink({"instance": self.model.instance_ids, "endpoint": self.model.endpoint_ids})
        self.everywhere()

    @property
    def route(self) -> Any:
        """The rule, where a holder has it."""
        return self.router

    def everywhere(self) -> None:
        count = len(self.model.instance_ids)
        for index in range(len(self.model.endpoint_ids)):
            self.model.route(index, self, np.zeros(count), np.ones(count, dtype=np.bool_))

    def to(self, until_s: float, tick_s: float = 10.0, each: Callable[[float], None] | None = None) -> "Run":
        speed = np.full(len(self.model.instance_ids), self.speed)
        while self._now_s < until_s:
            if each is not None:
                each(self._now_s)
            self._now_s = min(until_s, self._now_s + tick_s)
            self.model.advance(self._now_s, speed, speed)
            self.model.record(self.sink)
        return self

    def tables(self) -> dict[str, pl.DataFrame]:
        self.model.close(self.sink)
        return self.sink.frames()

    def asked(self, tables: dict[str, pl.DataFrame], **narrowed: Any) -> Asked:
        return Asked({name: frame.lazy() for name, frame in tables.items()}, CLOCK, self.horizon_s, **narrowed)

    def requests(self) -> pl.DataFrame:
        return self.tables()["requests"].sort("endpoint_id", "arrive_s")

    def lay(self, **roles: tuple[int, ...]) -> "Run":
        """Give the first slots of endpoints these roles, by endpoint id; all others are whole."""
        wanted = np.zeros(len(self.model.instance_ids), dtype=np.int64)
        for name, given in roles.items():
            first = self.model.layout.part(self.model.endpoint_ids.index(name)).start
            wanted[first : first + len(given)] = given
        self.model.lay(wanted)
        return self

    def clocks(self, share: float, max_batch: int = 256) -> None:
        count = len(self.model.instance_ids)
        self.model.configure(ConfigAction(np.full(count, share), np.full(count, float(max_batch))))


CLOCK = Clock.of(datetime(2026, 7, 14, tzinfo=UTC), "America/Phoenix")


@pytest.fixture
def start(small_fleet: Fleet, router: Any) -> Callable[..., Run]:
    """Build a run: endpoints, the servers of each, horizon, faults, seed."""

    def build_run(
        endpoints: tuple[Endpoint, ...], placements: dict[str, tuple[int, ...]], horizon_s: float = 900.0,
        faults: tuple[Fault, ...] = (), seed: int = 1, **settings: Any,
    ) -> Run:  # fmt: skip
        model = Model(Settings(endpoints=endpoints, **settings), small_fleet, placements, CLOCK, horizon_s, faults, seed)
        return Run(model, router, horizon_s)

    return build_run


@pytest.fixture(scope="session")
def seeing() -> Endpoint:
    """An endpoint that reads images."""
    demand = Synthetic(rate_per_s=6.0, image_share=0.5, lengths="text")
    return Endpoint(id="see", model="llama-3.2-11b", tp=2, tp_choices=(1, 4), demand=demand)


@pytest.fixture(scope="session")
def reading() -> Endpoint:
    """An endpoint that reads text alone."""
    return Endpoint(id="read", model="8b", tp=2, demand=Synthetic(rate_per_s=12.0))


@pytest.fixture(scope="session")
def pair() -> Endpoint:
    """An endpoint that has one slot a server and two precisions to choose from."""
    return Endpoint(id="read", model="8b", tp=8, variants=(Variant(model="8b", precision="fp8"),), demand=Synthetic(rate_per_s=6.0))


@pytest.fixture
def both(start: Callable[..., Run], seeing: Endpoint, reading: Endpoint) -> Callable[..., Run]:
    """Build a run of ``see`` and ``read`` on two H100 servers each; further arguments as of ``start``."""
    return partial(start, (seeing, reading), {"see": (0, 1), "read": (2, 3)})


@pytest.fixture(scope="session")
def llama() -> Callable[..., Encoder]:
    """Build an encoder: so many H100s, each with the vision model of Llama 3.2."""

    def build_encoder(count: int, split: int = 1) -> Encoder:
        model = vision("llama-3.2-11b")
        assert model is not None
        base_s, per_tile_s = encode_s(model, "h100", 1)
        encoder = Encoder(count, split=split)
        encoder.set_coefficients(np.full(count, base_s), np.full(count, per_tile_s))
        return encoder

    return build_encoder


@pytest.fixture
def azure_conversation(test_data: Path) -> Path:
    """The Azure conversation trace of 2023."""
    return test_data / "traces" / "AzureLLMInferenceTrace_conv.csv"

"""Drives the model of functions by hand: a host or some, and functions on them."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.clock import Clock, Window
from twin.functions.levers import Runtime, RuntimeAction
from twin.functions.model import Model
from twin.functions.readings import READINGS
from twin.functions.runtimes import named
from twin.functions.settings import Function, Settings
from twin.metrics import Asked, Scope
from twin.tables import Sink

CLOCK = Clock.of(datetime.fromisoformat("2025-07-01T12:00:00"), "UTC")
FLEET = ("host-1", "host-2", "host-3", "host-4")


class Drive:
    """One run of the model alone, on so many of four hosts."""

    def __init__(self, functions: Sequence[Function], runtime: Runtime, hosts: int = 1, seed: int = 1, **settings: Any) -> None:
        asked = Settings(functions=tuple(functions), hosts=FLEET[:hosts], workload="functions", **settings)
        self.model = Model(asked, FLEET[:hosts], CLOCK, 86_400.0, seed)
        self.model.run(RuntimeAction(runtime))
        self.cores, self.speed = np.full(hosts, float(asked.cores)), np.ones(hosts)
        self.sink = Sink({"host": FLEET, "function": self.model.function_ids})
        self.waiting: list[int] = []

    def go(self, until_s: float, tick_s: float = 10.0) -> "Drive":
        """Advance tick by tick, and note after each how many calls are under way."""
        while self.model.t_s < until_s - 1e-9:
            self.model.advance(min(self.model.t_s + tick_s, until_s), self.cores, self.speed)
            self.model.record(self.sink)
            self.waiting.append(self.model.under_way)
        return self

    def tables(self) -> dict[str, pl.DataFrame]:
        """Close the run and return its tables."""
        self.model.close(self.sink)
        return self.sink.frames()


def _metrics(tables: dict[str, pl.DataFrame], span_s: float, *ids: str, window: Window | None = None) -> dict[str, float | None]:
    scope = tuple(Scope("function", name) for name in ids)
    asked = Asked({name: frame.lazy() for name, frame in tables.items()}, CLOCK, span_s, scope, window)
    return {name.removeprefix("functions."): reading(asked) for name, reading in READINGS.items()}


@pytest.fixture(scope="session")
def drive() -> type[Drive]:
    """``drive(functions, runtime, hosts, seed, **settings)``: a model of functions on hosts, ready to go."""
    return Drive


@pytest.fixture(scope="session")
def metrics() -> Callable[..., dict[str, float | None]]:
    """``metrics(tables, span_s, *function_ids, window)``: every metric of functions."""
    return _metrics


@pytest.fixture(scope="session")
def steady() -> Callable[..., Function]:
    """``steady(rate_per_s, **more)``: a function that is called at random at one rate."""
    return lambda rate_per_s, **more: Function(**{"id": "aes", "trigger": "others", "rate_per_s": rate_per_s, **more})


@pytest.fixture(scope="session")
def containerd() -> Runtime:
    """Containers on the kernel's stack."""
    return named("containerd")


@pytest.fixture(scope="session")
def junctiond() -> Runtime:
    """Junction instances."""
    return named("junctiond")

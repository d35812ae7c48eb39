"""A small site whose VMs negotiate, for runs that change one thing in it."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from policies import study
from policies.policy import TODAY, Held, PolicySet, Schedule
from twin import run as runs
from twin.fleet import Fleet
from twin.fleet_file import build
from twin.fleet_spec import FleetSpec
from twin.scenario import Scenario, read
from twin.sources import toml
from twin.tables import Sink
from twin.world import World

_FILE = Path(__file__).parent.parent / "negotiating.toml"
POLICIES = {
    "today": TODAY,
    "intelligent": PolicySet(name="intelligent", levers={"offers": (Held(system="workload_intelligence"),)}),
}
# Nobody is short of power with these, in watts by row.
_BUDGETS_W = {"row-1": 18_000.0, "row-2": 12_000.0, "hosts-row": 7_000.0}
_HOSTS = 12
# Each of three carries a third of what the rows may draw: without one of them the rows have two thirds of their budgets.
_UPS = [{"id": f"ups-{number}", "rated_w": 12_500.0} for number in (1, 2, 3)]


def _fleet(budgets_w: dict[str, float]) -> Fleet:
    """Return the packaged ``tiny`` fleet with twelve hosts, and row budgets of one's own."""
    gpu = {"kind": "gpu", "aisle": "aisle-1", "racks": 2, "per_rack": 1}
    rows = [
        {**gpu, "id": "row-1", "first_rack": "rack-1", "first_server": "server-1", "model": "h100"},
        {**gpu, "id": "row-2", "first_rack": "rack-3", "first_server": "server-3", "model": "a100"},
        {
            "id": "hosts-row", "kind": "host", "aisle": "aisle-1", "racks": 3, "per_rack": _HOSTS // 3,
            "first_rack": "host-rack-1", "first_server": "host-1", "model": "cpu-host",
        },
    ]  # fmt: skip
    rows = [{**row, "power_budget_w": {**_BUDGETS_W, **budgets_w}[str(row["id"])]} for row in rows]
    site = {"site_power_budget_w": 80_000, "aisle": [{"id": "aisle-1", "air_handlers": 2}], "ups": _UPS}
    return build(FleetSpec.model_validate({"name": "negotiating", **site, "row": rows}))


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return tables with others put over them, level by level."""
    both = {key: _merged(base[key], value) for key, value in over.items() if isinstance(value, dict) and isinstance(base.get(key), dict)}
    return {**base, **over, **both}


class _Numbers(dict[str, Sequence[str]]):
    """Ids that nobody reads."""

    def __missing__(self, kind: str) -> Sequence[str]:
        return [f"{kind}-{number}" for number in range(2_000)]


@pytest.fixture(scope="session")
def negotiating() -> Callable[..., Scenario]:
    """Read tests/negotiating.toml with some of it changed, and row budgets in watts."""

    def make(budgets_w: dict[str, float] | None = None, **changed: Any) -> Scenario:
        return replace(read(_merged(toml(_FILE), changed)), fleet=_fleet(budgets_w or {}))

    return make


@pytest.fixture(scope="session")
def worlds(negotiating: Callable[..., Scenario]) -> Callable[..., Iterator[World]]:
    """Yield the world of that scenario, changed in the same way, as it is after each tick up to a time."""

    def make(policy: str, until_s: float, **changed: Any) -> Iterator[World]:
        scenario = negotiating(**changed)
        world = World(scenario, study.phases(Schedule.of(POLICIES[policy]), scenario), scenario.seed)
        sink = Sink(_Numbers())
        while world.t_s < until_s:
            world.step(world.next_s(until_s), sink)
            yield world
        sink.discard()

    return make


@pytest.fixture(scope="session")
def negotiated(negotiating: Callable[..., Scenario]) -> Callable[..., runs.Run]:
    """Simulate that scenario, changed in the same way, under today's policy or *intelligent* offers; the same question runs once."""

    @cache
    def answer(policy: str, changed: str) -> runs.Run:
        scenario = negotiating(**json.loads(changed))
        return runs.simulate(scenario, study.phases(Schedule.of(POLICIES[policy]), scenario))

    def ask(policy: str, **changed: Any) -> runs.Run:
        return answer(policy, json.dumps(changed, sort_keys=True))

    return ask

"""Who owns which GPUs in whole runs: with waiting, a larger site, a switch of policies, and from any snapshot on."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import study
from policies.policy import TODAY, Held, PolicySet, Schedule, Step
from twin import run as runs
from twin.fleet import GPUS_PER_SERVER
from twin.scenario import Scenario, read
from twin.stack import Holding, Phase
from twin.workloads.levers import PlacementObservation, VmAsked
from twin.world import World

HORIZON_S = 1800.0
CROWDED: dict[str, Any] = {
    "name": "crowded",
    "fleet": "tiny",
    "start": "2026-07-14T08:00:00",
    "timezone": "America/Phoenix",
    "horizon_s": HORIZON_S,
    "tick_s": 60,
    "plant": {"throttling": {"graded": {}}},
    "serving": {"endpoints": [{"id": "chat", "model": "8b", "tp": 8, "demand": {"kind": "synthetic", "rate_per_s": 0.05}}]},
    "workloads": {
        "vms": [{"workload": "chat", "kind": "saas", "servers": ["server-1"]}, {"workload": "kept", "count": 1}],
        "arrivals": [{"workload": "rented", "gpus_share": 0.5, "lifetime": {"short_mean_s": 600, "long_mean_s": 1200, "long_share": 0.5}}],
    },
}
HALF_MORE = {"capacity": (Held(system="tapas", knobs={"oversubscription_share": 0.5}),)}
SPREAD = PolicySet(name="spread", levers={"vm_placement": (Held(system="best_fit", knobs={"spread": True}),)})


@pytest.fixture(scope="module")
def crowded() -> Scenario:
    return read(CROWDED)


class Nowhere:
    """Takes rows and keeps none."""

    def __init__(self) -> None:
        self.listeners: dict[str, Any] = {}

    def append(self, table: Any, columns: Any) -> None:
        pass


class Watching:
    """Caps nothing and keeps which GPUs it is told that it cannot reach inside."""

    def __init__(self) -> None:
        self.opaque = np.zeros(0, dtype=np.bool_)

    def cap(self, seen: Any) -> Any:
        self.opaque = seen.gpu_opaque
        return type("Caps", (), {"clock_cap_share": np.ones(len(seen.gpu_opaque))})


def _schedule(larger: bool, switch_s: float) -> Schedule:
    first = TODAY.model_copy(update={"levers": HALF_MORE}) if larger else TODAY
    return Schedule(steps=(Step(policy=first), Step(from_s=switch_s, policy=SPREAD)))


def _watched(scenario: Scenario, schedule: Schedule) -> tuple[tuple[Phase, ...], Watching, Scenario]:
    watching, phases = Watching(), study.phases(schedule, scenario)
    grown = scenario.grown(phases[0].extra_servers)
    watched = tuple(replace(phase, holdings=(Holding("emergency", "watching", watching), *phase.holdings)) for phase in phases)
    return watched, watching, grown


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _laws(world: World, watching: Watching) -> None:
    model = world.workloads
    vms, t_s = model.vms, world.t_s
    owned, count = np.unique(model.gpu_vm[model.gpu_vm >= 0], return_counts=True)
    assert dict(zip(owned.tolist(), count.tolist(), strict=True)) == {int(vm): int(vms.gpus[vm]) for vm in model.running}
    assert all(set(np.flatnonzero(model.gpu_vm == vm) // GPUS_PER_SERVER) == {model.vm_server[vm]} for vm in owned)
    assert np.array_equal((model.gpu_vm.reshape(-1, GPUS_PER_SERVER) < 0).sum(axis=1), model.gpus_free)
    # A tick is over: who left during it leaves when the next one begins.
    assert not set(owned.tolist()) & set(model.waiting)
    assert (vms.arrive_s[model.waiting] <= t_s).all()
    # The plant knows whose GPUs are whose: those who cap clocks, and graded caps that slow opaque VMs first.
    opaque = (model.gpu_vm >= 0) & np.append(vms.opaque, False)[model.gpu_vm]
    assert np.array_equal(watching.opaque, opaque)
    assert np.array_equal(world.plant.arrays.gpus.low_priority > 0.0, opaque)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000), larger=st.booleans(), switch_s=st.sampled_from([300.0, 630.0, 1200.0]), cut=st.integers(1, 5))
def test_nobody_owns_what_is_anothers_and_a_run_goes_on_from_any_snapshot(crowded, seed, larger, switch_s, cut):
    schedule, sink, kept = _schedule(larger, switch_s), Nowhere(), None
    phases, watching, scenario = _watched(crowded, schedule)
    world = World(scenario, phases, seed)
    while world.t_s < HORIZON_S:
        if world.t_s == 300.0 * cut:
            kept = world.snapshot()
        world.step(world.next_s(HORIZON_S), sink)
        _laws(world, watching)
    phases, watching, scenario = _watched(crowded, schedule)
    again = World(scenario, phases, seed, kept)
    assert np.array_equal(again.plant.observe().gpu_opaque, again.workloads.gpu_opaque)
    while again.t_s < HORIZON_S:
        again.step(again.next_s(HORIZON_S), sink)
        _laws(again, watching)
    # Serving counts its token gaps anew; that its tables go on the same is shown elsewhere.
    first, second = ({key: part for key, part in each.snapshot().items() if key != "serving"} for each in (world, again))
    assert _same(first, second)


class NotBefore:
    """Wants no server before a time."""

    def __init__(self, from_s: float) -> None:
        self.from_s = from_s

    def rank(self, seen: PlacementObservation, asked: VmAsked) -> np.ndarray:
        return np.full(len(seen.gpus_free), 0.0 if seen.t_s >= self.from_s else -np.inf)


def _placed_by(scenario: Scenario, holder: Any, until_s: float) -> runs.Run:
    (phase,) = study.phases(Schedule.of(TODAY), scenario)
    mine = (Holding("vm_placement", "mine", holder), *phase.holdings)
    return runs.simulate(scenario, (replace(phase, holdings=mine),), until_s=until_s)


def _alone(**groups: Any) -> Scenario:
    return read({**CROWDED, "workloads": {**CROWDED["workloads"], "arrivals": [], **groups}})


def test_who_was_refused_is_asked_again_in_every_window():
    run = _placed_by(_alone(), NotBefore(300.0), 600.0)
    vms = run.tables["vms"].collect()
    assert vms.filter(vms["workload_id"] == "kept")["t_s"].to_list() == [300.0], "nobody came and nobody left meanwhile"


def test_serving_vms_without_a_place_are_turned_away_even_where_nobody_is_placed():
    groups = [*CROWDED["workloads"]["vms"][:1], {"workload": "more", "kind": "saas", "endpoint": "chat", "count": 1}]
    run = _placed_by(_alone(vms=groups), NotBefore(HORIZON_S), 300.0)
    waits = run.tables["vm_waits"].collect()
    assert waits.select("t_s", "workload_id", "outcome").rows() == [(0.0, "more", "turned away")]
    assert run.metrics["serving.gpus_mean"] == 8.0


def test_an_endpoint_none_of_whose_vms_finds_a_place_is_one_line():
    with pytest.raises(ValueError, match=r"no VM of endpoint 'chat' found a place at the start \(vm_placement\); give it servers") as said:
        _placed_by(_alone(vms=[{"workload": "chat", "kind": "saas", "count": 1}]), NotBefore(HORIZON_S), 300.0)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_an_answer_of_another_shape_names_who_gave_it(shape):
    holder = type("Wrong", (), {"rank": staticmethod(lambda seen, asked: np.zeros(shape))})
    with pytest.raises(ValueError, match=r"vm_placement: mine answers with shape .*, the fleet has 4 servers"):
        _placed_by(_alone(), holder, 60.0)

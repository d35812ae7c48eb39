"""VMs that leave meet the others: memory frees what they hold, hosts and GPUs draw less, and all of it comes back."""

from typing import Any

import numpy as np
import pytest

from policies import study
from policies.policy import TODAY, PolicySet, Schedule
from twin.memory import slices
from twin.run import _ids
from twin.scenario import Scenario, read
from twin.stack import Phase
from twin.tables import Sink
from twin.world import World

HOSTS, SERVERS = 0, 1
TICK_S = 30.0
STREAM = {"workload": "web", "vcpus_share": 0.6, "memory_bound_share": 0.4, "lifetime": {"shortest_s": 600.0, "longest_s": 14_400.0}}
SCENARIO: dict[str, Any] = {
    "name": "absences",
    "fleet": "example",
    "start": "2026-07-14T08:00:00",
    "timezone": "America/Phoenix",
    "horizon_s": "2 h",
    "tick_s": TICK_S,
    "workloads": {
        "host_streams": [STREAM],
        "vms": [{"workload": "rented", "servers": ["server-1..server-8"], "load": {"mean_share": 0.8, "noise_share": 0.0}}],
    },
}
FULL = PolicySet.model_validate({"name": "full", "levers": {"pod_topology": [{"system": "fully_connected", "knobs": {"hosts": 8}}]}})


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """Sixty percent of the example's host vCPUs rented, and eight rented servers."""
    return read(SCENARIO)


def _world(scenario: Scenario, policy: PolicySet = FULL, **how: Any) -> World:
    phases: tuple[Phase, ...] = study.phases(Schedule.of(policy), scenario)
    return World(scenario, phases, 1, **how)


def _go(world: World, until_s: float) -> None:
    sink = Sink(_ids(world.scenario, world))
    while world.t_s < until_s - 1e-9:
        world.step(world.next_s(until_s), sink)


def _both(scenario: Scenario, until_s: float = 600.0) -> tuple[World, World]:
    """Two equal worlds at a time: to one something is done, to the other nothing."""
    pair = _world(scenario), _world(scenario)
    for world in pair:
        _go(world, until_s)
    return pair


def _held(world: World) -> np.ndarray:
    """Return the memory that lies on hosts and devices, by host."""
    memory = world.pooling.memory
    return memory._pool.hosts[:, slices.LOCAL_BYTES] + memory.settings.slice_bytes * memory._pool.hosts[:, slices.POOLED]


def test_an_evicted_vms_memory_is_free_for_others_and_taken_again_when_it_is_back(scenario: Scenario) -> None:
    world, alone = _both(scenario)
    vm, host = world.workloads.standing(HOSTS)
    vms = world.workloads.host_vms
    gone = vm[(host < 8) & (vms.end_s[vm] > 1800.0)]
    world.workloads.away(HOSTS, gone, world.t_s)
    for each in (world, alone):
        _go(each, 900.0)
    pool, plain = world.pooling.memory._pool, alone.pooling.memory._pool
    freed = np.bincount(world.workloads.hosts.vm_host[gone], weights=vms.memory_bytes[gone], minlength=len(_held(world)))
    assert np.array_equal(_held(alone) - _held(world), freed)
    assert plain.used.sum() - pool.used.sum() == plain.held[plain.slot_of[gone]].sum() > 0
    assert (pool.slot_of[gone] == slices.NONE).all()
    world.workloads.back(HOSTS, gone, world.t_s)
    for each in (world, alone):
        _go(each, 1200.0)
    assert np.array_equal(_held(world), _held(alone))
    assert np.array_equal(pool.slot_of[gone] >= 0, plain.slot_of[gone] >= 0)
    assert pool.cursor[slices.SENSELESS] == 0


def test_the_hosts_of_evicted_vms_draw_less_and_the_site_with_them(scenario: Scenario) -> None:
    world, alone = _both(scenario)
    vm, host = world.workloads.standing(HOSTS)
    racks = scenario.fleet.host_racks
    world.workloads.away(HOSTS, vm[racks[host] == racks[0]], world.t_s)
    for each in (world, alone):
        _go(each, 660.0)
    less, usual = world.plant.observe(), alone.plant.observe()
    row = scenario.fleet.rack_rows[racks[0]]
    assert less.row_power_w[row] < usual.row_power_w[row] - 100.0
    assert less.row_power_w.sum() < usual.row_power_w.sum()


def test_a_vm_of_half_the_cores_makes_its_host_half_as_busy(scenario: Scenario) -> None:
    world, alone = _both(scenario)
    vm, _ = world.workloads.standing(HOSTS)
    world.workloads.work(HOSTS, vm, np.full(len(vm), 0.5))
    for each in (world, alone):
        _go(each, 630.0)
    half, whole = world.workloads.host_share(), alone.workloads.host_share()
    assert whole.mean() > 0.2
    assert half.sum() == pytest.approx(0.5 * whole.sum(), rel=0.05)
    assert world.plant.observe().row_power_w.sum() < alone.plant.observe().row_power_w.sum()


def test_gpus_of_a_vm_that_is_away_draw_less_and_stay_its_own(scenario: Scenario) -> None:
    world, alone = _both(scenario)
    vm, server = world.workloads.standing(SERVERS)
    world.workloads.away(SERVERS, vm[:4], world.t_s)
    for each in (world, alone):
        _go(each, 720.0)
    less, usual = world.plant.observe().gpu_power_w, alone.plant.observe().gpu_power_w
    mine = np.isin(scenario.fleet.gpu_servers, server[:4])
    assert less[mine].max() < 0.6 * usual[mine].min()
    assert less[~mine] == pytest.approx(usual[~mine], rel=0.02)
    assert np.array_equal(world.workloads.gpu_vm, alone.workloads.gpu_vm)


def test_a_host_is_slowed_by_the_memory_of_those_who_run_there(scenario: Scenario) -> None:
    """All leave, come back and end, some of them in one tick: what pooled memory costs their hosts is what it costs without that."""
    world, alone = _both(scenario)
    for until_s in range(630, 3600, 30):
        vm, _ = world.workloads.standing(HOSTS)
        away = world.workloads.hosts.running.away[vm]
        world.workloads.back(HOSTS, vm[away], world.t_s)
        world.workloads.away(HOSTS, vm[~away], world.t_s)
        for each in (world, alone):
            _go(each, float(until_s))
    vm, _ = world.workloads.standing(HOSTS)
    world.workloads.back(HOSTS, vm, world.t_s)
    for each in (world, alone):
        _go(each, 3600.0)
    one, other = world.pooling.memory, alone.pooling.memory
    for each in (one, other):
        followed = each._slowing._of_host.copy()
        each._slowing.recount(each._pool)
        assert np.array_equal(each._slowing._of_host, followed)
    assert (one.slowdown > 0.0).any()
    assert np.array_equal(_held(world), _held(alone))


def test_vms_that_are_away_are_away_after_a_snapshot(scenario: Scenario) -> None:
    whole = _world(scenario)
    _go(whole, 600.0)
    vm, _ = whole.workloads.standing(HOSTS)
    whole.workloads.away(HOSTS, vm[::3], whole.t_s)
    _go(whole, 900.0)
    rest = _world(scenario, start=whole.snapshot())
    today = _world(scenario, TODAY, start=whole.snapshot())
    for each in (whole, rest, today):
        _go(each, 960.0)
        vm = each.workloads.standing(HOSTS)[0]
        each.workloads.back(HOSTS, vm, each.t_s)
        _go(each, 1200.0)
    assert np.array_equal(_held(whole), _held(rest))
    assert np.array_equal(whole.workloads.host_share(), rest.workloads.host_share())
    assert np.array_equal(whole.plant.observe().gpu_power_w, rest.plant.observe().gpu_power_w)
    # Without a pod the same memory lies on the hosts alone.
    assert _held(today).sum() == _held(whole).sum() + whole.pooling.memory._pool.hosts[:, slices.OVERFLOWN].sum() * (
        whole.pooling.memory.settings.slice_bytes
    )

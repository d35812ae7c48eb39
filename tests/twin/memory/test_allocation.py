"""The pool holds what fits, moves as few slices as can be, and frees all."""

import importlib.util
import os
from collections import deque
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from policies.baselines.pickers import first_fit, least_loaded, scattered
from twin.memory import allocation
from twin.memory import slices as s
from twin.memory.allocation import Pool, Rule, picker
from twin.memory.blocks import block_design
from twin.memory.demand import HostEvents, Ints
from twin.memory.optimum import least_peak
from twin.memory.pods import NO_ISLAND, Pod
from twin.memory.terms import Terms
from twin.memory.tiling import Tiling

GIB = 1 << 30
ALL = Terms(1.0, GIB)


def pod_of(reach: list[list[int]]) -> Pod:
    """A pod by hand: the devices of each host."""
    table = np.array(reach)
    devices, (hosts, ports) = int(table.max()) + 1, table.shape
    return Pod(
        "by-hand", "biregular", table, devices, ports, hosts * ports // devices, np.full(hosts, NO_ISLAND), np.full(devices, NO_ISLAND)
    )


RING = pod_of([[0, 1], [1, 2], [2, 3], [0, 3]])


@cache
def small() -> Pod:
    return block_design(7, 3)


def stream(seed: int, hosts: int, vms: int, largest: int) -> tuple[Ints, HostEvents]:
    """VMs of 1 to ``largest`` GiB that come and go at random: their bytes, and events that end with an empty fleet."""
    rng = np.random.default_rng(seed)
    begin = rng.random(vms) * 100.0
    t_s = np.concatenate([begin, begin + rng.exponential(15.0, vms)])
    order = np.argsort(t_s, kind="stable")
    vm = np.tile(np.arange(vms), 2)[order]
    host = rng.integers(0, hosts, vms)[vm]
    return rng.integers(1, largest + 1, vms) * GIB, HostEvents(t_s[order], vm, host, (np.arange(2 * vms) < vms)[order])


def part(events: HostEvents, low: int, high: int) -> HostEvents:
    return HostEvents(events.t_s[low:high], events.vm[low:high], events.host[low:high], events.begins[low:high])


def rule(pool: Pool, pick: Any = least_loaded, migrate: bool = True) -> Rule:
    return Rule(pick, np.zeros(pool.tiling.devices), migrate)


class Stepper:
    """The pool again, slice by slice: one search for each slice that finds no room, one move after the other."""

    def __init__(self, reach: Ints, devices: int, capacity: int, migrate: bool) -> None:
        self.reach, self.capacity, self.migrate = reach.tolist(), capacity, migrate
        self.used = [0] * devices
        self.vms: dict[int, tuple[int, list[int]]] = {}
        self.order: list[int] = []
        self.migrated = self.overflown = self.events = 0

    def begin(self, vm: int, host: int, wanted: int) -> None:
        self.vms[vm] = (host, [0] * len(self.reach[host]))
        self.order.insert(0, vm)
        for left in range(wanted, 0, -1):
            if not self._one(vm, host):
                self.overflown += left
                self.events += 1
                return

    def end(self, vm: int) -> None:
        host, held = self.vms.pop(vm)
        self.order.remove(vm)
        for place, count in enumerate(held):
            self.used[self.reach[host][place]] -= count

    def _one(self, vm: int, host: int) -> bool:
        able = [(self.used[d], place) for place, d in enumerate(self.reach[host]) if self.used[d] < self.capacity]
        if able:
            self._put(vm, host, min(able)[1], 1)
            return True
        way = self._way(host) if self.migrate else None
        if way is None:
            return False
        *steps, start = way
        for mover, out, into in steps:
            theirs = next(v for v in self.order if self.vms[v][0] == mover and self.vms[v][1][out] > 0)
            self._put(theirs, mover, out, -1)
            self._put(theirs, mover, into, 1)
            self.migrated += 1
        self._put(vm, host, self.reach[host].index(start), 1)
        return True

    def _way(self, host: int) -> list[Any] | None:
        came: dict[int, tuple[int, int, int, int] | None] = dict.fromkeys(self.reach[host])
        queue = deque(self.reach[host])
        while queue:
            d = queue.popleft()
            for g, reach in enumerate(self.reach):
                if d not in reach or not any(self.vms[v][1][reach.index(d)] for v in self.order if self.vms[v][0] == g):
                    continue
                for place, e in enumerate(reach):
                    if e in came:
                        continue
                    came[e] = (d, g, reach.index(d), place)
                    if self.used[e] < self.capacity:
                        return self._steps(came, e)
                    queue.append(e)
        return None

    @staticmethod
    def _steps(came: dict[int, Any], end: int) -> list[Any]:
        steps: list[Any] = []
        while came[end] is not None:
            end, g, out, into = came[end]
            steps.append((g, out, into))
        return [*steps, end]

    def _put(self, vm: int, host: int, place: int, count: int) -> None:
        self.vms[vm][1][place] += count
        self.used[self.reach[host][place]] += count


def test_a_slice_goes_to_the_device_with_the_fewest() -> None:
    pool = Pool(Tiling(RING, 4), ALL, np.array([3, 1]) * GIB, None)
    pool.stand(np.array([0, 1]), np.array([0, 1]), rule(pool))
    assert pool.used.tolist() == [2, 1, 1, 0]


def test_one_slice_moves_aside_where_two_hosts_share_the_only_room() -> None:
    # Host 1 fills devices 1 and 2, host 0 then fills 0, and its next slice needs one of host 1's to go from 1 to 2.
    pool = Pool(Tiling(RING, 4), ALL, np.array([2, 2, 1]) * GIB, np.array([2, 1, 2, 2]))
    pool.stand(np.array([0]), np.array([1]), rule(pool))
    assert pool.used.tolist() == [0, 1, 1, 0]
    pool.stand(np.array([1, 2]), np.array([0, 0]), rule(pool))
    assert pool.used.tolist() == [2, 1, 2, 0]
    assert pool.pods[0, s.MIGRATED] == 1
    assert pool.pods[0, s.OVERFLOW_EVENTS] == 0


def test_what_finds_no_room_lies_in_its_own_host_until_the_vm_ends() -> None:
    pool = Pool(Tiling(RING, 4), ALL, np.array([5, 1]) * GIB, 1)
    both, host = np.array([0, 1]), np.array([0, 2])
    pool.stand(both, host, rule(pool, migrate=False))
    assert pool.hosts[:, s.OVERFLOWN].tolist() == [3, 0, 0, 0]
    assert pool.pods[0, [s.OVERFLOW_EVENTS, s.OVERFLOW_SLICES]].tolist() == [1, 3]
    assert pool.hosts[0, s.PEAK_LOCAL_BYTES] == 3 * GIB
    vm, at, pooled, spilled = pool.standing()
    assert (vm.tolist(), at.tolist(), pooled.tolist(), spilled.tolist()) == ([0, 1], [0, 2], [2, 1], [3, 0])
    pool.advance(HostEvents(np.zeros(2), both, host, np.zeros(2, dtype=np.bool_)), rule(pool))
    assert not pool.hosts[:, s.OVERFLOWN].any()


@pytest.mark.parametrize("migrate", [False, True])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), capacity=st.integers(3, 12))
def test_many_slices_at_once_do_what_a_plain_stepper_does_one_by_one(seed: int, capacity: int, migrate: bool) -> None:
    memory, events = stream(seed, 15, 90, 9)
    tiling = Tiling(small(), 15)
    pool, plain = Pool(tiling, ALL, memory, capacity), Stepper(tiling.reach, tiling.devices, capacity, migrate)
    for i in range(len(events)):
        pool.advance(part(events, i, i + 1), rule(pool, migrate=migrate))
        vm, host = int(events.vm[i]), int(events.host[i])
        if host < 14:
            plain.begin(vm, host, int(memory[vm]) // GIB) if events.begins[i] else plain.end(vm)
        assert pool.used.tolist() == plain.used
    assert pool.pods[:, [s.MIGRATED, s.OVERFLOW_EVENTS, s.OVERFLOW_SLICES]].sum(axis=0).tolist() == [
        plain.migrated, plain.events, plain.overflown,
    ]  # fmt: skip
    assert not pool.pods[:, s.MISPLACED].any()


@pytest.mark.parametrize("pick", [least_loaded, first_fit, scattered])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), capacity=st.integers(1, 10), migrate=st.booleans())
def test_no_device_is_above_its_capacity_and_every_slice_is_freed(pick: Any, seed: int, capacity: int, migrate: bool) -> None:
    memory, events = stream(seed, 15, 200, 12)
    pool = Pool(Tiling(small(), 15), Terms(0.7, GIB), memory, capacity)
    half = len(events) // 2
    pool.advance(part(events, 0, half), rule(pool, pick, migrate))
    standing = pool.standing()
    assert (standing[2] + standing[3])[standing[1] < 14].tolist() == pool.wanted[standing[0]][standing[1] < 14].tolist()
    assert pool.used.sum() == pool.held.sum() == pool.links.sum() == standing[2].sum() == pool.hosts[:, s.POOLED].sum()
    pool.advance(part(events, half, len(events)), rule(pool, pick, migrate))
    assert pool.peak.max() <= capacity
    state = (pool.used, pool.held, pool.links, pool.hosts[:, [s.POOLED, s.OVERFLOWN, s.LOCAL_BYTES]], pool.pods[:, s.WANTED])
    assert not any(values.any() for values in state)
    assert (pool.slot_of == s.NONE).all()
    assert (pool.room == capacity).all()


def _most(reach: Ints, devices: int, demand: Ints, capacity: int) -> int:
    """The maximum flow from hosts with demand to devices."""
    hosts = len(reach)
    source, sink = hosts + devices, hosts + devices + 1
    flow = np.zeros((sink + 1, sink + 1), dtype=np.int32)
    flow[source, :hosts] = demand
    for host, row in enumerate(reach):
        flow[host, hosts + row] = 10**6
    flow[hosts : hosts + devices, sink] = capacity
    return int(maximum_flow(csr_array(flow), source, sink).flow_value)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), capacity=st.integers(2, 7))
def test_with_moves_a_slice_overflows_only_where_no_assignment_could_hold_it(seed: int, capacity: int) -> None:
    memory, events = stream(seed, 7, 80, 9)
    pool = Pool(Tiling(small(), 7), ALL, memory, capacity)
    for i in range(len(events)):
        before, host = int(pool.pods[0, s.OVERFLOW_SLICES]), int(events.host[i])
        pool.advance(part(events, i, i + 1), rule(pool))
        if pool.pods[0, s.OVERFLOW_SLICES] > before:
            demand = pool.hosts[:, s.POOLED].copy()
            demand[host] += 1
            assert _most(pool.tiling.reach, 7, demand, capacity) == demand.sum() - 1


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_greedy_is_never_better_than_the_optimum(seed: int) -> None:
    memory, events = stream(seed, 7, 60, 9)
    pool = Pool(Tiling(small(), 7), ALL, memory, None)
    pool.advance(part(events, 0, 60), rule(pool))
    best, _ = least_peak(pool.tiling.reach, 7, pool.hosts[:, s.POOLED])
    assert pool.used.max() >= best - 1e-9
    # With moves the optimum, in whole slices, is enough room for all.
    tight = Pool(Tiling(small(), 7), ALL, memory, int(np.ceil(best - 1e-9)))
    vm, host, _, _ = pool.standing()
    tight.stand(vm, host, rule(tight))
    assert not tight.pods[0, s.OVERFLOW_SLICES]


@picker
def always_first(reach, used, room, score):  # type: ignore[no-untyped-def]
    return 0


@picker
def never(reach, used, room, score):  # type: ignore[no-untyped-def]
    return -1


@picker
def best_score(reach, used, room, score):  # type: ignore[no-untyped-def]
    best = -1
    for place in range(len(reach)):
        if room[reach[place]] > 0 and (best < 0 or score[reach[place]] > score[reach[best]]):
            best = place
    return best


def test_a_pick_without_room_is_counted_and_the_first_with_room_taken() -> None:
    pool = Pool(Tiling(RING, 4), ALL, np.array([4]) * GIB, 3)
    pool.stand(np.array([0]), np.array([0]), rule(pool, always_first))
    assert pool.used.tolist() == [3, 1, 0, 0]
    assert pool.pods[0, s.MISPLACED] == 1


def test_a_rule_that_refuses_lets_slices_overflow_unless_moves_are_allowed() -> None:
    for migrate, overflown in ((False, 4), (True, 0)):
        pool = Pool(Tiling(RING, 4), ALL, np.array([4]) * GIB, 3)
        pool.stand(np.array([0]), np.array([0]), rule(pool, never, migrate))
        assert pool.hosts[0, s.OVERFLOWN] == overflown
        assert pool.pods[0, s.MIGRATED] == 0


def test_a_rule_sees_the_score_of_its_devices() -> None:
    pool = Pool(Tiling(RING, 4), ALL, np.array([2]) * GIB, None)
    pool.stand(np.array([0]), np.array([1]), Rule(best_score, np.array([9.0, 1.0, 2.0, 9.0]), False))
    assert pool.used.tolist() == [0, 0, 2, 0]


def test_a_score_for_other_devices_than_there_are_is_refused() -> None:
    pool = Pool(Tiling(RING, 4), ALL, np.array([2]) * GIB, None)
    with pytest.raises(ValueError, match="a score for 3 devices, and there are 4"):
        pool.stand(np.array([0]), np.array([1]), Rule(best_score, np.zeros(3), False))


def test_hosts_without_a_pod_keep_all_memory_to_themselves() -> None:
    for tiling in (Tiling(None, 2), Tiling(RING, 6)):
        pool = Pool(tiling, ALL, np.array([3]) * GIB, 1)
        pool.stand(np.array([0]), np.array([tiling.hosts - 1]), rule(pool))
        assert pool.hosts[-1, [s.POOLED, s.OVERFLOWN, s.LOCAL_BYTES]].tolist() == [0, 0, 3 * GIB]
        assert not pool.pods[:, s.OVERFLOW_EVENTS].any()


def test_a_lost_device_hands_its_slices_to_what_is_left() -> None:
    pool = Pool(Tiling(small(), 7), ALL, np.full(7, 6 * GIB), 8)
    pool.stand(np.arange(7), np.arange(7), rule(pool))
    devices, links = np.ones(7, dtype=np.bool_), np.ones((7, 3), dtype=np.bool_)
    before = pool.links[pool.tiling.reach == 2].copy()
    devices[2] = False
    lost = pool.reopen(links, devices, rule(pool))
    assert lost.slices[(pool.tiling.reach == 2).any(axis=1)].tolist() == before.tolist()
    assert lost.slices.sum() == before.sum() == 6
    assert lost.vms.tolist() == (lost.slices > 0).astype(int).tolist()
    assert pool.used[2] == 0
    assert pool.used.sum() == 42
    assert pool.peak.max() <= 8
    pool.reopen(links, np.ones(7, dtype=np.bool_), rule(pool))
    assert pool.room[2] == 8


def test_a_host_that_loses_all_its_links_spills() -> None:
    pool = Pool(Tiling(RING, 4), ALL, np.array([4, 2]) * GIB, None)
    pool.stand(np.array([0]), np.array([0]), rule(pool))
    links = np.ones((4, 2), dtype=np.bool_)
    links[0] = False
    lost = pool.reopen(links, np.ones(4, dtype=np.bool_), rule(pool))
    assert (lost.vms.tolist(), lost.slices.tolist()) == ([1, 0, 0, 0], [4, 0, 0, 0])
    assert pool.hosts[0, [s.POOLED, s.OVERFLOWN]].tolist() == [0, 4]
    pool.stand(np.array([1]), np.array([0]), rule(pool))
    assert pool.hosts[0, s.OVERFLOWN] == 6
    assert not pool.used.any()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_after_faults_nothing_lies_on_what_is_shut_and_nothing_is_lost_for_good(seed: int) -> None:
    memory, events = stream(seed, 7, 60, 9)
    pool = Pool(Tiling(small(), 7), ALL, memory, 9)
    pool.advance(part(events, 0, 60), rule(pool))
    wanted = pool.hosts[:, s.POOLED] + pool.hosts[:, s.OVERFLOWN]
    rng = np.random.default_rng(seed)
    links, devices = rng.random((7, 3)) < 0.8, rng.random(7) < 0.8
    pool.reopen(links, devices, rule(pool))
    assert not pool.links[~(links & devices[pool.tiling.reach])].any()
    assert not pool.used[~devices].any()
    assert pool.used.max() <= 9
    assert (pool.hosts[:, s.POOLED] + pool.hosts[:, s.OVERFLOWN]).tolist() == wanted.tolist()
    pool.advance(part(events, 60, len(events)), rule(pool))
    assert not pool.used.any()
    assert not pool.hosts[:, s.OVERFLOWN].any()


def test_a_pool_goes_on_from_its_snapshot_as_if_nothing_had_been() -> None:
    memory, events = stream(3, 15, 200, 9)
    whole, half = (Pool(Tiling(small(), 15), ALL, memory, 7) for _ in range(2))
    whole.advance(events, rule(whole))
    half.advance(part(events, 0, 150), rule(half))
    taken = half.snapshot()
    half.advance(part(events, 150, 300), rule(half))
    again = Pool(Tiling(small(), 15), ALL, memory, 7)
    again.restore(taken)
    again.advance(part(events, 150, len(events)), rule(again))
    assert again.pods.tobytes() == whole.pods.tobytes()
    assert again.hosts.tobytes() == whole.hosts.tobytes()
    assert again.peak.tobytes() == whole.peak.tobytes()
    assert whole.pods[:, s.MIGRATED].min() > 0


def test_events_that_make_no_sense_are_refused() -> None:
    pool = Pool(Tiling(RING, 4), ALL, np.array([1, 1]) * GIB, None)
    with pytest.raises(ValueError, match="begin twice, or end where they do not stand"):
        pool.advance(HostEvents(np.zeros(1), np.array([0]), np.array([0]), np.zeros(1, dtype=np.bool_)), rule(pool))


def test_a_rule_is_compiled_once_and_again_when_the_pool_is_newer(tmp_path: Path) -> None:
    path = tmp_path / "a_rule.py"
    path.write_text("from twin.memory.allocation import picker\n\n@picker\ndef any_(reach, used, room, score):\n    return 0\n")

    def load() -> Any:
        spec = importlib.util.spec_from_file_location("a_rule", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert not module.any_.signatures, "nothing compiles at import"
        allocation.entry(module.any_)
        return module.any_

    assert not load().stats.cache_hits
    assert load().stats.cache_hits
    for index in tmp_path.rglob("a_rule.*.nbi"):
        os.utime(index, (0.0, 0.0))
    assert not load().stats.cache_hits

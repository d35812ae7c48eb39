"""VMs that leave and come back: their load and memory go with them, and everything is there again to the last bit."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.clock import HOUR_S, Clock
from twin.faults import Fault
from twin.fleet import Fleet
from twin.tables import Sink
from twin.workloads.model import Model, Settings

MONDAY = Clock(datetime(2026, 7, 13, tzinfo=UTC))
HORIZON_S = 2 * HOUR_S
TICK_S = 60.0
STREAM = {"workload": "web", "vcpus_share": 0.6, "lifetime": {"shortest_s": 600.0, "longest_s": 7200.0}}
STEADY = {"mean_share": 0.4, "swing_share": 0.1, "noise_share": 0.02, "spread_share": 0.0}
NAMED = {"workload": "kept", "servers": ["server-1", "host-1"], "load": STEADY}
HOSTS, SERVERS = 0, 1


def _model(site: Fleet, seed: int = 1, **values: Any) -> Model:
    asked = Settings.model_validate(values or {"host_streams": [{**STREAM, "load": STEADY}], "vms": [NAMED]})
    return Model(asked, site, MONDAY, HORIZON_S, (), seed)


def _long_lived(site: Fleet) -> Model:
    stream = {**STREAM, "lifetime": {"shortest_s": 86_400.0, "longest_s": 864_000.0}, "load": STEADY}
    return _model(site, host_streams=[stream])


def _follow(model: Model, stands: set[int]) -> None:
    """Take the last tick's events as memory does: nobody begins twice, and nobody ends who does not stand."""
    events = model.host_events()
    assert (np.diff(events.t_s) >= 0.0).all()
    assert np.array_equal(events.host, model.hosts.vm_host[events.vm])
    for vm, begins in zip(events.vm.tolist(), events.begins.tolist(), strict=True):
        assert (vm in stands) != begins
        (stands.add if begins else stands.remove)(vm)


def _anything(model: Model, random: np.random.Generator, t_s: float) -> None:
    """Let some leave, some come back, and some carry another part of their load."""
    for pool in (HOSTS, SERVERS):
        vm, _ = model.standing(pool)
        for act in (model.away, model.back):
            act(pool, vm[random.random(len(vm)) < 0.3], t_s)
        some = vm[random.random(len(vm)) < 0.3]
        model.work(pool, some, random.choice([0.5, 1.0, 1.3], len(some)))


def test_an_evicted_vm_takes_its_load_from_its_host_and_brings_it_back(site):
    model, alone = _long_lived(site), _long_lived(site)
    for each in (model, alone):
        each.advance(TICK_S)
    vm, host = model.standing(HOSTS)
    mine = vm[host == host[0]]
    model.away(HOSTS, mine, TICK_S)
    for each in (model, alone):
        each.advance(2 * TICK_S)
    events = model.host_events()
    assert events.vm.tolist() == mine.tolist()
    assert not events.begins.any()
    assert (events.t_s == TICK_S).all()
    assert model.host_share()[host[0]] == 0.0
    others = np.arange(4) != host[0]
    assert np.array_equal(model.host_share()[others], alone.host_share()[others])
    assert model.host_rented_vcpus()[host[0]] == 0
    assert np.array_equal(model.standing(HOSTS)[0], alone.standing(HOSTS)[0]), "the place stays theirs"
    model.back(HOSTS, mine, 2 * TICK_S)
    for each in (model, alone):
        each.advance(3 * TICK_S)
    assert model.host_events().begins.all()
    assert np.array_equal(model.host_share(), alone.host_share())
    assert np.array_equal(model.host_rented_vcpus(), alone.host_rented_vcpus())


def test_one_that_leaves_and_comes_back_at_once_is_not_told_of(site):
    model = _long_lived(site)
    model.advance(TICK_S)
    vm, _ = model.standing(HOSTS)
    model.away(HOSTS, vm, TICK_S)
    model.back(HOSTS, vm, TICK_S)
    model.advance(2 * TICK_S)
    assert len(model.host_events()) == 0


def test_one_that_is_away_ends_once(site):
    model = _model(site)
    model.advance(TICK_S)
    vm, _ = model.standing(HOSTS)
    short = vm[model.host_vms.end_s[vm] < 1800.0]
    assert len(short)
    model.away(HOSTS, short, TICK_S)
    told: list[int] = []
    for t_s in np.arange(2 * TICK_S, HOUR_S, TICK_S):
        model.advance(float(t_s))
        events = model.host_events()
        told += events.vm[~events.begins & np.isin(events.vm, short)].tolist()
    assert sorted(told) == short.tolist()
    assert not np.isin(short, model.standing(HOSTS)[0]).any()
    sink = Sink({})
    model.record(sink)
    model.close(sink, HOUR_S)
    assert {model.host_vms.ids[one] for one in short} <= set(sink.frames()["vm_ends"]["vm_id"]), "their end is told where it belongs"


def test_those_of_the_start_can_be_seen_and_taken_before_the_first_tick(site):
    model = _model(site)
    vm, host = model.standing(HOSTS)
    assert np.array_equal(vm, np.flatnonzero((model.host_vms.arrive_s == 0.0) & (model.hosts.vm_host >= 0)))
    assert model.busy(HOSTS, vm) == pytest.approx(np.full(len(vm), 0.4), abs=0.21)
    model.away(HOSTS, vm, 0.0)
    model.work(HOSTS, vm, np.full(len(vm), 0.5))
    stands: set[int] = set()
    model.advance(1e-6)
    _follow(model, stands)
    assert not stands
    assert not model.host_share().any()
    model.back(HOSTS, vm, 1e-6)
    model.advance(TICK_S)
    _follow(model, stands)
    assert stands >= set(vm.tolist()) - set(np.flatnonzero(model.host_vms.end_s <= TICK_S).tolist())
    assert len(host) == len(vm)


def test_work_is_what_the_load_is_multiplied_with(site):
    model, alone = _model(site), _model(site)
    for each in (model, alone):
        each.advance(TICK_S)
    for pool in (HOSTS, SERVERS):
        vm, _ = model.standing(pool)
        model.work(pool, vm, np.full(len(vm), 0.5))
    for each in (model, alone):
        each.advance(2 * TICK_S)
    gone = alone.host_events()
    assert model.host_share() == pytest.approx(0.5 * alone.host_share(), abs=0.5 * model.host_vms.vcpus[gone.vm].sum() / 40 + 1e-9)
    assert model.gpu_share() == pytest.approx(0.5 * alone.gpu_share())
    assert model.gpu_share()[:8].min() > 0.1


def test_a_vm_that_fills_a_host_leaves_it_idle(site):
    model = _model(site)
    model.advance(TICK_S)
    assert model.host_share()[0] > 0.2
    assert model.busy(HOSTS, np.array([0])) == pytest.approx(model.host_share()[:1])
    model.away(HOSTS, np.array([0]), TICK_S)
    model.advance(2 * TICK_S)
    assert model.host_share()[0] == 0.0
    assert model.host_rented_vcpus()[0] == 0
    assert model.busy(HOSTS, np.array([0]))[0] > 0.2, "what it would do if it were there"


def test_a_vm_on_gpus_keeps_them_while_it_is_away(site):
    model = _model(site)
    model.advance(TICK_S)
    vm, server = model.standing(SERVERS)
    assert (vm.tolist(), server.tolist()) == ([0], [0])
    model.away(SERVERS, vm, TICK_S)
    model.cap(vm, np.array([0.8]))
    model.advance(2 * TICK_S)
    assert not model.gpu_share().any()
    assert model.gpus_away().tolist() == [True] * 8 + [False] * 88
    assert model.gpu_caps().tolist() == [0.8] * 8 + [1.0] * 88
    assert np.array_equal(model.standing(SERVERS)[0], vm)
    assert model.over_gpus(vm, np.arange(96.0)).tolist() == [28.0]
    model.back(SERVERS, vm, 2 * TICK_S)
    model.advance(3 * TICK_S)
    assert model.gpu_share()[:8].min() > 0.2
    assert model.busy(SERVERS, vm) == pytest.approx(model.gpu_share()[:1])


def test_a_vm_that_ends_leaves_nothing_behind(site):
    stream = {"workload": "rented", "gpus_share": 0.6, "size_shares": {8: 1.0}, "lifetime": {"short_mean_s": 600.0, "long_share": 0.0}}
    model = _model(site, arrivals=[stream])
    model.turn(0.0)
    for vm in tuple(model.waiting):
        model.put(vm, int(np.argmax(model.gpus_free)), 0.0)
    model.settle(0.0)
    vm, _ = model.standing(SERVERS)
    model.away(SERVERS, vm, 0.0)
    model.cap(vm, np.full(len(vm), 0.5))
    model.advance(HORIZON_S)
    model.turn(float(model.vms.end_s[vm].max()))
    assert not model.gpus_away().any()
    assert (model.gpu_caps() == 1.0).all()
    with pytest.raises(ValueError, match="stands on no server now"):
        model.away(SERVERS, vm, HORIZON_S)


def test_loads_of_vms_add_up_to_the_load_of_their_host(site):
    """With noise and a burst, in the week and at the weekend, whatever each carries: nobody's load is at an edge here."""
    burst = (Fault(kind="traffic_burst", target="web", from_s=0.0, severity=0.1),)
    load = {"mean_share": 0.4, "swing_share": 0.1, "noise_share": 0.04, "weekend_share": 0.8, "spread_share": 0.02, "spread_h": 3.0}
    for day in (13, 18):
        asked = Settings.model_validate({"host_streams": [{**STREAM, "load": load}]})
        model = Model(asked, site, Clock(datetime(2026, 7, day, tzinfo=UTC)), HORIZON_S, burst, 3)
        model.advance(HOUR_S)
        vm, host = model.standing(HOSTS)
        work = np.random.default_rng(1).choice([0.5, 1.0, 1.2], len(vm))
        model.work(HOSTS, vm, work)
        model.advance(HOUR_S + 1e-3)
        vms = model.host_vms.vcpus[vm] * work * model.busy(HOSTS, vm)
        assert np.bincount(host, vms, 4) / 40 == pytest.approx(model.host_share(), abs=1e-7)


def test_peaks_are_mean_and_highest_of_the_daily_wave(site):
    model = _model(site)
    assert model.peaks(HOSTS)[:, 0] == pytest.approx([0.4, 0.5])
    assert model.peaks(SERVERS)[:, 0] == pytest.approx([0.4, 0.5])
    edge = _model(site, host_streams=[{**STREAM, "load": {"mean_share": 0.9, "swing_share": 0.3, "spread_share": 0.0}}])
    assert edge.peaks(HOSTS)[:, 0] == pytest.approx([0.9, 1.0])


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), until=st.integers(2, 30))
def test_whatever_is_done_and_undone_leaves_no_trace(site, seed, until):
    model, alone = _model(site), _model(site)
    random, stands = np.random.default_rng(seed), set()
    for tick in range(until):
        _anything(model, random, tick * TICK_S)
        model.advance((tick + 1) * TICK_S)
        alone.advance((tick + 1) * TICK_S)
        _follow(model, stands)
        vm, _ = model.standing(HOSTS)
        assert stands == set(vm[~model.hosts.running.away[vm]].tolist())
        assert np.array_equal(vm, alone.standing(HOSTS)[0])
        here = np.array(sorted(stands), dtype=np.int64)
        assert np.array_equal(model.host_rented_vcpus(), np.bincount(model.hosts.vm_host[here], model.host_vms.vcpus[here], 4))
    for pool in (HOSTS, SERVERS):
        vm, _ = model.standing(pool)
        model.back(pool, vm, until * TICK_S)
        model.work(pool, vm, np.ones(len(vm)))
    for each in (model, alone):
        each.advance((until + 1) * TICK_S)
    _follow(model, stands)
    assert stands == set(alone.standing(HOSTS)[0].tolist())
    assert np.array_equal(model.host_share(), alone.host_share())
    assert np.array_equal(model.gpu_share(), alone.gpu_share())


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_snapshot_goes_on_the_same(site, seed):
    whole, part = _model(site), _model(site)
    random = np.random.default_rng(seed)
    for tick in range(10):
        _anything(whole, random, tick * TICK_S)
        whole.advance((tick + 1) * TICK_S)
    vm, _ = whole.standing(HOSTS)
    # What was said since the last tick counts too.
    whole.away(HOSTS, vm[:3], 600.0)
    whole.cap(np.array([0]), np.array([0.9]))
    part.restore(whole.snapshot())
    randoms = np.random.default_rng(seed + 1), np.random.default_rng(seed + 1)
    for tick in range(10, 20):
        for model, drawn in zip((whole, part), randoms, strict=True):
            _anything(model, drawn, tick * TICK_S)
            model.advance((tick + 1) * TICK_S)
        one, other = whole.host_events(), part.host_events()
        assert all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("t_s", "vm", "host", "begins"))
        assert np.array_equal(whole.host_share(), part.host_share())
        assert np.array_equal(whole.gpu_share(), part.gpu_share())
        for pool in (HOSTS, SERVERS):
            assert np.array_equal(whole.busy(pool, whole.standing(pool)[0]), part.busy(pool, part.standing(pool)[0]))
    assert np.array_equal(whole.gpu_caps(), part.gpu_caps())


def test_what_cannot_be_is_one_line(site):
    model = _model(site)
    model.advance(TICK_S)
    none = np.flatnonzero(model.host_vms.arrive_s > HOUR_S)[:1]
    assert len(none)
    vm, _ = model.standing(HOSTS)
    with pytest.raises(ValueError, match=r"^web/host-vm-\d+ stands on no host now; leave it out$"):
        model.away(HOSTS, none, TICK_S)
    with pytest.raises(ValueError, match="where a tick begins, now at 60 s and not at 90 s"):
        model.away(HOSTS, vm, 90.0)
    with pytest.raises(ValueError, match=r"the work of VMs is a share from 0 to 2\.4"):
        model.work(HOSTS, vm, np.full(len(vm), np.nan))
    with pytest.raises(ValueError, match=r"the clock of VMs is a share from 0\.5 to 1\.2"):
        model.cap(np.array([0]), np.array([0.4]))

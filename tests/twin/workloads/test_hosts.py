"""VMs on the hosts of a run: steady, the same whatever the tick and the policy, busy as they say."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from twin.clock import DAY_S, HOUR_S, Clock
from twin.faults import Fault
from twin.fleet import Fleet
from twin.fleet_file import FleetSpec, build
from twin.tables import Sink
from twin.workloads.host_streams import default_memory_bytes
from twin.workloads.model import Model, Settings, check_room

MONDAY = Clock(datetime(2026, 7, 13, tzinfo=UTC))
HOSTS = 60
STREAM = {"workload": "web", "vcpus_share": 0.6, "lifetime": {"longest_s": 86_400.0}, "batch_largest": 4}
STEADY = {"mean_share": 0.5, "swing_share": 0.0, "noise_share": 0.0, "spread_share": 0.0, "spread_h": 0.0}


@pytest.fixture(scope="module")
def hall() -> Fleet:
    """Sixty CPU hosts and one GPU server."""
    row = {"aisle": "aisle-1", "racks": 1, "power_budget_w": 60_000.0}
    rows = [
        {"id": "row-1", "kind": "gpu", "first_rack": "rack-1", "first_server": "server-1", "per_rack": 1, "model": "a100", **row},
        {"id": "hosts", "kind": "host", "first_rack": "host-rack-1", "first_server": "host-1", "per_rack": 20, "model": "cpu-host", **row},
    ]  # fmt: skip
    rows[1]["racks"] = 3
    spec = {"name": "hall", "site_power_budget_w": 200_000.0, "aisle": [{"id": "aisle-1"}], "row": rows}
    return build(FleetSpec.model_validate(spec))


def _model(fleet: Fleet, horizon_s: float = 6 * HOUR_S, seed: int = 1, faults: tuple[Fault, ...] = (), **values: Any) -> Model:
    return Model(Settings.model_validate(values or {"host_streams": [STREAM]}), fleet, MONDAY, horizon_s, faults, seed)


def _frames(model: Model, tick_s: float, until_s: float = 6 * HOUR_S, from_s: float = 0.0) -> dict[str, Any]:
    sink = Sink({})
    for t_s in np.arange(from_s + tick_s, until_s + tick_s / 2, tick_s):
        model.advance(float(t_s))
        model.record(sink)
    model.close(sink, until_s)
    return sink.frames()


def test_hosts_carry_what_the_stream_says_from_the_first_tick(hall):
    """Little's law through placement: six tenths of the vCPUs, at the start as later, and memory to match."""
    held = []
    for seed in range(16):
        # The days before this Monday are a weekend, on which fewer come.
        model = _model(hall, seed=seed, host_streams=[{**STREAM, "arrival_weekend_share": 1.0}])
        for t_s in (10.0, 6 * HOUR_S):
            model.advance(t_s)
            vm, host = model.host_standing()
            used = np.bincount(host, model.host_vms.vcpus[vm], HOSTS)
            assert used.max() <= 40
            held.append(used.sum() / (40 * HOSTS))
    assert np.mean(held) == pytest.approx(0.6, rel=0.08)


def test_events_tell_who_stands(hall):
    model = _model(hall)
    stands: dict[int, int] = {}
    for t_s in np.arange(60.0, 6 * HOUR_S, 60.0):
        model.advance(float(t_s))
        events = model.host_events()
        for vm, host, begins in zip(events.vm.tolist(), events.host.tolist(), events.begins.tolist(), strict=True):
            if begins:
                assert vm not in stands
                stands[vm] = host
            else:
                assert stands.pop(vm) == host
        assert ((events.t_s > t_s - 60.0) | (t_s == 60.0)).all()
        assert (events.t_s <= t_s).all()
        assert dict(zip(*(part.tolist() for part in model.host_standing()), strict=True)) == stands
    assert stands


def test_neither_the_tick_nor_the_horizon_nor_pooled_memory_changes_who_comes(hall):
    first, halved, longer, slowed = _model(hall), _model(hall), _model(hall, horizon_s=2 * DAY_S), _model(hall)
    slowed.slow_hosts(np.full(HOSTS, 0.3))
    told = [_frames(model, tick_s) for model, tick_s in ((first, 20.0), (halved, 10.0), (longer, 20.0), (slowed, 20.0))]
    for other in told[1:]:
        for name in ("vms", "vm_ends"):
            assert other[name].equals(told[0][name])
    assert np.array_equal(first.host_share(), halved.host_share())
    assert np.array_equal(first.host_share(), longer.host_share())
    assert first.exogenous() == slowed.exogenous() == halved.exogenous()
    assert first.exogenous() != _model(hall, seed=2).exogenous()


def test_a_snapshot_goes_on_the_same(hall):
    whole, part = _model(hall), _model(hall)
    whole.slow_hosts(np.linspace(0.0, 0.2, HOSTS))
    _frames(whole, 20.0, 2 * HOUR_S)
    part.restore(whole.snapshot())
    assert len(part.host_events()) == 0
    assert np.array_equal(part.host_standing()[0], whole.host_standing()[0])
    rest = [_frames(model, 20.0, 6 * HOUR_S, 2 * HOUR_S) for model in (whole, part)]
    assert rest[0]["vms"].height > 10
    for name, frame in rest[0].items():
        assert frame.equals(rest[1][name]), name
    assert np.array_equal(whole.host_share(), part.host_share())


def test_a_host_is_as_busy_as_its_vms_are_large(hall):
    model = _model(hall, host_streams=[{**STREAM, "load": STEADY}])
    model.advance(HOUR_S)
    vm, host = model.host_standing()
    used = np.bincount(host, model.host_vms.vcpus[vm], HOSTS)
    assert model.host_share() == pytest.approx(0.5 * used / 40, abs=1e-8)
    model.slow_hosts(np.full(HOSTS, 0.2))
    assert model.host_share() == pytest.approx(0.6 * used / 40, abs=1e-8)
    model.slow_hosts(np.full(HOSTS, 50.0))
    assert model.host_share().max() == 1.0
    with pytest.raises(ValueError, match="60 numbers of 0 or more"):
        model.slow_hosts(np.full(HOSTS, -0.1))


def test_the_day_the_weekend_and_a_burst_show_in_the_load(hall):
    load = {**STEADY, "mean_share": 0.4, "swing_share": 0.3, "peak_hour": 15.0, "weekend_share": 0.5}
    burst = (Fault(kind="traffic_burst", target="web", from_s=3 * HOUR_S, until_s=4 * HOUR_S, severity=0.2),)
    long_lived = {**STREAM, "lifetime": {"shortest_s": 7 * DAY_S, "longest_s": 30 * DAY_S}, "load": load}
    calm, hit = (_model(hall, 7 * DAY_S, faults=faults, host_streams=[long_lived]) for faults in ((), burst))

    def busy(model: Model, t_s: float) -> float:
        model.advance(t_s)
        vm, _ = model.host_standing()
        return float(model.host_share().sum() * 40 / model.host_vms.vcpus[vm].sum())

    assert busy(hit, 3.5 * HOUR_S) - busy(calm, 3.5 * HOUR_S) == pytest.approx(0.2, abs=1e-6)
    assert busy(calm, 15 * HOUR_S) == pytest.approx(0.7, abs=1e-6)
    assert busy(calm, 27 * HOUR_S) == pytest.approx(0.1, abs=1e-6)
    assert busy(calm, 5 * DAY_S + 15 * HOUR_S) == pytest.approx(0.35, abs=1e-6)


def test_noises_of_many_small_vms_even_out(hall):
    """The noise of a sum of independent VMs: its spread falls with their number, as one over its square root."""
    values = {**STREAM, "size_shares": {1: 1.0}, "load": {**STEADY, "noise_share": 0.2}}
    spread = []
    for size in (1, 8):
        model = _model(hall, horizon_s=40 * HOUR_S, host_streams=[{**values, "size_shares": {size: 1.0}}])
        rest = []
        for t_s in np.arange(HOUR_S, 40 * HOUR_S, HOUR_S):
            model.advance(float(t_s))
            vm, host = model.host_standing()
            used = np.bincount(host, model.host_vms.vcpus[vm], HOSTS)
            full = used >= 32
            rest.append((40 * model.host_share()[full] / used[full] - 0.5) * np.sqrt(used[full] / size))
        spread.append(np.concatenate(rest).std())
    assert spread == pytest.approx([0.2, 0.2], rel=0.1)


def test_vms_are_told_of_with_place_size_and_memory(hall):
    model = _model(hall)
    frames = _frames(model, 20.0)
    vms, ends = frames["vms"], frames["vm_ends"]
    assert vms["vm_id"].is_unique().all()
    assert set(ends["vm_id"]) <= set(vms["vm_id"])
    assert set(vms["workload_id"]) == {"web"}
    assert set(vms["place_id"]) <= set(hall.host_ids)
    assert (vms["memory_bytes"] / vms["vcpus"]).min() >= 0.75 * 2**30 - 1
    assert vms.height - ends.height == len(model.host_standing()[0])
    assert vms.select("gpus", "first_gpu").unique().rows() == [(0, -1)]
    assert "vm_waits" not in frames


def test_one_that_finds_no_host_is_turned_away_and_counted(hall):
    model = _model(hall, host_streams=[{**STREAM, "vcpus_share": 1.0, "size_shares": {16: 0.5, 32: 0.5}}])
    frames = _frames(model, 20.0)
    waits = frames["vm_waits"]
    assert set(waits["outcome"]) == {"turned away"}
    assert waits["vcpus"].min() >= 16
    assert not set(waits["vm_id"]) & set(frames["vms"]["vm_id"])
    assert waits.height + frames["vms"].height == len(model.host_vms.vcpus)


def test_one_that_was_turned_away_before_the_run_does_not_come_back(hall):
    """Those who stand at the beginning found a host in the days before; nobody is turned away at that moment."""
    model = _model(hall, host_streams=[{**STREAM, "vcpus_share": 1.0, "size_shares": {16: 0.5, 32: 0.5}}])
    past, vms, _ = model.past_hosts()
    assert len(np.unique(past.vm)) < len(vms.vcpus), "some found no host in the past"
    standing = model.host_vms.arrive_s == 0.0
    model.advance(1e-6)
    assert standing.sum() == len(model.host_standing()[0]) > 0


def test_the_days_before_a_monday_are_a_weekend(hall):
    """Few come at weekends: of the three days before, the Friday brings most."""
    model = _model(hall, host_streams=[{**STREAM, "arrival_weekend_share": 0.2, "arrival_swing_share": 0.0}])
    past, *_ = model.past_hosts()
    came = np.histogram(past.t_s[past.begins & (past.t_s > 0.0)], np.arange(4) * DAY_S)[0]
    assert came[0] > 2 * came[1:].max()


def test_a_vm_may_still_fill_a_named_host_and_no_other_goes_there(hall):
    groups = [{"workload": "kept", "servers": ["host-1..host-30"], "load": STEADY}]
    model = _model(hall, vms=groups, host_streams=[{**STREAM, "vcpus_share": 0.4, "load": STEADY}])
    model.advance(10.0)
    _, host = model.host_standing()
    assert host[:30].tolist() == list(range(30))
    assert (host[30:] >= 30).all()
    assert model.host_vms.vcpus[:30].tolist() == [40] * 30
    assert model.host_vms.memory_bytes[0] == default_memory_bytes(40)
    assert model.host_share()[:30] == pytest.approx(np.full(30, 0.5))
    frames = _frames(model, 20.0, from_s=10.0)
    assert frames["vms"]["vm_id"].is_unique().all()
    assert frames["vms"].filter(frames["vms"]["workload_id"] == "kept")["vcpus"].to_list() == [40] * 30


def test_the_run_goes_on_where_the_past_ends(hall):
    model = _model(hall, horizon_s=DAY_S)
    events, vms, span_s = model.past_hosts()
    assert span_s == 3 * DAY_S
    assert (events.t_s <= span_s).all()
    level = np.cumsum(np.where(events.begins, 1, -1) * vms.vcpus[events.vm])
    mean = float((level * np.diff(np.append(events.t_s, span_s))).sum() / span_s)
    assert mean == pytest.approx(0.6 * 40 * HOSTS, rel=0.25)
    here = np.zeros(len(vms.vcpus), dtype=int)
    np.add.at(here, events.vm, np.where(events.begins, 1, -1))
    host_of = dict(zip(events.vm.tolist(), events.host.tolist(), strict=True))
    left = sorted((host_of[vm], int(vms.memory_bytes[vm]), round(float(vms.end_s[vm] - span_s), 6)) for vm in np.flatnonzero(here))
    model.advance(1e-6)
    vm, host = model.host_standing()
    known = model.host_vms
    stands = zip(host.tolist(), known.memory_bytes[vm].tolist(), known.end_s[vm].round(6).tolist(), strict=True)
    assert left == sorted(stands) != []
    assert np.array_equal(events.t_s, model.past_hosts()[0].t_s)


def test_a_longer_run_has_the_same_past_and_the_same_first_day(hall):
    short, long = (_model(hall, horizon_s=days * DAY_S) for days in (1, 2))
    assert np.array_equal(short.past_hosts()[0].vm, long.past_hosts()[0].vm)
    for model in (short, long):
        model.advance(0.9 * DAY_S)
    one, other = short.host_events(), long.host_events()
    assert np.array_equal(one.t_s, other.t_s)
    assert np.array_equal(one.host, other.host)


def test_without_vms_on_hosts_nothing_is_drawn_or_told(hall):
    model = _model(hall, vms=[{"workload": "kept", "servers": ["server-1"]}])
    frames = _frames(model, 300.0, HOUR_S)
    assert len(model.host_vms.vcpus) == 0
    assert len(model.host_events()) == 0
    assert not model.host_share().any()
    assert frames["vms"].select("vcpus", "memory_bytes").rows() == [(0, 0)]


@pytest.mark.parametrize(
    ("streams", "said"),
    [
        ([{"workload": name, "vcpus_share": 0.6} for name in "ab"], "VMs would hold 2,880 vCPUs on average and the hosts have 2,400"),
        ([{"workload": "a", "vcpus_share": 0.1, "size_shares": {64: 1.0}}], "no host takes 64 vCPUs, each has 40"),
    ],
)  # fmt: skip
def test_what_the_hosts_cannot_hold_is_one_line(hall, site, streams, said):
    with pytest.raises(ValueError, match=said):
        check_room(Settings.model_validate({"host_streams": streams}), hall)
    full = {"vms": [{"workload": "kept", "servers": ["host-1..host-4"]}], "host_streams": [{"workload": "a", "vcpus_share": 0.5}]}
    with pytest.raises(ValueError, match="hold 80 vCPUs on average and the hosts have 0 left"):
        check_room(Settings.model_validate(full), site)


def test_a_fleet_without_hosts_is_refused(site):
    from dataclasses import replace

    bare = replace(site, host_ids=(), host_racks=site.host_racks[:0], host_slots=site.host_slots[:0])
    with pytest.raises(ValueError, match="the fleet has no CPU hosts"):
        check_room(Settings.model_validate({"host_streams": [STREAM]}), bare)

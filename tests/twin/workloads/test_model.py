"""Who owns which GPUs: nobody twice, everybody once, and the same VMs whoever places them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.clock import HOUR_S, Clock
from twin.faults import Fault
from twin.fleet import GPUS_PER_SERVER, Fleet, grown
from twin.tables import Sink
from twin.workloads.model import Model, Settings, check_room

MONDAY = Clock(datetime(2026, 7, 13, tzinfo=UTC))
STREAM = {"workload": "rented", "gpus_share": 0.6, "lifetime": {"short_mean_s": 3600.0, "long_mean_s": 36_000.0, "long_share": 0.2}}
HORIZON_S = 12 * HOUR_S


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


def _model(site: Fleet, seed: int = 1, faults: tuple[Fault, ...] = (), **values: Any) -> Model:
    asked = Settings.model_validate(values or {"arrivals": [STREAM]})
    return Model(asked, site, MONDAY, HORIZON_S, faults, seed)


def _owned(model: Model) -> dict[int, int]:
    vms, count = np.unique(model.gpu_vm[model.gpu_vm >= 0], return_counts=True)
    return dict(zip(vms.tolist(), count.tolist(), strict=True))


def _days(model: Model, choice: Any, sink: Sink | None = None) -> None:
    for t_s in np.arange(0.0, HORIZON_S, 300.0):
        model.turn(float(t_s))
        settle(model, choice, float(t_s))
        if sink is not None:
            model.record(sink)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0.2, 1.0), spread=st.booleans())
def test_no_gpu_has_two_owners_and_the_gpus_in_use_are_the_sum_of_sizes(site, seed, share, spread):
    model = _model(site, seed, arrivals=[{**STREAM, "gpus_share": share}])
    for t_s in np.arange(0.0, HORIZON_S, 600.0):
        model.turn(float(t_s))
        settle(model, emptiest if spread else fullest, float(t_s))
        vms, owned = model.vms, _owned(model)
        assert owned == {int(vm): int(vms.gpus[vm]) for vm in model.running}
        free = GPUS_PER_SERVER - np.add.reduceat((model.gpu_vm >= 0).astype(int), np.arange(0, len(model.gpu_vm), GPUS_PER_SERVER))
        assert np.array_equal(free, model.gpus_free)
        # Nobody stands on two servers, nobody outlives their time, and nobody is lost.
        assert all(set(np.flatnonzero(model.gpu_vm == vm) // GPUS_PER_SERVER) == {model.vm_server[vm]} for vm in model.running)
        here = np.flatnonzero((vms.arrive_s <= t_s) & (vms.end_s > t_s))
        assert sorted([*model.running, *model.waiting]) == here.tolist()


def test_placement_only_decides_where(site):
    seen = []
    for choice in (fullest, emptiest):
        model, sink = _model(site, arrivals=[{**STREAM, "gpus_share": 0.4}]), Sink({})
        _days(model, choice, sink)
        frames = sink.frames()
        seen.append((model.vms.exogenous(), frames["vms"].drop("place_id", "first_gpu"), frames["vm_ends"], frames["vms"]["place_id"]))
    assert seen[0][0] == seen[1][0]
    # There is room for everyone at four tenths: who is placed when, and who leaves when, is the same.
    order = ["t_s", "vm_id"]
    assert seen[0][1].sort(order).equals(seen[1][1].sort(order))
    assert seen[0][2].sort(order).equals(seen[1][2].sort(order))
    assert not seen[0][3].equals(seen[1][3])


def test_every_vm_is_placed_once_and_leaves_once(site):
    model, sink = _model(site), Sink({})
    _days(model, fullest, sink)
    model.close(sink, HORIZON_S)
    frames = sink.frames()
    assert frames["vms"]["vm_id"].is_unique().all()
    assert frames["vm_ends"]["vm_id"].is_unique().all()
    assert set(frames["vm_ends"]["vm_id"]) <= set(frames["vms"]["vm_id"])
    waits = frames["vm_waits"]
    assert waits["vm_id"].is_unique().all()
    assert set(waits.filter(waits["outcome"] == "placed")["vm_id"]) == set(frames["vms"]["vm_id"])
    assert waits.height == int((model.vms.arrive_s < HORIZON_S - 300.0).sum()), "everyone who came is told of"
    placed = waits.join(frames["vms"], on="vm_id").sort("vm_id")
    assert placed["waited_s"].to_list() == (placed["t_s"] - placed["arrive_s"]).to_list()
    assert placed["waited_s"].max() < 12 * HOUR_S


def test_a_vm_takes_the_lowest_free_gpus_and_gives_them_back(site):
    model = _model(site, arrivals=[{**STREAM, "size_shares": {2: 1.0}}])
    model.turn(0.0)
    first, second, third = model.waiting[:3]
    for vm in (first, second, third):
        model.put(vm, 4, 0.0)
    assert model.gpu_vm[32:40].tolist() == [first, first, second, second, third, third, -1, -1]
    model.put(model.waiting[0], 4, 0.0)
    with pytest.raises(ValueError, match="needs 2 GPUs, server-5 has 0 free"):
        model.put(model.waiting[0], 4, 0.0)


def test_who_waits_is_placed_when_there_is_room_and_gives_up_when_their_time_is_over(site):
    model = _model(site, arrivals=[{**STREAM, "gpus_share": 1.0, "size_shares": {8: 1.0}}], vms=[])
    sink = Sink({})
    _days(model, fullest, sink)
    model.close(sink, HORIZON_S)
    waits = sink.frames()["vm_waits"]
    waited = waits.filter((waits["outcome"] == "placed") & (waits["waited_s"] > 300.0))
    assert waited.height, "some waited for a departure"
    assert (waits["outcome"] == "gave up").any()
    assert model.gpus_free.sum() < GPUS_PER_SERVER or not model.waiting


def test_best_fit_keeps_whole_servers_free_where_spreading_breaks_them_all(site):
    values = {"arrivals": [{**STREAM, "gpus_share": 0.25, "size_shares": {1: 1.0}}]}
    packed, spread = _model(site, **values), _model(site, **values)
    for model, choice in ((packed, fullest), (spread, emptiest)):
        model.turn(0.0)
        settle(model, choice, 0.0)
    vms = len(packed.running)
    assert (packed.gpus_free == GPUS_PER_SERVER).sum() == 12 - -(-vms // 8)
    assert vms >= 12
    assert (spread.gpus_free == GPUS_PER_SERVER).sum() == 0


def test_vms_of_a_group_take_a_whole_server_each_and_carry_their_endpoint(site):
    groups = [{"workload": "chat", "kind": "saas", "count": 3}, {"workload": "host-work", "servers": ["host-1..host-4"]}]
    model = _model(site, vms=groups, arrivals=[STREAM])
    model.turn(0.0)
    settle(model, fullest, 0.0)
    assert len(model.placements["chat"]) == 3
    for server in model.placements["chat"]:
        assert len(set(model.gpu_vm[server * 8 : server * 8 + 8])) == 1
        assert not model.gpu_opaque[server * 8]
    model.advance(10.0)
    assert (model.gpu_share()[~model.gpu_opaque] == 0.0).all()
    assert (model.gpu_share()[model.gpu_opaque] > 0.0).any()
    assert (model.host_share() > 0.0).all()


def test_serving_vms_without_a_place_at_the_start_are_turned_away(site):
    model, sink = _model(site, vms=[{"workload": "chat", "kind": "saas", "count": 2}]), Sink({})
    model.turn(0.0)
    model.put(model.waiting[0], 0, 0.0)
    model.settle(0.0)
    model.record(sink)
    assert not model.waiting
    assert sink.frames()["vm_waits"]["outcome"].sort().to_list() == ["placed", "turned away"]


def test_vms_of_one_customer_differ_and_a_burst_reaches_them_all(site):
    calm, burst = (
        _model(
            site,
            faults=faults,
            arrivals=[{**STREAM, "load": {"mean_share": 0.3, "swing_share": 0.0, "spread_share": 0.1, "noise_share": 0.02}}],
        )
        for faults in ((), (Fault(kind="traffic_burst", target="rented", from_s=0.0, severity=0.2),))
    )
    shares = []
    for model in (calm, burst):
        model.turn(0.0)
        settle(model, fullest, 0.0)
        model.advance(10.0)
        shares.append(model.gpu_share()[model.gpu_opaque])
    assert 0.05 < shares[0].std() < 0.2
    inside = (shares[0] > 0.0) & (shares[0] < 0.8)
    assert np.allclose(shares[1][inside], shares[0][inside] + 0.2)


def test_rented_vms_rest_at_the_weekend_and_peak_at_their_hour(site):
    load = {"mean_share": 0.5, "swing_share": 0.2, "peak_hour": 15.0, "weekend_share": 0.4, "noise_share": 0.0}
    groups = [{"workload": "kept", "servers": ["server-1", "host-1"], "load": load}]
    shares = []
    for begin, hour in ((13, 15), (13, 3), (18, 15)):
        model = Model(Settings.model_validate({"vms": groups}), site, Clock(datetime(2026, 7, begin, tzinfo=UTC)), 86_400.0, (), 1)
        model.advance(hour * HOUR_S)
        shares.append([model.gpu_share()[0], model.host_share()[0]])
    assert np.array(shares) == pytest.approx(np.array([[0.7] * 2, [0.3] * 2, [0.4 * 0.7] * 2]))


def test_a_shorter_tick_sees_the_same_load(site):
    loads = []
    for tick_s in (150.0, 300.0):
        model = _model(site)
        model.turn(0.0)
        settle(model, fullest, 0.0)
        for step in range(1, int(1800 / tick_s) + 1):
            model.advance(step * tick_s)
        loads.append(model.gpu_share())
    assert np.array_equal(*loads)


def test_a_longer_run_has_the_same_first_hours(site):
    shares = []
    for horizon_s in (2 * HOUR_S, 40 * HOUR_S):
        model = Model(Settings.model_validate({"arrivals": [STREAM]}), site, MONDAY, horizon_s, (), 1)
        for t_s in (0.0, 3600.0, 7000.0):
            model.turn(t_s)
            settle(model, fullest, t_s)
        model.advance(7190.0)
        shares.append((model.gpu_vm, model.gpu_share()))
    assert (shares[0][1] > 0.0).any()
    for short, long in zip(*shares, strict=True):
        assert np.array_equal(short, long)


def test_a_snapshot_goes_on_the_same(site):
    crowded = {**STREAM, "gpus_share": 1.0}
    whole, part = _model(site, arrivals=[crowded]), _model(site, arrivals=[crowded])
    for t_s in np.arange(0.0, 3600.0, 300.0):
        whole.turn(float(t_s))
        settle(whole, fullest, float(t_s))
    assert whole.waiting
    part.restore(whole.snapshot())
    sinks = Sink({}), Sink({})
    for model, sink in zip((whole, part), sinks, strict=True):
        for t_s in np.arange(3600.0, HORIZON_S, 300.0):
            model.turn(float(t_s))
            settle(model, fullest, float(t_s))
            model.advance(float(t_s) + 300.0)
            model.record(sink)
    assert np.array_equal(whole.gpu_vm, part.gpu_vm)
    assert np.array_equal(whole.gpu_share(), part.gpu_share())
    for name, frame in sinks[1].frames().items():
        assert sinks[0].frames()[name].equals(frame), name


def test_a_fleet_too_small_for_what_is_asked_is_one_line(site):
    with pytest.raises(ValueError, match="VMs would hold 96 GPUs on average beside 8 of groups, and the fleet has 96"):
        check_room(
            Settings.model_validate({"vms": [{"workload": "a", "count": 1}], "arrivals": [{"workload": "b", "gpus_share": 1.0}]}), site
        )
    with pytest.raises(ValueError, match="104 GPUs are asked for and the fleet has 96"):
        check_room(Settings.model_validate({"vms": [{"workload": "a", "count": 13}]}), site)
    with pytest.raises(ValueError, match="write servers, or count"):
        Settings.model_validate({"vms": [{"workload": "a"}]})


def test_more_servers_mean_more_vms_only_where_demand_follows_capacity(site):
    larger = grown(site, [6, 0, 0])
    group = {"vms": [{"workload": "chat", "kind": "saas", "count": 4}], "arrivals": [{**STREAM, "gpus_share": 0.3}]}
    fixed, following = (_model(larger, **group, follow_capacity=follow) for follow in (False, True))
    built = _model(site, **group)
    assert fixed.vms.exogenous() == built.vms.exogenous()
    assert following.vms.grouped == 6
    streamed = np.array(
        [
            [len(_model(larger, seed, **group, follow_capacity=follow).vms.ids[4 + 2 * follow :]) for follow in (False, True)]
            for seed in range(12)
        ]
    )
    # Some 600 VMs of twelve seeds: one standard deviation of the ratio is 5 percent.
    assert streamed[:, 1].sum() / streamed[:, 0].sum() == pytest.approx(1.5, rel=0.15)
    assert len(built.vm_ids) == streamed[1, 0] + 4

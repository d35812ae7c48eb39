"""Faults of the plant."""

from collections.abc import Callable

import numpy as np
import pytest

from twin.faults import Fault
from twin.fleet import Fleet
from twin.plant.model import GpuLoad, Model
from twin.plant.outages import HOUR_S, KINDS, Outages, RandomFaults, drawn
from twin.tables import Sink

Maker = Callable[..., Model]
Loads = Callable[..., GpuLoad]


def test_an_aisle_that_loses_air_warms_with_its_time_constant_and_recovers(plant: Maker, load: Loads, run_on: Maker) -> None:
    model = plant([Fault(kind="ahu_loss", target="aisle-1", from_s=600.0, until_s=1800.0, severity=0.5)])
    run_on(model, load(), 600.0)
    before = model.observe().inlet_c.copy()
    run_on(model, load(), 720.0, tick_s=1.0)
    assert model.arrays.aisles["air_share"][0] == pytest.approx(0.5 + 0.5 * np.exp(-1.0), abs=1e-6)
    run_on(model, load(), 1800.0)
    hot = model.observe().inlet_c
    assert (hot[:12] > before[:12] + 2.0).all()
    assert hot[12:] == pytest.approx(before[12:], abs=1.5)
    assert model.observe().aisle_airflow_share[0] > 1.0
    run_on(model, load(), 4200.0)
    assert model.observe().inlet_c[:12] == pytest.approx(before[:12], abs=2.0)


def test_ticks_are_fine_for_a_minute_after_each_edge(plant: Maker, load: Loads, run_on: Maker) -> None:
    model = plant([Fault(kind="ahu_loss", target="aisle-1", from_s=300.0, until_s=900.0, severity=0.1)])
    run_on(model, load(), 310.0)
    assert model.fine_until_s == 360.0
    run_on(model, load(), 910.0)
    assert model.fine_until_s == 960.0


def test_a_whole_afternoon_of_throttling_does_not_run_at_fine_ticks(plant: Maker, load: Loads) -> None:
    model = plant([Fault(kind="rack_blocked", target="rack-1", from_s=0.0, severity=0.7)])
    busy, fine, ticks = load(0.5, 0.5), 0, 0
    while model.t_s < 4 * 3600.0:
        step_s = 1.0 if model.t_s < model.fine_until_s else 10.0
        fine += step_s == 1.0
        ticks += 1
        model.advance(model.t_s + step_s, busy, np.ones(len(busy.clock_share)))
    assert (model.observe().gpu_clock_share[:16] < 1.0).any()
    assert fine <= 60 + 2 * 30 + 10


def test_gpus_that_throttle_by_themselves_are_slower_and_cooler_and_leave_their_neighbours_alone(
    plant: Maker, load: Loads, run_on: Maker, fleet: Fleet
) -> None:
    fault = Fault(kind="gpu_throttle", target="server-2", from_s=600.0, until_s=1200.0, severity=0.4)
    model, sound = plant([fault]), plant()
    for each in (model, sound):
        run_on(each, load(), 1190.0)
    struck = fleet.gpu_servers == fleet.server_ids.index("server-2")
    clock, heat = model.observe().gpu_clock_share, model.observe().gpu_temp_c
    assert clock[struck] == pytest.approx(0.6)
    assert (clock[~struck] == sound.observe().gpu_clock_share[~struck]).all()
    assert (heat[struck] < sound.observe().gpu_temp_c[struck] - 5.0).all()
    assert model.observe().row_power_w[0] < sound.observe().row_power_w[0]
    assert model.arrays.rows["throttled_share"][0] == pytest.approx(1 / 6)
    run_on(model, load(), 1300.0)
    assert (model.observe().gpu_clock_share[struck] == 1.0).all()


def test_a_hot_server_that_throttles_by_itself_is_not_faster_for_its_heat(plant: Maker, load: Loads, run_on: Maker) -> None:
    blocked = Fault(kind="rack_blocked", target="rack-1", from_s=0.0, severity=0.8)
    model = run_on(plant([blocked, Fault(kind="gpu_throttle", target="server-1", from_s=0.0, severity=0.5)]), load(0.6, 0.4), 1800.0)
    clock = model.observe().gpu_clock_share
    assert clock[:8].max() <= 0.5
    assert clock[8:16].min() < 1.0


def test_a_cap_far_below_the_budget_brakes_its_row_alone(plant: Maker, load: Loads, run_on: Maker, fleet: Fleet) -> None:
    model = plant([Fault(kind="power_cap_wrong", target="row-2", from_s=600.0, until_s=1800.0, severity=0.6)])
    sink = Sink({kind: fleet.ids(kind) for kind in ("row", "rack", "server", "gpu", "aisle", "feed")})
    run_on(model, load(0.6, 0.4), 1500.0, sink=sink)
    seen = model.observe()
    assert seen.row_budget_w / fleet.row_power_budgets_w == pytest.approx([1.0, 0.4, 1.0, 1.0])
    assert (seen.gpu_clock_share[fleet.server_rows[fleet.gpu_servers] == 1] < 1.0).all()
    assert (seen.gpu_clock_share[fleet.server_rows[fleet.gpu_servers] != 1] == 1.0).all()
    run_on(model, load(0.6, 0.4), 3000.0, sink=sink)
    assert model.observe().row_budget_w[1] == fleet.row_power_budgets_w[1]
    kinds = set(sink.frames()["events"]["kind"])
    assert "power_brake" in kinds
    assert "power_cap_wrong" not in kinds, "nothing failed: only the change log tells"


@pytest.mark.parametrize("kind", ["gpu_throttle", "power_cap_wrong"])
def test_what_no_event_tells_goes_on_from_a_snapshot_all_the_same(plant: Maker, load: Loads, run_on: Maker, kind: str) -> None:
    fault = Fault(kind=kind, target="server-1" if kind == "gpu_throttle" else "row-1", from_s=250.0, until_s=700.0, severity=0.5)
    whole = run_on(plant([fault]), load(), 600.0)
    resumed = plant([fault])
    resumed.restore(whole.snapshot())
    for until_s in (650.0, 1200.0):
        ends = [run_on(each, load(), until_s).observe().gpu_power_w for each in (whole, resumed)]
        assert (ends[0] == ends[1]).all()


@pytest.mark.parametrize(
    ("kind", "target", "line"),
    [
        ("ahu_loss", "aisle-9", r"fault ahu_loss: target 'aisle-9' names no aisle of the fleet, such as aisle-1"),
        ("ups_loss", "row-1", r"fault ups_loss: target 'row-1' names no ups of the fleet, such as ups-1"),
        ("flood", "row-1", r"fault 'flood' is not of the plant; it is one of ahu_loss"),
    ],
)
def test_a_fault_that_cannot_happen_here_is_refused(plant: Maker, kind: str, target: str, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        plant([Fault(kind=kind, target=target, from_s=0.0)])


# -- at random ------------------------------------------------------------------

RATES = {
    "ahu_loss": {"mtbf_h": 4.0, "repair_h": 0.5},
    "ups_loss": {"mtbf_h": 6.0, "repair_h": 0.2},
    "pdu_loss": {"mtbf_h": 12.0, "repair_h": 0.3},
}


def _rates() -> dict[str, RandomFaults]:
    return {name: RandomFaults.model_validate(rate) for name, rate in RATES.items()}


def test_random_faults_come_as_often_and_last_as_long_as_was_asked(fleet: Fleet) -> None:
    """Four UPS units over a thousand hours at 10 h between failures and 2 h of repair: one failure in 12 h each."""
    faults = drawn({"ups_loss": RandomFaults(mtbf_h=10.0, repair_h=2.0)}, fleet, 4, 1000 * HOUR_S, 7)
    assert len(faults) == pytest.approx(4 * 1000 / 12, rel=0.15)
    lasted_s = [fault.until_s - fault.from_s for fault in faults if fault.until_s is not None]
    assert np.mean(lasted_s) == pytest.approx(2 * HOUR_S, rel=0.15)
    assert {fault.target for fault in faults} == set(fleet.ups_ids)


def test_random_faults_are_the_seeds_and_nobody_elses(fleet: Fleet) -> None:
    rates = _rates()
    day = drawn(rates, fleet, 4, 24 * HOUR_S, 7)
    assert day == drawn(rates, fleet, 4, 24 * HOUR_S, 7) != drawn(rates, fleet, 4, 24 * HOUR_S, 8)
    longer = drawn(rates, fleet, 4, 48 * HOUR_S, 7)
    assert tuple(fault for fault in longer if fault.from_s < 24 * HOUR_S) == day
    alone = drawn({"ups_loss": rates["ups_loss"]}, fleet, 4, 24 * HOUR_S, 7)
    assert alone == tuple(fault for fault in day if fault.kind == "ups_loss")


def test_one_air_handler_of_four_takes_a_quarter_of_an_aisles_air(fleet: Fleet) -> None:
    assert {fault.severity for fault in drawn({"ahu_loss": RandomFaults(mtbf_h=1.0, repair_h=1.0)}, fleet, 4, 24 * HOUR_S, 7)} == {0.25}


def test_a_run_with_random_faults_repeats_to_the_last_byte_and_tells_of_them(
    plant: Maker, load: Loads, run_on: Maker, fleet: Fleet
) -> None:
    ids, frames = {kind: fleet.ids(kind) for kind in ("row", "rack", "server", "gpu", "aisle", "feed")}, []
    for _ in range(2):
        model, sink = (
            plant(random_faults=RATES),
            Sink(ids),
        )
        run_on(model, load(), 4 * HOUR_S, tick_s=15.0, sink=sink)
        model.close(sink)
        frames.append(sink.frames())
    assert all(frame.equals(frames[1][name]) for name, frame in frames[0].items())
    told = frames[0]["events"].filter(frames[0]["events"]["kind"].is_in(list(RATES)))
    begun = [fault for fault in drawn(_rates(), fleet, 4, 86_400.0, 7) if fault.from_s < 4 * HOUR_S]
    assert told.filter(told["value"] > 0.0).height == len(begun) > 0
    assert set(model.fault_edges_s) >= {fault.from_s for fault in begun}


def test_more_random_faults_than_a_run_can_tell_apart_are_refused(fleet: Fleet) -> None:
    with pytest.raises(ValueError, match=r"plant\.random_faults\.ups_loss: about 288,000 faults of 4 units, the limit is 20,000; raise"):
        drawn({"ups_loss": RandomFaults(mtbf_h=0.01, repair_h=0.01)}, fleet, 4, 60 * 24 * HOUR_S, 7)


def test_sixty_days_of_random_faults_are_laid_out_and_applied_one_by_one(plant: Maker, fleet: Fleet) -> None:
    """Some thousand faults of all kinds over the longest run there is: what is lost at any edge is what the faults then on say."""
    rates = {kind: RandomFaults(mtbf_h=40.0, repair_h=2.0, severity=0.5) for kind in KINDS}
    faults = drawn(rates, fleet, 4, 60 * 24 * HOUR_S, 7)
    assert len(faults) > 1000
    arrays, outages = plant().arrays, Outages(fleet, faults, 4)
    told = 0
    for edge_s in outages.edges_s:
        assert outages.apply(edge_s, arrays) == [edge_s]
        told += len(outages.told())
        on = [fault for fault in faults if fault.active(edge_s)]
        assert arrays.feeds["lost_share"][:4].tolist() == [0.5 * any(f.target == ups for f in on) for ups in fleet.ups_ids]
        air = [sum(f.severity for f in on if f.target == aisle) for aisle in fleet.aisle_ids]
        assert arrays.aisles["air_target_share"] == pytest.approx(1.0 - np.array(air))
    assert told == 2 * sum(KINDS[fault.kind].told for fault in faults)


def test_random_faults_of_an_unknown_kind_are_refused(plant: Maker) -> None:
    with pytest.raises(ValueError, match=r"fault 'flood' is not of the plant"):
        plant(random_faults={"flood": {"mtbf_h": 1.0, "repair_h": 1.0}})

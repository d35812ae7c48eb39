"""The power tree."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.clock import Clock, Window
from twin.faults import Fault
from twin.fleet import Fleet
from twin.metrics import Asked
from twin.plant import tree
from twin.plant.model import GpuLoad, Model, Settings
from twin.plant.readings import READINGS
from twin.plant.tree import PowerTree
from twin.tables import Sink

Maker = Callable[..., Model]
Loads = Callable[..., GpuLoad]
SITE = SimpleNamespace(**PowerTree().model_dump())
PDU_LOSS_SHARE = Settings().cooling.pdu_loss_share
NO_BRAKE = {"throttling": {"brake_after_s": 1e6}}


@pytest.fixture(scope="module")
def tight(fleet: Fleet) -> Fleet:
    """The small fleet on UPS units that carry its full load together but not three of them for long, and budgets to match."""
    return replace(fleet, ups_rated_w=np.full(4, 40_000.0), row_power_budgets_w=np.array([58e3, 58e3, 39e3, 5e3]))


@pytest.fixture(scope="module")
def on_tight(tight: Fleet, clock: Clock) -> Maker:
    def make(faults: Sequence[Fault] = (), **options: Any) -> Model:
        return Model(Settings.model_validate(options), tight, clock, 86_400.0, faults, 7)

    return make


def _feed(load_share: float) -> SimpleNamespace:
    return SimpleNamespace(rated_w=100.0, lost_share=0.0, power_w=100.0 * load_share, spent_share=0.0, tripped_s=0.0, part_power_w=0.0)


def _sink(fleet: Fleet) -> Sink:
    return Sink({kind: fleet.ids(kind) for kind in ("row", "rack", "server", "gpu", "aisle", "feed")})


# -- ride-through ------------------------------------------------------------


def test_a_ups_rides_through_a_third_too_much_for_ten_seconds() -> None:
    """4N/3: when one of four is lost at full load the others carry 1.33 times their rating; after 10 s they trip, not after 9."""
    feed = _feed(1.33)
    for _ in range(9):
        tree.strain(feed, SITE, 1.0, True)
    assert feed.tripped_s == 0.0
    tree.strain(feed, SITE, 1.0, True)
    assert feed.tripped_s == SITE.reclose_s


def test_a_load_within_the_continuous_share_never_trips_and_forgets_what_was_spent() -> None:
    feed = _feed(SITE.continuous_share)
    feed.spent_share = 0.9
    for _ in range(12):
        tree.strain(feed, SITE, 10.0, True)
    assert feed.spent_share == feed.tripped_s == 0.0


@settings(max_examples=40, deadline=None)
@given(st.floats(1.06, 3.0), st.floats(0.01, 1.0), st.sampled_from([0.1, 1.0, 5.0]))
def test_a_larger_overload_trips_sooner_at_any_tick(load_share: float, more: float, dt_s: float) -> None:
    def trips_after_s(share: float) -> float:
        feed, spent_s = _feed(share), 0.0
        while feed.tripped_s == 0.0:
            tree.strain(feed, SITE, dt_s, True)
            spent_s += dt_s
        return spent_s

    expected = tree.first_to_trip(np.array([100.0 * load_share]), np.array([100.0]), SITE.continuous_share, 1.33, 10.0).trip_s[0]
    assert expected - 1e-6 <= trips_after_s(load_share) <= expected + dt_s + 1e-6
    assert trips_after_s(load_share + more) <= trips_after_s(load_share)


def test_who_trips_first_is_the_most_overloaded_then_the_fullest() -> None:
    load_w, rated_w = np.array([90.0, 130.0, 50.0, 0.0, 115.0]), np.array([100.0, 100.0, 100.0, 0.0, 100.0])
    first = tree.first_to_trip(load_w, rated_w, 1.05, 1.33, 10.0, np.array([0.0, 0.0, 0.0, 0.0, 0.5]))
    assert first.headroom_w.tolist() == [10.0, -30.0, 50.0, 0.0, -15.0]
    assert first.trip_s == pytest.approx([np.inf, 11.2, np.inf, np.inf, 14.0])
    assert first.order.tolist() == [1, 4, 0, 2, 3]


# -- loads --------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(st.floats(0.0, 1.0), st.lists(st.integers(0, 11), max_size=4, unique=True), st.floats(0.1, 0.99) | st.just(1.0))
def test_loads_close_from_rows_to_ups_whatever_is_lost(
    plant: Maker, load: Loads, fleet: Fleet, busy: float, lost: list[int], severity: float
) -> None:
    ids = fleet.ids("feed")
    faults = [Fault(kind=f"{ids[i].rpartition('ups')[1] or 'pdu'}_loss", target=ids[i], from_s=0.0, severity=severity) for i in lost]
    # Nothing trips: a plan at given ratings knows nothing of that.
    model = plant(faults, tree={"ups_overload_s": 1e9, "pdu_overload_s": 1e9})
    caps = np.ones(len(load().clock_share))
    for tick_s in (10.0, 40.0):
        model.advance(model.t_s + tick_s, load(busy, 1.0 - busy), caps)
        seen = model.observe()
        assert seen.pdu_load_w.sum() == pytest.approx(seen.row_power_w.sum(), rel=1e-6, abs=1e-6)
        assert seen.ups_load_w.sum() == pytest.approx(seen.pdu_load_w.sum() * (1.0 + PDU_LOSS_SHARE), rel=1e-6, abs=1e-6)
        left = 1.0 - model.arrays.feeds["lost_share"]
        flow = tree.flow(seen.row_power_w, fleet.row_pdus, fleet.pdu_ups_share, left[:4], left[4:], PDU_LOSS_SHARE)
        np.testing.assert_allclose(flow.ups_w, seen.ups_load_w, rtol=1e-9, atol=1e-6)
        np.testing.assert_allclose(flow.pdu_w, seen.pdu_load_w, rtol=1e-9, atol=1e-6)
        assert (flow.row_live == seen.row_live).all()


def test_losing_one_of_four_ups_leaves_three_quarters(plant: Maker, load: Loads, run_on: Maker) -> None:
    for target in ("site", "ups-3"):
        model = run_on(plant([Fault(kind="ups_loss", target=target, from_s=60.0, until_s=600.0)]), load(), 120.0)
        seen = model.observe()
        assert seen.row_budget_w == pytest.approx(0.75 * model.arrays.rows["rated_w"], rel=1e-12)
        assert seen.ups_rated_w.sum() == pytest.approx(0.75 * model.arrays.feeds["rated_w"][:4].sum(), rel=1e-12)
        assert (seen.ups_load_w == 0.0).tolist() == (seen.ups_rated_w == 0.0).tolist()
        assert run_on(model, load(), 610.0).observe().row_budget_w == pytest.approx(model.arrays.rows["rated_w"], rel=1e-12)


def test_half_of_a_ups_carries_half_as_much_and_leaves_seven_eighths(plant: Maker, load: Loads, run_on: Maker) -> None:
    seen = run_on(plant([Fault(kind="ups_loss", target="ups-1", from_s=0.0, severity=0.5)]), load(), 60.0).observe()
    assert seen.ups_load_w[0] == pytest.approx(0.5 * seen.ups_load_w[1], rel=1e-9)
    assert seen.row_budget_w[0] == pytest.approx(0.875 * 61_200.0)


def test_a_row_draws_on_its_other_pdu_and_goes_dark_without_both(plant: Maker, load: Loads, run_on: Maker, fleet: Fleet) -> None:
    faults = [Fault(kind="pdu_loss", target="row-1-pdu-a", from_s=60.0, until_s=900.0)]
    seen = run_on(plant(faults), load(), 120.0).observe()
    assert seen.pdu_load_w[0] == 0.0
    assert seen.pdu_load_w[1] == pytest.approx(seen.row_power_w[0])
    assert seen.row_live.all()
    faults.append(Fault(kind="pdu_loss", target="row-1-pdu-b", from_s=300.0, until_s=600.0))
    model = run_on(plant(faults), load(), 310.0)
    seen = model.observe()
    mine = fleet.server_rows[fleet.gpu_servers] == 0
    assert seen.row_live.tolist() == [False, True, True, True]
    assert (seen.gpu_clock_share[mine] == 0.0).all()
    assert seen.row_power_w[0] == 0.0 < seen.row_power_w[1:].min()
    assert (seen.gpu_clock_share[~mine] == 1.0).all()
    # Power is back at 600 s; servers take their restart time to come up.
    restart_s = Settings().throttling.restart_s
    assert (run_on(model, load(), 600.0 + restart_s - 10.0).observe().gpu_clock_share[mine] == 0.0).all()
    assert (run_on(model, load(), 600.0 + restart_s + 20.0).observe().gpu_clock_share[mine] > 0.0).all()


def test_a_dark_row_neither_draws_nor_heats_nor_blows(plant: Maker, load: Loads, run_on: Maker, fleet: Fleet) -> None:
    for index, row in ((3, "hosts-row"), (0, "row-1")):
        faults = [Fault(kind="pdu_loss", target=f"{row}-pdu-{which}", from_s=60.0, until_s=300.0) for which in "ab"]
        model = run_on(plant(faults), load(), 120.0)
        racks, mine = model.arrays.racks, fleet.rack_rows == index
        assert (racks["power_w"][mine] == 0.0).all()
        assert (racks["heat_w"][mine] == 0.0).all()
        # A balance needs a little air to stay finite; stopped servers leak some.
        assert (racks["airflow_m3_per_s"][mine] <= (1e-3 if row == "hosts-row" else 0.06)).all()
    # Servers draw their standby power while they restart, and the whole of that time begins when power is back.
    standby_w = model.arrays.models["standby_w"][fleet.server_models[0]]
    seen = run_on(model, load(), 595.0).observe()
    assert seen.row_power_w[0] == pytest.approx(6 * standby_w)
    assert (run_on(model, load(), 610.0).gpu_clock_share[:48] > 0.0).all()


def test_ticks_turn_fine_where_a_graded_cap_sets_in_and_not_again_soon(on_tight: Maker, load: Loads) -> None:
    model = on_tight(throttling={"graded": {"t1_share": 0.5, "t2_share": 1.0, "act_after_s": 20.0}, "brake_after_s": 1e6})
    busy, caps, asked = load(0.6, 0.4), np.ones(len(load().clock_share)), []
    while model.t_s < 1200.0:
        model.advance(model.t_s + 10.0, busy, caps)
        asked.append(model.fine_until_s)
    rows = model.arrays.rows
    assert (rows["t1_on"][:3] == 1.0).all()
    assert (model.arrays.servers["edges"] == 0.0).all()
    assert asked[0] == asked[1] == 0.0
    assert max(asked) == 90.0


# -- trips --------------------------------------------------------------------


def test_without_a_brake_the_loss_of_one_ups_takes_the_others_down_and_the_site_goes_dark(
    on_tight: Maker, load: Loads, run_on: Maker, tight: Fleet, clock: Clock
) -> None:
    model, sink, busy = on_tight([Fault(kind="ups_loss", target="ups-1", from_s=600.0)], **NO_BRAKE), _sink(tight), load(1.0, 0.0)
    run_on(model, busy, 600.0, sink=sink)
    over = model.observe().ups_load_w.sum() / 120_000.0
    assert 1.1 < over < 1.33
    run_on(model, busy, 700.0, tick_s=1.0, sink=sink)
    assert not model.observe().row_live.any()
    assert model.arrays.site["it_power_w"][0] == 0.0
    run_on(model, busy, 600.0 + 3600.0, sink=sink)
    model.close(sink)
    tables = sink.frames()
    trips = tables["events"].filter(tables["events"]["kind"] == "ups_trip")
    first = trips.filter(trips["value"] > 0.0).sort("t_s").head(3)
    assert sorted(first["entity_id"]) == ["ups-2", "ups-3", "ups-4"]
    expected_s = tree.first_to_trip(np.array([over]), np.array([1.0]), SITE.continuous_share, 1.33, 10.0).trip_s[0]
    assert first["t_s"].to_numpy() == pytest.approx(600.0 + expected_s, abs=1.5)
    assert first["value"].to_numpy() == pytest.approx(over, rel=0.01)
    dark = tables["events"].filter((tables["events"]["kind"] == "row_dark") & (tables["events"]["value"] == 1.0))
    assert set(dark["entity_id"]) == set(tight.row_ids)
    feeds = tables["feeds"].filter((tables["feeds"]["t_s"] == 720.0) & (tables["feeds"]["kind"] == "ups"))
    assert not feeds["live"].any()
    assert (feeds["rated_w"] == 0.0).all()
    asked = Asked({name: frame.lazy() for name, frame in tables.items()}, clock, 4200.0)
    throttled = READINGS["plant.throttled_gpu_share"](replace(asked, window=Window(0.25, 0.5)))
    assert throttled == 1.0


def test_the_brake_sheds_before_the_ups_trip(on_tight: Maker, load: Loads, run_on: Maker) -> None:
    model = run_on(on_tight([Fault(kind="ups_loss", target="ups-1", from_s=600.0)]), load(1.0, 0.0), 600.0)
    run_on(model, load(1.0, 0.0), 1200.0, tick_s=1.0)
    seen = model.observe()
    assert seen.row_live.all()
    assert (model.arrays.feeds["tripped_s"] == 0.0).all()
    assert (seen.ups_load_w <= SITE.continuous_share * 40_000.0).all()


def test_ticks_turn_fine_where_a_feed_is_overloaded(on_tight: Maker, load: Loads, run_on: Maker) -> None:
    model = on_tight([Fault(kind="ups_loss", target="ups-1", from_s=0.0)], **NO_BRAKE)
    model.advance(10.0, load(1.0, 0.0), np.ones(len(load().clock_share)))
    assert model.fine_until_s == 70.0


def test_half_the_tick_changes_little_when_a_ups_is_lost(on_tight: Maker, load: Loads, run_on: Maker, tight: Fleet, clock: Clock) -> None:
    """An hour with a UPS lost for twenty minutes: energy within 0.3 %, row peaks within 0.5 %, throttled time within 0.01."""
    found = []
    for tick_s in (10.0, 5.0):
        model, sink = on_tight([Fault(kind="ups_loss", target="ups-1", from_s=1200.0, until_s=2400.0)]), _sink(tight)
        while model.t_s < 3600.0:
            step_s = 1.0 if model.t_s < model.fine_until_s or 1200.0 <= model.t_s < 1260.0 or 2400.0 <= model.t_s < 2460.0 else tick_s
            run_on(model, load(1.0, 0.0), model.t_s + step_s, sink=sink)
        model.close(sink)
        asked = Asked({name: frame.lazy() for name, frame in sink.frames().items()}, clock, 3600.0)
        found.append([READINGS[f"plant.{name}"](asked) for name in ("energy_j", "row_power_peak_w", "throttled_gpu_share")])
    (energy, peak, throttled), (fine_energy, fine_peak, fine_throttled) = found
    assert energy == pytest.approx(fine_energy, rel=0.003)
    assert peak == pytest.approx(fine_peak, rel=0.005)
    assert throttled == pytest.approx(fine_throttled, abs=0.01)
    assert throttled > 0.1  # type: ignore[operator]


def test_going_on_while_an_overload_accumulates_writes_the_same_tables(on_tight: Maker, load: Loads, run_on: Maker, tight: Fleet) -> None:
    faults = [Fault(kind="ups_loss", target="ups-4", from_s=295.0)]
    whole, sink, busy = on_tight(faults, **NO_BRAKE), _sink(tight), load(1.0, 0.0)
    run_on(whole, busy, 300.0, tick_s=1.0, sink=sink)
    kept = whole.snapshot()
    assert 0.0 < kept["feeds"]["spent_share"].max() < 1.0
    resumed, rest = on_tight(faults, **NO_BRAKE), _sink(tight)
    resumed.restore(kept)
    for model, into in ((whole, sink), (resumed, rest)):
        run_on(model, busy, 900.0, tick_s=1.0, sink=into)
        model.close(into)
    frames = sink.frames()
    assert frames["events"].filter(frames["events"]["kind"] == "ups_trip").height == 3
    for name, frame in rest.frames().items():
        assert frame.equals(frames[name].filter(frames[name]["t_s"] > 300.0)), name


def test_extra_servers_are_read_as_oversubscription(fleet: Fleet, clock: Clock, load: Loads, run_on: Maker) -> None:
    grown, sink = replace(fleet, row_extra_servers=np.array([2, 1, 0, 0])), _sink(fleet)
    run_on(Model(Settings(), grown, clock, 86_400.0, (), 7), load(), 60.0, sink=sink)
    asked = Asked({name: frame.lazy() for name, frame in sink.frames().items()}, clock, 60.0)
    assert READINGS["plant.oversubscription_share"](asked) == pytest.approx(3 / 15)

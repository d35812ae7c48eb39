"""Everything at once: a site wired by hand, uneven rows, plates, graded caps, and every kind of fault."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.clock import Clock
from twin.faults import Fault
from twin.fleet import Fleet
from twin.fleet_file import build
from twin.fleet_spec import FleetSpec
from twin.metrics import Asked
from twin.plant.inlet import returned_heat_w
from twin.plant.model import FAULT_KINDS, GpuLoad, Model, Settings
from twin.plant.readings import READINGS
from twin.tables import Sink

SEED = 11
# What fails by itself; what somebody sets wrongly or no event tells is in test_outages.py.
FAILURES = tuple(kind for kind in FAULT_KINDS if kind not in {"gpu_throttle", "power_cap_wrong"})
SETTINGS: dict[str, Any] = {
    "weather": {"climate": "virginia"},
    "inlet": {"air_supply_share": 0.7},
    "throttling": {"graded": {"act_after_s": 20.0}, "restart_s": 120.0},
    "cooling": {"chiller_capacity_share": 0.7, "free_margin_c": 10.0},
    "random_faults": {kind: {"mtbf_h": 2.0, "repair_h": 0.05, "severity": 0.6} for kind in FAILURES},
}
FAULTS = (
    Fault(kind="sensor_drift", target="one-0-0", from_s=100.0, until_s=2500.0),
    Fault(kind="ahu_loss", target="east", from_s=400.0, until_s=2000.0, severity=0.5),
    Fault(kind="chiller_loss", target="site", from_s=500.0, until_s=1300.0),
    Fault(kind="chiller_loss", target="chiller-2", from_s=1300.0),
    Fault(kind="rack_blocked", target="one-0", from_s=600.0, until_s=1500.0, severity=1.0),
    Fault(kind="ups_loss", target="u-1", from_s=900.0, until_s=1450.0),
    Fault(kind="ups_loss", target="u-3", from_s=1000.0, until_s=1100.0, severity=0.5),
    # The only feed of its row: the row goes dark and comes back.
    Fault(kind="pdu_loss", target="p-3", from_s=1150.0, until_s=1260.0),
)
END_S = 3000.0


def _row(name: str, aisle: str, racks: tuple[tuple[int, tuple[str, ...]], ...], pdus: tuple[str, ...], **more: Any) -> dict[str, Any]:
    rack = [
        {
            "id": f"{name}-{position}",
            "position": position,
            "machine": [
                {"id": f"{name}-{position}-{slot}", "slot": slot, "model": model, "kind": "host" if model == "cpu-host" else "gpu"}
                for slot, model in enumerate(models)
            ],
        }
        for position, models in racks
    ]
    return {"id": name, "aisle": aisle, "rack": rack, "pdus": pdus, "power_budget_w": 45_000.0, **more}


@pytest.fixture(scope="module")
def site() -> Fleet:
    rows = [
        _row("one", "east", ((0, ("h100", "a100", "h100")), (1, ("a100", "h100")), (3, ("h100", "cpu-host"))), ("p-1", "p-2")),
        _row("two", "east", ((0, ("h100",)), (1, ("a100", "a100", "h100", "h100"))), ("p-3",)),
        _row("three", "west", ((0, ("h100", "h100")), (2, ("h100", "a100"))), ("p-1", "p-2"), cooling="liquid"),
        _row("hosts", "west", ((0, ("cpu-host",) * 4),), ("p-3", "p-4"), power_budget_w=5_000.0),
    ]
    spec = {
        "name": "by hand",
        "site_power_budget_w": 150_000.0,
        "aisle": [{"id": "east", "air_handlers": 3}, {"id": "west"}],
        "row": rows,
        "ups": [{"id": "u-1", "rated_w": 60_000.0}, {"id": "u-2", "rated_w": 40_000.0}, {"id": "u-3", "rated_w": 60_000.0}],
        "pdu": [
            {"id": "p-1", "rated_w": 60_000.0, "ups": ["u-1", "u-2"]},
            {"id": "p-2", "rated_w": 90_000.0, "ups": ["u-2", "u-3"]},
            {"id": "p-3", "rated_w": 50_000.0, "ups": ["u-3"]},
            {"id": "p-4", "rated_w": 10_000.0},
        ],
    }
    return build(FleetSpec.model_validate(spec))


@pytest.fixture(scope="module")
def start(site: Fleet, clock: Clock) -> Callable[..., tuple[Model, Sink]]:
    def make(seed: int = SEED, **settings: Any) -> tuple[Model, Sink]:
        model = Model(Settings.model_validate({**SETTINGS, **settings}), site, clock, 86_400.0, FAULTS, seed)
        model.set_opaque(np.arange(len(site.gpu_servers)) % 16 < 8)
        return model, Sink({kind: site.ids(kind) for kind in ("row", "rack", "server", "gpu", "aisle", "feed")})

    return make


def _load(fleet: Fleet, t_s: float) -> GpuLoad:
    """Return a load that follows the time and nothing else."""
    gpus = len(fleet.gpu_servers)
    wave = 0.85 + 0.15 * np.sin(t_s / 200.0 + np.arange(gpus) / 9.0)
    opaque = np.arange(gpus) % 16 < 8
    return GpuLoad(
        np.where(opaque, 0.0, 0.6 * wave),
        np.where(opaque, 0.0, 0.4 * wave),
        np.full(gpus, 48.0),
        np.where(opaque, wave, 0.0),
        np.ones(gpus, dtype=np.bool_),
        np.ones(gpus),
        np.full(len(fleet.host_ids), 0.7),
    )


def _run(fleet: Fleet, model: Model, sink: Sink, until_s: float, tick_s: float = 10.0, each: Callable[[float], None] | None = None) -> None:
    """Advance as a world does: ticks end at faults and minutes and are fine where the plant asks for it."""
    caps = np.ones(len(fleet.gpu_servers))
    while model.t_s < until_s - 1e-9:
        step_s = 1.0 if model.t_s < model.fine_until_s - 1e-9 else tick_s
        ends = [(np.floor(model.t_s / step_s + 1e-9) + 1.0) * step_s, *(edge for edge in model.fault_edges_s if edge > model.t_s + 1e-9)]
        begun_s = model.t_s
        model.advance(min(*ends, until_s), _load(fleet, model.t_s), caps)
        model.record(sink)
        if each is not None:
            each(model.t_s - begun_s)


def _same(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> None:
    assert one.keys() == other.keys()
    for name, frame in one.items():
        assert frame.equals(other[name]), name


def test_every_kind_of_trouble_comes_up_and_a_seed_repeats_it_to_the_last_byte(site: Fleet, start: Callable[..., Any]) -> None:
    found = []
    for seed in (SEED, SEED, SEED + 1):
        model, sink = start(seed)
        _run(site, model, sink, END_S)
        model.close(sink)
        found.append((sink.frames(), model.snapshot()))
    (one, state), (same, again), (other, _) = found
    _same(one, same)
    for name, part in state.items():
        if isinstance(part, dict):
            assert all(np.array_equal(values, again[name][field], equal_nan=True) for field, values in part.items()), name
    assert not one["servers"].equals(other["servers"])
    kinds = set(one["events"]["kind"])
    assert kinds >= set(FAILURES) - {"sensor_drift"}
    assert kinds >= {"row_dark", "power_brake", "power_cap", "thermal_throttle"}
    assert one["servers"]["throttled_gpu_share"].max() == 1.0
    assert one["site"]["liquid_heat_w"].min() > 0.0  # type: ignore[operator]


@pytest.fixture(scope="module")
def whole(site: Fleet, start: Callable[..., Any]) -> tuple[dict[str, pl.DataFrame], dict[float, Any]]:
    """A run with everything, and snapshots of it every five minutes."""
    model, sink = start()
    kept = {}
    for at_s in np.arange(300.0, END_S, 300.0):
        _run(site, model, sink, at_s)
        kept[float(at_s)] = model.snapshot(), model.observe()
    _run(site, model, sink, END_S)
    model.close(sink)
    return sink.frames(), kept


@pytest.mark.parametrize("at_s", [float(at_s) for at_s in np.arange(300.0, END_S, 300.0)])
def test_a_run_in_every_trouble_goes_on_from_any_snapshot_to_the_last_byte(
    site: Fleet, start: Callable[..., Any], whole: Any, at_s: float
) -> None:
    frames, kept = whole
    model, sink = start()
    state, seen = kept[at_s]
    model.restore(state)
    for field in fields(seen):
        assert np.array_equal(getattr(model.observe(), field.name), getattr(seen, field.name)), field.name
    _run(site, model, sink, END_S)
    model.close(sink)
    for name, frame in sink.frames().items():
        expected = frames[name]
        later = pl.col("t_s") > at_s
        if name == "events":
            # A fault's edge at the snapshot's own time belongs to what comes after it.
            later |= (pl.col("t_s") == at_s) & pl.col("kind").cast(pl.String).is_in(FAULT_KINDS)
        assert frame.equals(expected.filter(later)), name


def _lost_w(feeds: Any, fleet: Fleet) -> float:
    """Return the losses of the facts: a live UPS 1.2 %, 1.2 % of its load and 2 % of its square; a PDU 1.5 % of what it gives."""
    ups = feeds[: len(fleet.ups_ids)]
    full = ups["power_w"] / ups["rated_w"]
    lost_w = ups["live"] * ups["rated_w"] * (0.012 + 0.012 * full + 0.020 * full**2)
    return float(lost_w.sum() + 0.015 * feeds["power_w"][len(ups) :].sum())


def test_energy_closes_over_every_path_at_once_to_a_millionth(site: Fleet, start: Callable[..., Any]) -> None:
    """Air with recirculation and mixing, plates, the room's store, throttled and dark servers, feeds and their losses."""
    model, sink = start()
    arrays, went_j = model.arrays, {"drawn": 0.0, "arrived": 0.0, "owed": -float(model.arrays.servers["owed_j"].sum())}
    room, seen = [float(arrays.site["room_rise_c"][0])], {"mixing": 0.0, "dark": 0.0, "throttled": 0.0, "room": 0.0, "towers": 0.0}

    def check(dt_s: float) -> None:
        now = arrays.site[0]
        it_w, racks_w = now["it_power_w"], arrays.racks["heat_w"].sum()
        returned_w = returned_heat_w(arrays.racks, arrays.aisles, arrays.neighbours, arrays.neighbour_share)
        assert returned_w == pytest.approx(racks_w, rel=1e-6)
        went_j["arrived"] += racks_w * dt_s
        went_j["drawn"] += (it_w - now["liquid_w"]) * dt_s
        aisles = arrays.aisles
        flow = np.minimum(aisles["demand_m3_per_s"], aisles["design_m3_per_s"] * aisles["air_share"])
        # 0.4 W per CFM at design flow (847.6 W per m3/s), cubic.
        handlers_w = float((847.6 * flow**3 / aisles["design_m3_per_s"] ** 2).sum())
        stored_w = (now["room_rise_c"] - room[0]) * now["room_j_per_c"] / dt_s
        room[0] = float(now["room_rise_c"])
        assert now["removed_w"] + stored_w == pytest.approx(it_w - now["liquid_w"] + handlers_w, rel=1e-6)
        assert it_w == pytest.approx(arrays.rows["power_w"].sum(), rel=1e-9)
        assert it_w == pytest.approx(arrays.racks["power_w"].sum(), rel=1e-9)
        assert now["site_power_w"] == pytest.approx(it_w * 1.02 + now["cooling_power_w"] + _lost_w(arrays.feeds, site), rel=1e-9)
        if now["chiller_left_share"] == 0.0:
            # Towers alone: COP 20 and pumps of 1.5 %; distribution units 1.75 %, their loop at COP 30.
            loop_w = now["liquid_w"] * (0.0175 + 1.0175 / 30.0)
            assert now["cooling_power_w"] == pytest.approx(handlers_w + now["removed_w"] * (1 / 20.0 + 0.015) + loop_w, rel=1e-9)
            seen["towers"] += 1.0
        # Evaporated: 1.8 l per kWh of heat, from air and plates.
        assert now["water_l_per_s"] == pytest.approx(1.8 * (now["removed_w"] + now["liquid_w"]) / 3.6e6, rel=1e-9)
        feeds = model.observe()
        assert feeds.pdu_load_w.sum() == pytest.approx(it_w, rel=1e-6)
        assert feeds.ups_load_w.sum() == pytest.approx(it_w * (1.0 + now["pdu_loss_share"]), rel=1e-6)
        seen["mixing"] = max(seen["mixing"], float(aisles["mixing_share"].max()))
        seen["dark"] = max(seen["dark"], float((arrays.rows["live"] <= 0.0).any()))
        seen["throttled"] = max(seen["throttled"], float((arrays.gpus.thermal_clock_share < 1.0).sum()))
        seen["room"] = max(seen["room"], room[0])

    _run(site, model, sink, END_S, each=check)
    went_j["owed"] += float(arrays.servers["owed_j"].sum())
    assert went_j["arrived"] + went_j["owed"] == pytest.approx(went_j["drawn"], rel=1e-6)
    assert seen["mixing"] > 0.1
    assert seen["dark"] == 1.0
    assert seen["throttled"] > 0.0
    assert seen["room"] > 1.0
    assert seen["towers"] > 0.0


def test_half_the_tick_changes_little_in_every_trouble(site: Fleet, start: Callable[..., Any], clock: Clock) -> None:
    """Energy, cost, carbon and water within 1 %, peaks within 2 %, highest temperatures within 2 C, throttled time within 0.02."""
    found = []
    for tick_s in (10.0, 5.0):
        model, sink = start()
        _run(site, model, sink, END_S, tick_s)
        model.close(sink)
        found.append(Asked({name: frame.lazy() for name, frame in sink.frames().items()}, clock, END_S))
    for name, within in (
        *((name, {"rel": 0.01}) for name in ("energy_j", "energy_cost_usd", "carbon_kg", "water_l", "pue")),
        *((name, {"rel": 0.02}) for name in ("row_power_peak_w", "site_power_peak_w")),
        *((name, {"abs": 2.0}) for name in ("gpu_temp_max_c", "inlet_temp_max_c")),
        ("throttled_gpu_share", {"abs": 0.02}),
    ):
        coarse, fine = (READINGS[f"plant.{name}"](asked) for asked in found)
        assert coarse == pytest.approx(fine, **within), name

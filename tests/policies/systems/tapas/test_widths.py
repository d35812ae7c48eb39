"""Wide instances make way for narrower ones where a row is short of power, and come back."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from policies import study
from policies.policy import PolicySet, Schedule
from policies.systems.tapas.knobs import TapasKnobs
from policies.systems.tapas.policy import Tapas
from policies.systems.tapas.profiles import Mix, Profiles, hotter_c, working_share
from policies.systems.tapas.reconfigure import Allowed
from policies.systems.tapas.widths import Widths
from twin import run as runs
from twin.run import Run, Start
from twin.scenario import Scenario, read
from twin.serving.latency import profile
from twin.serving.levers import OFF, ON, ScalingAction
from twin.sources import data_dir, toml

CHAT = Mix(prompt_tokens=1000.0, output_tokens=200.0, ttft_s=2.0, atgt_s=0.1)
# Four servers with one slot of eight GPUs each, then the two slots of four GPUs on each.
WIDE, NARROW = np.arange(4), np.arange(4, 12)
FIRST, GPUS = np.append(np.arange(4) * 8, np.arange(8) * 4), np.repeat([8, 4], [4, 8])
LATENCY = np.array([profile("h100", "vllm", "70b", width).coefficients for width in GPUS])
LEVERS = ("request_routing", "instance_config", "emergency", "instance_scaling")
LOST_S, BACK_S = 600.0, 1800.0


@pytest.fixture
def offered(serving_seen: Any) -> Any:
    """Observations of four servers that offer slots of eight and of four GPUs; the wide ones are on."""

    def make(minute: int, wanted: np.ndarray, per_s: float = 10.0, **changes: Any) -> Any:
        calm = serving_seen()
        eight = {name: getattr(calm, name) for name in calm.__slots__ if isinstance(getattr(calm, name), np.ndarray)}
        more = {name: np.concatenate([value, value[:4]]) for name, value in eight.items() if value.shape[:1] == (8,)}
        server = FIRST // 8
        rates = {"endpoint_arrivals_per_s": np.array([per_s]), "endpoint_prompt_tokens_per_s": np.array([1000.0 * per_s])}
        slots = {"instance_server": server, "instance_row": server // 2, "instance_first_gpu": FIRST, "instance_gpus": GPUS}
        slots |= {"configured": GPUS == 8, "latency": LATENCY, "variant_latency": LATENCY[None], "state": np.where(wanted, ON, OFF)}
        rates |= {"endpoint_output_tokens_per_s": np.array([200.0 * per_s])}
        return serving_seen(t_s=60.0 * minute, **{**more, **slots, **rates, **changes})

    return make


def allowed(gpu_w: float, short: bool, clock_share: float) -> Allowed:
    which = np.full(12, short)
    line = np.tile([10.0, 50.0], (12, 1))
    return Allowed(np.full(12, clock_share), np.full(12, gpu_w), np.full(12, np.inf), which, which, np.ones(12, dtype=np.bool_), line)


SHORT, FREE = allowed(165.0, True, 0.55), allowed(np.inf, False, 1.0)


def play(widths: Widths, offered: Any, minutes: range, left: Allowed, wanted: np.ndarray, per_s: float = 8.0, room_w: float = 0.0) -> Any:
    """Play minutes in which slots are on at once when they are wanted; return those of each minute."""
    from policies.systems.tapas.demand import Demand

    demand, told = Demand(1), []
    for minute in minutes:
        seen = offered(minute, wanted, per_s, speed_share=left.clock_share, queued=np.zeros(12, dtype=np.int64))
        demand.learn(seen)
        wanted = widths.narrow(seen, GPUS == 8, left, demand, np.full(12, room_w))
        told.append(wanted)
    return told


def test_the_table_lists_every_width_and_the_narrower_slot_carries_less_for_less():
    known = Profiles.of(LATENCY[None], np.ones(1), np.full(12, 700.0), CHAT, np.array([0.55, 1.0]), gpus=GPUS)
    assert set(known.gpus.tolist()) == {4, 8}
    full = known.goodput_per_s[0, -1, -1]
    assert (full[NARROW] < full[WIDE][0]).all()
    assert (full[NARROW] > 0.0).all()
    assert (known.empty_w < known.idle_w).all(), "a GPU without a model draws less"


def test_power_and_heat_of_servers_on_which_few_gpus_work_are_those_of_the_calibration():
    assert (working_share(0.5), working_share(0.25), working_share(1.0)) == (0.62, 0.38, 1.0)
    assert (hotter_c(0.5), hotter_c(0.25), hotter_c(1.0)) == (3.0, 6.0, 0.0)


def test_where_a_row_is_short_few_turn_at_once_and_no_gpu_is_given_twice(offered):
    told = play(Widths(TapasKnobs()), offered, range(1, 8), SHORT, GPUS == 8)
    on = np.array([wanted[WIDE].sum() for wanted in told])
    assert on[0] == 4, "need must last"
    assert on[-1] < 4
    assert (np.diff(on) >= -1).all(), "a third of four"
    for wanted in told:
        held = np.zeros(32, dtype=np.int64)
        for slot in np.flatnonzero(wanted):
            held[FIRST[slot] : FIRST[slot] + GPUS[slot]] += 1
        assert held.max() == 1
        assert wanted[NARROW].sum() == 4 - wanted[WIDE].sum(), "one of two: the other four GPUs stand empty"


def test_nothing_turns_where_clocks_suffice_or_narrower_ones_would_not_serve(offered):
    for left, per_s in ((FREE, 8.0), (allowed(400.0, True, 0.55), 8.0), (SHORT, 30.0), (allowed(100.0, True, 0.55), 8.0)):
        told = play(Widths(TapasKnobs()), offered, range(1, 8), left, GPUS == 8, per_s)
        assert all((wanted == (GPUS == 8)).all() for wanted in told)


def test_wide_ones_come_back_after_a_while_with_room_and_not_without(offered):
    widths = Widths(TapasKnobs(quality_hold_s=600.0))
    swapped = play(widths, offered, range(1, 8), SHORT, GPUS == 8)[-1]
    assert not swapped[WIDE].all()
    tight = play(widths, offered, range(8, 40), FREE, swapped, room_w=10.0)[-1]
    np.testing.assert_array_equal(tight, swapped)
    soon = play(widths, offered, range(40, 49), FREE, tight, room_w=20_000.0)[-1]
    np.testing.assert_array_equal(soon, swapped)
    late = play(widths, offered, range(49, 70), FREE, soon, room_w=20_000.0)[-1]
    np.testing.assert_array_equal(late, GPUS == 8)


def test_what_the_holder_below_gives_up_is_not_stood_in_for(offered):
    widths = Widths(TapasKnobs())
    assert play(widths, offered, range(1, 8), SHORT, GPUS == 8)[-1][NARROW].any()
    from policies.systems.tapas.demand import Demand

    seen = offered(8, np.zeros(12, dtype=np.bool_))
    assert not widths.narrow(seen, np.zeros(12, dtype=np.bool_), SHORT, Demand(1), np.zeros(12)).any()


def test_a_restored_holder_swaps_the_same(offered):
    one, two = Widths(TapasKnobs()), Widths(TapasKnobs())
    on = play(one, offered, range(1, 3), SHORT, GPUS == 8)[-1]
    two.restore(one.snapshot())
    mine, other = (play(each, offered, range(3, 9), SHORT, on) for each in (one, two))
    np.testing.assert_array_equal(mine, other)
    assert not mine[-1][WIDE].all()


def test_unless_it_is_asked_for_the_wanted_slots_are_handed_back_untouched(around, offered):
    action = ScalingAction(GPUS == 8)
    assert Tapas(TapasKnobs(), around).narrow_scaling(offered(1, GPUS == 8), action) is action


# -- a UPS unit is lost in the example ---------------------------------------


def policy(widths: bool) -> PolicySet:
    return PolicySet.model_validate({"levers": {lever: [{"system": "tapas", "knobs": {"widths": widths}}] for lever in LEVERS}})


def simulated(widths: bool, scenario: Scenario, **how: Any) -> Run:
    return runs.simulate(scenario, study.phases(Schedule.of(policy(widths)), scenario), **how)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """The example on a hot afternoon with busy rented servers; one of four UPS units is lost for twenty minutes."""
    raw = toml(data_dir() / "scenarios" / "example.toml")
    vms = [
        {**group, "load": {**group["load"], "mean_share": 0.85}} if group["workload"] == "ml-training" else group
        for group in raw["workloads"]["vms"]
    ]
    fault = {"kind": "ups_loss", "target": "site", "from_s": LOST_S, "until_s": BACK_S, "severity": 1.0}
    changed = {"start": "2026-07-14T14:00:00", "horizon_s": 4500.0, "seed": 1, "faults": [fault]}
    return read({**raw, **changed, "workloads": {**raw["workloads"], "vms": vms}})


@pytest.fixture(scope="module")
def pair(scenario: Scenario) -> tuple[Run, Run]:
    return simulated(False, scenario), simulated(True, scenario, snapshots_at=(1200.0,))


def swaps(run: Run) -> pl.DataFrame:
    """Return the instances that were told to stop, and when."""
    events = run.tables["events"].with_columns(pl.col("kind").cast(pl.String), pl.col("entity_id").cast(pl.String))
    return events.filter(pl.col("kind") == "instance_stop").select("t_s", "entity_id").collect()


def test_in_need_slots_are_swapped_and_afterwards_the_wide_ones_are_back(scenario, pair):
    without, run = pair
    assert swaps(without).is_empty()
    stops = swaps(run)
    assert len(stops) > 5
    assert stops["t_s"].min() > LOST_S
    assert run.manifest["clips"] == {}
    instances = run.tables["instances"].with_columns(pl.col("instance_id").cast(pl.String)).collect()
    first, last = (instances.filter(pl.col("t_s") == t_s) for t_s in (300.0, instances["t_s"].max()))
    on = [set(each.filter(pl.col("on_share") > 0.0)["instance_id"]) for each in (first, last)]
    assert on[0] == on[1]
    assert set(stops["entity_id"]) - on[0], "narrow ones were on, and were told to stop"


def test_in_need_the_language_models_of_the_rows_draw_less_and_rented_gpus_run_faster(scenario, pair):
    rented = {f"server-{index}" for place in (range(19, 41), range(55, 71), range(101, 113), range(137, 153)) for index in place}
    drawn_w, clock = [], []
    for run in pair:
        servers = run.tables["servers"].with_columns(pl.col("server_id").cast(pl.String))
        need = servers.filter((pl.col("t_s") > LOST_S + 300.0) & (pl.col("t_s") <= BACK_S)).collect()
        own = need.filter(~pl.col("server_id").is_in(list(rented)))
        drawn_w.append(float(own["power_w"].mean()))
        clock.append(float(need.filter(pl.col("server_id").is_in(list(rented)))["clock_min_share"].mean()))
    assert drawn_w[1] < drawn_w[0]
    assert clock[1] > clock[0] + 0.01


def test_no_request_is_lost_to_a_swap(scenario, pair):
    early = [run.tables["requests"].filter(pl.col("arrive_s") < 4200.0).collect() for run in pair]
    assert early[0].height == early[1].height
    assert [(each["status"] == 0).sum() for each in early] == [each.height for each in early]


def test_it_goes_on_from_a_snapshot_amid_swaps_as_if_nothing_had_been(scenario, pair):
    _, whole = pair
    assert swaps(whole).filter(pl.col("t_s") <= 1200.0).height > 0
    rest = simulated(True, scenario, start=Start(whole.run_id, 1200.0, whole.snapshots[1200]))
    for name in ("rows", "gpus", "instances", "endpoints"):
        after = pl.col("t_s") >= rest.tables[name].select(pl.col("t_s").min()).collect().item()
        assert whole.tables[name].filter(after).collect().equals(rest.tables[name].collect()), name


def test_held_but_not_asked_for_it_changes_no_byte(scenario, pair):
    plain = PolicySet.model_validate({"levers": {lever: [{"system": "tapas"}] for lever in LEVERS[:3]}})
    run = runs.simulate(scenario, study.phases(Schedule.of(plain), scenario), until_s=1500.0)
    held = simulated(False, scenario, until_s=1500.0)
    for name, table in run.tables.items():
        assert table.collect().equals(held.tables[name].collect()), name

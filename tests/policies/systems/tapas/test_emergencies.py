"""Real emergencies at high load: a UPS and an air handler are lost under TAPAS, and each of its parts works alone."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from policies import study
from policies.policy import PolicySet, Schedule
from twin.run import Run, simulate
from twin.scenario import Scenario, read
from twin.sources import data_dir, toml
from twin.store.importers import import_file
from twin.world import World

FAULT_S = 600.0
UNTIL_S = 900.0
HALF_AN_HOUR_S = 1800.0
UNITS_W = {"ups-1": 14_000.0, "ups-2": 60_000.0}
PARTS = {
    "place": {"vm_placement": [{"system": "tapas"}]},
    "route": {"request_routing": [{"system": "tapas"}]},
    "config": {"instance_config": [{"system": "tapas"}], "emergency": [{"system": "tapas"}]},
}
SUBSETS = [parts for count in (1, 2, 3) for parts in combinations(PARTS, count)]
# What the serving instances of tiny can just carry at full clock, and a rented server that is busy throughout.
RATES = {"chat-70b": 8.0, "chat-8b": 40.0}
BUSY = {"mean_share": 0.95, "swing_share": 0.0, "noise_share": 0.02}


class Unwritten:
    """A sink that keeps nothing: these tests look at the plant itself."""

    def __init__(self, scenario: Scenario) -> None:
        self.ids = {"host": scenario.fleet.host_ids}
        self.listeners: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


def emergency(kind: str, target: str, severity: float, seed: int) -> Scenario:
    """Tiny at high load on a hot afternoon, with one fault."""
    raw = toml(data_dir() / "scenarios" / "tiny.toml")
    endpoints = [{**each, "demand": {**each["demand"], "rate_per_s": RATES[each["id"]]}} for each in raw["serving"]["endpoints"]]
    # It looks for its server, so that placement is asked.
    rented = {"workload": "ml-training", "kind": "iaas", "count": 1, "load": BUSY}
    vms = [rented if group["workload"] == "ml-training" else group for group in raw["workloads"]["vms"]]
    fault = {"kind": kind, "target": target, "from_s": FAULT_S, "severity": severity}
    changed = {"seed": seed, "faults": [fault], "serving": {**raw["serving"], "endpoints": endpoints}, "workloads": {"vms": vms}}
    return read({**raw, **changed})


def raised(kind: str, target: str, severity: float, seed: int) -> Scenario:
    """The 160 servers of the example on that afternoon, with six tenths more requests, busy rented servers, nothing else on hosts."""
    example = toml(data_dir() / "scenarios" / "example.toml")
    raw = {name: part for name, part in example.items() if name not in {"functions", "workflows", "incidents"}}
    more = [
        {**each, "demand": {**each["demand"], "rate_per_s": 1.6 * each["demand"]["rate_per_s"]}} for each in raw["serving"]["endpoints"]
    ]
    vms = [
        {**group, "load": {**group["load"], "mean_share": 0.85}} if group["workload"] == "ml-training" else group
        for group in raw["workloads"]["vms"]
    ]
    fault = {"kind": kind, "target": target, "from_s": FAULT_S, "severity": severity}
    changed = {"start": "2026-07-14T14:00:00", "horizon_s": HALF_AN_HOUR_S, "seed": seed, "faults": [fault]}
    changed |= {"serving": {**raw["serving"], "endpoints": more}, "workloads": {**raw["workloads"], "vms": vms}}
    return read({**raw, **changed})


def policy(*parts: str) -> PolicySet:
    return PolicySet.model_validate(
        {"name": "+".join(parts), "levers": {lever: stack for part in parts for lever, stack in PARTS[part].items()}}
    )


def watched(scenario: Scenario, policy_set: PolicySet, seed: int, until_s: float = UNTIL_S) -> np.ndarray:
    """Return time, highest row power over what is left of the budgets, and the hottest GPU over its limit, tick by tick."""
    world, rows = World(scenario, study.phases(Schedule.of(policy_set), scenario), seed), []
    nowhere = Unwritten(scenario)
    while world.t_s < until_s - 1e-9:
        world.step(world.next_s(until_s), nowhere)
        seen = world.plant.observe()
        rows.append((world.t_s, (seen.row_power_w / seen.row_budget_w).max(), (seen.gpu_temp_c - seen.gpu_limit_c).max()))
    return np.array(rows)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_after_a_ups_is_lost_rows_are_at_three_quarters_of_their_budgets_within_ten_seconds_and_stay_there(seed):
    scenario = emergency("ups_loss", "site", 1.0, seed)
    seen = watched(scenario, policy(*PARTS), seed)
    t_s, power = seen[:, 0], seen[:, 1]
    assert power[t_s <= FAULT_S][-1] > 0.85, "before, the rows must draw more than three quarters"
    # Budgets have become three quarters of what they were.
    assert power[t_s >= FAULT_S + 10.0].max() <= 1.0


def wired(folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    """Tiny at high load with each row on a UPS unit of its own; that of row 1 carries less than the row's budget."""
    fleet = (data_dir() / "fleets" / "tiny.toml").read_text()
    for row, unit in (("row-1", "ups-1"), ("row-2", "ups-2"), ("hosts-row", "ups-2")):
        fleet = fleet.replace(f'id = "{row}"\n', f'id = "{row}"\npdus = ["pdu-{row}"]\n')
        fleet += f'\n[[pdu]]\nid = "pdu-{row}"\nrated_w = 30000\nups = ["{unit}"]\n'
    fleet += "".join(f'\n[[ups]]\nid = "{unit}"\nrated_w = {rated_w}\n' for unit, rated_w in UNITS_W.items())
    (folder / "wired.toml").write_text(fleet)
    monkeypatch.setenv("INTENTWIN_HOME", str(folder))
    import_file("fleet", folder / "wired.toml", "wired", folder)
    busy = emergency("ups_loss", "site", 1.0, seed).spec.model_dump(mode="json", exclude_unset=True)
    return read({**busy, "fleet": "import:wired", "faults": []})


@pytest.mark.parametrize("seed", [1, 2])
def test_rows_on_a_ups_that_carries_less_than_their_budgets_are_capped_before_it_trips(tmp_path, monkeypatch, seed):
    scenario, highest = wired(tmp_path, seed, monkeypatch), {}
    for name, held in (("today", PolicySet(name="today")), ("tapas", policy(*PARTS))):
        world, seen = World(scenario, study.phases(Schedule.of(held), scenario), seed), []
        while world.t_s < UNTIL_S - 1e-9:
            world.step(world.next_s(UNTIL_S), Unwritten(scenario))
            plant = world.plant.observe()
            if world.t_s > 60.0:
                seen.append((plant.ups_load_w[0] / UNITS_W["ups-1"], (plant.row_power_w / plant.row_budget_w).max(), plant.ups_rated_w[0]))
        highest[name] = np.max(seen, axis=0)
        lowest_w = np.min(seen, axis=0)[2]
        assert (lowest_w == 0.0) == (name == "today"), "it trips where nothing is done"
    assert highest["today"][0] > 1.05
    assert highest["tapas"][0] <= 1.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rows_of_a_busy_hall_stay_within_what_a_lost_ups_leaves_for_as_long_as_it_is_lost(seed):
    """Load that routing moved into a row with much left took it over its budget minutes later (1.04 of it, seeds 2 and 3)."""
    scenario = raised("ups_loss", "site", 1.0, seed)
    seen = watched(scenario, policy(*PARTS), seed, HALF_AN_HOUR_S)
    t_s, power = seen[:, 0], seen[:, 1]
    assert power[t_s <= FAULT_S][-1] > 0.85
    assert power[t_s >= FAULT_S + 10.0].max() <= 1.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_in_an_hour_without_a_ups_requests_wait_no_longer_than_under_todays_policy_and_rented_gpus_run_faster(seed):
    """With the example's jobs in the same rows seed 1 waits 4 % longer for first tokens, and 96.9 instead of 97.1 % keep objectives."""
    scenario = raised("ups_loss", "site", 1.0, seed)
    today, tapas = (
        simulate(scenario, study.phases(Schedule.of(each), scenario), seed=seed) for each in (PolicySet(name="today"), policy(*PARTS))
    )
    assert tapas.metrics["plant.power_throttle_events"] == 0.0
    for metric in ("serving.ttft_p99_s", "serving.e2e_p99_s"):
        assert tapas.metrics[metric] <= today.metrics[metric]
    assert tapas.metrics["serving.slo_attainment_share"] >= today.metrics["serving.slo_attainment_share"]
    rented = [rented_clock(run) for run in (today, tapas)]
    assert rented[1] > rented[0] + 0.05


def rented_clock(run: Run) -> float:
    """Return the mean of the lowest clocks of the servers that are rented out whole, while the unit is lost."""
    places = (range(19, 41), range(55, 71), range(101, 113), range(137, 153))
    names = [f"server-{index}" for place in places for index in place]
    servers = run.tables["servers"].filter((pl.col("t_s") > FAULT_S + 60.0) & pl.col("server_id").cast(pl.String).is_in(names))
    return float(servers.select(pl.col("clock_min_share").mean()).collect().item())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_in_a_busy_hall_that_loses_an_air_handler_no_gpu_is_above_its_limit_two_minutes_later_and_later(seed):
    scenario = raised("ahu_loss", "aisle-2", 0.5, seed)
    seen = watched(scenario, policy(*PARTS), seed, HALF_AN_HOUR_S)
    assert seen[seen[:, 0] >= FAULT_S + 120.0, 2].max() <= 0.0
    today = watched(scenario, PolicySet(name="today"), seed, HALF_AN_HOUR_S)
    assert today[today[:, 0] >= FAULT_S + 120.0, 2].max() > 0.0, "it would be, were nothing done"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_after_an_air_handler_is_lost_no_gpu_is_above_its_limit_two_minutes_later(seed):
    scenario = emergency("ahu_loss", "aisle-1", 0.6, seed)
    seen = watched(scenario, policy(*PARTS), seed)
    t_s, over_c = seen[:, 0], seen[:, 2]
    assert over_c[t_s >= FAULT_S + 120.0].max() <= 0.0
    today = watched(scenario, PolicySet(name="today"), seed)
    assert today[today[:, 0] >= FAULT_S + 120.0, 2].max() > 0.0, "it would be, were nothing done"


@pytest.mark.parametrize("parts", SUBSETS, ids="+".join)
def test_each_part_and_every_pair_works_without_the_others(parts):
    scenario = emergency("ups_loss", "site", 1.0, seed=1)
    run = simulate(scenario, study.phases(Schedule.of(policy(*parts)), scenario), seed=1, until_s=UNTIL_S)
    assert run.manifest["clips"] == {}
    over = run.tables["requests"].collect()
    assert over.height > 1000
    power = run.tables["rows"].collect()
    assert np.isfinite(power["power_w"].to_numpy()).all()


def test_configuration_does_not_wait_for_a_router_that_it_does_not_hold(around, serving_seen):
    from policies.systems.tapas.knobs import TapasKnobs
    from policies.systems.tapas.policy import Tapas
    from twin.serving.levers import ConfigAction

    alone, both = Tapas(TapasKnobs(), around), Tapas(TapasKnobs(), around)
    inlet_c = np.where(np.arange(8) < 4, 45.0, 14.0)
    for minute in range(1, 10):
        power_w = np.full(8, 300.0 + 20.0 * minute)
        seen = serving_seen(t_s=60.0 * minute, inlet_c=inlet_c, gpu_power_w=power_w, gpu_temp_max_c=inlet_c + 10.0 + power_w / 14.0)
        action = ConfigAction(np.ones(8), seen.max_batch.copy())
        both.narrow_config(seen, action)
        spared = ~both.admit(seen)
        alone.narrow_config(seen, action)
    assert spared.any()
    known, taught = both.snapshot()["full_w"], alone.snapshot()["full_w"]
    assert (taught[spared] > known[spared]).all(), "who is not really spared goes on teaching"
    np.testing.assert_array_equal(taught[~spared], known[~spared])

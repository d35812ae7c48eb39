"""The law of runs: same question, same bytes; going on is the same as not stopping; policies face one world."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from policies import study
from policies.policy import TODAY, PolicySet, Schedule, Step
from twin import run as runs
from twin.clock import Window
from twin.fleet_file import build
from twin.fleet_spec import FleetSpec
from twin.metrics import Scope
from twin.scenario import Scenario, read
from twin.serving.batching import MAX_BATCH
from twin.sources import data_dir, toml
from twin.world import World

COOLER = PolicySet.model_validate(
    {
        "name": "cooler",
        "levers": {
            "request_routing": [
                {"system": "tapas", "knobs": {"targets": [{"metric": "plant.gpu_temp_max_c", "op": "<=", "bound": 60.0}]}},
                {"system": "round_robin"},
            ],
            "instance_config": [{"system": "tapas", "knobs": {"targets": [{"metric": "plant.gpu_temp_max_c", "op": "<=", "bound": 60.0}]}}],
        },
    }
)


def _simulate(scenario: Scenario, policy: PolicySet = TODAY, **options: Any) -> runs.Run:
    return runs.simulate(scenario, study.phases(Schedule.of(policy), scenario), **options)


def _same(one: runs.Run, other: runs.Run) -> None:
    assert set(one.tables) == set(other.tables)
    for name, frame in other.tables.items():
        assert one.tables[name].collect().equals(frame.collect()), name


def test_the_same_question_has_the_same_answer(tiny_scenario: Scenario, tiny_run: runs.Run) -> None:
    again = _simulate(tiny_scenario, snapshots_at=(600.0,))
    assert again.run_id == tiny_run.run_id
    assert again.metrics == tiny_run.metrics
    _same(tiny_run, again)


def test_whole_seconds_and_fractions_are_the_same_question(tiny_scenario: Scenario) -> None:
    phases = study.phases(Schedule.of(TODAY), tiny_scenario)
    assert runs.run_id_of(tiny_scenario, phases, 7, None, 600) == runs.run_id_of(tiny_scenario, phases, 7, None, 600.0)
    assert runs.run_id_of(tiny_scenario, phases, 7, None, 600.0, (600.0,)) != runs.run_id_of(tiny_scenario, phases, 7, None, 600.0)


def test_odd_ticks_pass_through_every_snapshot() -> None:
    odd = read({**toml(data_dir() / "scenarios" / "tiny.toml"), "tick_s": 7, "horizon_s": 900})
    early = _simulate(odd, until_s=300.0, snapshots_at=(300.0,))
    rest = _simulate(odd, start=runs.Start(early.run_id, 300.0, early.snapshots[300]))
    whole = _simulate(odd)
    assert whole.tables["site"].filter(pl.col("t_s") > 300.0).collect().equals(rest.tables["site"].collect())


def test_another_seed_is_another_run(tiny_scenario: Scenario, tiny_run: runs.Run) -> None:
    other = _simulate(tiny_scenario, seed=8)
    assert other.run_id != tiny_run.run_id
    assert other.manifest["exogenous"] != tiny_run.manifest["exogenous"]


def test_policies_face_the_same_arrivals_and_weather(tiny_scenario: Scenario, tiny_run: runs.Run) -> None:
    candidate = _simulate(tiny_scenario, COOLER)
    assert candidate.run_id != tiny_run.run_id
    assert candidate.manifest["exogenous"] == tiny_run.manifest["exogenous"]
    assert candidate.metrics["plant.gpu_temp_max_c"] < tiny_run.metrics["plant.gpu_temp_max_c"]


@pytest.mark.parametrize("policy", [TODAY, COOLER], ids=["today", "cooler"])
def test_going_on_from_a_snapshot_is_the_same_as_not_stopping(tiny_scenario: Scenario, policy: PolicySet) -> None:
    whole = _simulate(tiny_scenario, policy, snapshots_at=(600.0,))
    start = runs.Start(whole.run_id, 600.0, whole.snapshots[600])
    rest = _simulate(tiny_scenario, policy, start=start)
    for name in ("rows", "site", "servers", "gpus", "racks"):
        late = whole.tables[name].filter(pl.col("t_s") >= rest.tables[name].select(pl.col("t_s").min()).collect().item()).collect()
        assert late.equals(rest.tables[name].collect()), name
    mine = whole.tables["requests"].filter(pl.col("arrive_s") >= 600.0).collect().sort("arrive_s", "endpoint_id")
    theirs = rest.tables["requests"].filter(pl.col("arrive_s") >= 600.0).collect().sort("arrive_s", "endpoint_id")
    assert mine.equals(theirs)


def test_a_run_that_goes_on_in_a_later_hour_and_stops_early_is_a_part_of_the_whole() -> None:
    scenario = read({**toml(data_dir() / "scenarios" / "tiny.toml"), "horizon_s": "4 h", "tick_s": 30})
    whole = _simulate(scenario, snapshots_at=(8400.0,))
    part = _simulate(scenario, start=runs.Start(whole.run_id, 8400.0, whole.snapshots[8400]), until_s=9600.0)
    over = (pl.col("arrive_s") >= 8400.0) & (pl.col("arrive_s") + pl.col("e2e_s") < 9599.0)
    mine, theirs = (r.tables["requests"].filter(over).sort("arrive_s", "endpoint_id").collect() for r in (whole, part))
    assert mine.height > 1000
    assert mine.equals(theirs)
    for name in ("rows", "endpoints", "gpus"):
        within = (pl.col("t_s") > 8400.0) & (pl.col("t_s") <= 9300.0)
        assert whole.tables[name].filter(within).collect().equals(part.tables[name].filter(within).collect()), name


def test_a_snapshot_can_be_taken_up_by_another_policy(tiny_scenario: Scenario, tiny_run: runs.Run) -> None:
    start = runs.Start(tiny_run.run_id, 600.0, tiny_run.snapshots[600])
    cooler = _simulate(tiny_scenario, COOLER, start=start)
    assert cooler.manifest["started_from"] == {"run_id": tiny_run.run_id, "t_s": 600.0}
    assert cooler.manifest["begin_s"] == 600.0
    assert cooler.tables["rows"].select(pl.col("t_s").min()).collect().item() > 600.0


def test_every_domain_reports_to_one_energy_balance(tiny_run: runs.Run) -> None:
    rows = tiny_run.tables["rows"].group_by("t_s").agg(pl.col("power_w").sum()).sort("t_s").collect()
    site = tiny_run.tables["site"].sort("t_s").collect()
    assert np.allclose(rows["power_w"].to_numpy(), site["it_power_w"].to_numpy(), rtol=1e-5)
    assert (site["site_power_w"] > site["it_power_w"]).all()


def test_half_the_tick_moves_the_metrics_by_less_than_two_percent() -> None:
    raw = toml(data_dir() / "scenarios" / "tiny.toml")
    coarse, fine = (_simulate(read({**raw, "tick_s": tick})) for tick in (10, 5))
    for name in ("plant.gpu_temp_max_c", "plant.energy_j", "plant.row_power_peak_w", "serving.ttft_p99_s", "serving.cost_usd_per_h"):
        assert fine.metrics[name] == pytest.approx(coarse.metrics[name], rel=0.02), name


def test_a_schedule_switches_policy_sets_at_its_times(tiny_scenario: Scenario, tiny_run: runs.Run) -> None:
    schedule = Schedule(steps=(Step(policy=TODAY), Step(from_s=900.0, policy=COOLER)))
    switched = runs.simulate(tiny_scenario, study.phases(schedule, tiny_scenario))
    before, after = pl.col("t_s") <= 900.0, pl.col("t_s") > 1500.0
    today, mine = (r.tables["site"].select("t_s", "it_power_w") for r in (tiny_run, switched))
    assert today.filter(before).collect().equals(mine.filter(before).collect())
    assert mine.filter(after).collect()["it_power_w"].mean() < today.filter(after).collect()["it_power_w"].mean()  # type: ignore[operator]


def test_going_back_to_today_gives_the_batch_limits_back(tiny_scenario: Scenario) -> None:
    small = PolicySet.model_validate({"levers": {"instance_config": [{"system": "static", "knobs": {"max_batch": 2}}]}})
    steps = (Step(from_s=0.0, policy=small), Step(from_s=300.0, policy=TODAY))
    run = runs.simulate(tiny_scenario, study.phases(Schedule(steps=steps), tiny_scenario), until_s=900.0, snapshots_at=(300.0, 600.0))
    limits = [run.snapshots[t_s]["serving"]["pipelines"][0]["stages"]["text"]["instances"][:, MAX_BATCH] for t_s in (300, 600)]
    assert (limits[0] == 2).all()
    assert (limits[1] == tiny_scenario.spec.serving.endpoints[0].max_batch).all()


def test_a_screened_part_counts_its_own_token_gaps(tiny_scenario: Scenario) -> None:
    early = _simulate(tiny_scenario, until_s=900.0, snapshots_at=(900.0,))
    start = runs.Start(early.run_id, 900.0, early.snapshots[900])
    slow = PolicySet.model_validate({"levers": {"instance_config": [{"system": "static", "knobs": {"clock_share": 0.25}}]}})
    part = _simulate(tiny_scenario, slow, start=start, until_s=1200.0)
    tokens = part.tables["endpoints"].select((pl.col("output_tokens_per_s") * pl.col("window_s")).sum()).collect().item()
    assert part.tables["token_gaps"].select(pl.col("tokens").sum()).collect().item() <= tokens
    assert part.metrics["serving.tbt_p99_s"] > 5.0 * early.metrics["serving.tbt_p99_s"]


def test_a_cancelled_run_keeps_nothing(tiny_scenario: Scenario) -> None:
    seen: list[float] = []
    with pytest.raises(runs.Cancelled):
        _simulate(tiny_scenario, progress=lambda p: seen.append(p.done_share), cancel=lambda: len(seen) > 2)
    assert 2 < len(seen) < 10


def test_progress_rises_to_the_end(tiny_scenario: Scenario) -> None:
    seen: list[runs.Progress] = []
    _simulate(tiny_scenario, progress=seen.append)
    shares = [step.done_share for step in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert "13:30" in seen[-1].text


@pytest.mark.parametrize(
    ("options", "words"),
    [({"snapshots_at": (450.0,)}, "multiples of 300 s"), ({"until_s": 0.0}, "nothing to run")],
)
def test_a_question_that_cannot_be_run_is_refused(tiny_scenario: Scenario, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _simulate(tiny_scenario, **options)


def test_metrics_are_asked_over_scopes_and_windows(tiny_run: runs.Run) -> None:
    whole = runs.read(tiny_run, "plant.gpu_temp_max_c")
    rows = [runs.read(tiny_run, "plant.gpu_temp_max_c", (Scope("row", name),)) for name in ("row-1", "row-2")]
    assert whole == pytest.approx(max(value for value in rows if value is not None))
    assert runs.read(tiny_run, "serving.ttft_p99_s", (Scope("endpoint", "chat-8b"),)) != runs.read(tiny_run, "serving.ttft_p99_s")
    assert runs.read(tiny_run, "serving.ttft_p99_s", (), Window.of("02:00", "03:00")) is None
    assert runs.read(tiny_run, "memory.pod_hosts") is None
    with pytest.raises(ValueError, match="unknown"):
        runs.read(tiny_run, "plant.gpu_temp_c")


def test_ticks_are_cut_at_faults_and_shrink_after_them() -> None:
    raw = toml(data_dir() / "scenarios" / "tiny.toml")
    fault = {"kind": "ahu_loss", "target": "aisle-1", "from_s": 303.0, "severity": 0.5}
    scenario = read({**raw, "horizon_s": 600, "faults": [fault]})
    site = _simulate(scenario).tables["site"].collect()
    times = site["t_s"].to_numpy()
    assert 303.0 in times
    assert np.isclose(np.diff(times)[(times[1:] > 305.0) & (times[1:] < 350.0)], 1.0).all()
    assert np.isclose(np.diff(times)[times[1:] < 300.0], 10.0).all()


def test_a_world_needs_a_policy_from_the_beginning(tiny_scenario: Scenario) -> None:
    late = Schedule(steps=(Step(from_s=60.0, policy=TODAY),))
    with pytest.raises(ValueError, match="begins at 0 s"):
        World(tiny_scenario, study.phases(late, tiny_scenario), 1)


def test_h200s_stand_in_a_fleet_and_decode_faster_than_h100s(tiny_scenario: Scenario) -> None:
    """The same scenario on servers of either kind: the H200's memory is 1.43 times as fast, its servers take no more power."""
    fleet, found = toml(data_dir() / "fleets" / "tiny.toml"), {}
    for gpu in ("h100", "h200"):
        rows = [{**row, "model": gpu} if row["kind"] == "gpu" else row for row in fleet["row"]]
        spec = FleetSpec.model_validate({**fleet, "row": rows, "site_power_budget_w": 1e5})
        run = _simulate(replace(tiny_scenario, fleet=build(spec)), until_s=600.0)
        assert 0 < run.tables["servers"].collect()["power_w"].max() <= 10_200
        done = run.tables["requests"].filter((pl.col("status") == 0) & (pl.col("output_tokens") > 20)).collect()
        found[gpu] = run.metrics, done.group_by("endpoint_id").agg(pl.col("atgt_s").median(), pl.len())
    (h100, slow), (h200, fast) = found["h100"], found["h200"]
    both = slow.join(fast, on="endpoint_id", suffix="_h200")
    assert both.height == 2
    assert (both["len"] > 50).all()
    assert (both["atgt_s_h200"] < 0.95 * both["atgt_s"]).all()
    assert h200["plant.gpu_temp_max_c"] == pytest.approx(h100["plant.gpu_temp_max_c"], abs=5.0)
    assert h200["serving.cost_usd_per_h"] == pytest.approx(h100["serving.cost_usd_per_h"] * 5.4 / 4.4)

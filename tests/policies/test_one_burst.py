"""One burst of prompts becomes power, heat, a slower clock and a longer queue; TAPAS changes the third link."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from policies import study
from policies.policy import PolicySet, Schedule
from twin import run as runs
from twin.run import Run
from twin.scenario import read
from twin.sources import data_dir, toml
from twin.store.importers import import_file

BEGIN_S, END_S = 600, 1200
LIMIT_C = 85.0  # of an A100
HOT_C = 16.0  # warmer supply, as on a site short of cooling: only the burst passes the limit there
TAPAS = {lever: [{"system": "tapas"}] for lever in ("request_routing", "instance_config", "emergency")}


@pytest.fixture(scope="module")
def runs_of_it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """A request a second for half an hour, six and more a second for ten minutes of it, on two A100 servers."""
    home = tmp_path_factory.mktemp("burst")
    begin, t_s, lines = datetime(2026, 7, 14, 13, tzinfo=UTC), 0.0, ["TIMESTAMP,ContextTokens,GeneratedTokens"]
    while t_s < 1800.0:
        lines.append(f"{(begin + timedelta(seconds=t_s)).replace(tzinfo=None).isoformat(sep=' ')},1500,200")
        t_s += 0.15 if BEGIN_S <= t_s < END_S else 1.0
    (home / "burst.csv").write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTENTWIN_HOME", str(home))
        import_file("llm-trace", home / "burst.csv", "burst", home)
        yield {"cool": ran(home, 0.0, {}), "hot": ran(home, HOT_C, {}), "tapas": ran(home, HOT_C, TAPAS)}


def ran(home: Path, warmer_c: float, levers: dict[str, Any]) -> Run:
    raw = toml(data_dir() / "scenarios" / "tiny.toml")
    endpoint = {**raw["serving"]["endpoints"][0], "demand": {"kind": "trace", "name": "burst", "repeat": False}}
    vms = [{"workload": "chat-70b", "kind": "saas", "servers": ["server-3", "server-4"]}]
    plant = {**raw["plant"], "inlet": {"supply_offset_c": warmer_c}}
    asked = read({**raw, "plant": plant, "serving": {"endpoints": [endpoint]}, "workloads": {"vms": vms}})
    policy = PolicySet.model_validate({"name": "burst", "levers": levers})
    return runs.simulate(asked, study.phases(Schedule.of(policy), asked))


def peak(run: Run, column: str, from_s: float, until_s: float) -> float:
    rows = run.tables["servers"].filter((pl.col("t_s") > from_s) & (pl.col("t_s") <= until_s))
    rows = rows.filter(pl.col("server_id").cast(pl.String).is_in(["server-3", "server-4"]))
    wanted = pl.col(column).min() if column == "clock_min_share" else pl.col(column).max()
    return float(rows.select(wanted).collect().item())


def waited_s(run: Run, from_s: float, until_s: float) -> float:
    asked = run.tables["requests"].filter((pl.col("arrive_s") >= from_s) & (pl.col("arrive_s") < until_s))
    return float(asked.select(pl.col("ttft_s").quantile(0.99)).collect().item())


def test_the_same_prompts_reach_all_three(runs_of_it: dict[str, Run]) -> None:
    asked = [run.tables["requests"].select("arrive_s").collect()["arrive_s"].sort() for run in runs_of_it.values()]
    assert all(each.equals(asked[0]) for each in asked)


@pytest.mark.parametrize("site", ["cool", "hot"])
def test_prompts_become_power_and_power_heat(runs_of_it: dict[str, Run], site: str) -> None:
    run = runs_of_it[site]
    calm, busy = ((300.0, BEGIN_S), (BEGIN_S + 120.0, END_S))
    assert peak(run, "power_w", *busy) > 1.1 * peak(run, "power_w", *calm)
    assert peak(run, "gpu_temp_max_c", *busy) > peak(run, "gpu_temp_max_c", *calm) + 3.0


def test_heat_becomes_a_slower_clock_only_where_it_passes_the_limit(runs_of_it: dict[str, Run]) -> None:
    assert peak(runs_of_it["cool"], "clock_min_share", 0.0, 1800.0) == 1.0
    assert runs_of_it["cool"].metrics["plant.thermal_throttle_events"] == 0.0
    hot = runs_of_it["hot"]
    assert peak(hot, "gpu_temp_max_c", BEGIN_S, END_S) > LIMIT_C
    assert peak(hot, "clock_min_share", BEGIN_S + 60.0, END_S) < 0.95
    assert peak(hot, "clock_min_share", 60.0, BEGIN_S) == 1.0
    assert hot.metrics["plant.thermal_throttle_events"] > 0.0


def test_a_slower_clock_becomes_a_longer_queue(runs_of_it: dict[str, Run]) -> None:
    cool, hot = runs_of_it["cool"], runs_of_it["hot"]
    assert waited_s(hot, 0.0, BEGIN_S) == pytest.approx(waited_s(cool, 0.0, BEGIN_S), rel=0.05)
    assert waited_s(hot, BEGIN_S, END_S) > 1.2 * waited_s(cool, BEGIN_S, END_S)


def test_tapas_slows_clocks_before_the_limit_does_and_the_queue_pays_for_it(runs_of_it: dict[str, Run]) -> None:
    tapas = runs_of_it["tapas"]
    assert tapas.metrics["plant.thermal_throttle_events"] == 0.0
    assert peak(tapas, "gpu_temp_max_c", 0.0, 1800.0) < LIMIT_C
    assert peak(tapas, "clock_min_share", BEGIN_S, END_S) < 0.95
    assert waited_s(tapas, BEGIN_S, END_S) > waited_s(runs_of_it["cool"], BEGIN_S, END_S)
    # Two ticks at most with one instance for all of it: whom routing had spared is back once there is a queue.
    assert waited_s(tapas, BEGIN_S, END_S) < 6.0

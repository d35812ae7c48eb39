"""A long run keeps its laws: the one-minute version of the week in tests/soak."""

import polars as pl

from policies import study
from policies.policy import TODAY, Schedule
from twin import run as runs
from twin.scenario import read
from twin.sources import data_dir, toml


def laws_of_a_long_run(run: runs.Run) -> None:
    """Assert what must hold however long a run is: requests conserved, heat and power within bounds, days alike."""
    requests = run.tables["requests"].select("arrive_s", "endpoint_id", "ttft_s", "e2e_s", "status").collect()
    ended = requests.filter(pl.col("status") == requests["status"].mode()[0])
    assert len(ended) / len(requests) > 0.999
    assert (ended["ttft_s"] > 0).all()
    assert (ended["e2e_s"] >= ended["ttft_s"]).all()
    arrived = run.tables["endpoints"].select(pl.col("arrivals").sum()).collect().item()
    assert arrived == len(requests)
    gpus = run.tables["gpus"].select(low=pl.col("temp_max_c").min(), high=pl.col("temp_max_c").max()).collect().row(0)
    assert 10.0 < gpus[0] < gpus[1] < 95.0
    days = run.tables["site"].group_by((pl.col("t_s") / 86400.0).ceil()).agg(pl.col("site_power_w").mean()).collect()
    whole = days["site_power_w"]
    assert whole.max() / whole.min() < 1.25  # type: ignore[operator]


def test_two_days_of_the_tiny_scenario_keep_their_laws() -> None:
    raw = toml(data_dir() / "scenarios" / "tiny.toml")
    scenario = read({**raw, "start": raw["start"].replace(hour=0), "horizon_s": 2 * 86400})
    run = runs.simulate(scenario, study.phases(Schedule.of(TODAY), scenario))
    laws_of_a_long_run(run)

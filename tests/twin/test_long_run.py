"""A long run keeps its laws: the one-minute version of the week in tests/soak."""

import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from policies import study
from policies.policy import TODAY, Schedule
from twin import run as runs
from twin.scenario import Scenario, load, read
from twin.serving.engine import Engine
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


def laws_of_a_hall(run: runs.Run, gpus: int) -> None:
    """Assert what must hold of a hall without serving, read in a stream: its tables may not fit memory.

    No minute of any GPU is missing, time has no gap, energy is the same at servers, rows and meter, heat stays within bounds.
    """

    def one(table: str, *wanted: pl.Expr) -> tuple[float, ...]:
        return run.tables[table].select(wanted).collect(engine="streaming").row(0)

    minutes = runs.span_s(run.manifest) / 60.0
    t_s, temp_c = pl.col("t_s"), pl.col("temp_max_c")
    lacking = temp_c.is_nan().sum() + temp_c.null_count()
    rows, first_s, last_s, missing = one("gpus", pl.len(), t_s.min().alias("first"), t_s.max().alias("last"), lacking)
    cold_c, hot_c = one("gpus", temp_c.min().alias("cold"), temp_c.max().alias("hot"))
    assert (rows, first_s, last_s, missing) == (minutes * gpus, 60.0, 60.0 * minutes, 0)
    assert 10.0 < cold_c < hot_c < 95.0
    each = run.tables["gpus"].group_by("t_s").len().select(pl.col("len").unique())
    assert each.collect(engine="streaming").to_series().to_list() == [gpus]
    site = run.tables["site"].collect()
    ends, lengths = site["t_s"], site["tick_s"]
    assert ends.diff().drop_nulls().to_list() == pytest.approx(lengths[1:].to_list())
    assert lengths.sum() == pytest.approx(60.0 * minutes)
    metered_j = (site["it_power_w"] * lengths).sum()
    assert one("rows", (pl.col("power_w") * pl.col("tick_s")).sum())[0] == pytest.approx(metered_j, rel=1e-9)
    assert one("servers", pl.col("power_w").cast(pl.Float64).sum())[0] * 60.0 == pytest.approx(metered_j, rel=1e-5)
    assert 1.0 < run.metrics["plant.pue"] < 1.6
    days = site.group_by((pl.col("t_s") / 86400.0).ceil()).agg(pl.col("site_power_w").mean())["site_power_w"]
    assert days.max() / days.min() < 1.5  # type: ignore[operator]


def test_two_days_of_a_hall_keep_their_laws(hall: Callable[..., Scenario], tmp_path: Path) -> None:
    scenario = hall(40, 2 * 86400.0, tick_s=30)
    run = runs.simulate(scenario, study.phases(Schedule.of(TODAY), scenario), spool=tmp_path, hold_bytes=1)
    assert run.spool is not None
    assert "gpus" in run.spool.files
    laws_of_a_hall(run, 320)


def test_two_days_of_the_tiny_scenario_keep_their_laws() -> None:
    raw = toml(data_dir() / "scenarios" / "tiny.toml")
    scenario = read({**raw, "start": raw["start"].replace(hour=0), "horizon_s": 2 * 86400})
    run = runs.simulate(scenario, study.phases(Schedule.of(TODAY), scenario))
    laws_of_a_long_run(run)


def test_what_a_run_held_goes_with_it_and_does_not_wait_for_the_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    # Searches make run after run in one process: requests and caches in a circle of references would pile up to gigabytes.
    kept = []
    whole = Engine.__init__

    def watched(self: Engine, *args: object, **kwargs: object) -> None:
        whole(self, *args, **kwargs)  # type: ignore[arg-type]
        kept.append(weakref.ref(self))

    monkeypatch.setattr(Engine, "__init__", watched)
    scenario = load("tiny")
    phases = study.phases(Schedule.of(TODAY), scenario)
    gc.collect()
    gc.disable()
    try:
        runs.simulate(scenario, phases, until_s=600.0)
        assert kept
        assert all(engine() is None for engine in kept)
    finally:
        gc.enable()

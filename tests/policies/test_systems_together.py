"""Every system of serving in one run: deterministic, resumable, and no request lost."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from policies import study
from policies.policy import PolicySet, Schedule
from twin import run as runs
from twin.run import Run, Start
from twin.scenario import Scenario, read
from twin.serving.levers import IMAGE
from twin.sources import data_dir, toml

ENDPOINTS: dict[str, dict[str, Any]] = {
    "chat-70b": {"tp_choices": [4]},
    "chat-8b": {
        "model": "llama-3.2-11b",
        "tp_choices": [1, 4],
        "ttft_slo_s": 4.0,
        "demand": {
            "kind": "synthetic",
            "rate_per_s": 3.0,
            "lengths": "text",
            "images": {"calm_rate_per_s": 2.0, "burst_rate_low_per_s": 6.0, "burst_rate_high_per_s": 9.0, "burst_mean_s": 300},
        },
    },
}
IMAGES = [{"kind": "endpoint", "id": "chat-8b"}]
TEXT = [{"kind": "endpoint", "id": "chat-70b"}]
MODSERVE = {"system": "modserve", "scope": IMAGES, "knobs": {"whole_where_fewer": False}}
TOGETHER = PolicySet.model_validate(
    {
        "name": "together",
        "levers": {
            "stage_layout": [MODSERVE],
            "instance_scaling": [MODSERVE, {"system": "aladdin"}],
            "request_routing": [{"system": "tapas"}, MODSERVE, {"system": "aladdin"}],
            "instance_config": [{"system": "tapas"}, {"system": "aladdin", "scope": TEXT}],
            "emergency": [{"system": "tapas"}],
        },
    }
)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """Tiny, with a model that reads images and slots of several widths."""
    raw = toml(data_dir() / "scenarios" / "tiny.toml")
    endpoints = [{**each, **ENDPOINTS[each["id"]]} for each in raw["serving"]["endpoints"]]
    return read({**raw, "serving": {**raw["serving"], "endpoints": endpoints}})


def together(scenario: Scenario, **how: Any) -> Run:
    return runs.simulate(scenario, study.phases(Schedule.of(TOGETHER), scenario), **how)


@pytest.fixture(scope="module")
def whole(scenario: Scenario) -> Run:
    return together(scenario, snapshots_at=(900.0,))


def test_every_request_is_served_once_and_every_lever_has_moved(whole: Run) -> None:
    rows = whole.tables["requests"].collect()
    over = rows.filter(pl.col("status") == 0)
    assert over.height > 0.99 * rows.height
    assert (over["e2e_s"] >= over["ttft_s"]).all()
    instances = whole.tables["instances"].collect()
    images = instances.filter(pl.col("instance_id").cast(pl.String).str.starts_with("chat-8b/"))
    assert (images.filter(pl.col("on_share") > 0)["role"] == IMAGE).any(), "ModServe laid image instances"
    placed = whole.tables["placements"].collect()
    reasons = placed.group_by("endpoint_id").agg(pl.col("reason").unique())
    assert len(reasons) == 2
    assert (placed.filter(pl.col("endpoint_id") == "chat-70b")["reason"] != "by its rule").all(), "Aladdin says why"


def test_no_gpu_is_held_twice(scenario: Scenario, whole: Run) -> None:
    windows = whole.tables["endpoints"].collect()
    held = windows.group_by("endpoint_id").agg(pl.col("gpus_on").max())
    limits = {"chat-70b": 16.0, "chat-8b": 8.0}
    assert all(row["gpus_on"] <= limits[row["endpoint_id"]] + 1e-3 for row in held.iter_rows(named=True))


def test_the_same_question_has_the_same_answer(scenario: Scenario, whole: Run) -> None:
    again = together(scenario, snapshots_at=(900.0,))
    for name, table in whole.tables.items():
        assert table.collect().equals(again.tables[name].collect()), name


def test_it_goes_on_from_a_snapshot_as_if_nothing_had_been(scenario: Scenario, whole: Run) -> None:
    rest = together(scenario, start=Start(whole.run_id, 900.0, whole.snapshots[900]))
    for name in ("rows", "gpus", "instances", "endpoints"):
        after = pl.col("t_s") >= rest.tables[name].select(pl.col("t_s").min()).collect().item()
        assert whole.tables[name].filter(after).collect().equals(rest.tables[name].collect()), name
    keys = ["endpoint_id", "arrive_s"]
    late = pl.col("arrive_s") >= 900.0
    mine, theirs = (run.tables["requests"].filter(late).sort(keys).collect() for run in (whole, rest))
    assert mine.height > 1000
    assert mine.equals(theirs)
    assert np.isfinite(list(rest.metrics.values())).all()

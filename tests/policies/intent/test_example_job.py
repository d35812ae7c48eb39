"""The example is a real case: today's policy is too hot that afternoon, and the words lead to a policy that is not."""

from datetime import datetime
from pathlib import Path

import polars as pl

from policies.intent import lifecycle
from policies.intent.lifecycle import Actor
from twin.clock import Window
from twin.metrics import Scope
from twin.run import read
from twin.store import runs

TEXT = "keep every GPU under 80 C this afternoon and cut serving cost 10 %, p99 time to first token no worse"
AFTERNOON = Window.of("12:00", "18:00")


def test_the_sentence_of_the_readme_leads_to_a_policy_that_holds(tmp_path: Path, ana: Actor, noon: datetime) -> None:
    record = lifecycle.capture(tmp_path, TEXT, scenario="example", actor=ana, at=noon)
    trial = lifecycle.try_on_twin(tmp_path, record.intent_id, actor=ana, at=noon)
    today, candidate = (runs.load(run_id, tmp_path) for run_id in (trial.today_run_id, trial.candidate_run_id))
    assert today.tables["requests"].select(pl.len()).collect().item() >= 1_000_000
    assert today.tables["gpus"].select(pl.col("gpu_id").n_unique()).collect().item() == 1280
    hot = read(today, "plant.gpu_temp_max_c", (Scope("row", "row-4"),), AFTERNOON)
    assert hot is not None
    assert hot > 80.0
    assert [row.met for row in trial.rows] == [True, True, True]
    assert [row.metric for row in trial.rows] == ["plant.gpu_temp_max_c", "serving.cost_usd_per_h", "serving.ttft_p99_s"]
    assert today.manifest["exogenous"] == candidate.manifest["exogenous"]

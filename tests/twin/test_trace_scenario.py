"""A real trace, imported as an operator would, drives a whole scenario."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from policies import study
from policies.policy import TODAY, Schedule
from twin import run as runs
from twin.scenario import read
from twin.sources import data_dir, toml
from twin.store.importers import import_file


def _scenario(name: str, horizon_s: float) -> dict[str, Any]:
    raw = toml(data_dir() / "scenarios" / "tiny.toml")
    raw["serving"]["endpoints"][0]["demand"] = {"kind": "trace", "name": name, "rate_scale": 0.25, "repeat": False}
    return {**raw, "horizon_s": horizon_s}


def test_the_azure_conversation_trace_runs_end_to_end(test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    report = import_file("llm-trace", test_data / "traces" / "AzureLLMInferenceTrace_conv.csv", "azure-conv", tmp_path)
    assert report.rows == 19_366
    scenario = read(_scenario("azure-conv", 4 * 3600))
    run = runs.simulate(scenario, study.phases(Schedule.of(TODAY), scenario))
    requests = run.tables["requests"].filter(pl.col("endpoint_id") == "chat-70b").collect()
    assert len(requests) == 19_366
    assert requests["prompt_tokens"].sum() == 22_361_870
    assert requests["output_tokens"].sum() == 4_088_665
    assert 0.01 < run.metrics["serving.ttft_p50_s"] < 1.0
    assert run.metrics["plant.energy_j"] > 0.0


def test_the_trace_is_part_of_the_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    ids = []
    for name, tokens in (("one", 100), ("two", 200)):
        csv = tmp_path / f"{name}.csv"
        rows = "".join(f"2023-11-16 18:{minute:02d}:00.0000000,{tokens},20\n" for minute in range(10))
        csv.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" + rows)
        import_file("llm-trace", csv, name, tmp_path)
        scenario = read(_scenario(name, 3600))
        assert f"llm-trace/{name}" in scenario.canonical()["inputs"]
        run = runs.simulate(scenario, study.phases(Schedule.of(TODAY), scenario), until_s=900)
        ids.append((run.run_id, run.manifest["exogenous"]))
    assert ids[0][0] != ids[1][0]
    assert ids[0][1] != ids[1][1]

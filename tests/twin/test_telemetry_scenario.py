"""Scenarios that draw on imported telemetry: named, digested, run whole."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from policies import study
from policies.policy import TODAY, Schedule
from twin import run as runs
from twin.scenario import load, read
from twin.sources import data_dir, toml
from twin.store.importers import import_file

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "frontier.toml"


def _scenario(**plant: Any) -> dict[str, Any]:
    raw = toml(data_dir() / "scenarios" / "tiny.toml")
    return {**raw, "plant": {**raw.get("plant", {}), **plant}}


def _bring(home: Path, rows: str) -> None:
    (home / "t.csv").write_text("time,sensor,value\n" + rows)
    import_file("telemetry", home / "t.csv", "site", home)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    return tmp_path


def test_frontier_without_its_import_is_refused_with_the_command_to_run(home: Path) -> None:
    with pytest.raises(ValueError, match=r"^scenarios/frontier.toml: no imported telemetry is called 'frontier-cdu'") as caught:
        load(EXAMPLE)
    assert str(caught.value).endswith("run `intentwin import telemetry FILE --name frontier-cdu`")


@pytest.mark.parametrize(
    "use", [{"telemetry": "site"}, {"replay": "site"}, {"start_from": {"telemetry": "site", "at": "2026-07-14T06:00"}}]
)
def test_telemetry_is_part_of_the_question_and_an_increment_changes_it(home: Path, use: dict[str, Any]) -> None:
    _bring(home, "0,row-1.power_w,9000\n")
    before = read(_scenario(**use)).canonical()
    assert set(before["inputs"]) == {"fleet", "telemetry/site"}
    _bring(home, "0,row-1.power_w,9000\n")
    assert read(_scenario(**use)).canonical() == before
    _bring(home, "60,row-1.power_w,9100\n")
    after = read(_scenario(**use)).canonical()
    assert after["inputs"]["telemetry/site"] != before["inputs"]["telemetry/site"]
    assert {**after, "inputs": {}} == {**before, "inputs": {}}


def test_ten_minutes_of_frontier_run_whole(home: Path, test_data: Path) -> None:
    file = test_data / "telemetry" / "frontier_cdu_input_04-07-24.csv"
    import_file("telemetry", file, "frontier-cdu", home)
    scenario = load(EXAMPLE)
    run = runs.simulate(scenario, study.phases(Schedule.of(TODAY), scenario), until_s=600)
    site = run.tables["site"].collect()
    trace = pl.read_csv(file)
    measured = trace.select(pl.sum_horizontal([f"power[{n}]" for n in range(1, 26)]))[1:41].to_series()
    assert site["it_power_w"].to_list() == pytest.approx(measured.to_list(), rel=1e-6)
    assert site["wet_bulb_c"].to_list() == pytest.approx(trace["OA Wetbulb Temp"][1:41].to_list(), abs=1e-4)
    assert run.metrics["plant.pue"] is not None
    assert 1.0 < run.metrics["plant.pue"] < 1.1

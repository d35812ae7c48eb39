"""What hosts of functions and an orchestrator of jobs would be given: runtimes by function, plans by stage, or why there is none."""

import csv
import io
import json
from pathlib import Path

import pytest

from app.export import files
from policies.policy import TODAY, Held, PolicySet
from twin.scenario import Scenario, load

TIGHT = {"metric": "workflows.makespan_p99_s", "op": "<=", "bound": 2.0, "scope": ({"kind": "workflow", "id": "video"},)}
FASTER = PolicySet(
    name="faster",
    levers={
        "function_runtime": (Held(system="junctiond", knobs={"polling_cores_each": 1.0}),),
        "workflow_plan": (Held(system="murakkab", knobs={"targets": (TIGHT,)}),),
    },
)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load(Path(__file__).parents[1] / "working.toml")


@pytest.fixture(scope="module")
def exported(scenario: Scenario) -> dict[str, bytes]:
    return files(FASTER, scenario)


def test_each_function_has_its_runtime_its_cores_and_its_keep_alive(exported: dict[str, bytes], scenario: Scenario) -> None:
    (row,) = csv.DictReader(io.StringIO(exported["functions.csv"].decode()))
    assert (row["function"], row["runtime"], row["hosts"], row["cores_per_host"]) == ("search-index", "junctiond", "host-2", "4")
    assert row["polling_cores_per_host"] == "1 and 1 for each warm instance"
    assert (row["keep_alive_s"], row["metadata_cache"]) == ("600", "on")
    (today,) = csv.DictReader(io.StringIO(files(TODAY, scenario)["functions.csv"].decode()))
    assert (today["runtime"], today["polling_cores_per_host"]) == ("containerd", "0")


def test_a_plan_names_executor_hardware_instances_and_batch_of_every_stage(exported: dict[str, bytes]) -> None:
    plans = {each["workflow"]: each for each in json.loads(exported["workflow_plans.json"])}
    report = plans["report"]
    assert report["held_by"] == "murakkab"
    for stage in report["stages"].values():
        assert stage["hardware"] in {"cpu", "a100", "endpoint", "function"}
        assert stage["instances"] >= 1
        assert stage["batch"] >= 1
        assert (stage["asks"] is not None) == (stage["hardware"] in {"endpoint", "function"})
    assert report["predicted"]["cost_usd"] > 0.0


def test_a_workflow_that_no_plan_suits_is_exported_as_refused_with_the_limit(exported: dict[str, bytes]) -> None:
    plans = {each["workflow"]: each for each in json.loads(exported["workflow_plans.json"])}
    assert plans["video"]["refused"].startswith("makespan: at most 2.00")
    assert "stages" not in plans["video"]


def test_the_readme_numbers_the_steps_and_nothing_is_written_where_nothing_runs(exported: dict[str, bytes]) -> None:
    readme = exported["README.md"].decode()
    assert "5. `functions.csv`" in readme
    assert "6. `workflow_plans.json`" in readme
    assert not {"functions.csv", "workflow_plans.json"} & set(files(TODAY, load("tiny")))


def test_todays_plan_of_a_stage_that_asks_the_site_names_its_endpoint(scenario: Scenario) -> None:
    plans = {each["workflow"]: each for each in json.loads(files(TODAY, scenario)["workflow_plans.json"])}
    asked = {stage["asks"] for stage in plans["report"]["stages"].values() if stage["hardware"] == "endpoint"}
    assert asked == {"chat-8b"}
    assert plans["video"]["items"] == "one by one"

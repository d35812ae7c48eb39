"""Golden values: the packaged scenarios give the numbers that were reviewed last."""

import csv
from pathlib import Path

import pytest

from policies import study
from policies.policy import TODAY, PolicySet, Schedule
from twin import run as runs
from twin.scenario import load

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
TARGET = {"metric": "plant.gpu_temp_max_c", "op": "<=", "bound": 60.0}
COOLER = PolicySet.model_validate(
    {
        "levers": {
            "request_routing": [{"system": "tapas", "knobs": {"targets": [TARGET]}}],
            "instance_config": [{"system": "tapas", "knobs": {"targets": [TARGET]}}],
            "instance_scaling": [{"system": "reactive"}],
        }
    }
)


@pytest.mark.parametrize(("name", "policy"), [("tiny-today", TODAY), ("tiny-cooler", COOLER)])
def test_the_numbers_are_those_that_were_reviewed(name: str, policy: PolicySet, request: pytest.FixtureRequest) -> None:
    scenario = load(name.partition("-")[0])
    metrics = runs.simulate(scenario, study.phases(Schedule.of(policy), scenario)).metrics
    path = GOLDEN / f"{name}.csv"
    if request.config.getoption("--update-golden"):
        lines = [f"{metric},{value:.8g}" for metric, value in sorted(metrics.items())]
        path.write_text("metric,value\n" + "\n".join(lines) + "\n", encoding="utf-8")
    with path.open(encoding="utf-8") as file:
        golden = {row["metric"]: float(row["value"]) for row in csv.DictReader(file)}
    # One part in a thousand: another processor may round differently, a change of the model moves more.
    assert dict(metrics) == pytest.approx(golden, rel=1e-3, abs=1e-9)

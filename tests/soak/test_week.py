"""A week of the example: nothing is lost, nothing drifts, memory stays bounded."""

import importlib.util
import resource
from pathlib import Path

from policies import study
from policies.policy import TODAY, Schedule
from twin import run as runs
from twin.scenario import read
from twin.sources import data_dir, toml


def _laws(run: runs.Run) -> None:
    path = Path(__file__).resolve().parent.parent / "twin" / "test_long_run.py"
    spec = importlib.util.spec_from_file_location("test_long_run", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.laws_of_a_long_run(run)


def test_a_week_of_the_example_keeps_its_laws() -> None:
    raw = toml(data_dir() / "scenarios" / "example.toml")
    scenario = read({**raw, "horizon_s": 7 * 86400})
    run = runs.simulate(scenario, study.phases(Schedule.of(TODAY), scenario))
    _laws(run)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < 12e9

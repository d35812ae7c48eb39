"""A week of 1,000 servers, and one of the example: nothing is lost, nothing drifts, memory stays bounded."""

import importlib.util
import resource
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from policies import study
from policies.policy import TODAY, Schedule
from twin import run as runs
from twin.scenario import Scenario, read
from twin.sources import data_dir, toml
from twin.store import doctor
from twin.store import runs as stored


def _laws() -> ModuleType:
    path = Path(__file__).resolve().parent.parent / "twin" / "test_long_run.py"
    spec = importlib.util.spec_from_file_location("test_long_run", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _peak_bytes() -> float:
    # Kilobytes on Linux, of the whole process up to now: the smaller week comes first.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def test_a_week_of_1000_servers_keeps_its_laws(hall: Callable[..., Scenario], tmp_path: Path) -> None:
    scenario = hall(1000, 7 * 86400.0)
    run = runs.simulate(scenario, study.phases(Schedule.of(TODAY), scenario), spool=tmp_path / "runs")
    stored.save(run, tmp_path)
    # Compiling may be among it, which a run that finds its kernels on the disk has not.
    assert _peak_bytes() < 800e6
    again = stored.load(run.run_id, tmp_path)
    del run
    _laws().laws_of_a_hall(again, 8000)
    assert all(finding.severity == "ok" for finding in doctor.check(tmp_path) if finding.subject == "runs")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [again.run_id]


def test_a_week_of_the_example_keeps_its_laws() -> None:
    raw = toml(data_dir() / "scenarios" / "example.toml")
    scenario = read({**raw, "horizon_s": 7 * 86400})
    run = runs.simulate(scenario, study.phases(Schedule.of(TODAY), scenario))
    _laws().laws_of_a_long_run(run)
    assert _peak_bytes() < 12e9

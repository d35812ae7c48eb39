"""Fixtures that the whole suite shares."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from policies import study
from policies.policy import TODAY, Schedule
from twin.run import Run, simulate
from twin.scenario import Scenario, load

# Timings never fail a test.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

_SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of real data that is not part of the project; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("INTENTWIN_TEST_DATA", str(_SHARED)))
    if not folder.is_dir():
        pytest.skip("real data is not here: set INTENTWIN_TEST_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def tiny_scenario() -> Scenario:
    """Four servers for half an hour, packaged as the scenario ``tiny``."""
    return load("tiny")


@pytest.fixture(scope="session")
def tiny_run(tiny_scenario: Scenario) -> Run:
    """Today's policy on the tiny scenario, with a snapshot at ten minutes."""
    return simulate(tiny_scenario, study.phases(Schedule.of(TODAY), tiny_scenario), snapshots_at=(600.0,))


@pytest.fixture(scope="session")
def rented_toml() -> Path:
    """File of a small scenario: the example's hosts for half an hour, three quarters of their vCPUs rented out."""
    return Path(__file__).with_name("rented.toml")


@pytest.fixture(scope="session")
def rented(rented_toml: Path) -> Scenario:
    """That scenario, read."""
    return load(rented_toml)


@pytest.fixture(scope="session")
def hall() -> Callable[..., Scenario]:
    """Make a hall of so many servers for so many seconds, without serving; see tests/hall.py."""
    spec = importlib.util.spec_from_file_location("hall", Path(__file__).with_name("hall.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Callable[..., Scenario] = module.hall
    return made


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--update-golden``: rewrite the golden values; the difference is reviewed and named in CHANGELOG under Numbers."""
    parser.addoption("--update-golden", action="store_true", default=False, help="rewrite tests/golden/*.csv from this run")

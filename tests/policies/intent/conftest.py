"""The site of the vocabulary's example, and a reader."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from policies.intent.compile import Compiled, compile_intent
from policies.intent.interpret.embedded import EmbeddedReader
from policies.intent.interpret.reader import Reading, Site
from policies.intent.score import example_site
from policies.intent.versions import Actor
from twin.store.runs import load as load_run


@pytest.fixture(scope="session")
def site() -> Site:
    return example_site()


@pytest.fixture(scope="session")
def read(site: Site):  # type: ignore[no-untyped-def]
    reader = EmbeddedReader()

    def understood(text: str) -> Reading:
        return reader.read(text, site)

    return understood


@pytest.fixture(scope="session")
def compiled(read, site: Site):  # type: ignore[no-untyped-def]
    def of(text: str) -> Compiled:
        return compile_intent(read(text).intent, site)

    return of


@pytest.fixture(scope="session")
def pod_of() -> Callable[[str, Path], tuple[str, tuple[int, ...]]]:
    """Return the design that a run built, and the capacity of devices in each of its pods."""

    def of(run_id: str, home: Path) -> tuple[str, tuple[int, ...]]:
        pods = load_run(run_id, home).tables["pods"].collect()
        return str(pods["design"][0]), tuple(int(size) for size in pods["device_bytes"])

    return of


@pytest.fixture(scope="session")
def ana() -> Actor:
    return Actor("ana", "operator")


@pytest.fixture(scope="session")
def noon() -> datetime:
    return datetime(2026, 7, 14, 12, tzinfo=UTC)

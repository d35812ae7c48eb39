"""The site of the vocabulary's example, and a reader."""

from datetime import UTC, datetime

import pytest

from policies.intent.interpret.embedded import EmbeddedReader
from policies.intent.interpret.reader import Reading, Site
from policies.intent.score import example_site
from policies.intent.versions import Actor


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
def ana() -> Actor:
    return Actor("ana", "operator")


@pytest.fixture(scope="session")
def noon() -> datetime:
    return datetime(2026, 7, 14, 12, tzinfo=UTC)

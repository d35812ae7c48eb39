from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def stored(store: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small store of the console, and the console pointed at it."""
    monkeypatch.setenv("INTENTWIN_HOME", str(store.home))
    return store.home

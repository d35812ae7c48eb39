"""Fixtures that the whole suite shares."""

import os
from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of real data that is not part of the project; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("INTENTWIN_TEST_DATA", str(_SHARED)))
    if not folder.is_dir():
        pytest.skip("real data is not here: set INTENTWIN_TEST_DATA to its folder")
    return folder

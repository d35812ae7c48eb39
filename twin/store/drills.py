"""What came of drills: a few numbers of each, kept by the code's hash."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twin.sources import code_hash
from twin.store import files


def load(key: str, home: Path) -> dict[str, Any] | None:
    """Return what this version of the code found in a drill; None where it was not asked yet, or where the file is torn."""
    try:
        found = json.loads(_path(key, home).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def save(key: str, values: Mapping[str, Any], home: Path) -> None:
    """Keep what was found in a drill; written aside and renamed, so that a reader sees all of it or nothing."""
    path = _path(key, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{files.ASIDE}{key}-{os.getpid()}")
    files.write_json(aside, dict(values))
    aside.replace(path)


def kept(use: str, home: Path) -> list[dict[str, Any]]:
    """Return what this version of the code found in every drill of a use that it was asked about, by name."""
    paths = sorted((home / "drills" / code_hash()).glob(f"*-{use}-*.json"))
    return [found for path in paths if (found := load(path.stem, home)) is not None]


def _path(key: str, home: Path) -> Path:
    return home / "drills" / code_hash() / f"{key}.json"

"""What the runs of a search showed: a few numbers of each."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twin.store import files
from twin.store.runs import folder_of


def load(run_id: str, home: Path) -> dict[str, Any]:
    """Return what is known of a run by name; nothing where it was never asked, or where the file is torn."""
    path = _path(run_id, home)
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def save(run_id: str, values: Mapping[str, Any], home: Path) -> None:
    """Add to what is known of a run; written aside and renamed, so that a reader sees all of it or what was there before."""
    path = _path(run_id, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{files.ASIDE}{run_id}-{os.getpid()}")
    files.write_json(aside, {**load(run_id, home), **values})
    aside.replace(path)


def _path(run_id: str, home: Path) -> Path:
    return home / "probes" / f"{folder_of(run_id, home).name}.json"

"""What the claims of papers came to when they were last checked."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twin.store import files

_FOLDER = "claims"


def save(row: Mapping[str, Any], code: str, home: Path) -> None:
    """Keep the row of one claim with the hash of the code that computed it, instead of an older one; whole or not at all."""
    folder = home / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{row['system']}-{row['claim']}.json"
    aside = path.with_name(f"{files.ASIDE}{path.stem}-{os.getpid()}")
    files.write_json(aside, {"row": dict(row), "code": code})
    aside.replace(path)


def load_all(home: Path) -> list[tuple[dict[str, Any], str]]:
    """Return every kept row and the code that computed it, by file name; a torn file is passed over."""
    found = []
    for path in sorted((home / _FOLDER).glob("*.json")):
        try:
            kept = json.loads(path.read_bytes())
            found.append((dict(kept["row"]), str(kept["code"])))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found

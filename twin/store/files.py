"""Files of the store: deterministic bytes, written aside, renamed whole."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import polars as pl

from twin.spool import ASIDE, leftovers, lock_aside, locked, write_table

__all__ = ["ASIDE", "FINGERPRINTS", "leftovers", "locked"]
FINGERPRINTS: Final = "files.json"


def canonical(value: Any) -> str:
    """Return JSON in its one form: keys sorted, no spaces, no not-a-number.

    >>> canonical({"b": 1, "a": [1.5, None]})
    '{"a":[1.5,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def write_json(path: Path, value: Any) -> None:
    """Write canonical JSON with a final newline."""
    write_bytes(path, (canonical(value) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file; a missing or torn one is a ValueError that names it."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{path.parent.name}/{path.name} is missing; run `intentwin doctor`") from None
    except ValueError as error:
        raise ValueError(f"{path.parent.name}/{path.name} is not valid JSON ({error}); run `intentwin doctor`") from None


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_parquet(path: Path, frame: pl.DataFrame) -> None:
    """Write a frame as zstd Parquet. Equal frames give equal files, however their memory is chunked."""
    write_table(path, frame)
    sync(path)


def place(path: Path, written: Path) -> None:
    """Put a file that was written elsewhere at ``path`` too: the same bytes under a second name, or a copy on another disk."""
    try:
        os.link(written, path)
    except OSError:
        shutil.copyfile(written, path)
    sync(path)


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fingerprints(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of every file under a folder, by relative path; the list of fingerprints itself is left out."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != FINGERPRINTS:
            with path.open("rb") as file:
                found[name] = {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    return found


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return one line for each file that is missing, has changed or was added."""
    lines = [f"{name} is missing" for name in sorted(set(was) - set(now))]
    lines += [f"{name} has changed" for name in sorted(set(was) & set(now)) if was[name] != now[name]]
    return lines + [f"{name} was added" for name in sorted(set(now) - set(was))]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process at a time look at a folder and write to it; the lock goes with the process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def aside(parent: Path) -> Iterator[Path]:
    """Give a temporary folder inside ``parent``, removed at the end unless it was renamed.

    The folder is locked for as long as its process lives, so that a leftover can be told from one in use.
    """
    folder, handle = lock_aside(parent)
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        os.close(handle)
        shutil.rmtree(folder, ignore_errors=True)

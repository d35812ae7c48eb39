"""Runs: each an immutable folder, there whole or not at all."""

import errno
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from twin.spool import room
from twin.stack import State
from twin.store import files, states

if TYPE_CHECKING:
    from twin.run import Run

SCHEMA: Final = 1
_MANIFEST: Final = "manifest.json"
_METRICS: Final = "metrics.json"
_SNAPSHOTS: Final = "snapshots"
_RUN_ID = re.compile(r"^[0-9a-f]{12,64}$")
_PREFIX = re.compile(r"^[0-9a-f]{1,64}$")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a list of runs shows of one. ``schedule`` is a list of {"from_s", "policy"} as the manifest writes it."""

    run_id: str
    scenario: str
    title: str
    schedule: list[dict[str, Any]]
    seed: int
    horizon_s: float
    begin_s: float
    end_s: float
    metrics: Mapping[str, float]


class Snapshots(Mapping[int, State]):
    """The snapshots of a stored run by their time in seconds, each read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._paths = {int(path.stem): path for path in folder.glob("*.npz")}

    def __getitem__(self, t_s: int) -> State:
        return states.unpack(self._paths[t_s].read_bytes())

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._paths))

    def __len__(self) -> int:
        return len(self._paths)


def folder_of(run_id: str, home: Path) -> Path:
    """Return where a run lies, or would; the id is checked, so that it can never lead elsewhere."""
    if not _RUN_ID.match(run_id):
        raise ValueError(f"{run_id!r} is not a run id; it is 12 hex digits, see `intentwin runs`")
    return home / "runs" / run_id


def exists(run_id: str, home: Path) -> bool:
    """Return whether a run is stored."""
    return (folder_of(run_id, home) / files.FINGERPRINTS).is_file()


def resolve(prefix: str, home: Path) -> str:
    """Return the one stored run whose id begins with a prefix; ValueError where there is none or more than one."""
    if not _PREFIX.match(prefix):
        raise ValueError(f"{prefix!r} is not a run id; it is hex digits, see `intentwin runs`")
    found = [run_id for run_id in run_ids(home) if run_id.startswith(prefix)]
    if not found:
        raise ValueError(f"no stored run begins with {prefix!r}; see `intentwin runs`")
    if len(found) > 1:
        raise ValueError(f"{prefix!r} is the beginning of {len(found)} runs ({', '.join(found[:4])}, …); write more digits")
    return found[0]


def run_ids(home: Path) -> list[str]:
    """Return the ids of all stored runs, in order."""
    try:
        names = os.listdir(home / "runs")
    except FileNotFoundError:
        return []
    return sorted(name for name in names if _RUN_ID.match(name))


def save(run: "Run", home: Path) -> Path:
    """Write a run aside and rename it into place; return its folder.

    A run that is stored already with the same contents is left. Raises ValueError where its contents differ or the disk is full.
    """
    target = folder_of(run.run_id, home)
    with room(target.parent), files.aside(target.parent) as aside:
        _write(run, aside)
        try:
            aside.rename(target)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            _must_equal(target, aside)
        else:
            files.sync(target.parent)
    return target


def _write(run: "Run", folder: Path) -> None:
    files.write_json(folder / _MANIFEST, dict(run.manifest))
    try:
        files.write_json(folder / _METRICS, dict(run.metrics))
    except ValueError:
        wrong = [name for name, value in run.metrics.items() if not abs(value) < float("inf")]
        raise ValueError(f"run {run.run_id}: metric {', '.join(wrong)} is not a finite number; leave out what has no evidence") from None
    written = {} if run.spool is None else run.spool.files
    for name, frame in sorted(run.tables.items()):
        if name in written:
            files.place(folder / f"{name}.parquet", written[name])
        else:
            files.write_parquet(folder / f"{name}.parquet", frame.collect())
    if run.snapshots:
        (folder / _SNAPSHOTS).mkdir()
    for t_s, state in sorted(run.snapshots.items()):
        files.write_bytes(folder / _SNAPSHOTS / f"{t_s}.npz", states.pack(state))
    files.write_json(folder / files.FINGERPRINTS, files.fingerprints(folder))


def _must_equal(target: Path, aside: Path) -> None:
    was, now = (files.read_json(folder / files.FINGERPRINTS) for folder in (target, aside))
    if lines := files.differences(was, now):
        raise ValueError(
            f"run {target.name} is stored already with other contents ({'; '.join(lines[:3])}) and was left; "
            f"move {target} away to store it anew"
        )


def load(run_id: str, home: Path) -> "Run":
    """Return a stored run: manifest and metrics read, tables scanned lazily, snapshots read when asked for."""
    from twin.run import Run  # brings every model and kernel with it, which lists of runs must not wait for

    folder = _stored(run_id, home)
    manifest = manifest_of(run_id, home)
    tables = {path.stem: pl.scan_parquet(path) for path in sorted(folder.glob("*.parquet"))}
    return Run(run_id, manifest, tables, files.read_json(folder / _METRICS), Snapshots(folder / _SNAPSHOTS))


def manifest_of(run_id: str, home: Path) -> dict[str, Any]:
    """Return the manifest of a stored run."""
    manifest: dict[str, Any] = files.read_json(_stored(run_id, home) / _MANIFEST)
    if manifest.get("schema", SCHEMA) > SCHEMA:
        raise ValueError(f"run {run_id} was written by a newer Intentwin (schema {manifest['schema']}); upgrade to read it")
    return manifest


def table_paths(run_id: str, home: Path) -> dict[str, Path]:
    """Return the Parquet file of each table of a stored run."""
    return {path.stem: path for path in sorted(_stored(run_id, home).absolute().glob("*.parquet"))}


def load_snapshot(run_id: str, t_s: float, home: Path) -> State:
    """Return one snapshot of a stored run; ValueError names the times that there are."""
    kept = Snapshots(_stored(run_id, home) / _SNAPSHOTS)
    if t_s not in kept:
        times = ", ".join(str(t) for t in kept) or "none"
        raise ValueError(f"run {run_id} has no snapshot at {t_s:g} s (there are: {times})")
    return kept[int(t_s)]


def _stored(run_id: str, home: Path) -> Path:
    if not exists(run_id, home):
        raise ValueError(f"run {run_id} is not stored; see `intentwin runs`")
    return folder_of(run_id, home)


def list_runs(home: Path) -> list[Summary]:
    """Return every readable run, last stored first; damaged ones are left to ``doctor``."""
    found: list[tuple[int, Summary]] = []
    for run_id in run_ids(home):
        folder = home.absolute() / "runs" / run_id
        try:
            stored_ns = (folder / _MANIFEST).stat().st_mtime_ns
            found.append((stored_ns, _summary(folder, stored_ns)))
        except (ValueError, KeyError, TypeError, OSError):
            continue
    return [summary for _, summary in sorted(found, key=lambda pair: (-pair[0], pair[1].run_id))]


# A stored run never changes, so what was read of it once holds for as long as the file is the same.
@lru_cache(maxsize=4096)
def _summary(folder: Path, stored_ns: int) -> Summary:
    manifest = files.read_json(folder / _MANIFEST)
    return Summary(
        run_id=folder.name,
        scenario=manifest["scenario"]["name"],
        title=manifest.get("title", ""),
        schedule=list(manifest["schedule"]),
        seed=int(manifest["seed"]),
        horizon_s=float(manifest["horizon_s"]),
        begin_s=float(manifest["begin_s"]),
        end_s=float(manifest["end_s"]),
        metrics=files.read_json(folder / _METRICS),
    )


def verify(run_id: str, home: Path) -> list[str]:
    """Hash every file of a run again; return one line for each that is missing, changed or added."""
    folder = _stored(run_id, home)
    return files.differences(files.read_json(folder / files.FINGERPRINTS), files.fingerprints(folder))

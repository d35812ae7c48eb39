"""Importers: files from outside become checked, named Parquet."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from twin.store import files

_NAME = re.compile(r"^[a-z0-9-]{1,40}$")


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was imported: how many rows, over how many seconds, and what is worth knowing about them."""

    kind: str
    name: str
    rows: int
    span_s: float
    notes: tuple[str, ...]


def import_file(kind: str, path: Path, name: str, home: Path) -> ImportReport:
    """Read a file of a kind, check it and keep it as ``imports/<kind>/<name>.parquet``.

    Raises ValueError, one line, for an unknown kind, a bad name, a malformed file, and a name that is taken by other
    contents; nothing is written then.
    """
    if kind not in READERS:
        raise ValueError(f"{kind!r} cannot be imported; what can: {', '.join(sorted(READERS))}")
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is not a name for an import; use 1 to 40 of a-z, 0-9 and '-'")
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    frame = READERS[kind](path)
    if frame.is_empty():
        raise ValueError(f"{path.name}: holds no row; nothing was imported")
    _keep(frame, home / "imports" / kind / f"{name}.parquet")
    return ImportReport(kind, name, frame.height, _span_s(frame), _notes(frame))


def _keep(frame: pl.DataFrame, target: Path) -> None:
    with files.aside(target.parent) as aside:
        written = aside / target.name
        files.write_parquet(written, frame)
        if target.exists():
            if target.read_bytes() != written.read_bytes():
                raise ValueError(f"an import named {target.stem!r} is there already with other contents; choose another name")
            return
        written.rename(target)
        files.sync(target.parent)


def _llm_trace(path: Path) -> pl.DataFrame:
    from twin.serving import traces  # the other kinds must not wait for the serving domain

    return traces.read_azure(path)


def _span_s(frame: pl.DataFrame) -> float:
    low, high = frame.select(pl.col("t_s").min().alias("low"), pl.col("t_s").max().alias("high")).row(0)
    return float(high) - float(low)


def _notes(frame: pl.DataFrame) -> tuple[str, ...]:
    pictured = int((frame["images"] > 0).sum()) if "images" in frame.columns else 0
    return (f"{pictured:,} requests carry images" if pictured else "no request carries an image",)


READERS: Final[Mapping[str, Callable[[Path], pl.DataFrame]]] = {"llm-trace": _llm_trace}

"""Where numbers come from: packaged data, imports, and the source of each."""

import hashlib
import os
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import polars as pl

Strength = Literal["measured", "published", "second-hand", "memory", "fitted", "proposed"]
STRENGTHS: Final[tuple[Strength, ...]] = ("measured", "published", "second-hand", "memory", "fitted", "proposed")


class Source(BaseModel):
    """One place that numbers come from, and how strong its evidence is (strongest first in STRENGTHS)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    kind: Literal["paper", "data", "vendor", "peer", "own", "standard"]
    strength: Strength
    reference: str
    note: str = ""


def data_dir() -> Path:
    """Return the folder of packaged read-only data (``INTENTWIN_DATA``, else ``data/`` beside the packages)."""
    configured = os.environ.get("INTENTWIN_DATA")
    return Path(configured) if configured else Path(__file__).resolve().parent.parent / "data"


def home_dir() -> Path:
    """Return the folder of runs, jobs, ledger and imports (``INTENTWIN_HOME``, else ``./.intentwin``)."""
    return Path(os.environ.get("INTENTWIN_HOME", ".intentwin")).absolute()


def toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; a syntax error is one line that names the file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ValueError(f"{path.name}: no such file; see `intentwin scenarios`") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name}: not valid TOML: {error}") from None


@cache
def sources() -> dict[str, Source]:
    """Return every declared source by its key."""
    return {key: Source.model_validate(value) for key, value in toml(data_dir() / "sources.toml").items()}


@cache
def calibration(name: str) -> dict[str, Any]:
    """Return one calibration file of ``data/calibration``; each entry names its source."""
    return toml(data_dir() / "calibration" / f"{name}.toml")


def digest(content: bytes) -> str:
    """Return the SHA-256 of a content as hex."""
    return hashlib.sha256(content).hexdigest()


@cache
def code_hash() -> str:
    """Return a hash of what computes a run: sources of twin and policies, and the packaged calibration."""
    root = Path(__file__).resolve().parent.parent
    digested = hashlib.sha256()
    files = [(path.relative_to(root).as_posix(), path) for package in ("twin", "policies") for path in (root / package).rglob("*.py")]
    # Named by their place in the house, so that where the house or its data stand changes nothing.
    files += [(f"data/calibration/{path.name}", path) for path in (data_dir() / "calibration").glob("*.toml")]
    for name, path in sorted(files):
        digested.update(name.encode())
        digested.update(path.read_bytes())
    return digested.hexdigest()[:16]


def import_suffix(kind: str) -> str:
    """Return how the files of a kind of import end: fleets are small trees and are kept as JSON, everything else is a table."""
    return ".json" if kind == "fleet" else ".parquet"


def imported(kind: str, name: str) -> Path:
    """Return where an import of a kind is kept; raises ValueError with what is there if it is missing."""
    folder = home_dir() / "imports" / kind
    path = folder / f"{name}{import_suffix(kind)}"
    if not path.is_file():
        known = ", ".join(sorted(item.stem for item in folder.glob(f"*{import_suffix(kind)}"))) or "none yet"
        raise ValueError(f"no imported {kind} is called {name!r} (there are: {known}); run `intentwin import {kind} FILE --name {name}`")
    return path


def imported_table(path: Path) -> "pl.DataFrame":
    """Read the table of an import; ValueError, one line, for a file that is damaged."""
    import polars as pl  # what only lists names must not wait for it

    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        where = "/".join(path.parts[-3:])
        raise ValueError(f"{where} is damaged ({str(error).splitlines()[0]:.80}); move it away and import its files again") from None

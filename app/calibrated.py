"""Every calibration number with its source and how strong it is."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import polars as pl

from twin.sources import STRENGTHS, calibration, data_dir, sources

MEANINGS: Final[Mapping[str, str]] = {
    "measured": "taken on real hardware or counted in real data that anybody can get",
    "published": "printed in a paper, a standard or a maker's data sheet that was read",
    "second-hand": "from a review, a listing or another simulator; the first source was not read",
    "memory": "general knowledge, not checked against its source yet",
    "fitted": "chosen here so that something measured or published comes out",
    "proposed": "our own default; nobody has measured it, replace it with yours",
}
_ABOUT: Final = frozenset({"source", "strength", "note", "name"})


@cache
def entries() -> pl.DataFrame:
    """Return one row per calibrated entry: file, entry, value, numbers (how many it holds), strength, source, reference, note."""
    known = sources()
    rows = []
    for path in sorted((data_dir() / "calibration").glob("*.toml")):
        for place, entry in _walk(calibration(path.stem), ()):
            source = known.get(str(entry["source"]))
            rows.append(
                (
                    path.stem,
                    place,
                    _value(entry),
                    _count([value for key, value in entry.items() if key not in _ABOUT]),
                    str(entry.get("strength") or (source.strength if source else "")),
                    str(entry["source"]),
                    source.title if source else "not declared in sources.toml",
                    source.reference if source else "",
                    str(entry.get("note", "")),
                )
            )
    columns = ["file", "entry", "value", "numbers", "strength", "source", "title", "reference", "note"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, Mapping):
        if isinstance(value.get("source"), str):
            yield ".".join(path), value
        for key, item in value.items():
            yield from _walk(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            name = " ".join(str(item[key]) for key in ("gpu", "engine", "model") if key in item) if isinstance(item, Mapping) else ""
            yield from _walk(item, (*path, name or str(index)))


def _value(entry: Mapping[str, Any]) -> str:
    if "value" in entry:
        return str(entry["value"])
    return ", ".join(f"{key} {value}" for key, value in entry.items() if key not in _ABOUT and not isinstance(value, Mapping))


def _count(value: Any) -> int:
    if isinstance(value, bool) or value is None:
        return 0
    if isinstance(value, int | float):
        return 1
    if isinstance(value, list):
        return sum(_count(item) for item in value)
    # A table inside an entry counts where it is an entry of its own.
    return 0


def by_strength() -> dict[str, int]:
    """Return how many numbers rest on each strength of evidence, strongest first."""
    found = dict(entries().group_by("strength").agg(pl.col("numbers").sum()).iter_rows())
    return {strength: int(found.get(strength, 0)) for strength in STRENGTHS}

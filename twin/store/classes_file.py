"""Classes of workloads from outside: a survey of one's own, checked."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from twin.workloads.negotiation.classes import AGENTS, HIGHEST, SURVEY, Levels, WorkloadClass, marginals, named

_COLUMNS: Final = ("id", "title", "share", *HIGHEST, "agent")
_OPTIONAL: Final = ("title", "agent")
_ACCEPTED: Final = f"CSV, Parquet or JSON with {', '.join(_COLUMNS)}"
_NUMBERS: Final = {"0": 0, "1": 1, "2": 2, "0.0": 0, "1.0": 1, "2.0": 2}
_PARTS: Final = {"none": 0, "partial": 1, "full": 2}
_YES: Final = {"no": 0, "yes": 1, "false": 0, "true": 1}
# What a level is also called, beside its number, and what is to be written.
_WORDS: Final[Mapping[str, Mapping[str, int]]] = {
    "stateless": _PARTS,
    "deploy": {**_YES, "strict": 0, "relaxed": 1},
    "availability": {},
    "preemption": _PARTS,
    "delay": _YES,
    "region": _PARTS,
}
_PART: Final = "write 0 none, 1 partial or 2 full"
_REMEDY: Final = {
    "stateless": _PART,
    "deploy": "write 1 if a new VM may take over five minutes, else 0",
    "availability": "write 0 for four nines or more, 1 for three, 2 for two or less",
    "preemption": _PART,
    "delay": "write 1 if its work may be done later, else 0",
    "region": _PART,
}
_MOST: Final = 200
# Shares that were rounded are scaled to 1; what is further off is a mistake.
_EXACT: Final = 1e-6
_ROUNDED: Final = 0.01


class _Rows:
    """A table of texts and where its rows stand in the file."""

    def __init__(self, path: Path, frame: pl.DataFrame, first_row: int) -> None:
        self.path, self.frame, self._first_row = path, frame, first_row

    def stripped(self, column: str) -> pl.Series:
        """Return a column without blanks around; what is empty is null."""
        if column not in self.frame.columns:
            return pl.Series(column, [None] * self.frame.height, dtype=pl.String)
        return self.frame[column].str.strip_chars().replace("", None)

    def refuse(self, values: pl.Series, good: pl.Series, remedy: str) -> None:
        """Raise for the first value that is not good; a missing one is not."""
        where = (~good.fill_null(False)).arg_true()
        if len(where):
            value = values[int(where[0])]
            shown = "is missing" if value is None else f"is {value[:40]!r}"
            row = int(where[0]) + self._first_row
            raise ValueError(f"{self.path.name}: row {row}, column {values.name}: the value {shown}; {remedy}")

    def levels(self, column: str) -> pl.Series:
        """Return a column of levels as numbers."""
        values = self.stripped(column)
        known = {text: level for text, level in {**_NUMBERS, **_WORDS[column]}.items() if level <= HIGHEST[column]}
        found = values.str.to_lowercase().replace_strict(known, default=None, return_dtype=pl.Int64)
        self.refuse(values, found.is_not_null(), _REMEDY[column])
        return found


def read(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Read classes, a row each: id, title, share of all workloads, levels (see ``Levels``; words do too) and agent.

    A missing title is the id, a missing agent is silent. The second value says what is worth knowing. ValueError, one line, names
    file, row, column and remedy of the first thing that is wrong; rows of CSV count from its header, others from their first.
    """
    rows = _rows(path)
    name, share, agent = rows.stripped("id"), rows.stripped("share"), rows.stripped("agent").fill_null("silent")
    rows.refuse(name, name.str.contains(r"^[a-z0-9][a-z0-9-]{0,59}$"), "write 1 to 60 of a-z, 0-9 and '-'")
    rows.refuse(name, name.is_first_distinct(), "it is there already; keep one of them")
    numbers = share.cast(pl.Float64, strict=False)
    rows.refuse(share, numbers.is_between(0.0, 1.0), "write its part of all workloads, 0 to 1")
    rows.refuse(agent, agent.str.to_lowercase().is_in(AGENTS), f"write one of {', '.join(AGENTS)}, or nothing for silent")
    whole = float(numbers.sum())
    if abs(whole - 1.0) > _ROUNDED:
        raise ValueError(f"{path.name}: column share: the shares add up to {whole:.4g}; make it 1")
    frame = pl.DataFrame(
        {
            "id": name,
            "title": pl.select(pl.coalesce(rows.stripped("title"), name).str.slice(0, 120)).to_series(),
            "share": numbers if abs(whole - 1.0) <= _EXACT else numbers / whole,
            **{column: rows.levels(column) for column in HIGHEST},
            "agent": agent.str.to_lowercase(),
        }
    )
    notes = [] if abs(whole - 1.0) <= _EXACT else [f"the shares add up to {whole:.4f} and were scaled to 1"]
    unused = [column for column in rows.frame.columns if column not in _COLUMNS]
    notes += [f"not used: {', '.join(unused)[:200]}"] if unused else []
    return frame, (_beside_survey(frame), *notes)


def _rows(path: Path) -> _Rows:
    """Read any of the forms, every value as text."""
    from twin.serving import tabular

    with path.open("rb") as file:
        begun = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    if begun.startswith(b"PAR1"):
        rows = _Rows(path, _parquet(path), 1)
    elif begun[:1] in (b"[", b"{"):
        rows = _Rows(path, _json(path), 1)
    else:
        rows = _Rows(path, tabular.read(path, _ACCEPTED), 2)
    missing = [name for name in _COLUMNS if name not in rows.frame.columns and name not in _OPTIONAL]
    if missing:
        raise ValueError(f"{path.name}: no column {missing[0]}; write it as {_ACCEPTED}")
    if not 1 <= rows.frame.height <= _MOST:
        raise ValueError(f"{path.name}: {rows.frame.height:,} classes; write 1 to {_MOST}")
    return rows


def _parquet(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
        return frame.select(pl.col(name).cast(pl.String) for name in frame.columns if name in _COLUMNS)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ValueError(f"{path.name}: {str(error).splitlines()[0]:.80}; write it as {_ACCEPTED}") from None


def _json(path: Path) -> pl.DataFrame:
    """Read a list of objects; levels may be an object of their own, as a class is shown."""
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name}: not valid JSON: {error}") from None
    found = found.get("classes", found) if isinstance(found, dict) else found
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ValueError(f"{path.name}: no list of classes; write [{{ ... }}, ...] with {', '.join(_COLUMNS)}")
    flat = [{**each, **each["levels"]} if isinstance(each.get("levels"), dict) else each for each in found]
    names = [name for name in dict.fromkeys(name for each in flat for name in each) if name != "levels"]
    return pl.DataFrame({name: [_as_text(each.get(name)) for each in flat] for name in names}, schema=dict.fromkeys(names, pl.String))


def _as_text(value: Any) -> str | None:
    return None if value is None else str(value)


def _beside_survey(frame: pl.DataFrame) -> str:
    """Return how often each need occurs, beside the packaged survey."""
    own = [
        WorkloadClass(id=row["id"], title=row["title"], share=row["share"], levels=Levels(**{name: row[name] for name in HIGHEST}))
        for row in frame.iter_rows(named=True)
    ]
    mine, theirs = marginals(own), marginals(named(SURVEY).values())
    return f"share of workloads ({SURVEY}): " + ", ".join(f"{name} {mine[name]:.1%} ({theirs[name]:.1%})" for name in HIGHEST)

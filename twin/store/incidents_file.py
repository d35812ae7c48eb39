"""A user's resolved incidents from CSV, Parquet or JSON, checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl

from twin.incidents.case import HISTORY
from twin.incidents.causes import CAUSES
from twin.store import stamps
from twin.store.long_file import matched, raw, refuse, text
from twin.store.tool_records import HISTORY_TYPES

_NEEDED: Final = ("incident_id", "began", "resolved", "title", "cause")
_ALSO: Final[Mapping[str, str]] = {
    "id": "incident_id", "incident": "incident_id", "key": "incident_id", "opened": "began", "created": "began", "started": "began",
    "closed": "resolved", "summary": "title", "description": "text", "root_cause": "cause", "priority": "severity",
}  # fmt: skip
_SEVERITIES: Final[Mapping[str, str]] = {
    "critical": "critical", "major": "major", "minor": "minor", "high": "critical", "medium": "major", "low": "minor",
    "sev0": "critical", "sev1": "critical", "sev2": "major", "sev3": "minor", "sev4": "minor",
    "p0": "critical", "p1": "critical", "p2": "major", "p3": "minor", "p4": "minor", "1": "critical", "2": "major", "3": "minor", "": "",
}  # fmt: skip
_TEXTS: Final = tuple(name for name in HISTORY if name not in HISTORY_TYPES)


def read(path: Path, timezone: str | None = None) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Read resolved incidents (columns ``case.HISTORY``), by when they were resolved; the second value says what is worth knowing.

    ``began`` and ``resolved`` are dates or seconds since 1970. ``cause`` is a class of ours or any words. Columns besides incident_id,
    began, resolved, title and cause may be missing. ValueError, one line, names file, row, column and remedy of what is first wrong.
    """
    frame = raw(path)
    found = matched(frame.columns, HISTORY, _ALSO)
    for column in _NEEDED:
        if column not in found:
            raise ValueError(f"{path.name}: row 1: no column {column}; write {', '.join(HISTORY)}")
    if frame.is_empty():
        raise ValueError(f"{path.name}: no incident below the header; add at least one")
    texts = {
        name: text(path, frame[found[name]], name, needed=name in _NEEDED)
        if name in found
        else pl.Series(name, [""] * frame.height, dtype=pl.String)
        for name in _TEXTS
    }
    began, notes = stamps.seconds(path, frame[found["began"]], timezone)
    resolved, _ = stamps.seconds(path, frame[found["resolved"]], timezone)
    for name, times in (("began", began), ("resolved", resolved)):
        refuse(path, frame[found[name]], times < stamps.EPOCH_S, "write a date, or seconds since 1970")
    refuse(path, frame[found["resolved"]], resolved < began, "an incident is resolved after it began; correct one of the two")
    ids = texts["incident_id"]
    refuse(path, frame[found["incident_id"]], ~ids.is_first_distinct(), "each incident comes once; remove the row or rename it")
    if "severity" in found:
        known = texts["severity"].str.to_lowercase()
        refuse(path, frame[found["severity"]], ~known.is_in(list(_SEVERITIES)), "write critical, major or minor, or leave it empty")
        texts["severity"] = known.replace_strict(dict(_SEVERITIES), return_dtype=pl.String).alias("severity")
    told = pl.DataFrame({**texts, "began": began, "resolved": resolved}).select(HISTORY).sort("resolved", "incident_id")
    return told, _about(told, [name for to, name in found.items() if to not in HISTORY], notes)


def _about(told: pl.DataFrame, unused: list[str], notes: list[str]) -> tuple[str, ...]:
    ours = int(told["cause"].is_in(list(CAUSES)).sum())
    days = (float(told["resolved"][-1]) - float(told["began"].min() or 0.0)) / 86_400.0  # type: ignore[arg-type]
    lines = [f"{told.height:,} resolved incidents over {days:,.0f} days; {ours:,} name a class of cause of this program"]
    lines += [f"{told.height - ours:,} are compared by their words alone"] if ours < told.height else []
    return (*lines, *notes, *([f"not used: {', '.join(sorted(unused))[:200]}"] if unused else []))

"""Traces of LLM requests as their publishers write them."""

from pathlib import Path
from typing import Final

import polars as pl

_TIME: Final = "TIMESTAMP"
_COUNTS: Final = {"ContextTokens": "prompt_tokens", "GeneratedTokens": "output_tokens", "NumImages": "images"}
_HEADERS: Final = (
    ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    ("TIMESTAMP", "NumImages", "ContextTokens", "GeneratedTokens"),
)
_STAMP: Final = r"^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?$"
_HIGHEST: Final = 10_000_000


def read_azure(path: Path) -> pl.DataFrame:
    """Read an Azure LLM inference trace of 2023, 2024 or 2025 (CSV, or CSV in gzip).

    Returns t_s (seconds since the first request, rising), prompt_tokens, output_tokens, images (0 in traces without them).
    A count of 0 tokens becomes 1, because a request that is served yields at least one. ValueError names file, row
    (the header is row 1) and column of the first malformed value.
    """
    raw = _text(path)
    if tuple(raw.columns) not in _HEADERS:
        wanted = " or ".join(",".join(header) for header in _HEADERS)
        raise ValueError(f"{path.name}: row 1: the columns are {','.join(raw.columns)[:120]}; an Azure LLM trace has {wanted}")
    if raw.is_empty():
        raise ValueError(f"{path.name}: no requests below the header; export the trace again")
    stamp = raw[_TIME]
    day_and_time = stamp.str.replace(_STAMP, "${1} ${2}").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="ns", strict=False)
    _refuse(path, _TIME, stamp, ~stamp.str.contains(_STAMP) | day_and_time.is_null(), "write YYYY-MM-DD HH:MM:SS.ffffff")
    zone = stamp.str.extract(_STAMP, 4).fill_null("")
    _refuse(path, _TIME, stamp, zone != zone[0], "write every time with the same offset from UTC, or none")
    fraction = stamp.str.extract(_STAMP, 3).cast(pl.Float64).fill_null(0.0)
    seconds = (day_and_time - day_and_time.min()).dt.total_seconds().cast(pl.Float64) + fraction
    columns = {"t_s": seconds - seconds.min()}
    for name, ours in _COUNTS.items():
        if name not in raw.columns:
            columns[ours] = pl.Series(ours, [0], dtype=pl.Int32).new_from_index(0, raw.height)
            continue
        values = raw[name].str.strip_chars()
        counts = values.str.to_integer(strict=False)
        bad = ~values.str.contains(r"^\d+$") | counts.is_null() | (counts > _HIGHEST)
        _refuse(path, name, raw[name], bad, f"write a whole number from 0 to {_HIGHEST:,} or remove the row")
        columns[ours] = counts.clip(lower_bound=0 if ours == "images" else 1).cast(pl.Int32)
    return pl.DataFrame(columns).select("t_s", "prompt_tokens", "output_tokens", "images").sort("t_s", maintain_order=True)


def _text(path: Path) -> pl.DataFrame:
    try:
        return pl.read_csv(path, infer_schema=False)
    except FileNotFoundError:
        raise ValueError(f"{path.name}: no such file; give the path of the trace") from None
    except pl.exceptions.NoDataError:
        raise ValueError(f"{path.name}: the file is empty; export the trace again") from None
    except (pl.exceptions.ComputeError, UnicodeDecodeError, OSError) as error:
        raise ValueError(f"{path.name}: {_ragged(path) or f'not a CSV file in UTF-8: {str(error).splitlines()[0]}'}") from None


def _ragged(path: Path) -> str:
    """Return where the first row with too many values stands, empty where that is not what is wrong."""
    try:
        with path.open(encoding="utf-8") as lines:
            width = next(lines).count(",")
            for row, line in enumerate(lines, start=2):
                if line.count(",") > width:
                    return f"row {row}: {line.count(',') + 1} values where the header has {width + 1}; remove the row"
    except (OSError, UnicodeDecodeError):
        return ""
    return ""


def _refuse(path: Path, column: str, values: pl.Series, bad: pl.Series, remedy: str) -> None:
    """Raise for the first bad value; a missing one is bad."""
    where = bad.fill_null(True).arg_true()
    if len(where):
        row = int(where[0])
        value = values[row]
        shown = "is missing" if value is None else f"is {value[:40]!r}"
        raise ValueError(f"{path.name}: row {row + 2}, column {column}: the value {shown}; {remedy}")

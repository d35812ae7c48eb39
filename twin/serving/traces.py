"""Traces of LLM requests as their publishers write them."""

import gzip
import json
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from twin.serving import tabular

_TIME: Final = "TIMESTAMP"
_COUNTS: Final = {"ContextTokens": "prompt_tokens", "GeneratedTokens": "output_tokens", "NumImages": "images"}
_HEADERS: Final = (
    ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    ("TIMESTAMP", "NumImages", "ContextTokens", "GeneratedTokens"),
)
_BURSTGPT: Final = ("Timestamp", "Request tokens", "Response tokens")
_ACCEPTED: Final = "the CSV of Azure or BurstGPT or the JSON lines of Mooncake, in UTF-8, plain or in gzip"
_MOONCAKE: Final = ("timestamp", "input_length", "output_length")
_STAMP: Final = r"^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?$"
_HIGHEST: Final = 10_000_000
_LATEST_S: Final = 1e10
_ENOUGH_BYTES: Final = 65_536  # of the beginning, to tell the forms apart
_GZIP: Final = b"\x1f\x8b"
_COLUMNS: Final = ("t_s", "prompt_tokens", "output_tokens", "images")


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace that was read: its form, its requests, and why rows were left out or changed.

    ``requests`` has t_s (seconds since the first request, rising), prompt_tokens, output_tokens (at least 1), images.
    ``dropped`` counts the rows that are not requests to be served, ``changed`` the values that were not taken as written,
    both by reason; every row is in ``requests`` or in ``dropped``. ``unused`` names the columns that say more than is simulated.
    """

    form: str
    requests: pl.DataFrame
    dropped: Mapping[str, int]
    changed: Mapping[str, int]
    unused: tuple[str, ...]


def read(path: Path) -> Trace:
    """Read a trace of any known form, by its contents: Azure, Mooncake, BurstGPT; plain or in gzip.

    ValueError names file, row (line) and column of the first malformed value.
    """
    start = _start(path)
    if start.startswith("{"):
        return _mooncake(path)
    header = start.partition("\n")[0].split(",")
    if {"Request tokens", "Response tokens"} <= {name.strip() for name in header}:
        return _burstgpt(path)
    return _trace("Azure", _azure(path))


def read_azure(path: Path) -> pl.DataFrame:
    """Read an Azure LLM inference trace of 2023, 2024 or 2025 (CSV, or CSV in gzip); see ``Trace.requests``."""
    return _trace("Azure", _azure(path)).requests


def _trace(form: str, raw: pl.DataFrame, dropped: Mapping[str, int] | None = None, unused: Iterable[str] = ()) -> Trace:
    """Sort by time and serve at least one token: whatever is served yields one."""
    empty = {
        f"{name} of 0 counted as 1": int((raw[column] == 0).sum())
        for name, column in (("prompts", "prompt_tokens"), ("answers", "output_tokens"))
    }
    requests = raw.select(
        (pl.col("t_s") - pl.col("t_s").min()).alias("t_s"),
        pl.col("prompt_tokens", "output_tokens").clip(lower_bound=1).cast(pl.Int32),
        pl.col("images").cast(pl.Int32),
    ).sort("t_s", maintain_order=True)
    return Trace(form, requests, dropped or {}, {reason: count for reason, count in empty.items() if count}, tuple(unused))


def _azure(path: Path) -> pl.DataFrame:
    raw = tabular.read(path, _ACCEPTED)
    if tuple(raw.columns) not in _HEADERS:
        wanted = " or ".join(",".join(header) for header in _HEADERS)
        raise ValueError(
            f"{path.name}: row 1: the columns are {','.join(raw.columns)[:120]}; an Azure LLM trace has {wanted}; "
            f"BurstGPT has {','.join(_BURSTGPT)}, Mooncake a JSON object a line with {', '.join(_MOONCAKE)}"
        )
    if raw.is_empty():
        raise ValueError(f"{path.name}: no requests below the header; export the trace again")
    stamp = raw[_TIME]
    day_and_time = stamp.str.replace(_STAMP, "${1} ${2}").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="ns", strict=False)
    tabular.refuse(path, _TIME, stamp, ~stamp.str.contains(_STAMP) | day_and_time.is_null(), "write YYYY-MM-DD HH:MM:SS.ffffff")
    zone = stamp.str.extract(_STAMP, 4).fill_null("")
    tabular.refuse(path, _TIME, stamp, zone != zone[0], "write every time with the same offset from UTC, or none")
    fraction = stamp.str.extract(_STAMP, 3).cast(pl.Float64).fill_null(0.0)
    columns = {"t_s": (day_and_time - day_and_time.min()).dt.total_seconds().cast(pl.Float64) + fraction}
    for name, ours in _COUNTS.items():
        if name in raw.columns:
            columns[ours] = tabular.counts(path, name, raw[name], _HIGHEST)
    return _with_images(columns)


def _burstgpt(path: Path) -> Trace:
    raw = tabular.read(path, _ACCEPTED)
    if _BURSTGPT[0] not in raw.columns:
        raise ValueError(f"{path.name}: row 1: no column {_BURSTGPT[0]}; a BurstGPT trace has {','.join(_BURSTGPT)}")
    if raw.is_empty():
        raise ValueError(f"{path.name}: no requests below the header; export the trace again")
    stamp = raw[_BURSTGPT[0]]
    t_s = stamp.str.strip_chars().cast(pl.Float64, strict=False)
    bad = t_s.is_null() | ~t_s.is_finite() | ~t_s.is_between(0.0, _LATEST_S)
    tabular.refuse(path, _BURSTGPT[0], stamp, bad, "write seconds since the trace began")
    prompt, output = (tabular.counts(path, name, raw[name], _HIGHEST) for name in _BURSTGPT[1:])
    # The publishers mark a request that failed by an answer without tokens: nobody knows what it would have cost.
    served = _with_images({"t_s": t_s, "prompt_tokens": prompt, "output_tokens": output}).filter(pl.col("output_tokens") > 0)
    failed = raw.height - served.height
    if served.is_empty():
        raise ValueError(f"{path.name}: all {raw.height:,} requests failed (no response tokens); nothing is left to replay")
    dropped = {"failed, without response tokens": failed} if failed else {}
    return _trace("BurstGPT", served, dropped, (name for name in raw.columns if name not in _BURSTGPT))


def _mooncake(path: Path) -> Trace:
    rows: list[tuple[float, int, int]] = []
    unused: dict[str, None] = {}
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            row = _mooncake_row(f"{path.name}: line {number}", line)
            rows.append((row["timestamp"] / 1e3, row["input_length"], row["output_length"]))
            unused.update(dict.fromkeys(name for name in row if name not in _MOONCAKE))
    t_s, prompt, output = (list(column) for column in zip(*rows, strict=True))
    columns = {
        "t_s": pl.Series(t_s, dtype=pl.Float64),
        "prompt_tokens": pl.Series(prompt, dtype=pl.Int64),
        "output_tokens": pl.Series(output, dtype=pl.Int64),
    }
    return _trace("Mooncake", _with_images(columns), unused=unused)


def _mooncake_row(place: str, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        where = f", column {error.colno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else f": {error}"
        raise ValueError(f"{place}{where}; write one JSON object a line") from None
    if not isinstance(row, dict):
        raise ValueError(f"{place}: not a JSON object; write one with {', '.join(_MOONCAKE)}")
    for name, highest in zip(_MOONCAKE, (_LATEST_S * 1e3, _HIGHEST, _HIGHEST), strict=True):
        value: Any = row.get(name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not (whole or (name == _MOONCAKE[0] and isinstance(value, float) and math.isfinite(value))) or not 0 <= value <= highest:
            shown = f"is {json.dumps(value)[:40]}" if name in row else "is missing"
            what = "milliseconds since the trace began" if name == _MOONCAKE[0] else f"a whole number from 0 to {_HIGHEST:,}"
            raise ValueError(f"{place}, {name}: the value {shown}; write {what} or remove the line")
    return row


def _with_images(columns: Mapping[str, pl.Series]) -> pl.DataFrame:
    frame = pl.DataFrame({name: series.rename(name) for name, series in columns.items()})
    return (frame if "images" in frame.columns else frame.with_columns(pl.lit(0).alias("images"))).select(_COLUMNS)


def _start(path: Path) -> str:
    """Return the beginning of a file, unpacked; what cannot be read or unpacked is for its reader to say."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            if packed:
                with gzip.open(file) as unpacked:
                    begun = unpacked.read(_ENOUGH_BYTES)
            else:
                begun = file.read(_ENOUGH_BYTES)
    except (OSError, EOFError, zlib.error):
        return ""
    return begun.decode("utf-8", errors="replace").lstrip("\ufeff \t\r\n")


def _lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if content.startswith(_GZIP) else content).decode("utf-8-sig").split("\n")
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path.name}: cannot be read ({str(error).splitlines()[0]}); copy the trace again") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name}: byte {error.start}: not UTF-8 text; export the trace again") from None

"""SQL over stored runs: views for our own use, a sandbox for anybody's."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl
from polars import selectors

from twin.store import runs, telemetry
from twin.store.sql import identifier, literals

TRUTH_SUFFIX: Final = "_truth"
MAX_SQL_CHARACTERS: Final = 20_000
_SANDBOX: Final = Path(__file__).with_name("sandbox.py")
_INHERITED: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
# A process that starts on a loaded machine may need this long before its own timer runs.
_START_S: Final = 20.0


def _files(run_ids: Sequence[str], home: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for run_id in run_ids:
        for table, path in runs.table_paths(run_id, home).items():
            found.setdefault(table, []).append(path)
    return found


def _declared(run_ids: Sequence[str], home: Path) -> dict[str, Any]:
    """Return the tables of several runs; one that any run keeps from telemetry is kept from it in all."""
    merged: dict[str, Any] = {}
    for run_id in run_ids:
        for name, table in runs.manifest_of(run_id, home)["tables"].items():
            known = merged.setdefault(name, {"telemetry": True, "ahead_s": 0.0, "columns": []})
            known["telemetry"] = known["telemetry"] and bool(table.get("telemetry"))
            known["ahead_s"] = max(known["ahead_s"], float(table.get("ahead_s", 0.0)))
            names = {column["name"] for column in known["columns"]}
            known["columns"] += [column for column in table["columns"] if column["name"] not in names]
    return merged


def view_statements(tables: Mapping[str, Sequence[Path]], declared: Mapping[str, Any]) -> list[str]:
    """Return CREATE VIEW statements: one view per table over all its files with their run_id, and ``telemetry``."""
    statements = [
        f"CREATE VIEW {identifier(name)} AS SELECT parse_path(filename)[-2] AS run_id, * EXCLUDE (filename) "  # noqa: S608
        f"FROM read_parquet([{literals([str(path) for path in paths])}], union_by_name = true, filename = true)"
        for name, paths in sorted(tables.items())
    ]
    long_form = telemetry.view_sql(declared, {name: identifier(name) for name in tables})
    return [*statements, f"CREATE VIEW telemetry AS {long_form}"]


def query(sql: str, run_ids: Sequence[str], home: Path) -> pl.DataFrame:
    """Run our own SQL over the tables of some runs, each with a ``run_id`` column, and the view ``telemetry``.

    For SQL that is part of the program; what anybody typed goes to ``select``.
    """
    with duckdb.connect(":memory:", config={"threads": "2", "python_enable_replacements": "false"}) as connection:
        for statement in view_statements(_files(run_ids, home), _declared(run_ids, home)):
            connection.execute(statement)
        return connection.sql(sql).pl()


def select(sql: str, run_ids: Sequence[str], home: Path, limit: int = 10_000, timeout_s: float = 5.0) -> pl.DataFrame:
    """Run one SELECT that anybody typed, in a process of its own that can read these runs and nothing else.

    At most ``limit`` rows come back. The ground truth of faults is not among the tables. Raises ValueError, one line,
    for everything that is refused: other statements, files, functions that read files, too much memory or time.
    """
    if not run_ids:
        raise ValueError("no run is chosen; choose at least one")
    tables = {name: paths for name, paths in _files(run_ids, home).items() if not name.endswith(TRUTH_SUFFIX)}
    statements = view_statements(tables, _declared(run_ids, home))
    paths = [str(path) for paths in tables.values() for path in paths]
    return confined(sql, statements, [*sorted(tables), "telemetry"], paths, limit, timeout_s)


def confined(
    sql: str, views: Sequence[str], names: Sequence[str], paths: Sequence[str], limit: int = 10_000, timeout_s: float = 5.0
) -> pl.DataFrame:
    """Run one SELECT that anybody wrote over the views ``names``, in a process of its own that can read ``paths`` and nothing else.

    ``views`` are the CREATE VIEW statements, at most ``limit`` rows come back. ValueError, one line, for everything that is refused.
    """
    if len(sql) > MAX_SQL_CHARACTERS:
        raise ValueError(f"the query is longer than {MAX_SQL_CHARACTERS:,} characters; shorten it")
    asked = {
        "sql": sql,
        "views": list(views),
        "names": list(names),
        "paths": list(paths),
        "limit": max(1, int(limit)),
        "timeout_s": float(timeout_s),
    }
    answer = _in_a_process(asked, timeout_s)
    if answer[:1] != b"A":
        raise ValueError(answer[1:].decode(errors="replace"))
    return _frame(answer[1:])


def _frame(stream: bytes) -> pl.DataFrame:
    """Return rows as a frame all of whose values can be read. Polars panics, rather than errs, at what it has no type for."""
    try:
        found = pl.read_ipc_stream(stream)
        found.select(~(selectors.numeric() | selectors.string())).rows()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, OverflowError):
        raise ValueError("the answer holds values that cannot be handed back, such as intervals; cast them to text or numbers") from None
    return found


def _in_a_process(asked: Mapping[str, Any], timeout_s: float) -> bytes:
    too_long = f"Ethe query took longer than {timeout_s:g} s and was stopped; select less".encode()
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-P", str(_SANDBOX)],
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**environment, "ARROW_DEFAULT_MEMORY_POOL": "system"},
            timeout=timeout_s + _START_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return too_long
    if done.returncode == -signal.SIGXCPU:
        return too_long
    return done.stdout or b"Ethe query was stopped: it needs more memory than it may use; select less"

"""The program that runs one foreign SELECT and can do nothing else."""

import json
import re
import resource
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import duckdb
import pyarrow as pa

# Run as a file by views.select, so it imports nothing of the house. DuckDB's own limit does not count
# the strings of a result; the limit on the address space does.
ADDRESS_SPACE_BYTES: Final = 1 << 30
MEMORY_LIMIT: Final = "256MB"
MAX_ANSWER_BYTES: Final = 64 << 20
BATCH_ROWS: Final = 1024
TABLE_FUNCTIONS: Final = frozenset({"range", "generate_series", "unnest"})
REFUSED_FUNCTIONS: Final = frozenset({"current_setting", "getenv", "write_log"})
# A part of a query (WITH) is known inside its parentheses alone. By name it would pass for a file or a catalogue elsewhere.
PART_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def connect(asked: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    """Open an in-memory database with the views and shut every door behind them."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": MEMORY_LIMIT,
            "threads": "1",
            "temp_directory": "",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "python_enable_replacements": "false",
        },
    )
    connection.execute(f"SET allowed_paths = [{', '.join(quoted(path) for path in asked['paths'])}]")
    for statement in asked["views"]:
        connection.execute(statement)
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def quoted(text: str) -> str:
    """Return a text as an SQL literal; a bound parameter would make DuckDB's client import pandas first."""
    return "'" + text.replace("'", "''") + "'"


def checked(connection: duckdb.DuckDBPyConnection, sql: str, names: list[str]) -> str:
    """Return the one SELECT in a text; ValueError for anything else, and for tables and functions that are not ours."""
    statements = duckdb.extract_statements(sql)
    if len(statements) != 1:
        raise ValueError(f"write one SELECT; this is {len(statements)} statements")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise ValueError(f"only SELECT is allowed here; this is {statements[0].type.name}")
    text = statements[0].query.strip().rstrip(";")
    tree = json.loads(connection.execute(f"SELECT json_serialize_sql({quoted(text)})").fetchall()[0][0])
    if tree["error"]:
        raise ValueError("only a plain SELECT is allowed here")
    nodes = list(walk(tree))
    parts = {str(entry["key"]) for node in nodes for entry in _common_tables(node)}
    refuse_parts(connection, parts)
    known = {name.lower() for name in (*names, *parts)}
    for node in nodes:
        refuse(node, known, names)
    return text


def walk(tree: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every mapping inside a parse tree."""
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _common_tables(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    mapped = node.get("cte_map")
    return mapped["map"] if isinstance(mapped, dict) else []


def refuse_parts(connection: duckdb.DuckDBPyConnection, parts: set[str]) -> None:
    """Raise ValueError for a part of a query (WITH) that is called like a file or like a table of DuckDB's own catalogue."""
    own = {str(name) for (name,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE internal").fetchall()}
    for part in sorted(parts):
        if not PART_NAME.fullmatch(part) or part.lower() in own:
            raise ValueError(f"a part of a query cannot be called {part[:60]!r}; choose a plain name")


def refuse(node: Mapping[str, Any], known: set[str], names: list[str]) -> None:
    """Raise ValueError for a part of a query that reaches beyond the views."""
    kind = node.get("type")
    if kind == "TABLE_FUNCTION":
        function = str(node["function"].get("function_name", "")).lower()
        if function not in TABLE_FUNCTIONS:
            raise ValueError(f"function {function} is not allowed here; the tables are {', '.join(names)}")
    if kind == "BASE_TABLE":
        table = str(node.get("table_name", ""))
        if node.get("schema_name") not in {"", "main"} or node.get("catalog_name") not in {"", "memory"} or table.lower() not in known:
            raise ValueError(f"there is no table {table!r} here; the tables are {', '.join(names)}")
    if str(node.get("function_name", "")).lower() in REFUSED_FUNCTIONS:
        raise ValueError(f"function {node['function_name']} is not allowed here")


def answer(connection: duckdb.DuckDBPyConnection, sql: str, limit: int) -> bytes:
    """Return the rows of a query as an Arrow stream; ValueError where they are too large to hand back."""
    reader = connection.sql(f"SELECT * FROM (\n{sql}\n) LIMIT {limit}").to_arrow_reader(BATCH_ROWS)  # noqa: S608
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            if sink.tell() > MAX_ANSWER_BYTES:
                raise ValueError(f"the answer is larger than {MAX_ANSWER_BYTES >> 20} MB; select less")
    return bytes(sink.getvalue().to_pybytes())


@contextmanager
def interrupted_after(connection: duckdb.DuckDBPyConnection, timeout_s: float) -> Iterator[None]:
    """Interrupt what runs on a connection once its time is over, again and again: one that falls between two calls is lost."""
    over = threading.Event()

    def watch() -> None:
        left_s = timeout_s
        while not over.wait(left_s):
            connection.interrupt()
            left_s = 0.05

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def run(asked: Mapping[str, Any]) -> bytes:
    """Return ``A`` and an Arrow stream, or ``E`` and one line that says what was refused."""
    timeout_s = asked["timeout_s"]
    try:
        with connect(asked) as connection:
            sql = checked(connection, asked["sql"], asked["names"])
            with interrupted_after(connection, timeout_s):
                return b"A" + answer(connection, sql, asked["limit"])
    except duckdb.InterruptException:
        line = f"the query took longer than {timeout_s:g} s and was stopped; select less"
    except (duckdb.OutOfMemoryException, MemoryError, pa.ArrowMemoryError):
        line = f"the query needs more than {MEMORY_LIMIT} of memory; select less"
    except ValueError as error:
        line = str(error)
    except (duckdb.Error, pa.ArrowException) as error:
        line = str(error).partition("\n")[0]
    return b"E" + line.encode()


def confine(timeout_s: float) -> None:
    """Limit memory and processor time, and let no file grow: a second wall behind DuckDB's own."""
    busy_s = int(timeout_s) + 10
    for kind, value, most in (
        (resource.RLIMIT_AS, ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES),
        # Past the first of these the process is told to stop (SIGXCPU), past the second it is stopped.
        (resource.RLIMIT_CPU, busy_s, busy_s + 1),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        try:
            resource.setrlimit(kind, (value, most))
        except (ValueError, OSError):
            # Some systems do not know a limit; DuckDB's own settings still hold.
            continue


if __name__ == "__main__":
    question = json.loads(sys.stdin.buffer.read())
    confine(question["timeout_s"])
    sys.stdout.buffer.write(run(question))

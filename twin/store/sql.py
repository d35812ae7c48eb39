"""SQL text: values and names, quoted in one place."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

# Values are written into the text because binding even one parameter makes DuckDB's client import pandas, a second or more.


def literal(value: Any) -> str:
    """Return a value as an SQL literal: text, numbers, booleans, None, times (in UTC, without a zone) and lists of these.

    >>> literal("row-1's"), literal(None), literal([1, True]), literal(0.1)
    ("'row-1''s'", 'NULL', '[1, TRUE]', "CAST('0.1' AS DOUBLE)")
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"CAST('{value!r}' AS DOUBLE)"
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            raise ValueError(f"time {value.isoformat()} still has a zone; turn it to UTC first")
        return f"TIMESTAMP '{value.isoformat(sep=' ', timespec='microseconds')}'"
    if isinstance(value, list | tuple):
        return f"[{literals(value)}]"
    text = str(value)
    if "\0" in text:
        raise ValueError("a text holds a null character; remove it")
    return "'" + text.replace("'", "''") + "'"


def literals(values: Collection[Any]) -> str:
    """Return values as SQL literals with commas between them."""
    return ", ".join(literal(value) for value in values)


def identifier(name: str) -> str:
    """Return a name as an SQL identifier.

    >>> identifier('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'

"""Tables from outside: read as text; the first malformed value is named."""

from pathlib import Path
from typing import Final

import polars as pl

# What tables also come in, by how its files begin.
_OTHER_FORMS: Final = {b"PAR1": "Parquet", b"PK\x03\x04": "a spreadsheet or a zip archive", b"SQLite": "a database"}
_OTHER_MARKS: Final = {b";": "semicolons", b"\t": "tabs", b"|": "bars"}
_CSV: Final = "CSV in UTF-8, plain or in gzip"


def read(path: Path, accepted: str = _CSV) -> pl.DataFrame:
    """Read a CSV file, or one in gzip, every value as text and no column twice.

    ValueError, one line, for what is no such file; it names the forms that are ``accepted`` where this one is read.
    """
    if other := _other_text(path):
        raise ValueError(f"{path.name}: {other}; write it as {accepted}")
    try:
        raw = pl.read_csv(path, infer_schema=False)
    except FileNotFoundError:
        raise ValueError(f"{path.name}: no such file; check the path") from None
    except pl.exceptions.NoDataError:
        raise ValueError(f"{path.name}: the file is empty; export it again") from None
    except (pl.exceptions.PolarsError, UnicodeDecodeError, OSError) as error:
        raise ValueError(
            f"{path.name}: {_ragged(path) or f'{_what(path) or str(error).splitlines()[0]}; write it as {accepted}'}"
        ) from None
    names = [" ".join(name.split()) for name in raw.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{path.name}: row 1: the column {twice[0][:80]} is there twice; remove one")
    raw.columns = names
    filled = raw.select(pl.any_horizontal(pl.all().is_not_null())).to_series().arg_true()
    return raw.head(int(filled[-1]) + 1 if len(filled) else 0)  # blank lines at the end are no rows


def _other_text(path: Path) -> str:
    """Return what a text is whose header cannot be taken apart at commas, empty where it can or it is no text."""
    try:
        with path.open("rb") as file:
            head = file.readline(1 << 16)
    except OSError:
        return ""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "this is UTF-16"
    if not head.removeprefix(b"\xef\xbb\xbf").isascii():
        return ""
    apart = next((name for mark, name in _OTHER_MARKS.items() if head.count(mark) and b"," not in head), "")
    return f"row 1: the values are apart by {apart}, not by commas" if apart else ""


def _what(path: Path) -> str:
    """Return what a file is that is no text, empty where that is not known."""
    try:
        with path.open("rb") as file:
            begun = file.read(8)
    except OSError:
        return ""
    return next((f"this is {name}" for magic, name in _OTHER_FORMS.items() if begun.startswith(magic)), "")


def _ragged(path: Path) -> str:
    """Return where the first row with too many values stands, empty where that is not what is wrong."""
    try:
        with path.open(encoding="utf-8") as lines:
            width = next(lines).count(",")
            for row, line in enumerate(lines, start=2):
                if line.count(",") > width:
                    return f"row {row}: {line.count(',') + 1} values where the header has {width + 1}; remove the row"
    except (OSError, UnicodeDecodeError, StopIteration):
        return ""
    return ""


def refuse(path: Path, column: str, values: pl.Series, bad: pl.Series, remedy: str) -> None:
    """Raise for the first bad value; a missing one is bad. Rows count from 1, which is the header."""
    where = bad.fill_null(True).arg_true()
    if len(where):
        row = int(where[0])
        value = values[row]
        shown = "is missing" if value is None else f"is {value[:40]!r}"
        raise ValueError(f"{path.name}: row {row + 2}, column {column}: the value {shown}; {remedy}")


def counts(path: Path, column: str, values: pl.Series, highest: int) -> pl.Series:
    """Return a column of whole numbers from 0 to ``highest``; refuses the first value that is none."""
    text = values.str.strip_chars()
    found = text.str.to_integer(strict=False)
    bad = ~text.str.contains(r"^\d+$") | found.is_null() | (found > highest)
    refuse(path, column, values, bad, f"write a whole number from 0 to {highest:,} or remove the row")
    return found

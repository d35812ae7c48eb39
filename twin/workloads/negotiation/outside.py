"""Hints and answers from outside as a table: checked, row by row."""

import difflib
from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from twin.workloads.negotiation import keys, notices

# One hint or answer a row; what does not belong to it is null. A hint without a value is taken back.
SCHEMA: Final[dict[str, Any]] = {
    "t_s": pl.Float64,
    "what": pl.String,
    "scope": pl.String,
    "of_id": pl.String,
    "key": pl.String,
    "value": pl.Float64,
    "notice": pl.String,
    "answer": pl.String,
}
_NEEDED: Final = ("t_s", "what", "scope", "of_id")
_LAST_S: Final = 5_184_000.0
_WORDS: Final = {
    "level": {name: float(index) for index, name in enumerate(keys.LEVELS)},
    "flag": {"no": 0.0, "yes": 1.0, "false": 0.0, "true": 1.0},
}
_SHOWN: Final = 40


class _Rows:
    """A table of texts, and how its rows are called when one of them is refused."""

    def __init__(self, frame: pl.DataFrame, place: str, first_row: int) -> None:
        self._place, self._first_row = place, first_row
        there = [pl.col(name) if name in frame.columns else pl.lit(None).alias(name) for name in SCHEMA]
        self.frame = frame.select(column.cast(pl.String).str.strip_chars().replace("", None) for column in there)

    def refuse(self, column: str, bad: pl.Series, remedy: str) -> None:
        """Raise for the first bad value."""
        where = bad.fill_null(True).arg_true()
        if len(where):
            value = self.frame[column][int(where[0])]
            shown = "is missing" if value is None else f"is {value[:_SHOWN]!r}"
            raise ValueError(f"{self._place}: row {int(where[0]) + self._first_row}, column {column}: the value {shown}; {remedy}")

    def belongs(self, columns: Sequence[str], owner: pl.Series, of: str) -> None:
        """Refuse values where their row is of another kind."""
        for column in columns:
            self.refuse(column, ~owner & self.frame[column].is_not_null(), f"only {of} has one, leave it empty")


def checked(frame: pl.DataFrame, place: str, first_row: int = 1) -> pl.DataFrame:
    """Return a log in the columns of SCHEMA and in the order of time; at one time as it was.

    Values may be text or numbers: levels are none, partial, full or 0 to 2, flags yes, no, true, false, 1 or 0. ``notice`` is a kind
    or a message's number, ``answer`` accepted or declined. Other columns are left out. ValueError, one line, names place, row,
    column and remedy of the first thing that is wrong; rows count from ``first_row``.
    """
    for name in _NEEDED:
        if name not in frame.columns:
            raise ValueError(f"{place}: no column {name}; write it with {', '.join(SCHEMA)}")
    rows = _Rows(frame, place, first_row)
    text = rows.frame
    t_s = text["t_s"].cast(pl.Float64, strict=False)
    rows.refuse("t_s", ~t_s.is_between(0.0, _LAST_S), f"write seconds since the start of the run, 0 to {_LAST_S:,.0f}")
    rows.refuse("what", ~text["what"].is_in(["hint", "answer"]), "write hint or answer")
    rows.refuse("scope", ~text["scope"].is_in(keys.SCOPES), f"write one of {', '.join(keys.SCOPES)}")
    rows.refuse("of_id", text["of_id"].is_null(), "name the workload, deployment or VM that it is about")
    hint = text["what"] == "hint"
    rows.belongs(("key", "value"), hint, "a hint")
    rows.belongs(("notice", "answer"), ~hint, "an answer")
    _check_answers(rows, ~hint)
    return text.with_columns(t_s=t_s, value=_values(rows, hint)).sort("t_s", maintain_order=True)


def near(name: str, known: Sequence[str]) -> str:
    """Return which of the known names may have been meant, or some of them."""
    found = difflib.get_close_matches(name, known[:10_000], 1)
    more = ", …" if len(known) > 5 else ""
    return f"did you mean {found[0]}?" if found else f"there are: {', '.join(known[:5]) or 'none'}{more}"


def _check_answers(rows: _Rows, answer: pl.Series) -> None:
    notice = rows.frame["notice"]
    known = notice.is_in(notices.NAMES) | notice.str.contains(r"^\d{1,15}$")
    rows.refuse("notice", answer & ~known.fill_null(False), f"write a message's number or one of {', '.join(notices.NAMES)}")
    good = rows.frame["answer"].is_in(["accepted", "declined"]).fill_null(False)
    rows.refuse("answer", answer & ~good, "write accepted or declined")


def _values(rows: _Rows, hint: pl.Series) -> pl.Series:
    """Return the hints' values as numbers, null where one is taken back."""
    name, text = rows.frame["key"], rows.frame["value"].str.to_lowercase()
    rows.refuse("key", hint & ~name.is_in(list(keys.INDEX)).fill_null(False), f"write one of {', '.join(keys.INDEX)}")
    whole = (name == "preemptibility_share").fill_null(False) & (rows.frame["scope"] == "vm")
    rows.refuse("key", whole, "it is of a deployment or workload; a VM says preemptible")
    value = text.cast(pl.Float64, strict=False)
    for key in keys.KEYS:
        if not (mine := (name == key.name).fill_null(False)).any():
            continue
        words = text.replace_strict(_WORDS.get(key.kind, {"": 0.0}), default=None, return_dtype=pl.Float64)
        value = pl.select(pl.when(mine & value.is_null()).then(words).otherwise(value)).to_series()
        good = value.is_between(key.low, key.high) & ((value == value.floor()) | (key.kind == "number"))
        wanted = {"level": "none, partial or full", "flag": "yes or no"}.get(key.kind, f"a number from {key.low:g} to {key.high:g}")
        taken_back = text.is_null() | (text == "nan").fill_null(False)
        rows.refuse("value", mine & ~taken_back & ~good.fill_null(False), f"{key.name} is {wanted}; leave it empty to take it back")
    return value.fill_nan(None)

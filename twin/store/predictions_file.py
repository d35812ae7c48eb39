"""Root causes that somebody else's predictor named: checked."""

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Final

import polars as pl

from twin.incidents.case import Incident
from twin.incidents.causes import CAUSES
from twin.incidents.levers import Prediction

SCHEMA: Final = {
    "incident": pl.String,
    "cause": pl.String,
    "entity": pl.String,
    "text": pl.String,
    "score": pl.Float64,
    "right": pl.Boolean,
}
_NEEDED: Final = ("incident", "cause", "text", "score")
_ACCEPTED: Final = "CSV with incident,cause,text,score and if you like entity and right, in UTF-8, plain or in gzip"
_LONGEST: Final = 20_000
_LONGEST_ID: Final = 200
_ANSWERS: Final[Mapping[str, bool]] = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def read(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Read predictions, one an incident: columns ``SCHEMA``; the second value says what is worth knowing.

    ``cause`` is a class of ours or any words, ``score`` the predictor's own from 0 to 1 or empty, ``right`` whether the cause was
    confirmed: yes, no or empty. ValueError, one line, names file, row, column and remedy of the first thing that is wrong.
    """
    from twin.serving import tabular

    raw = tabular.read(path, _ACCEPTED)
    columns = [_column(name) for name in raw.columns]
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise ValueError(f"{path.name}: row 1: the column {twice[0][:80]} is there twice; remove one")
    raw.columns = columns
    for name in _NEEDED:
        if name not in raw.columns:
            raise ValueError(f"{path.name}: row 1: no column {name}; write it as {_ACCEPTED}")
    if raw.is_empty():
        raise ValueError(f"{path.name}: no prediction below the header; add at least one")
    frame = pl.DataFrame(
        {
            "incident": _incidents(path, raw["incident"]),
            "cause": _words(path, raw["cause"], _LONGEST_ID),
            "entity": _words(path, raw["entity"], _LONGEST_ID) if "entity" in raw.columns else pl.Series([""] * raw.height),
            "text": _words(path, raw["text"], _LONGEST),
            "score": _scores(path, raw["score"]),
            "right": _answers(path, raw["right"]) if "right" in raw.columns else pl.Series([None] * raw.height, dtype=pl.Boolean),
        },
        schema=SCHEMA,
    )
    empty = (frame["cause"] == "") & (frame["text"] == "")
    tabular.refuse(path, "cause", raw["cause"], empty, "name a cause or describe it in the column text, or remove the row")
    return frame, _about(frame, [name for name in raw.columns if name not in SCHEMA])


def predictions(frame: pl.DataFrame, predictor: str, incidents: Mapping[str, Incident]) -> list[tuple[Prediction, bool | None]]:
    """Return each prediction on an incident that is known, with whether it was right; None where that is not said.

    When a label became known is not in the file: whoever learns from it takes when the incident was resolved.
    """
    return [
        (
            Prediction(
                incident=incidents[row["incident"]],
                predictor=predictor,
                text=row["text"],
                cause=row["cause"],
                entity_id=row["entity"],
                score=float("nan") if row["score"] is None else row["score"],
            ),
            row["right"],
        )
        for row in frame.iter_rows(named=True)
        if row["incident"] in incidents
    ]


def _column(name: str) -> str:
    plain = name.lower().replace(" ", "_")
    return "cause" if plain == "predicted_cause" else plain


def _incidents(path: Path, values: pl.Series) -> pl.Series:
    from twin.serving import tabular

    names = values.str.strip_chars()
    lengths = names.str.len_chars()
    tabular.refuse(
        path, values.name, values, ~lengths.is_between(1, _LONGEST_ID), f"write the incident's id, up to {_LONGEST_ID} characters"
    )
    first: dict[str, int] = {}
    for row, name in enumerate(names, start=2):
        if (earlier := first.setdefault(name, row)) != row:
            raise ValueError(
                f"{path.name}: row {row}, column incident: {name[:40]!r} is in row {earlier} already; keep the likeliest cause of each"
            )
    return names


def _words(path: Path, values: pl.Series, longest: int) -> pl.Series:
    from twin.serving import tabular

    text = values.fill_null("").str.strip_chars()
    tabular.refuse(path, values.name, values.fill_null(""), text.str.len_chars() > longest, f"shorten it to {longest:,} characters")
    return text


def _scores(path: Path, values: pl.Series) -> pl.Series:
    from twin.serving import tabular

    text = values.str.strip_chars().replace("", None)
    found = text.cast(pl.Float64, strict=False)
    bad = text.is_not_null() & ~found.is_between(0.0, 1.0).fill_null(False)
    tabular.refuse(path, values.name, values, bad, "write a number from 0 to 1, or leave it empty")
    return found


def _answers(path: Path, values: pl.Series) -> pl.Series:
    from twin.serving import tabular

    text = values.str.strip_chars().str.to_lowercase().replace("", None)
    found = text.replace_strict(dict(_ANSWERS), default=None, return_dtype=pl.Boolean)
    tabular.refuse(path, values.name, values, text.is_not_null() & found.is_null(), "write yes or no, or leave it empty")
    return found


def _about(frame: pl.DataFrame, unused: list[str]) -> tuple[str, ...]:
    scored = frame["score"].drop_nulls().to_list()
    known, right = frame["right"].count(), frame["right"].sum() or 0
    ours = int(frame["cause"].is_in(list(CAUSES)).sum())
    notes = [f"{frame.height:,} predictions; {ours:,} name a class of cause of this program, the others are compared by their words"]
    constant = len(scored) > 1 and all(isfinite(value) and value == scored[0] for value in scored)
    notes.append("every score is the same: it tells nothing apart" if constant else f"{len(scored):,} with a score")
    unsaid = "which were right is not said: causes recorded of imported incidents tell, where both are classes of this program"
    notes.append(f"{known:,} known to be right or wrong, {right:,} of them right" if known else unsaid)
    notes += [f"not used: {', '.join(unused)[:200]}"] if unused else []
    return tuple(notes)

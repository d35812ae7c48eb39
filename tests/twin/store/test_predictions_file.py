"""Root causes that somebody else's predictor named."""

from math import isnan
from pathlib import Path

import polars as pl
import pytest

from twin.incidents.case import Incident
from twin.store.importers import import_file
from twin.store.predictions_file import predictions, read

GOOD = """incident,Predicted cause,text,score,right,entity,owner
INC-1,memory_leak,"heap of the cart grows",0.9,yes,cart,jo
INC-2,the certificate was out of date,,,no,,jo
INC-3,,"a fan stood still",0.35,,aisle-2,jo
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "ours.csv"
    path.write_text(text)
    return path


def incident(name: str) -> Incident:
    return Incident(name, "slow", "p99 above 2 s", "major", "service", "cart", "latency_p99_s", 60.0, 120.0, 1.7e9)


def test_predictions_with_and_without_class_score_and_answer_are_read(tmp_path: Path) -> None:
    frame, notes = read(written(tmp_path, GOOD))
    assert frame.columns == ["incident", "cause", "entity", "text", "score", "right"]
    assert frame["score"].to_list() == [0.9, None, 0.35]
    assert frame["right"].to_list() == [True, False, None]
    assert notes == (
        "3 predictions; 1 name a class of cause of this program, the others are compared by their words",
        "2 with a score",
        "2 known to be right or wrong, 1 of them right",
        "not used: owner",
    )


def test_the_columns_of_the_format_are_enough(tmp_path: Path) -> None:
    frame, notes = read(written(tmp_path, "incident,cause,text,score\nA,x,,1\nB,y,,1\n"))
    assert frame["right"].to_list() == [None, None]
    assert "every score is the same: it tells nothing apart" in notes
    assert any("which were right is not said" in note for note in notes)


def test_an_import_is_kept_by_name(tmp_path: Path) -> None:
    report = import_file("predictions", written(tmp_path, GOOD), "rival", tmp_path)
    assert report.rows == 3
    assert pl.read_parquet(tmp_path / "imports" / "predictions" / "rival.parquet")["cause"][0] == "memory_leak"


def test_predictions_meet_the_incidents_that_are_known(tmp_path: Path) -> None:
    frame, _ = read(written(tmp_path, GOOD))
    (first, right), (second, wrong) = predictions(frame, "rival", {name: incident(name) for name in ("INC-1", "INC-2")})
    assert (first.predictor, first.cause, first.entity_id, first.score, right) == ("rival", "memory_leak", "cart", 0.9, True)
    assert isnan(second.score)
    assert wrong is False


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("incident,cause,text\nA,x,y\n", "row 1: no column score"),
        ("incident,cause,text,score\n", "no prediction below the header"),
        ("incident,cause,text,score\nA,x,y,1.2\n", "row 2, column score: the value is '1.2'; write a number from 0 to 1"),
        ("incident,cause,text,score\nA,x,y,nan\n", "row 2, column score"),
        ("incident,cause,text,score\nA,x,y,high\n", "row 2, column score: the value is 'high'"),
        ("incident,cause,text,score,right\nA,x,y,1,\nB,x,y,1,perhaps\n", "row 3, column right: the value is 'perhaps'; write yes or no"),
        ("incident,cause,text,score\nA,x,y,1\n,x,y,1\n", "row 3, column incident: the value is missing"),
        ("incident,cause,text,score\nA,x,y,1\nA,z,y,0\n", "row 3, column incident: 'A' is in row 2 already"),
        ("incident,cause,text,score\nA,,,1\n", "row 2, column cause: the value is missing; name a cause"),
        ("incident,cause,Cause,text,score\nA,x,x,y,1\n", "row 1: the column cause is there twice"),
        ("incident,cause,text,score\nA," + "x" * 300 + ",y,1\n", "row 2, column cause"),
    ],
)
def test_what_is_wrong_is_named_by_row_and_column(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"ours\.csv: ") as error:
        read(written(tmp_path, text))
    assert words in str(error.value)
    assert "\n" not in str(error.value)

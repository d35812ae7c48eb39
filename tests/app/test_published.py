"""Claims as they are shown: what contenders reached, each number in its own unit."""

import pytest

from app.published import Row, computed, reached, rows


def _row(system: str, claim: str) -> Row:
    return next(row for row in rows([]) if row.key == f"{system}/{claim}")


@pytest.mark.parametrize(
    ("system", "claim", "value", "shown"),
    [
        # A change of a median is a share; the medians themselves are seconds.
        ("junctiond", "median", 0.00121, "1.21 ms"),
        # A ratio is a multiple, what it is of is not.
        ("murakkab", "faster", 0.0123, "0.0123"),
        ("murakkab", "written-time", 283.0, "283\u00a0s"),
        ("murakkab", "written-energy", 155.0, "155\u00a0Wh"),
    ],
)
def test_what_a_contender_reached_has_the_unit_of_what_was_read(system: str, claim: str, value: float, shown: str) -> None:
    assert reached(_row(system, claim), value).replace("\u00a0ms", " ms") == shown


def test_what_was_said_of_incidents_is_shown_with_ours_first_and_a_label_without_a_number_says_so() -> None:
    labels = {"Brier, PACE": 0.08, "ECE over that of the predictor's own score": 0.34, "AUROC, PACE": None}
    found = rows([{"system": "pace", "claim": "ece", "ours": 0.34, "verdict": "reproduced", "points": [{"labels": labels}]}])
    row = next(row for row in found if row.key == "pace/ece")
    assert computed(row) == [
        ("ECE over that of the predictor's own score", "0.34"),
        ("Brier, PACE", "0.08"),
        ("AUROC, PACE", "not on every seed"),
    ]

"""Changing one chip changes one part of the intent, or says why not."""

import pytest

from app.editing import bound_of, with_part
from policies.intent.model import Intent

INTENT = Intent.model_validate(
    {
        "text": "keep GPUs under 80 C this afternoon",
        "expectations": [{"metric": "plant.gpu_temp_max_c", "op": "<=", "value": 80.0}],
        "window": {"from": "12:00", "to": "18:00"},
    }
)


@pytest.mark.parametrize(
    ("text", "relative", "metric", "value"),
    [
        ("176 F", False, "plant.gpu_temp_max_c", 80.0),
        ("80.0\u00a0°C", False, "plant.gpu_temp_max_c", 80.0),
        ("285 kW", False, "plant.row_power_peak_w", 285_000.0),
        ("99 %", False, "serving.slo_attainment_share", 0.99),
        ("\u221210 %", True, "serving.cost_usd_per_h", -0.1),
        ("5", True, "serving.cost_usd_per_h", 0.05),
    ],
)
def test_a_bound_is_read_as_it_is_typed(text: str, relative: bool, metric: str, value: float) -> None:
    assert bound_of("<=", text, relative, metric)["value"] == pytest.approx(value)


def test_a_bound_in_another_quantity_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="cannot be read as degC"):
        bound_of("<=", "80 kW", False, "plant.gpu_temp_max_c")


def test_one_chip_changes_one_part_and_keeps_the_words() -> None:
    changed = with_part(INTENT, "expectations/0/value", {"op": "<=", "value": 78.0, "relative": False})
    assert changed.expectations[0].value == 78.0
    assert changed.text == INTENT.text
    assert changed.window == INTENT.window
    scoped = with_part(INTENT, "expectations/0/scope", [{"kind": "row", "id": "row-3"}])
    assert [scope.id for scope in scoped.scope_of(scoped.expectations[0])] == ["row-3"]
    assert INTENT.expectations[0].scope is None


def test_a_part_that_makes_no_sense_is_refused_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"expectations/0/metric: .*not a metric"):
        with_part(INTENT, "expectations/0/metric", "plant.happiness")

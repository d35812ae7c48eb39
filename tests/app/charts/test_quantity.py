"""One unit a row: chosen by one value, kept for all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.charts.quantity import Measure


@pytest.mark.parametrize(
    ("name", "like", "unit", "value", "shown"),
    [
        ("plant.row_power_peak_w", 281_250.0, "kW", -13_000.0, "−13"),
        ("plant.gpu_temp_max_c", 83.9, "°C", -5.1, "−5.1"),
        ("serving.slo_attainment_share", 0.995, "%", -0.003, "−0.300"),
        ("plant.energy_j", 2.2e11, "MWh", 3.6e9, "+1"),
        ("plant.thermal_throttle_events", 41.0, "", -38.0, "−38"),
        ("serving.ttft_p99_s", 0.187, "ms", 0.0, "0"),
        ("plant.pue", 1.27, "", -1e-6, "≈\u00a00"),
        ("plant.inlet_temp_max_c", 35.8, "°C", -0.03, "≈\u00a00"),
    ],
)
def test_values_keep_the_unit_of_their_row(name: str, like: float, unit: str, value: float, shown: str) -> None:
    measure = Measure.of(name, like)
    assert measure.unit == unit
    assert measure.signed(value) == shown


def test_what_is_not_known_is_a_dash() -> None:
    assert Measure.of("plant.pue", None).plain(None) == "–"
    assert Measure.of("plant.pue", float("nan")).plain(float("inf")) == "–"


@given(like=st.floats(1e-6, 1e12), value=st.floats(-1e9, 1e9))
def test_a_sign_is_never_lost(like: float, value: float) -> None:
    text = Measure.of("plant.row_power_peak_w", like).signed(value)
    assert text[0] in "+−≈0"
    if text[0] in "+−":
        assert (text[0] == "+") == (value > 0)

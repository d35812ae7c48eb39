import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin import units


@pytest.mark.parametrize(
    ("text", "suffix", "value"),
    [
        ("80 C", "_c", 80.0),
        ("176 F", "_c", 80.0),
        ("353.15 K", "_c", 80.0),
        ("250 ms", "_s", 0.25),
        ("1.5 MW", "_w", 1.5e6),
        ("2 kWh", "_j", 7.2e6),
        ("12 %", "_share", 0.12),
        ("16 GiB", "_bytes", 16 * 2**30),
        (42, "_w", 42.0),
        ("42", "_w", 42.0),
        ("-40 C", "_c", -40.0),
    ],
)
def test_text_is_read_into_the_one_unit(text: str | float, suffix: str, value: float) -> None:
    assert units.parse(text, suffix) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("text", "suffix"), [("80 W", "_c"), ("hot", "_c"), ("12 C", "_share"), ("3 apples", "_s"), ("5 m", "_gpus")])
def test_a_wrong_unit_is_one_line_that_names_both(text: str, suffix: str) -> None:
    with pytest.raises(ValueError, match=r"write|leave") as caught:
        units.parse(text, suffix)
    assert "\n" not in str(caught.value)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("value", "name", "shown"),
    [
        (281_250.0, "plant.row_power_peak_w", "281 kW"),
        (1.42e6, "plant.site_power_peak_w", "1.42 MW"),
        (0.0875, "serving.ttft_p99_s", "87.5 ms"),
        (88.44, "plant.gpu_temp_max_c", "88.4 °C"),
        (-0.214, "change_share", "−21.4 %"),
        (3.6e9, "plant.energy_j", "1.00 MWh"),
        (3.0, "plant.thermal_throttle_events", "3"),
        (1234567.0, "plant.thermal_throttle_events", "1.23 M"),
        (0.0, "serving.ttft_p99_s", "0 s"),
        (150.0, "serving.e2e_p99_s", "2.50 min"),
        (394.2, "serving.cost_usd_per_h", "394 USD/h"),
        (12_300.0, "plant.carbon_kg", "12.3 t"),
        (31_900.0, "plant.water_l", "31.9 m³"),
        (None, "serving.ttft_p99_s", "–"),
    ],
)
def test_values_are_shown_with_three_digits_and_a_prefix(value: float | None, name: str, shown: str) -> None:
    assert units.show(value, name).replace("\u00a0", " ").strip() == shown


def test_changes_carry_their_sign_and_zero_has_none() -> None:
    assert units.show_change(0.16, "x_s").startswith("+")
    assert units.show_change(-0.16, "x_s").startswith("−")
    assert units.show_change(0.0, "x_s") == "0\u00a0s"


@settings(max_examples=200, deadline=None)
@given(st.floats(min_value=-1e12, max_value=1e12, allow_nan=False), st.sampled_from(["_w", "_s", "_c", "_j", "_share", "_usd", ""]))
def test_any_value_is_shown_without_a_hyphen_and_with_few_digits(value: float, suffix: str) -> None:
    text = units.show(value, "x" + suffix)
    assert "-" not in text.replace("e-", "")
    assert text

import pytest

from app.charts.ablation import ablation_svg, ablation_title, sense, values_of
from app.charts.tokens import LIGHT

TODAY = {
    "plant.gpu_temp_max_c": 91.0, "plant.row_power_peak_w": 300e3, "throttle_events": 240.0, "serving.ttft_p99_s": 0.8,
    "serving.quality_mean_share": 1.0,
}  # fmt: skip
ROUTE = TODAY | {"plant.gpu_temp_max_c": 86.0, "throttle_events": 12.0, "serving.quality_mean_share": 0.97}


def test_throttle_events_are_those_on_heat_and_on_power() -> None:
    found = values_of({"plant.gpu_temp_max_c": 80.0, "plant.thermal_throttle_events": 3.0, "plant.power_throttle_events": 4.0})
    assert found == {"plant.gpu_temp_max_c": 80.0, "throttle_events": 7.0}
    assert "throttle_events" not in values_of({"plant.gpu_temp_max_c": 80.0})


def test_the_part_that_cools_most_is_the_title() -> None:
    assert ablation_title({"today": TODAY, "Route": ROUTE}) == (
        "TAPAS Route makes the hottest GPU 5.0\u00a0°C cooler; throttle events go from 240 to 12 a day"
    )
    assert ablation_title({"today": TODAY, "Place": TODAY}) == "No part of TAPAS makes the hottest GPU cooler here"
    assert ablation_title({}) == "What each part of TAPAS does, against today’s policy"


@pytest.mark.parametrize(("name", "change", "word"), [
    ("plant.gpu_temp_max_c", -1.0, "better"), ("serving.quality_mean_share", -0.1, "worse"), ("throttle_events", 2.0, "worse"),
    ("throttle_events", 0.0, ""),
])  # fmt: skip
def test_a_change_is_better_or_worse_by_its_metric(name: str, change: float, word: str) -> None:
    assert sense(name, change) == word


@pytest.mark.parametrize("narrow", [False, True])
def test_every_policy_has_its_number_and_change_and_a_trifle_is_as_today(narrow: bool) -> None:
    drawn = ablation_svg({"today": TODAY, "Route": ROUTE, "all": TODAY | {"serving.ttft_p99_s": 0.80001}}, LIGHT, narrow=narrow)
    assert "86.0\u00a0°C" in drawn
    assert "−5.0\u00a0°C better" in drawn
    assert "−3.00\u00a0% worse" in drawn
    assert "as today" in drawn
    assert "All of TAPAS" in drawn

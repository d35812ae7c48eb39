"""Changes are written with their sign, their unit and what they mean."""

import pytest

from app.headlines import change_words, held, negotiated, worked


@pytest.mark.parametrize(
    ("metric", "before", "after", "words", "sense"),
    [
        ("plant.gpu_temp_max_c", 92.1, 88.4, "\u22123.7\u00a0°C", "better"),
        ("serving.cost_usd_per_h", 1840.0, 1446.0, "\u221221.4\u00a0%", "better"),
        ("serving.slo_attainment_share", 0.995, 0.992, "\u22120.300 points", "worse"),
        ("serving.ttft_p99_s", 1.71, 1.87, "+160\u00a0ms", "worse"),
        ("plant.gpu_temp_max_c", 74.2, 74.21, "as today", ""),
        ("serving.quality_mean_share", 0.948, 0.948 + 6e-8, "as today", ""),
        ("serving.ttft_p99_s", 0.76, 0.76 + 4e-8, "as today", ""),
        ("plant.thermal_throttle_events", 0.0, 1.0, "+1", "worse"),
        ("plant.thermal_throttle_events", 0.0, 0.0, "as today", ""),
    ],
)
def test_a_change_says_its_direction_of_better(metric: str, before: float, after: float, words: str, sense: str) -> None:
    assert change_words(metric, before, after) == (words, sense)


def test_without_today_there_is_no_change() -> None:
    assert change_words("plant.gpu_temp_max_c", None, 80.0) == ("", "")


def test_near_a_limit_is_at_risk_and_past_it_broken() -> None:
    assert [held(value, 87.0) for value in (80.0, 86.0, 87.5)] == ["met", "at risk", "broken"]
    assert held(None, 87.0) == held(80.0, None) == ""


def test_functions_and_jobs_have_rows_for_what_a_run_has_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {("b", "functions.latency_p99_s"): 8e-4, ("a", "functions.latency_p99_s"): 2e-3, ("b", "workflows.cost_usd_per_job"): 0.2}
    monkeypatch.setattr("app.state.metric", lambda run_id, name, *_: known.get((run_id, name)))
    found = {row["id"]: row for row in worked("b", "a")}
    assert list(found) == ["functions.latency_p99_s", "workflows.cost_usd_per_job"]
    assert found["functions.latency_p99_s"]["change"]["sense"] == "better"
    assert found["workflows.cost_usd_per_job"]["change"] is None
    assert worked("c", "a") == []


def test_a_run_in_which_nobody_negotiates_has_no_numbers_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"a": {}, "b": {"workloads.price_cut_share": 0.25, "workloads.evictions": 12.0, "workloads.broken_requirements": 0.0}}
    monkeypatch.setattr("app.headlines.state.metric", lambda run_id, name: values[run_id].get(name))
    assert negotiated("a") == []
    found = {row["id"].removeprefix("workloads."): row for row in negotiated("b", "a")}
    assert {name: row["value"] for name, row in found.items()} == {
        "price_cut_share": "25.0\u00a0%",
        "evictions": "12 a day",
        "broken_requirements": "0 a day",
        "notices_honoured_share": "none due",
    }
    # Today's run has no such numbers: there is nothing that they changed from.
    assert {row["change"] for row in found.values()} == {None}

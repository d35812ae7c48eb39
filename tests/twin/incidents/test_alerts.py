"""Alert rules over readings: bounds, durations, clearing."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.incidents.alerts import BY_NAME, RULES, Alert, Alerts, Watched

IDS = {"service_latency": ("front", "cart"), "endpoint_objective": ("chat",), "unit_lost": ("ups-1", "aisle-1")}
KINDS = {"unit_lost": ("ups", "aisle")}
CALM: dict[str, list[float]] = {"service_latency": [0.1, 0.1], "endpoint_objective": [0.999], "unit_lost": [0.0, 0.0]}


def _watched(**changed: list[float]) -> Watched:
    values = {name: np.array(part) for name, part in (CALM | changed).items()}
    return Watched(values, {"service_latency": np.array([0.5, 0.3])})


def _hours(alerts: Alerts, *parts: tuple[float, dict[str, list[float]]], every_s: float = 60.0) -> list[Alert]:
    """Hold readings against the rules: each part up to its time."""
    told, t_s = [], 0.0
    for until_s, changed in parts:
        while t_s < until_s:
            t_s += every_s
            told += alerts.advance(t_s, _watched(**changed))
    return told


def test_an_alert_fires_after_its_duration_and_clears_after_its_own() -> None:
    """Two minutes above and three below: RULES, service_latency."""
    told = _hours(Alerts(IDS, KINDS), (600.0, {}), (1200.0, {"service_latency": [0.62, 0.1]}), (2400.0, {}))
    assert [(each.t_s, each.fired, each.since_s, each.entity_id) for each in told] == [
        (780.0, True, 660.0, "front"),
        (1440.0, False, 660.0, "front"),
    ]
    assert told[0].words == "p99 latency of front is 620 ms, objective 500 ms"
    assert (told[0].metric, told[0].severity, told[0].value, told[0].bound) == ("services.latency_p99_s", "major", 0.62, 0.5)


def test_every_entity_is_held_to_its_own_bound() -> None:
    told = _hours(Alerts(IDS, KINDS), (600.0, {"service_latency": [0.4, 0.4]}))
    assert [each.entity_id for each in told] == ["cart"]


def test_a_short_peak_fires_nothing_and_a_short_lull_clears_nothing() -> None:
    assert _hours(Alerts(IDS, KINDS), (600.0, {}), (720.0, {"service_latency": [0.9, 0.1]}), (1800.0, {})) == []
    high = {"service_latency": [0.9, 0.1]}
    told = _hours(Alerts(IDS, KINDS), (600.0, high), (720.0, {}), (1800.0, high))
    assert [each.fired for each in told] == [True]


def test_a_share_alerts_when_it_falls() -> None:
    told = _hours(Alerts(IDS, KINDS), (600.0, {}), (1500.0, {"endpoint_objective": [0.8]}))
    assert [(each.entity_id, each.t_s, each.severity) for each in told] == [("chat", 960.0, "critical")]
    assert told[0].words == "80 % of requests to chat met objectives, not 95 %"


def test_what_a_unit_reports_itself_fires_at_once_and_says_what_it_is() -> None:
    told = _hours(Alerts(IDS, KINDS), (600.0, {}), (660.0, {"unit_lost": [0.0, 0.25]}))
    assert [(each.t_s, each.entity_kind, each.words) for each in told] == [
        (660.0, "aisle", "aisle-1 reports that 25 % of its capacity is gone")
    ]


def test_readings_that_are_missing_change_nothing() -> None:
    nan = float("nan")
    alerts = Alerts(IDS, KINDS)
    told = _hours(alerts, (60.0, {"service_latency": [0.9, 0.1]}), (600.0, {"service_latency": [nan, nan]}))
    assert told == []
    assert [each.t_s for each in _hours_from(alerts, 660.0, {"service_latency": [0.9, 0.1]})] == [660.0]


def _hours_from(alerts: Alerts, t_s: float, changed: dict[str, list[float]]) -> list[Alert]:
    return alerts.advance(t_s, _watched(**changed))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=2), min_size=1, max_size=40), st.integers(0, 39))
def test_firing_and_clearing_take_turns_and_a_snapshot_loses_nothing(series: list[list[float]], at: int) -> None:
    whole, resumed, turns = Alerts(IDS, KINDS), Alerts(IDS, KINDS), dict[str, list[bool]]()
    for step, values in enumerate(series):
        if step == at:
            resumed.restore(whole.snapshot())
        told = whole.advance(60.0 * (step + 1), _watched(service_latency=values))
        if step >= at:
            assert resumed.advance(60.0 * (step + 1), _watched(service_latency=values)) == told
        for each in told:
            turns.setdefault(each.entity_id, []).append(each.fired)
            assert each.since_s <= each.t_s
    for fired in turns.values():
        assert fired == [index % 2 == 0 for index in range(len(fired))]
    assert [name for _, name in whole.on] == [name for name in ("front", "cart") if turns.get(name, [False])[-1]]


def test_rules_and_readings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="no alert rule is called 'gpu_cold'; there are: service_latency"):
        Alerts({"gpu_cold": ("server-1",)})
    with pytest.raises(ValueError, match="alert rule service_latency: 3 readings, not 2"):
        Alerts(IDS).advance(60.0, _watched(service_latency=[0.1, 0.1, 0.1]))


def test_rules_have_names_of_their_own_and_words_that_name_no_cause() -> None:
    assert len(BY_NAME) == len(RULES)
    said: list[Any] = [rule.say("it", 1.0, 2.0) for rule in RULES]
    assert not any(word in words for words in said for word in ("because", "caused", "due to", "leak", "deploy", "certificate"))
    assert all("it" in words and "{" not in words for words in said)

from pathlib import Path
from typing import Any

import pytest

from twin import scenario
from twin.sources import data_dir, toml


@pytest.fixture
def raw() -> dict[str, Any]:
    return toml(data_dir() / "scenarios" / "tiny.toml")


def test_every_packaged_scenario_loads() -> None:
    assert {"example", "tiny"} <= set(scenario.names())
    for name in scenario.names():
        assert scenario.load(name).name == name


def test_the_example_names_the_entities_of_the_vocabulary() -> None:
    entities = scenario.load("example").entities()
    assert entities["endpoint"] == ("chat-70b", "chat-8b", "code-70b", "vision-11b")
    assert set(entities["workload"]) == {"web-frontend", "telemetry-batch", "ml-training", "dev-test", "search", "databases"}
    assert set(entities["function"]) == {"resize-image", "send-mail"}
    assert set(entities["workflow"]) == {"video-understanding", "report"}
    assert len(entities["server"]) == 160


def _set(raw: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    node: Any = raw
    *parents, last = path.split(".")
    for part in parents:
        node = node[int(part)] if part.isdigit() else node.setdefault(part, {})
    node[last] = value
    return raw


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("horizn_s", 60, "horizn_s is unknown; did you mean horizon_s?"),
        ("plant.weather.swing", 3, "plant.weather.swing is unknown; did you mean swing_c?"),
        ("serving.endpoints.0.max_bach", 3, "serving.endpoints.0.max_bach is unknown; did you mean max_batch?"),
        ("horizon_s", "24 C", "horizon_s: '24 C' cannot be read as s"),
        ("tick_s", -1, "tick_s: input should be greater than or equal to 1"),
        ("timezone", "Mars/Olympus", "timezone: 'Mars/Olympus' is not a time zone"),
        ("fleet", "nowhere", "fleet 'nowhere' is unknown; there are: a100, drill-a, drill-b, example"),
        ("workloads.vms.0.servers", ["server-99"], "the fleet has no server or host 'server-99'"),
        ("workloads.vms.0.workload", "chat-7b", "endpoint 'chat-7b' is unknown; did you mean chat-70b?"),
        ("faults", [{"kind": "ahu_los", "target": "aisle-1", "from_s": 0}], "kind 'ahu_los' is unknown; did you mean ahu_loss?"),
        ("serving.endpoints.0.demand", {"kind": "trace", "name": "nope"}, "no imported llm-trace is called 'nope'"),
        ("plant.weather.mean_c", float("nan"), "plant.weather.mean_c: nan is not a number to work with"),
        ("plant.inlet.row_offset_c", {"row-1": float("inf")}, "plant.inlet.row_offset_c.row-1: inf is not a number"),
        ("plant.weather.mean_c", 95.9, "plant.weather.mean_c: input should be less than or equal to 60"),
        ("plant.cooling.chiller_cop_low", 0.0, "plant.cooling.chiller_cop_low: input should be greater than 0"),
        ("plant.inlet.aisle_air_supply_share", {"aisle-1": -1.0}, "aisle-1: input should be greater than 0"),
        ("plant.inlet.adjacent_share", 0.3, "plant.inlet: neighbours take 0.615 of a rack's exhaust"),
        ("plant.inlet.leak_share", 0.7, "plant.inlet: leak_share is 0.7, above mixing_max_share of 0.6; lower it"),
        ("plant.inlet.supply_knee_c", 26.0, "plant.inlet: supply_knee_c is 26, above supply_bend_c of 25; lower it"),
        ("plant.airflow.fan_full_c", 50.0, "plant.airflow: fan_full_c is 50, not above fan_from_c of 50; raise it"),
        ("plant.tree.ups_overload_share", 1.04, "plant.tree: ups_overload_share is 1.04, not above continuous_share of 1.05"),
        ("plant.throttling.recover_per_s", -0.1, "plant.throttling.recover_per_s: input should be greater than 0"),
        ("plant.cooling.pdu_loss_share", -0.1, "plant.cooling.pdu_loss_share: input should be greater than or equal to 0"),
        ("plant.inlet.leak_share", 1.0, "plant.inlet.leak_share: input should be less than or equal to 0.95"),
        ("serving.tariff_usd_per_h", {"H100": 3.0}, "serving.tariff_usd_per_h: GPU 'H100' is unknown; it is one of h100, a100"),
        ("serving.endpoints.0.demand.rate_per_s", 9999, "serving.endpoints: 864,086,400 requests, the limit is 40,000,000"),
        ("serving.window_s", 420, "serving.window_s: 420 s does not divide 300 s"),
        ("workloads.vms.3.servers", ["server-3..server-2"], "'server-3..server-2' is not a range of ids"),
        ("workloads.vms.3.servers", ["server-1..server-99999999999"], "is not a range of ids"),
        (
            "faults",
            [{"kind": "ahu_loss", "target": "aisle-1", "from_s": 60, "until_s": 30}],
            "until_s is 30, not after",
        ),
        (
            "faults",
            [{"kind": "traffic_burst", "target": "chat-70b", "from_s": 0}],
            "no workload is called 'chat-70b'",
        ),
    ],
)
def test_what_is_wrong_is_one_line_with_place_and_remedy(raw: dict[str, Any], path: str, value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=":") as caught:
        scenario.read(_set({**raw, "horizon_s": "24 h"} if "rate" in path else raw, path, value), "scenarios/tiny.toml")
    message = str(caught.value)
    assert message.startswith("scenarios/tiny.toml: ")
    assert words in message
    assert "\n" not in message


def test_differences_of_temperature_have_no_zero_point(raw: dict[str, Any]) -> None:
    raw = _set(_set(raw, "plant.inlet.supply_offset_c", "3.6 F"), "plant.weather.outside_offset_c", "5 K")
    spec = scenario.read(_set(raw, "plant.weather.mean_c", "95 F")).spec
    assert spec.plant.inlet.supply_offset_c == pytest.approx(2.0)
    assert spec.plant.weather.outside_offset_c == pytest.approx(5.0)
    assert spec.plant.weather.mean_c == pytest.approx(35.0)


def test_an_unknown_name_is_met_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean example"):
        scenario.load("exampel")


def test_a_missing_or_broken_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.toml: no such file"):
        scenario.load(tmp_path / "gone.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ")
    with pytest.raises(ValueError, match=r"broken\.toml: not valid TOML"):
        scenario.load(broken)


def test_quantities_may_be_written_with_their_units(raw: dict[str, Any]) -> None:
    read = scenario.read(_set(_set(raw, "horizon_s", "0.5 h"), "plant.weather.mean_c", "95.9 F"))
    assert read.horizon_s == 1800.0
    assert read.spec.plant.weather.mean_c == pytest.approx(35.5)


def test_the_question_changes_with_every_value_and_not_with_its_title(raw: dict[str, Any]) -> None:
    before = scenario.read(raw).canonical()
    assert scenario.read(_set(raw, "title", "another")).canonical() == before
    assert scenario.read(_set(raw, "tick_s", 20)).canonical() != before

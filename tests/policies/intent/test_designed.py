"""Requests for pods are answered with a pod, or with why none exists."""

from pathlib import Path

import pytest

from policies.intent.designed import designed
from policies.intent.pinning import asks_for_design, findings_of, without_design
from policies.policy import TODAY, Held, PolicySet
from policies.study import pod
from twin.scenario import Scenario
from twin.scenario import read as read_scenario

QUESTION = "pool memory across 24 hosts for at most 10 % more per host"


def test_a_request_is_answered_with_a_pod_that_keeps_its_bounds(compiled, rented: Scenario, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    policy = compiled(QUESTION).policy
    design = designed(rented, policy, 7, tmp_path)
    assert design is not None
    for option in design["front"]:
        assert option["metrics"]["memory.pod_hosts"] >= 24
        assert option["metrics"]["memory.cost_usd_per_host"] <= 3170.2
    assert design["chosen"]["name"] in {option["name"] for option in design["front"]}
    assert designed(rented, policy, 7, tmp_path) == design == designed(rented, policy, 7)
    (kept,) = (tmp_path / "designs").iterdir()
    assert kept.suffix == ".json"
    kept.write_text('{"chosen": ')
    assert designed(rented, policy, 7, tmp_path) == design


def test_why_no_pod_exists_is_said_with_the_nearest(compiled, rented: Scenario) -> None:  # type: ignore[no-untyped-def]
    design = designed(rented, compiled("pool memory across 24 hosts for at most 300 dollars per host").policy, 7)
    assert design is not None
    assert design["chosen"] is None
    assert design["front"] == []
    assert "pod cost per host" in design["why"]
    near = design["nearest"]["metrics"]
    assert near["memory.cost_usd_per_host"] > 300.0 or near["memory.pod_hosts"] < 24
    assert design["nearest"]["misses"]


def test_a_pod_asked_for_by_name_is_priced_and_none_is_no_design(rented: Scenario) -> None:
    named = PolicySet(levers={"pod_topology": (Held(system="fully_connected", knobs={"hosts": 8}),)})
    design = designed(rented, named, 7)
    assert design is not None
    assert design["chosen"]["metrics"]["memory.cost_usd_per_host"] == pytest.approx(2882.0)
    assert design["chosen"]["details"]["device_bytes"] > 0
    assert not asks_for_design(TODAY)
    assert designed(rented, PolicySet(levers={"pod_topology": (Held(system="none"),)}), 7) is None


def test_a_design_that_cannot_be_bought_is_answered_with_the_reason(compiled, rented: Scenario) -> None:  # type: ignore[no-untyped-def]
    policy = compiled("build a bibd of 21 hosts").policy
    found = designed(rented, policy, 7)
    assert found is not None
    assert found["chosen"] is None
    dear = read_scenario({**rented.spec.model_dump(mode="json"), "memory": {"cable_slack_m": 1.0}}, "rented")
    plain = designed(dear, PolicySet(levers={"pod_topology": (Held(system="switch", knobs={"hosts": 24}),)}), 7)
    assert plain is not None
    assert (plain["chosen"], "1.5 m" in plain["why"]) == (None, True)
    (asked,) = findings_of(found)
    assert asked.severity == "question"
    assert "No pod is built: prices v3-recalled have no device of 5 ports" in asked.text
    assert without_design([asked]) == []


def test_sizes_without_a_design_or_for_another_number_of_pods_are_refused(rented: Scenario) -> None:
    loose = PolicySet(levers={"pod_topology": (Held(system="octopus", knobs={"device_bytes": [1 << 35]}),)})
    with pytest.raises(ValueError, match=r"^[^\n]*device_bytes[^\n]*name it as design[^\n]*$"):
        designed(rented, loose, 7)
    three = PolicySet(
        levers={"pod_topology": (Held(system="octopus", knobs={"design": "block-design-25x8n4", "device_bytes": [1 << 35] * 2}),)}
    )
    with pytest.raises(ValueError, match="2 sizes of devices for 3 pods"):
        pod(three, rented, 7)
    assert "2 sizes of devices for 3 pods" in (designed(rented, three, 7) or {})["why"]

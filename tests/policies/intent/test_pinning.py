"""The pod that answers a request is written into its policy, so that every seed builds the same."""

from datetime import datetime
from pathlib import Path

import pytest

from policies.intent import lifecycle
from policies.intent.designed import designed
from policies.intent.model import Intent
from policies.intent.pinning import loosened, pinned, pins
from policies.intent.versions import Actor
from policies.policy import Held, PolicySet
from policies.study import pod
from twin.scenario import Scenario
from twin.store.ledger import Ledger

QUESTION = "pool memory across 24 hosts for at most 10 % more per host"


def test_a_policy_that_is_not_pinned_may_build_another_pod_on_another_seed(compiled, rented: Scenario) -> None:  # type: ignore[no-untyped-def]
    # Why the chosen pod is written down: what is best hangs on the days before, and those on the seed.
    policy = compiled("save as much DRAM as possible with pods of at most 64 hosts").policy
    built = {(action.pod.name, action.device_bytes) for seed in (7, 8) if (action := pod(policy, rented, seed)).pod is not None}
    assert len(built) == 2


def test_plain_pods_are_pinned_by_the_size_of_their_devices(rented: Scenario) -> None:
    named = PolicySet(levers={"pod_topology": (Held(system="fully_connected", knobs={"hosts": 8}),)})
    held = pinned(named, designed(rented, named, 7))
    one, other = (pod(held, rented, seed).device_bytes for seed in (7, 8))
    assert one == other == pod(named, rented, 7).device_bytes != pod(named, rented, 8).device_bytes
    assert loosened(held) == named


def test_the_chosen_pod_and_its_devices_are_the_same_on_every_seed(
    ana: Actor, noon: datetime, rented_toml: Path, tmp_path: Path, pod_of
) -> None:  # type: ignore[no-untyped-def]
    record = lifecycle.capture(tmp_path, QUESTION, scenario=rented_toml, actor=ana, at=noon)
    assert record.policy is not None
    assert not pins(PolicySet.model_validate(dict(record.policy)))
    design = lifecycle.design(tmp_path, record.intent_id, actor=ana, at=noon)
    assert design is not None
    kept = lifecycle.record(tmp_path, record.intent_id)
    policy = PolicySet.model_validate(dict(kept.policy or {}))
    knobs = policy.levers["pod_topology"][0].knobs
    assert pins(policy)
    assert knobs["design"] == design["chosen"]["name"]
    assert policy.policy_id == kept.policy_id != record.policy_id
    assert any(knobs["design"] in item["text"] and item["severity"] == "info" for item in kept.findings)
    with Ledger(tmp_path).transaction() as ledger:
        trail = [entry.action for entry in ledger.audit_trail(f"{record.intent_id}/1")]
    assert trail[-2:] == ["intent.replace", "intent.pin"]
    # Asked again, it is answered with the same pod, and nothing is written.
    assert lifecycle.design(tmp_path, record.intent_id) == design
    assert lifecycle.record(tmp_path, record.intent_id) == kept
    trial = lifecycle.try_on_twin(tmp_path, record.intent_id, seeds=(7, 8), actor=ana, at=noon)
    built = {pod_of(run_id, tmp_path) for run_id in trial.candidate_run_ids}
    assert built == {(knobs["design"], tuple(knobs["device_bytes"]))}  # type: ignore[arg-type]
    lifecycle.approve(tmp_path, record.intent_id, actor=ana, at=noon)


def test_a_trial_writes_the_pod_down_before_it_runs(ana: Actor, noon: datetime, rented_toml: Path, tmp_path: Path) -> None:
    record = lifecycle.capture(tmp_path, QUESTION, scenario=rented_toml, actor=ana, at=noon)
    lifecycle.try_on_twin(tmp_path, record.intent_id, actor=ana, at=noon)
    kept = lifecycle.record(tmp_path, record.intent_id)
    assert pins(PolicySet.model_validate(dict(kept.policy or {})))
    assert kept.state == "simulated"
    assert Ledger(tmp_path).verify_audit() == []


def test_another_pod_of_the_front_and_another_bound_are_pinned_anew(ana: Actor, noon: datetime, rented_toml: Path, tmp_path: Path) -> None:
    record = lifecycle.capture(tmp_path, QUESTION, scenario=rented_toml, actor=ana, at=noon)
    design = lifecycle.design(tmp_path, record.intent_id)
    assert design is not None
    other = next(option for option in design["front"] if option["name"] != design["chosen"]["name"])
    with pytest.raises(ValueError, match="is not among the pods that answer it"):
        lifecycle.build(tmp_path, record.intent_id, "block-design-7x3n3", actor=ana, at=noon)
    taken = lifecycle.build(tmp_path, record.intent_id, other["name"], actor=ana, at=noon)
    assert taken.version == 2
    again = lifecycle.design(tmp_path, record.intent_id)
    assert again is not None
    assert again["chosen"]["name"] == other["name"]
    assert {option["name"] for option in again["front"]} == {option["name"] for option in design["front"]}
    assert design["chosen"]["name"] in again["why"]
    assert [item["text"] for item in lifecycle.record(tmp_path, record.intent_id).findings if "written into" in item["text"]] == [
        item["text"] for item in lifecycle.record(tmp_path, record.intent_id).findings if other["name"] in item["text"]
    ]
    # Another bound: nothing of the former choice is left.
    intent = Intent.model_validate(dict(taken.intent))
    bounds = tuple(wish.model_copy(update={"value": 60.0}) if wish.metric == "memory.pod_hosts" else wish for wish in intent.expectations)
    lifecycle.edit(tmp_path, record.intent_id, intent.model_copy(update={"expectations": bounds}), actor=ana, at=noon)
    larger = lifecycle.design(tmp_path, record.intent_id)
    assert larger is not None
    assert larger["chosen"]["metrics"]["memory.pod_hosts"] >= 60
    held = PolicySet.model_validate(dict(lifecycle.record(tmp_path, record.intent_id).policy or {}))
    assert held.levers["pod_topology"][0].knobs["design"] == larger["chosen"]["name"]


def test_where_no_pod_keeps_every_bound_a_question_keeps_it_from_approval(
    ana: Actor, noon: datetime, rented_toml: Path, tmp_path: Path
) -> None:
    text = "pool memory across 24 hosts for at most 300 dollars per host"
    record = lifecycle.capture(tmp_path, text, scenario=rented_toml, actor=ana, at=noon)
    assert record.state == "checked"
    lifecycle.design(tmp_path, record.intent_id)
    kept = lifecycle.record(tmp_path, record.intent_id)
    assert kept.state == "questioned"
    assert not pins(PolicySet.model_validate(dict(kept.policy or {})))
    (asked,) = [item for item in kept.findings if item["severity"] == "question"]
    assert "No pod keeps every bound" in asked["text"]
    trial = lifecycle.try_on_twin(tmp_path, record.intent_id, actor=ana, at=noon)
    assert not trial.meets
    with pytest.raises(ValueError, match="has an open question: No pod keeps every bound"):
        lifecycle.approve(tmp_path, record.intent_id, actor=ana, at=noon, note="all the same")
    with pytest.raises(ValueError, match="gives no other bound"):
        lifecycle.answer(tmp_path, record.intent_id, asked["about"], "the blue one", actor=ana, at=noon)
    # The answer is another bound in the place of the one that binds.
    settled = lifecycle.answer(tmp_path, record.intent_id, asked["about"], "at most 1,500 dollars per host", actor=ana, at=noon)
    assert settled.state == "checked"
    assert [(wish["metric"], wish["value"]) for wish in settled.intent["expectations"]] == [
        ("memory.pod_hosts", 24.0), ("memory.cost_usd_per_host", 1500.0)
    ]  # fmt: skip
    found = lifecycle.design(tmp_path, record.intent_id)
    assert found is not None
    assert found["chosen"] is not None
    assert lifecycle.record(tmp_path, record.intent_id).state == "checked"

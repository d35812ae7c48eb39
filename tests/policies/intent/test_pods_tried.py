"""Pods are tried, judged, explored and put in force like any policy."""

from datetime import datetime
from pathlib import Path

import pytest

from policies.intent import lifecycle
from policies.intent.compile import compile_intent
from policies.intent.designed import designed
from policies.intent.explore import explore
from policies.intent.model import read_back
from policies.intent.pinning import as_built, pinned, pins
from policies.intent.references import references
from policies.intent.versions import Actor, site_of
from twin.scenario import Scenario
from twin.store.runs import list_runs

QUESTION = "pool memory across 24 hosts for at most 10 % more per host"


def test_a_pod_is_tried_judged_and_put_in_force_like_any_policy(ana: Actor, noon: datetime, rented_toml: Path, tmp_path: Path) -> None:
    record = lifecycle.capture(tmp_path, QUESTION, scenario=rented_toml, actor=ana, at=noon)
    design = lifecycle.design(tmp_path, record.intent_id)
    assert design is not None
    trial = lifecycle.try_on_twin(tmp_path, record.intent_id, actor=ana, at=noon)
    assert [(row.metric, row.standing, row.relative) for row in trial.rows] == [
        ("memory.pod_hosts", "met", False),
        ("memory.cost_usd_per_host", "met", False),
    ]
    # What the run built is what the design said, and it is held against the plain pod: 1.1 x 2,882 USD.
    assert [row.candidate for row in trial.rows] == pytest.approx([design["chosen"]["metrics"][row.metric] for row in trial.rows])
    assert trial.rows[1].bound == pytest.approx(3170.2)
    sentence = read_back(lifecycle.read(QUESTION, rented_toml).intent, references({}))
    assert "fully connected pod of 8 hosts, 2882" in sentence
    active = lifecycle.approve(tmp_path, record.intent_id, actor=ana, at=noon, read_back_as=sentence)
    assert active.state == "active"
    held = lifecycle.hold_against(tmp_path, trial.candidate_run_id, trial.today_run_id, actor=ana, at=noon)
    assert [item.standing for item in held] == ["met"]


@pytest.mark.slow
def test_pods_are_screened_on_a_part_of_the_day_that_goes_on_from_today(rented: Scenario, tmp_path: Path) -> None:
    intent = lifecycle.read(QUESTION + " from 13:20 to 13:30", rented).intent
    assert intent.window is not None
    found = explore(tmp_path, rented, intent, compile_intent(intent, site_of(rented)).policy, candidates=3)
    assert found.best is not None
    assert all(row.candidate is not None for item in found.candidates for row in item.rows)
    # The screen went on from today's run, which has no pod: there the VMs that stand were given memory in it.
    screened = [run for run in list_runs(tmp_path) if run.begin_s == 1200.0 and "memory.pod_hosts" in run.metrics]
    # Candidates that choose the same pod are one run.
    assert 2 <= len(screened) <= 3
    assert all(-1.0 < run.metrics["memory.dram_saving_share"] < 0.5 for run in screened)


@pytest.mark.slow
def test_candidates_that_are_explored_hold_their_pod_by_name_and_none_twice(read, rented: Scenario, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    intent = read(QUESTION).intent
    policy = compile_intent(intent, site_of(rented)).policy
    held = pinned(policy, designed(rented, policy, rented.seed, tmp_path))
    found = explore(tmp_path, rented, intent, held, seed=9, candidates=6)
    assert all(pins(item.policy) for item in found.candidates)
    assert len({as_built(item.policy) for item in found.candidates}) == len({item.policy.policy_id for item in found.candidates})
    # Whichever seed it is tried on, the pod is that of the scenario's own past.
    own = next(item for item in found.candidates if item.policy.policy_id == held.policy_id)
    assert own.policy == held.model_copy(update={"name": own.policy.name})


@pytest.mark.slow
def test_where_no_pod_keeps_every_bound_exploring_tries_the_nearest(read, rented: Scenario, tmp_path: Path, pod_of) -> None:  # type: ignore[no-untyped-def]
    intent = read("pool memory across 24 hosts for at most 300 dollars per host").intent
    policy = compile_intent(intent, site_of(rented)).policy
    nearest = (designed(rented, policy, rented.seed, tmp_path) or {})["nearest"]["name"]
    found = explore(tmp_path, rented, intent, policy, candidates=2)
    assert found.best is None
    first = found.candidates[0]
    assert (first.policy.name, pod_of(first.run_id, tmp_path)[0]) == ("candidate: the nearest pod", nearest)

"""More servers than the budgets were made for: from words to a larger site, a verdict and an approval."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from policies.intent import lifecycle
from policies.intent.lifecycle import Actor
from policies.intent.model import Intent, read_back
from policies.intent.versions import policy_of
from policies.systems.tapas.capacity import extra_servers
from twin.plant.levers import CapacityObservation
from twin.store import runs

LEVERS = {"vm_placement", "request_routing", "instance_config", "emergency", "capacity"}


@pytest.mark.parametrize(("text", "servers"), [("oversubscribe the rows by 20 %", 5), ("oversubscribe by 40 %", 6)])
def test_words_lead_to_a_larger_site_that_is_tried_judged_and_approved(
    tmp_path: Path, ana: Actor, noon: datetime, text: str, servers: int
) -> None:
    record = lifecycle.capture(tmp_path, text, scenario="tiny", actor=ana, at=noon)
    assert record.findings == []
    assert "oversubscription" in read_back(Intent.model_validate(dict(record.intent)))
    policy = policy_of(record)
    assert set(policy.levers) == LEVERS
    assert {held.system for stack in policy.levers.values() for held in stack} == {"tapas"}
    trial = lifecycle.try_on_twin(tmp_path, record.intent_id, actor=ana, at=noon)
    assert [(row.metric, row.met) for row in trial.rows] == [("plant.oversubscription_share", True)]
    today, candidate = (runs.load(run_id, tmp_path) for run_id in (trial.today_run_id, trial.candidate_run_id))
    assert [run.tables["servers"].collect()["server_id"].n_unique() for run in (today, candidate)] == [4, servers]
    # Who comes and what they ask is the same; what more servers there are stands empty until somebody asks for them.
    assert candidate.tables["requests"].collect().height == today.tables["requests"].collect().height
    shown = lifecycle.evidence(tmp_path, record.intent_id)[-1]
    assert shown.verdicts[0]["met"]
    assert lifecycle.approve(tmp_path, record.intent_id, actor=ana, at=noon).state == "active"


def test_what_is_asked_is_reached_by_whole_servers() -> None:
    rows = CapacityObservation(("a", "b"), np.array([2, 2]), np.ones(2), np.ones(2))
    assert extra_servers(rows, 0.3).extra_servers.sum() == 1
    assert extra_servers(rows, 0.0, 0.3).extra_servers.sum() == 2
    assert extra_servers(rows, 0.5, 0.3).extra_servers.sum() == 2


def test_beside_a_bound_for_some_hours_it_is_judged_all_the_same(tmp_path: Path, ana: Actor, noon: datetime) -> None:
    text = "oversubscribe the rows by 20 % and keep every GPU under 85 C this afternoon"
    record = lifecycle.capture(tmp_path, text, scenario="tiny", actor=ana, at=noon)
    trial = lifecycle.try_on_twin(tmp_path, record.intent_id, actor=ana, at=noon)
    assert [(row.metric, row.met) for row in trial.rows] == [("plant.oversubscription_share", True), ("plant.gpu_temp_max_c", True)]

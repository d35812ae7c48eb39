"""Octopus as a holder: the pod it builds, its filling, and both in a run."""

import numpy as np
import pytest

from policies import study
from policies.policy import Held, PolicySet, Schedule
from policies.system import Target
from policies.systems.octopus import SYSTEM
from policies.systems.octopus.knobs import OctopusKnobs
from policies.systems.octopus.limits import COST, HOSTS, SAVING
from policies.systems.octopus.policy import Octopus
from twin.memory.levers import PoolObservation
from twin.run import simulate
from twin.scenario import load
from twin.variation import varied

HALF_DAY_S = 43_200.0


@pytest.fixture(scope="module")
def short():
    """The claims' site for half a day."""
    return varied(load("octopus"), {"horizon_s": HALF_DAY_S})


def held(*levers, **knobs):
    return PolicySet(name="-".join(levers), levers={lever: (Held(system="octopus", knobs=knobs),) for lever in levers})


def run(scenario, policy, seed=1):
    return simulate(scenario, study.phases(Schedule.of(policy), scenario), seed=seed).metrics


def test_it_builds_what_it_answers(seen, around):
    here, knobs = seen(), OctopusKnobs(prefer="cost", hosts_at_least=13)
    action = Octopus(knobs, around).design(here)
    answered = SYSTEM.answer(knobs, here)
    assert action.pod.name == answered.chosen.name
    assert action.why == answered.why
    assert np.mean(action.device_bytes) == answered.chosen.details["device_bytes"]


def test_it_builds_none_and_says_why_where_no_pod_keeps_the_limits(seen, around):
    asked = OctopusKnobs(targets=(Target(metric=COST, op="<=", bound=1.0),))
    action = Octopus(asked, around).design(seen())
    assert action.pod is None
    assert "pod cost per host at most 1" in action.why


def test_slices_are_moved_aside_unless_that_is_switched_off(around):
    nothing = PoolObservation(0.0, ("device-1", "device-2"), np.zeros(2, dtype=np.int64), np.ones(2, dtype=np.int64), np.zeros(1))
    assert Octopus(OctopusKnobs(), around).refresh(nothing).migrate
    assert not Octopus(OctopusKnobs(migrate=False), around).refresh(nothing).migrate
    assert Octopus(OctopusKnobs(), around).refresh(nothing).score.shape == (2,)


def test_a_run_has_the_pod_that_was_chosen_before_it_and_keeps_the_cost(short):
    knobs = {"prefer": "cost", "hosts_at_least": 24}
    policy = held("pod_topology", "pool_allocation", **knobs)
    chosen = study.design(policy, short, 1).chosen
    metrics = run(short, policy)
    assert metrics[HOSTS] == chosen.metrics[HOSTS] >= 24
    assert metrics[COST] == pytest.approx(chosen.metrics[COST])
    assert metrics["memory.access_latency_s"] == chosen.metrics["memory.access_latency_s"]
    assert study.pod(policy, short, 1).pod.name == chosen.name


def test_moving_on_overflow_leaves_fewer_vms_without_room_and_saves_no_less(short):
    knobs = {"design": "islands-96x8n4"}
    plain, moving = (run(short, held(*levers, **knobs)) for levers in (("pod_topology",), ("pod_topology", "pool_allocation")))
    assert plain["memory.migrated_bytes"] == 0.0
    assert moving["memory.migrated_bytes"] > 0.0
    assert moving["memory.overflow_events"] < plain["memory.overflow_events"]
    assert moving[SAVING] >= plain[SAVING]


def test_without_a_pod_nothing_is_saved_and_nothing_is_paid(short):
    metrics = run(short, PolicySet())
    assert metrics[SAVING] == 0.0
    assert metrics[COST] == 0.0
    assert HOSTS not in metrics


def test_baselines_have_no_design_to_answer_with(short):
    assert study.design(PolicySet(), short, 1) is None

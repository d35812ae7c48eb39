"""The generic checker: what every system and baseline of the catalogue must satisfy."""

from typing import Any

import numpy as np
import pytest

from policies import catalogue, study
from policies.claim import Measured, Scored, Search
from policies.policy import Held, PolicySet, Schedule
from policies.probes import points_of
from policies.system import Knobs, System
from policies.trial import settled
from twin.metrics import METRICS
from twin.run import simulate
from twin.scenario import load
from twin.sources import sources
from twin.stack import Phase
from twin.variation import varied

IDS = sorted(catalogue.cards())


@pytest.fixture(params=IDS)
def system(request: pytest.FixtureRequest) -> System:
    return catalogue.card(request.param)


def policy_of(system: System) -> PolicySet:
    """Return the policy set in which a system holds every lever that it can."""
    return PolicySet(name=system.id, levers={lever: (Held(system=system.id),) for lever in system.levers})


def test_the_card_is_complete(system):
    assert system.name
    assert system.question.endswith("?")
    assert system.levers, "it holds no lever"
    assert set(system.levers) <= set(catalogue.levers())
    assert {*system.serves, *system.costs, *system.watch} <= set(METRICS)
    assert not set(system.serves) & set(system.costs)


def test_a_published_system_names_its_paper_and_its_claims(system):
    if system.paper is None:
        assert system.id in catalogue.baselines()
        assert not system.claims
    else:
        assert sources()[system.paper].kind == "paper"
        assert system.claims


def test_claims_name_known_metrics_and_policies_that_can_run(system):
    for claim in system.claims:
        # What is counted of an investigation's own words is no metric of a run.
        assert claim.metric in METRICS or (not claim.metric and isinstance(claim.evidence, Scored))
        assert claim.source.partition(":")[0] in sources()
        assert len(claim.setup) > 40, "the set-up must say what was fixed before tuning"
        for policy in claim.policies.values():
            catalogue.complete(PolicySet.model_validate(policy))
        if isinstance(claim.evidence, Search):
            assert claim.evidence.compare({}) is None, "without evidence there is no number"


def test_claims_that_are_searched_can_be_asked_everywhere_and_try_everybody_alike(system):
    for claim in system.claims:
        if not isinstance(claim.evidence, Search):
            continue
        search, scenario = claim.evidence, load(claim.scenario)
        assert {search.ours, *search.against} <= set(search.contenders)
        for point in points_of(search):
            there = varied(scenario, {**search.vary, **point.values})
            for label, contender in search.contenders.items():
                for knobs in contender.tries:
                    for size in contender.sizes or ({},):
                        catalogue.check(settled(contender.policy, {**knobs, **size}, label), there.entities())
        own = varied(scenario, search.vary)
        for sweep in search.sweeps:
            assert varied(own, sweep.settings[sweep.own]).canonical() == own.canonical(), "the claim's own point is in the sweep"
        if not isinstance(search.find, Measured):
            assert {objective.metric for objective in search.find.objectives} <= set(METRICS)
            tries = {label: len(contender.tries) for label, contender in search.contenders.items()}
            assert all(tries[search.ours] <= tries[label] for label in search.against), "ours is not tried more often than what it beats"


def test_every_knob_has_bounds_a_default_inside_them_and_a_description(system):
    for name, field in system.knobs.model_fields.items():
        if name == "targets":
            continue
        assert field.description, name
        assert not field.is_required(), name
    assert isinstance(system.knobs(), Knobs)
    system.knobs.model_validate(system.knobs().model_dump(mode="json"))


def test_every_lever_that_it_holds_has_its_method(system, tiny_scenario):
    holder = system.build(system.knobs(), study.surroundings(tiny_scenario))
    for lever, role in system.levers.items():
        declared = catalogue.levers()[lever]
        method = declared.decides if role == "holder" else declared.guards
        assert method is not None, f"{lever} takes no guards"
        assert callable(getattr(holder, method))


def test_sixty_ticks_run_inside_the_bounds_and_twice_the_same(system, tiny_scenario):
    until_s = 60 * tiny_scenario.spec.tick_s
    first, second = (simulate(tiny_scenario, _phases(system, tiny_scenario), seed=3, until_s=until_s) for _ in range(2))
    assert first.manifest["clips"] == {}, "actions lie within their bounds"
    assert first.run_id == second.run_id
    for name, table in first.tables.items():
        assert table.collect().equals(second.tables[name].collect()), name


def test_resuming_from_a_snapshot_changes_nothing(system, tiny_scenario):
    whole = simulate(tiny_scenario, _phases(system, tiny_scenario), seed=3, until_s=900.0, snapshots_at=(300.0, 900.0))
    from twin.run import Start

    start = Start(whole.run_id, 300.0, whole.snapshots[300])
    resumed = simulate(tiny_scenario, _phases(system, tiny_scenario), seed=3, until_s=900.0, start=start, snapshots_at=(900.0,))
    _same(resumed.snapshots[900]["holders"], whole.snapshots[900]["holders"])


def _phases(system: System, scenario: Any) -> tuple[Phase, ...]:
    return study.phases(Schedule.of(policy_of(system)), scenario)


def _same(mine: Any, other: Any) -> None:
    if isinstance(mine, dict):
        assert mine.keys() == other.keys()
        for key in mine:
            _same(mine[key], other[key])
    else:
        np.testing.assert_array_equal(mine, other)

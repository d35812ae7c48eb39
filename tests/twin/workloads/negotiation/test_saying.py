"""What workloads say: levels become hints, parts of a workload speak for themselves, and VMs say how much they are worth."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st
from numpy.typing import NDArray

from twin.workloads.negotiation import hint, keys
from twin.workloads.negotiation.classes import HIGHEST, Levels, WorkloadClass, named
from twin.workloads.negotiation.hint import Hints
from twin.workloads.negotiation.saying import Saying
from twin.workloads.negotiation.settings import Settings
from twin.workloads.negotiation.tenants import Tenants

PART = 0.4075


def _who(count: int, marks: NDArray[np.float64] | None = None, deployments: int = 1) -> Tenants:
    """So many VMs of one workload, half of them on servers, marked in turn."""
    numbers = np.arange(count)
    even = np.stack([(numbers * step % count + 0.5) / count for step in (1, 3, 7, 11, 13, 17, 19, 23)], axis=1)
    return Tenants(
        workload_ids=("web",), deployment_ids=tuple(f"web/deployment-{i + 1}" for i in range(deployments)), class_id=("own",),
        agent=("silent",), vm_ids=lambda: tuple(f"web/vm-{i}" for i in range(count)), outer=numbers,
        pool=(numbers < count // 2).astype(np.int64), workload=np.zeros(count, dtype=np.int64), deployment=numbers % deployments,
        deployment_workload=np.zeros(deployments, dtype=np.int64), cores=np.full(count, 4), memory_bytes=np.zeros(count, dtype=np.int64),
        arrive_s=np.zeros(count), end_s=np.full(count, np.inf), mean_share=np.full(count, 0.35), peak_share=np.full(count, 0.5),
        usd_per_h=np.ones(count), marks=even if marks is None else marks,
    )  # fmt: skip


def _saying(who: Tenants, levels: Levels, per_h: float = 6.0, seed: int = 1, **hints: Any) -> Saying:
    own = WorkloadClass(id="own", title="Own", share=1.0, levels=levels)
    tenant = {"id": "web", "class": "own", "deployments": len(who.deployment_ids), "hints": hints}
    return Saying(who, Settings.model_validate({"tenants": [tenant], "hints_per_h": per_h}), {"own": own}, 86400.0, seed)


def _in_force(who: Tenants, said: list[Hints]) -> dict[str, NDArray[np.float64]]:
    """Return each key's value by VM as the rules have it, plainly: deployment's, then VM's own."""
    values = {key.name: np.full(len(who), key.default, dtype=np.float64) for key in keys.KEYS}
    for scope in (1, 2):
        for each in said:
            for at in np.flatnonzero(each.scope == scope):
                mine = who.deployment == each.of[at] if scope == 1 else np.arange(len(who)) == each.of[at]
                values[keys.KEYS[each.key[at]].name][mine] = each.value[at]
    return values


def _values(levels: Levels, count: int = 400, **hints: Any) -> tuple[Tenants, dict[str, NDArray[np.float64]]]:
    who = _who(count)
    saying = _saying(who, levels, **hints)
    return who, _in_force(who, [saying.templates(), saying.born(np.arange(count), 5.0)])


def test_a_class_without_levels_says_what_holds_anyway() -> None:
    _, values = _values(Levels())
    for key in keys.KEYS:
        assert np.all(values[key.name] == key.default)


def test_whole_levels_are_said_by_the_deployment_alone() -> None:
    who = _who(20, deployments=2)
    saying = _saying(who, named("survey")["dev-test"].levels)
    assert len(saying.born(np.arange(20), 0.0)) == 0
    said = saying.templates()
    assert set(said.of.tolist()) == {0, 1}
    assert set(said.sayer.tolist()) == {hint.TEMPLATE}
    assert not said.t_s.any()
    found = {keys.KEYS[key].name: value for key, value in zip(said.key, said.value, strict=True)}
    assert found == {
        "stateless": 2, "scale_out_in": 1, "scale_up_down": 1, "deploy_time_s": 600, "availability_nines": 2,
        "preemptibility_share": 1, "preemptible": 1, "delay_tolerance_s": 3600, "region_independence": 2,
    }  # fmt: skip


def test_partial_levels_are_said_by_that_part_of_the_vms() -> None:
    # Microservices: three nines, preemption and region in part; of stateless VMs all.
    who, values = _values(named("survey")["microservices"].levels)
    covered = who.marks < PART
    assert np.array_equal(values["preemptible"] == 1.0, covered[:, 2])
    assert np.array_equal(values["region_independence"] == 2.0, covered[:, 3])
    assert np.all(values["preemptibility_share"] == PART)
    nines = np.where(covered[:, 2], 2.0, np.where(covered[:, 1], 3.0, 4.0))
    assert np.array_equal(values["availability_nines"], nines)
    assert covered.mean(axis=0) == pytest.approx(PART, abs=1 / 400)


def test_a_vm_says_only_what_is_otherwise_than_its_deployment_says() -> None:
    who = _who(400)
    saying = _saying(who, Levels(stateless=1, availability=2, preemption=1))
    said = saying.born(np.arange(100), 5.0)
    assert {keys.KEYS[key].name for key in said.key.tolist()} == {"stateless", "preemptible"}
    assert set(said.scope.tolist()) == {2}
    assert set(said.t_s.tolist()) == {5.0}
    assert said.of.max() < 100


@tried(max_examples=60, deadline=None)
@given(st.tuples(*(st.integers(0, most) for most in HIGHEST.values())))
def test_no_vm_may_be_evicted_that_needs_four_nines_and_every_deployment_allows_what_its_vms_say(found: tuple[int, ...]) -> None:
    levels = Levels(**dict(zip(HIGHEST, found, strict=True)))
    _, values = _values(levels, count=40)
    assert not np.any((values["preemptible"] == 1.0) & (values["availability_nines"] >= 4.0))
    assert not np.any((values["preemptible"] == 1.0) & (values["preemptibility_share"] == 0.0))
    for name, level in (("stateless", levels.stateless), ("preemptible", levels.preemption), ("region_independence", levels.region)):
        part = (0.0, PART, 1.0)[level]
        assert (values[name] > 0.0).mean() == pytest.approx(part, abs=1 / 40)


def test_one_level_more_never_makes_a_value_stricter() -> None:
    looser = {"deploy_time_s": 1, "availability_nines": -1}
    for name, most in HIGHEST.items():
        for level in range(most):
            for rest in ({}, {"stateless": 1, "availability": 1, "preemption": 1, "region": 1}):
                low, high = (_values(Levels(**{**rest, name: at}), count=40)[1] for at in (level, level + 1))
                for key in keys.KEYS:
                    assert np.all(looser.get(key.name, 1) * (high[key.name] - low[key.name]) >= 0.0), (name, level, key.name)


def test_what_the_scenario_says_of_a_key_holds_for_every_vm() -> None:
    levels = named("survey")["microservices"].levels
    _, values = _values(levels, availability_nines=5, data_residency=True, deploy_time_s=900, region_independence="none")
    assert np.all(values["availability_nines"] == 5.0)
    assert np.all(values["data_residency"] == 1.0)
    assert np.all(values["deploy_time_s"] == 900.0)
    assert not values["region_independence"].any()
    _, strict = _values(levels, preemptible=False)
    assert not strict["preemptible"].any()
    assert strict["availability_nines"].min() == 3.0


def test_a_level_that_is_partial_in_the_scenario_covers_the_same_part() -> None:
    who, values = _values(Levels(stateless=2), stateless="partial")
    assert np.array_equal(values["stateless"] == 2.0, who.marks[:, 0] < PART)
    assert np.all(values["scale_out_in"] == 1.0)


def test_every_vm_says_something_as_often_as_is_asked() -> None:
    # A Poisson process: counts of an hour have mean and variance of the rate.
    who = _who(5000)
    saying = _saying(who, Levels())
    said = saying.runtime(0.0, 3600.0, np.ones(5000, dtype=np.bool_))
    counts = np.bincount(said.of, minlength=5000)
    assert counts.mean() == pytest.approx(6.0, abs=5 * np.sqrt(6.0 / 5000))
    assert counts.var() == pytest.approx(6.0, rel=0.1)
    assert np.all(np.diff(said.t_s) >= 0.0)
    assert {keys.KEYS[key].name for key in said.key.tolist()} == {"vm_priority"}
    assert said.value.min() >= 0.0
    assert said.value.max() <= 100.0
    # A VM keeps near a level of its own.
    assert np.abs(said.value - 100.0 * who.marks[said.of, 4]).max() <= 20.5


def test_ticks_of_any_length_hear_the_same() -> None:
    who = _who(300)
    every = np.ones(300, dtype=np.bool_)
    whole = _saying(who, Levels()).runtime(0.0, 1800.0, every)
    for tick_s in (7.0, 60.0, 300.0):
        saying = _saying(who, Levels())
        parts = hint.joined([saying.runtime(t, min(t + tick_s, 1800.0), every) for t in np.arange(0.0, 1800.0, tick_s)])
        assert np.array_equal(parts.t_s, whole.t_s)
        assert np.array_equal(parts.of, whole.of)
        assert np.array_equal(parts.value, whole.value)
    later = _saying(who, Levels()).runtime(900.0, 1800.0, every)
    assert np.array_equal(later.t_s, whole.t_s[whole.t_s >= 900.0])
    assert not np.array_equal(_saying(who, Levels(), seed=2).runtime(0.0, 1800.0, every).t_s, whole.t_s)


def test_only_vms_that_stand_and_live_speak_and_none_beyond_the_run() -> None:
    who = _who(300)
    who.arrive_s[:100], who.end_s[200:] = 600.0, 900.0
    standing = np.arange(300) % 2 == 0
    said = _saying(who, Levels(), per_h=60.0).runtime(0.0, 1800.0, standing)
    assert not (said.of % 2).any()
    assert said.t_s[said.of < 100].min() >= 600.0
    assert said.t_s[said.of >= 200].max() < 900.0
    assert len(_saying(who, Levels()).runtime(86_400.0, 90_000.0, standing)) == 0
    assert len(_saying(who, Levels(), per_h=0.0).runtime(0.0, 3600.0, standing)) == 0


def test_a_value_that_the_scenario_gives_is_not_spoken_over() -> None:
    who = _who(100)
    saying = _saying(who, Levels(), vm_priority=80)
    assert len(saying.runtime(0.0, 3600.0, np.ones(100, dtype=np.bool_))) == 0
    assert np.all(_in_force(who, [saying.templates()])["vm_priority"] == 80.0)


def test_more_vms_leave_what_the_others_say_as_it_is() -> None:
    few, many = _who(2000), _who(9000)
    # Both have a thousand VMs on servers; many has more on hosts.
    many.pool[:] = np.arange(9000) < 1000
    one, other = (_saying(who, Levels()).runtime(0.0, 600.0, np.ones(len(who), dtype=np.bool_)) for who in (few, many))
    both = other.of < 2000
    assert np.array_equal(one.t_s, other.t_s[both])
    assert np.array_equal(one.of, other.of[both])

"""A bound on GPUs or on cost is a ceiling of reactive scaling, divided by need."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import study
from policies.baselines.ceiling import Ceiling
from policies.baselines.reactive import Reactive, ReactiveKnobs
from policies.policy import Held, PolicySet, ScopeSpec
from policies.system import Target
from twin.clock import Window

# Eight instances of four GPUs and ten dollars an hour.
FULL = {"batch_mean": np.full(8, 200.0)}


def bound(metric, value, **rest):
    return Target(metric=metric, op="<=", bound=value, **rest)


def wanted(around, serving_seen, *targets, **changes):
    return int(Reactive(ReactiveKnobs(targets=targets), around).scale(serving_seen(**{**FULL, **changes})).wanted.sum())


@pytest.mark.parametrize(
    ("metric", "values"), [("serving.gpus_mean", (32.0, 21.0, 8.0, 1.0)), ("serving.cost_usd_per_h", (80.0, 59.0, 20.0, 5.0))]
)
def test_a_tighter_bound_leaves_fewer_instances_at_once_and_the_last_one_stays(metric, values, around, serving_seen):
    assert [wanted(around, serving_seen, bound(metric, value)) for value in values] == [8, 5, 2, 1]


def test_a_bound_holds_where_and_when_it_says(around, serving_seen):
    gpus = "serving.gpus_mean"
    evening = bound(gpus, 8.0, from_hour=18.0, to_hour=20.0)
    assert wanted(around, serving_seen, evening) == 8
    assert wanted(around, serving_seen, evening, t_s=18.5 * 3600.0) == 2
    assert wanted(around, serving_seen, bound(gpus, 8.0, scope=(ScopeSpec(kind="row", id="row-1"),))) == 8, "a place is no endpoint"
    assert wanted(around, serving_seen, bound(gpus, 8.0, scope=(ScopeSpec(kind="endpoint", id="chat"),))) == 2
    assert wanted(around, serving_seen, bound(gpus, 8.0).model_copy(update={"op": ">="})) == 8, "a floor is no ceiling"
    assert wanted(around, serving_seen, bound("serving.cost_usd_per_million_tokens", 0.0)) == 8


def test_after_its_hours_what_is_needed_comes_back(around, serving_seen):
    holder = Reactive(ReactiveKnobs(targets=(bound("serving.gpus_mean", 8.0, from_hour=0.0, to_hour=1.0),)), around)
    assert holder.scale(serving_seen(**FULL)).wanted.sum() == 2
    assert holder.scale(serving_seen(t_s=3660.0, **FULL)).wanted.sum() == 8


COUNTS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40), st.sampled_from([1, 2, 4, 8])), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(pools=COUNTS, gpus=st.floats(1.0, 800.0), less=st.floats(0.1, 1.0))
def test_pools_keep_a_shared_bound_and_give_up_what_they_do_not_need_first(around, pools, gpus, less):
    needed, spare, wide = (np.array(column) for column in zip(*pools, strict=True))
    most, each = needed + spare, wide.astype(np.float64)
    everywhere = replace(around, endpoint_ids=tuple(f"e{index}" for index in range(len(pools))))

    def within(value):
        ceiling = Ceiling((bound("serving.gpus_mean", value),), everywhere)
        return ceiling.within((0.0, 60.0), np.arange(len(pools)), (each, each), (needed, most))

    held = within(gpus)
    assert (held <= most).all()
    assert (held >= 1).all()
    assert each @ held <= gpus or (held == 1).all()
    if each @ most <= gpus:
        np.testing.assert_array_equal(held, most)
    if each @ needed <= gpus:
        assert (held >= needed).all(), "nobody goes without what it needs while others hold more than they do"
    assert each @ within(gpus * less) <= each @ held or (within(gpus * less) == 1).all()


@pytest.mark.parametrize(("metric", "value"), [("serving.gpus_mean", 14.0), ("serving.cost_usd_per_h", 50.0)])
def test_the_twin_shows_the_bound_kept_once_the_first_instances_have_drained(metric, value, tiny_scenario, tmp_path: Path):
    def measured(*targets):
        knobs = {"floor_share": 1.0, "targets": tuple(target.model_dump(mode="json") for target in targets)}
        policy = PolicySet(name="bounded", levers={"instance_scaling": (Held(system="reactive", knobs=knobs),)})
        run_id = study.run(tiny_scenario, policy, 7, tmp_path)
        return study.value(run_id, tmp_path, metric, (), Window(13.25, 13.5))

    assert measured(bound(metric, value)) <= value < measured()

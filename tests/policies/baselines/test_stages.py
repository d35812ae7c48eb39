"""The layouts without an idea, and the scalers that live with roles and widths."""

import numpy as np
import pytest

from policies.baselines.reactive import Reactive, ReactiveKnobs
from policies.baselines.serving import StaticPeak, StaticPeakKnobs
from policies.baselines.stages import Monolithic, PrefillDecode, PrefillDecodeKnobs
from policies.system import Knobs
from twin.serving.levers import DECODE, IMAGE, PREFILL, WHOLE

WIDE = {"configured": np.arange(8) < 6, "instance_gpus": np.where(np.arange(8) < 6, 4, 8)}


def test_monolithic_instances_are_whole_whatever_they_were(around, serving_seen):
    assert (Monolithic(Knobs(), around).lay(serving_seen(role=np.full(8, PREFILL))).role == WHOLE).all()


@pytest.mark.parametrize(("share", "prefill"), [(0.5, 4), (0.25, 2), (0.05, 1), (0.95, 7)])
def test_prefill_and_decode_divide_an_endpoint_by_the_share_with_one_of_each_at_least(around, serving_seen, share, prefill):
    role = PrefillDecode(PrefillDecodeKnobs(prefill_share=share), around).lay(serving_seen()).role
    assert (role == PREFILL).sum() == prefill
    assert (role == DECODE).sum() == 8 - prefill


def test_the_first_two_of_an_even_division_are_one_of_each(around, serving_seen):
    role = PrefillDecode(PrefillDecodeKnobs(), around).lay(serving_seen()).role
    assert {PREFILL, DECODE} == set(role[:2].tolist())


def test_an_endpoint_with_one_instance_stays_whole(around, serving_seen):
    one = np.array([0, 0, 0, 0, 0, 0, 0, 1])
    role = PrefillDecode(PrefillDecodeKnobs(), around).lay(serving_seen(instance_endpoint=one, endpoint_ids=("chat", "code"))).role
    assert role[7] == WHOLE
    assert (role[:7] != WHOLE).all()


def test_the_peak_is_every_configured_instance_and_no_other_width(around, serving_seen):
    np.testing.assert_array_equal(StaticPeak(StaticPeakKnobs(), around).scale(serving_seen()).wanted, np.ones(8, dtype=bool))
    np.testing.assert_array_equal(StaticPeak(StaticPeakKnobs(), around).scale(serving_seen(**WIDE)).wanted, np.arange(8) < 6)


def test_the_peak_can_be_fewer_instances_of_another_width(around, serving_seen):
    def wanted(**knobs):
        return np.flatnonzero(StaticPeak(StaticPeakKnobs(**knobs), around).scale(serving_seen(**WIDE)).wanted).tolist()

    assert wanted(instances=3) == [0, 1, 2]
    assert wanted(tp=8) == [6, 7]
    assert wanted(tp=8, instances=1) == [6]
    assert wanted(tp=2) == [0, 1, 2, 3, 4, 5], "none is of that width"
    assert wanted(instances=100) == [0, 1, 2, 3, 4, 5]


def test_few_instances_are_still_some_of_each_role(around, serving_seen):
    role = np.array([PREFILL, PREFILL, PREFILL, PREFILL, DECODE, DECODE, DECODE, IMAGE])
    wanted = StaticPeak(StaticPeakKnobs(instances=4), around).scale(serving_seen(role=role)).wanted
    assert wanted.sum() == 4
    assert set(role[wanted].tolist()) == {PREFILL, DECODE, IMAGE}


def test_reactive_scaling_moves_configured_instances_alone(around, serving_seen):
    holder = Reactive(ReactiveKnobs(), around)
    wanted = holder.scale(serving_seen(batch_mean=np.full(8, 200.0), **WIDE)).wanted
    np.testing.assert_array_equal(wanted, np.arange(8) < 6)


def test_reactive_scaling_keeps_one_of_each_role(around, serving_seen):
    role = np.array([PREFILL, PREFILL, DECODE, DECODE, DECODE, IMAGE, IMAGE, IMAGE])
    holder = Reactive(ReactiveKnobs(cool_down_s=0.0, floor_share=0.0), around)
    for minute in range(60):
        wanted = holder.scale(serving_seen(t_s=60.0 * minute, role=role, batch_mean=np.zeros(8), prefill_share=np.zeros(8))).wanted
    np.testing.assert_array_equal(np.unique(role[wanted], return_counts=True)[1], [1, 1, 1])


def test_reactive_scaling_helps_the_role_that_is_full(around, serving_seen):
    role = np.array([PREFILL, PREFILL, PREFILL, PREFILL, IMAGE, IMAGE, IMAGE, IMAGE])
    state = np.array([2, 0, 0, 0, 2, 0, 0, 0])
    busy = {"role": role, "state": state, "batch_mean": np.zeros(8), "prefill_share": np.zeros(8)}
    holder = Reactive(ReactiveKnobs(), around)
    wanted = holder.scale(serving_seen(encode_share=np.where(role == IMAGE, 0.9, 0.0) * (state == 2), **busy)).wanted
    assert wanted[role == PREFILL].sum() == 1
    assert wanted[role == IMAGE].sum() == 3

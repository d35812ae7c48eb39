"""Placement: validators by predicted peaks, then cool servers for hot VMs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.systems.tapas.capacity import extra_servers
from policies.systems.tapas.knobs import TapasKnobs
from policies.systems.tapas.placement import Placement
from twin.plant.levers import CapacityObservation
from twin.workloads.levers import VmAsked

DAY, NIGHT, CALM = 0, 1, 2
LARGE = VmAsked(workload=DAY, gpus=8, opaque=True)
ONLY_HEAT = TapasKnobs(mix_weight=0.0, row_weight=0.0, fit_weight=0.0, heat_weight=1.0)


def best(seen, asked=LARGE, knobs=TapasKnobs()):  # noqa: B008 - frozen
    return int(np.argmax(Placement(knobs).rank(seen, asked)))


def full_row(workload, opaque=True, row=0, servers=3):
    return [(workload, 4 * row + server, 8, opaque) for server in range(servers)]


def test_a_vm_never_goes_where_it_does_not_fit(placing):
    rank = Placement(TapasKnobs()).rank(placing([(DAY, 2, 1, True)]), LARGE)
    assert np.flatnonzero(np.isinf(rank)).tolist() == [2]


def test_a_row_whose_predicted_peak_would_pass_its_budget_is_left_out(placing):
    # Three of four servers of row 1 are at work by day: with the fourth it would peak at about 38 kW.
    seen = placing([*full_row(DAY), *full_row(CALM, row=1)], row_budget_w=np.array([36_000.0, 44_000.0]))
    knobs = TapasKnobs(mix_weight=0.0, row_weight=0.0, heat_weight=0.0)
    assert best(seen, knobs=knobs) == 7
    assert best(placing([*full_row(DAY), *full_row(CALM, row=1)]), knobs=knobs) == 3, "with enough power the first is as good"


def test_peaks_at_different_hours_do_not_add(placing):
    knobs = TapasKnobs(mix_weight=0.0, row_weight=0.0, heat_weight=0.0, refuse=True)
    tight = {"row_budget_w": np.array([36_000.0, 36_000.0])}
    by_night = placing([*full_row(NIGHT), *full_row(DAY, row=1)], **tight)
    rank = Placement(knobs).rank(by_night, LARGE)
    assert np.isfinite(rank[3])
    assert np.isinf(rank[7])


def test_an_aisle_short_of_air_is_left_out(placing):
    knobs = TapasKnobs(mix_weight=0.0, row_weight=0.0, heat_weight=0.0)
    seen = placing([*full_row(DAY), *full_row(DAY, row=1)], aisle_supply_m3_per_s=np.array([2.0, 2.6]))
    assert best(seen, knobs=knobs) == 7


@pytest.mark.parametrize(("refuse", "placed"), [(False, True), (True, False)])
def test_where_nothing_passes_the_least_excess_wins_or_the_vm_waits(placing, refuse, placed):
    seen = placing([*full_row(DAY), *full_row(DAY, row=1)], row_budget_w=np.array([20_000.0, 24_000.0]))
    rank = Placement(TapasKnobs(refuse=refuse)).rank(seen, LARGE)
    assert np.isfinite(rank[[3, 7]]).all() == placed
    if placed:
        assert rank[7] > rank[3]


def test_hot_vms_go_to_cool_servers_and_calm_ones_to_warm(placing):
    seen = placing(offset_c=np.array([2.0, 0.0, 4.0, 1.0, 3.0, -2.0, 2.5, 1.5]))
    assert best(seen, knobs=ONLY_HEAT) == 5
    assert best(seen, VmAsked(CALM, 8, True), knobs=ONLY_HEAT) == 2


def test_opaque_and_managed_vms_are_mixed_in_every_row(placing):
    knobs = TapasKnobs(row_weight=0.0, heat_weight=0.0)
    seen = placing([*full_row(CALM, opaque=True, servers=2), *full_row(CALM, opaque=False, row=1, servers=2)])
    assert best(seen, VmAsked(CALM, 8, opaque=True), knobs=knobs) in (6, 7)
    assert best(seen, VmAsked(CALM, 8, opaque=False), knobs=knobs) in (2, 3)


def test_a_row_far_below_its_budget_is_preferred(placing):
    seen = placing([*full_row(DAY, servers=2), *full_row(CALM, row=1, servers=2)])
    assert best(seen, knobs=TapasKnobs(mix_weight=0.0, heat_weight=0.0)) in (6, 7)


def test_small_vms_fill_servers_that_are_partly_taken(placing):
    seen = placing([(CALM, 5, 4, True)])
    assert best(seen, VmAsked(CALM, 4, True), knobs=TapasKnobs(mix_weight=0.0, row_weight=0.0, heat_weight=0.0)) == 5


def test_only_the_coming_hours_count_where_that_is_asked(placing):
    knobs = TapasKnobs(mix_weight=0.0, row_weight=0.0, heat_weight=0.0, refuse=True, placement_hours=4)
    busy = [*full_row(DAY), *full_row(DAY, row=1)]
    tight = {"row_budget_w": np.full(2, 36_000.0)}
    assert np.isinf(Placement(knobs).rank(placing(busy, hour_of_week=12, **tight), LARGE)).all()
    assert np.isfinite(Placement(knobs).rank(placing(busy, hour_of_week=0, **tight), LARGE)[3])


@settings(max_examples=25, deadline=None)
@given(
    vms=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 7), st.integers(1, 2), st.booleans()), max_size=20),
    gone=st.sets(st.integers(0, 19)),
    workload=st.integers(0, 2),
)
def test_what_was_asked_before_changes_no_answer(placing, vms, gone, workload):
    asked, used = VmAsked(workload, 2, True), Placement(TapasKnobs())
    placed = [vm for index, vm in enumerate(vms) if sum(other[2] for other in vms[: index + 1] if other[1] == vm[1]) <= 8]
    left = [vm for index, vm in enumerate(placed) if index not in gone]
    used.rank(placing(placed), asked)
    seen = placing(left)
    np.testing.assert_array_equal(used.rank(seen, asked), Placement(TapasKnobs()).rank(seen, asked))


@settings(max_examples=50, deadline=None)
@given(servers=st.lists(st.integers(0, 60), min_size=1, max_size=8), share=st.floats(0.0, 1.0))
def test_extra_servers_add_up_to_their_share_and_stay_within_each_row(servers, share):
    count = np.array(servers)
    seen = CapacityObservation(tuple(map(str, servers)), count, np.ones(len(count)), np.ones(len(count)))
    extra = extra_servers(seen, share).extra_servers
    assert abs(extra.sum() - share * count.sum()) <= 0.5 + 1e-6
    assert (np.abs(extra - share * count) <= 1.0).all()
    assert ((extra >= 0) & (extra <= count)).all()

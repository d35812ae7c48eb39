"""Who gets which optimisations for which hints, and why not more."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.systems.workload_intelligence.conditions import CLAUSES, CONDITIONS, codes, eligible_by_code, missing
from policies.systems.workload_intelligence.grants import Choice, allowed
from twin.workloads.levers import REASONS
from twin.workloads.negotiation import keys
from twin.workloads.negotiation.treatments import (
    HARVEST,
    INDEX,
    MA,
    SPOT,
    SURPLUS,
    TREATMENTS,
    clashes,
    discounts,
    price_share,
)

# From the most careful hint of each key to the most permissive one.
STEPS = {
    "stateless": (0.0, 1.0, 2.0),
    "scale_out_in": (0.0, 1.0),
    "scale_up_down": (0.0, 1.0),
    "deploy_time_s": (60.0, 300.0, 600.0),
    "availability_nines": (5.0, 4.0, 3.0, 2.0),
    "preemptible": (0.0, 1.0),
    "delay_tolerance_s": (0.0, 3600.0),
    "region_independence": (0.0, 1.0, 2.0),
    "data_residency": (1.0, 0.0),
}
OFF = st.fixed_dictionaries({each.name: st.floats(0, 1) for each in TREATMENTS})


def lattice() -> tuple[dict[str, np.ndarray], tuple[int, ...]]:
    """Every combination of hints, one axis a key."""
    axes = np.meshgrid(*(np.array(steps) for steps in STEPS.values()), indexing="ij")
    return {
        **{key.name: np.full(axes[0].size, key.default) for key in keys.KEYS},
        **dict(zip(STEPS, map(np.ravel, axes), strict=True)),
    }, axes[0].shape


def test_a_vm_without_hints_is_left_as_it_is_at_the_full_price():
    nothing = {key.name: np.array([key.default]) for key in keys.KEYS}
    granted = Choice(discounts()).best[eligible_by_code()[codes(nothing, np.array([True]))]]
    assert granted.tolist() == [0]
    assert price_share(granted, discounts()).tolist() == [1.0]


@pytest.mark.parametrize("fits", [True, False])
def test_one_more_permissive_hint_never_raises_a_price_nor_closes_an_optimisation(fits):
    hints, shape = lattice()
    eligible = eligible_by_code()[codes(hints, np.full(shape, fits).ravel())]
    price = price_share(Choice(discounts()).best[eligible], discounts()).reshape(shape)
    assert price.min() < 0.1
    assert price.max() == 1.0
    for axis in range(len(shape)):
        assert np.diff(price, axis=axis).max() <= 1e-12, list(STEPS)[axis]
        wider, narrower = np.delete(eligible.reshape(shape), 0, axis), np.delete(eligible.reshape(shape), -1, axis)
        assert ((narrower & ~wider) == 0).all(), list(STEPS)[axis]


@settings(max_examples=20, deadline=None)
@given(OFF)
def test_that_holds_whatever_each_optimisation_takes_off(off):
    choice = Choice(off)
    price = price_share(choice.best, off).reshape((2,) * len(TREATMENTS))
    for axis in range(price.ndim):
        assert np.diff(price, axis=axis).max() <= 1e-9


def test_spot_and_harvest_are_never_for_a_vm_that_needs_four_nines_nor_multi_availability():
    hints, shape = lattice()
    eligible = eligible_by_code()[codes(hints, np.ones(np.prod(shape), dtype=np.bool_))]
    four = hints["availability_nines"] >= 4
    assert four.any()
    assert not (eligible[four] & (SURPLUS | MA)).any()
    assert not (eligible[hints["preemptible"] < 1] & SURPLUS).any()


def test_treatments_of_one_slot_never_meet_and_surplus_stands_alone():
    best = Choice(discounts()).best
    assert not clashes(best).any()
    assert not clashes(allowed()).any()
    # Every set that goes together: 2 tiers x 3 sizes x 3 clocks x count x place x deployment, and the two of surplus alone.
    assert len(allowed()) == 2 * 3 * 3 * 2 * 2 * 2 + 2


def test_the_cheapest_set_is_taken_even_where_spot_would_be_open():
    everything = np.array([(1 << len(TREATMENTS)) - 1])
    assert Choice(discounts()).best[everything].tolist() == [HARVEST]
    without_harvest = everything & ~HARVEST
    stacked = Choice(discounts()).best[without_harvest]
    # 0.6 x 0.5 x 0.78 x 0.7 x 0.9 x 0.98 = 0.1445 is less than 0.15.
    assert price_share(stacked, discounts())[0] == pytest.approx(0.6 * 0.5 * 0.78 * 0.7 * 0.9 * 0.98)
    assert not stacked[0] & SPOT
    assert Choice({**discounts(), "spot": 0.9}).best[without_harvest].tolist() == [SPOT]


def test_why_says_the_missing_hint_and_turning_it_on_opens_the_optimisation(willing):
    choice, fits = Choice(discounts()), np.array([True])
    for treatment, clauses in CONDITIONS.items():
        for clause in clauses:
            if not clause.key:
                continue
            default = keys.KEYS[keys.INDEX[clause.key]].default
            hints = {key.name: np.array([willing.get(key.name, key.default)]) for key in keys.KEYS}
            hints[clause.key] = np.array([1.0 if clause.key == "data_residency" else default])
            code = codes(hints, fits)
            reason = int(choice.why(code, eligible_by_code()[code])[0, INDEX[treatment]])
            assert REASONS[reason % 8] == ("forbidden" if clause.forbids else "missing")
            assert keys.KEYS[reason // 8 - 1].name == clause.key
            assert [each.key for each in missing({name: float(value[0]) for name, value in hints.items()}, treatment)] == [clause.key]


def test_why_tells_granted_from_better_and_short(willing):
    choice = Choice(discounts())
    hints = {key.name: np.full(2, willing.get(key.name, key.default)) for key in keys.KEYS}
    code = codes(hints, np.ones(2, dtype=np.bool_))
    eligible = eligible_by_code()[code]
    why = choice.why(code, eligible & np.array([-1, ~HARVEST]))
    words = [[REASONS[reason % 8] for reason in row] for row in why.tolist()]
    assert words[0][INDEX["harvest"]] == "granted"
    assert words[0][INDEX["spot"]] == words[0][INDEX["rightsizing"]] == "better"
    assert words[1][INDEX["harvest"]] == "short"
    assert words[1][INDEX["rightsizing"]] == "granted"
    assert words[1][INDEX["oversubscription"]] == "better"


def test_a_vm_that_needs_its_size_is_told_so_without_a_hint_to_give(willing):
    code = codes({key.name: np.array([willing.get(key.name, key.default)]) for key in keys.KEYS}, np.array([False]))
    reason = int(Choice(discounts()).why(code, eligible_by_code()[code])[0, INDEX["rightsizing"]])
    assert (REASONS[reason % 8], reason // 8) == ("short", 0)


def test_every_treatment_has_its_conditions():
    assert set(CONDITIONS) == {each.name for each in TREATMENTS}
    assert len(CLAUSES) == len(set(CLAUSES))

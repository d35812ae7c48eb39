"""The uniform cap: everybody alike, only while a row is over."""

import numpy as np

from policies.baselines.plant import UniformCap, UniformCapKnobs


def test_a_row_inside_its_budget_is_left_alone(around, plant_seen):
    assert (UniformCap(UniformCapKnobs(), around).cap(plant_seen()).clock_cap_share == 1.0).all()


def test_a_row_over_its_budget_is_capped_alike_whatever_runs_there(around, plant_seen):
    seen = plant_seen(row_budget_w=np.array([10_000.0, 15_000.0]))
    cap = UniformCap(UniformCapKnobs(), around).cap(seen).clock_cap_share
    assert len(set(cap[:16])) == 1
    assert cap[0] < 1.0
    assert (cap[16:] == 1.0).all()


def test_the_cap_brings_the_row_to_its_share_of_the_budget_at_once(around, plant_seen):
    knobs = UniformCapKnobs()
    seen = plant_seen(row_budget_w=np.array([10_000.0, 15_000.0]))
    clock = UniformCap(knobs, around).cap(seen).clock_cap_share[0]
    left = 0.8 * clock + 0.2 * clock**3
    saved = 16 * (500.0 - knobs.idle_w) * (1.0 - left)
    np.testing.assert_allclose(12_000.0 - saved, knobs.cap_to_share * 10_000.0, rtol=1e-3)


def test_a_cap_is_held_near_the_budget_and_eased_below_it(around, plant_seen):
    holder = UniformCap(UniformCapKnobs(), around)
    budget = np.array([10_000.0, 15_000.0])
    tight = holder.cap(plant_seen(row_budget_w=budget)).clock_cap_share[0]
    near = holder.cap(plant_seen(row_budget_w=budget, row_power_w=np.array([9_500.0, 9_500.0]))).clock_cap_share[0]
    far = holder.cap(plant_seen(row_budget_w=budget, row_power_w=np.array([8_000.0, 8_000.0]))).clock_cap_share[0]
    assert tight == near < far


def test_a_restored_cap_goes_on_where_it_was(around, plant_seen):
    holder, other = (UniformCap(UniformCapKnobs(), around) for _ in range(2))
    over = plant_seen(row_budget_w=np.array([10_000.0, 10_000.0]))
    holder.cap(over)
    other.restore(holder.snapshot())
    np.testing.assert_array_equal(holder.cap(over).clock_cap_share, other.cap(over).clock_cap_share)

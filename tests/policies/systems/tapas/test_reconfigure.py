"""Models change only where clocks and batches do not suffice, and change back."""

from dataclasses import replace

import numpy as np
import pytest

from policies.systems.tapas.knobs import TapasKnobs
from policies.systems.tapas.policy import Tapas
from policies.systems.tapas.reconfigure import Allowed, Reconfiguration
from twin.serving.latency import profile
from twin.serving.levers import ConfigAction

TWO = np.stack([np.tile(np.array(profile("h100", "vllm", model, 8).coefficients), (8, 1)) for model in ("70b", "8b")])
NOBODY, ALL = np.zeros(8, dtype=np.bool_), np.ones(8, dtype=np.bool_)


def allowed(clock_share, gpu_w, unmet, short, room_c=np.inf):
    return Allowed(clock_share, gpu_w, np.full(8, room_c), unmet, short, ALL, np.tile([10.0, 50.0], (8, 1)))


FREE = allowed(np.ones(8), np.full(8, np.inf), NOBODY, NOBODY)
TIGHT = allowed(np.full(8, 0.55), np.full(8, 200.0), ALL, NOBODY)
SLOW = allowed(np.full(8, 0.55), np.full(8, np.inf), NOBODY, NOBODY)


@pytest.fixture
def offered(serving_seen):
    """Observations of an endpoint that offers a 70B and an 8B model, asked ``per_s`` chats a second."""

    def make(minute, per_s=40.0, variant=None, **changes):
        rates = {"endpoint_arrivals_per_s": np.array([per_s]), "endpoint_prompt_tokens_per_s": np.array([1000.0 * per_s])}
        offer = {"variant_latency": TWO, "variant_quality_share": np.array([[1.0, 0.66]])}
        held = np.zeros(8, dtype=np.int64) if variant is None else variant
        return serving_seen(
            t_s=60.0 * minute, **{**rates, "endpoint_output_tokens_per_s": np.array([200.0 * per_s]), "variant": held, **offer, **changes}
        )

    return make


def run(change, offered, minutes, allowed, variant=None, per_s=40.0):
    """Play minutes in which instances hold at once what they are told; return their models and batch limits at the end."""
    held, batch = np.zeros(8, dtype=np.int64) if variant is None else variant, np.full(8, 256)
    for minute in minutes:
        seen = offered(minute, per_s=per_s, variant=held, speed_share=allowed.clock_share)
        out = change.narrow(seen, ConfigAction(np.ones(8), seen.max_batch.copy(), seen.variant.copy()), allowed)
        held, batch = out.variant.copy(), out.max_batch
    return held, batch


def test_nothing_but_clocks_moves_while_clocks_suffice(offered):
    held, batch = run(Reconfiguration(TapasKnobs(), 1), offered, range(1, 30), SLOW, per_s=20.0)
    assert (held == 0).all()
    assert (batch == 256).all()


def test_nothing_moves_without_a_bound_whatever_the_demand(offered):
    held, _ = run(Reconfiguration(TapasKnobs(), 1), offered, range(1, 30), FREE, per_s=500.0)
    assert (held == 0).all()


def test_as_many_change_as_it_takes_to_carry_the_demand(offered):
    some, _ = run(Reconfiguration(TapasKnobs(), 1), offered, range(1, 30), SLOW, per_s=100.0)
    more, _ = run(Reconfiguration(TapasKnobs(), 1), offered, range(1, 30), SLOW, per_s=200.0)
    assert 0 < (some == 1).sum() < (more == 1).sum() < 8


def test_few_change_at_once(offered):
    held, _ = run(Reconfiguration(TapasKnobs(), 1), offered, range(1, 4), SLOW, per_s=1000.0)
    assert (held == 1).sum() == 2, "two windows of patience, then one a window while the others cannot do without more"
    held, _ = run(Reconfiguration(TapasKnobs(), 1), offered, range(1, 4), TIGHT, per_s=30.0)
    assert (held == 1).sum() == 4, "and a third of the instances a window where they can"


def test_who_is_spared_by_routing_carries_nothing(offered):
    """Counted among those who serve, they made batches of the others too small, and queues of hundreds."""
    tight, half = replace(TIGHT, gpu_w=np.full(8, 150.0), short=ALL), np.arange(8) < 4
    _, batch = run(Reconfiguration(TapasKnobs(), 1), offered, range(1, 2), replace(tight, asked=half), per_s=10.0)
    _, double = run(Reconfiguration(TapasKnobs(), 1), offered, range(1, 2), tight, per_s=20.0)
    np.testing.assert_array_equal(batch, double)


def test_models_with_worse_answers_than_allowed_are_left_alone(offered):
    held, _ = run(Reconfiguration(TapasKnobs(least_quality_share=0.9), 1), offered, range(1, 30), SLOW, per_s=200.0)
    assert (held == 0).all()


def test_what_was_changed_comes_back_after_a_calm_while_and_not_before(offered):
    change = Reconfiguration(TapasKnobs(quality_hold_s=600.0), 1)
    held, _ = run(change, offered, range(1, 20), SLOW, per_s=150.0)
    assert (held == 1).any()
    soon, _ = run(change, offered, range(20, 28), FREE, variant=held, per_s=4.0)
    np.testing.assert_array_equal(soon, held)
    late, _ = run(change, offered, range(28, 80), FREE, variant=soon, per_s=4.0)
    assert (late == 0).all()


def test_where_the_lowest_clock_is_too_hot_the_cooler_model_takes_over(offered):
    # 20 requests a second on eight 70B instances draw more than 200 W a GPU; the 8B model serves them for less.
    tight = allowed(np.full(8, 0.55), np.full(8, 200.0), ALL, NOBODY)
    held, _ = run(Reconfiguration(TapasKnobs(), 1), offered, range(1, 30), tight, per_s=30.0)
    assert (held == 1).all()


def test_a_holder_below_that_leaves_what_is_loaded_does_not_keep_the_change(offered):
    change = Reconfiguration(TapasKnobs(quality_hold_s=60.0), 1)
    own = np.ones(8, dtype=np.int64)
    held, _ = run(change, offered, range(1, 40), FREE, variant=own, per_s=4.0)
    np.testing.assert_array_equal(held, own), "what another policy loaded is left"


def test_a_restored_holder_changes_the_same(around, offered):
    one, two = Tapas(TapasKnobs(), around), Tapas(TapasKnobs(), around)
    tight = {"row_power_w": np.full(2, 30_000.0), "row_budget_w": np.full(2, 22_000.0), "gpu_power_w": np.full(8, 600.0)}
    full = ConfigAction(np.ones(8), np.full(8, 256), np.zeros(8, dtype=np.int64))
    for minute in range(1, 8):
        seen = offered(minute, per_s=200.0, **tight)
        one.narrow_config(seen, full)
        one.admit(seen)
    two.restore(one.snapshot())
    for minute in range(8, 12):
        seen = offered(minute, per_s=200.0, **tight)
        mine, other = one.narrow_config(seen, full), two.narrow_config(seen, full)
        np.testing.assert_array_equal(mine.variant, other.variant)
        np.testing.assert_array_equal(mine.clock_share, other.clock_share)
    assert (mine.variant == 1).any()


def test_batches_are_limited_at_once_and_models_wait(offered):
    change, tight = Reconfiguration(TapasKnobs(), 1), allowed(np.full(8, 0.55), np.full(8, 150.0), ALL, ALL)
    held, batch = run(change, offered, range(1, 2), tight, per_s=10.0)
    assert (held == 0).all()
    assert ((batch > 1) & (batch < 256)).all(), "a smaller batch draws less and still carries the demand"
    held, batch = run(change, offered, range(2, 30), tight, per_s=10.0)
    assert (held == 1).all()
    assert (batch == 256).all(), "the other model draws less than there is"


def test_what_is_too_hot_by_the_learned_rise_makes_way_for_a_cooler_model(offered):
    # At 30 requests a second the 70B instances draw more than the 15 C that are left allow (10 C at no power, 50 C more at rated).
    hot = allowed(np.full(8, 0.55), np.full(8, np.inf), ALL, NOBODY, room_c=24.0)
    held, batch = run(Reconfiguration(TapasKnobs(), 1), offered, range(1, 30), hot, per_s=30.0)
    assert (held == 1).all()
    assert (batch == 256).all(), "heat does not ask for smaller batches"
    cool, _ = run(Reconfiguration(TapasKnobs(), 1), offered, range(1, 30), replace(hot, rise=np.tile([5.0, 10.0], (8, 1))), per_s=30.0)
    assert (cool == 0).all(), "GPUs that stay cool keep their model"

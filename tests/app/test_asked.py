"""A bound is broken exactly where more than the allowance is used."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.asked import share, word
from app.report.judgement import Bound


@settings(max_examples=80, deadline=None)
@given(bound=st.floats(1.0, 1e6), value=st.floats(0.0, 2e6), op=st.sampled_from(["<=", ">="]))
def test_above_one_is_broken_for_every_direction(bound: float, value: float, op: str) -> None:
    limit = Bound("I-01", op, bound, relative=False, must=True)
    used = share("serving.throughput_per_s", limit, None, value)
    assert used is not None
    stands = word(limit, None, value, used)
    if abs(used - 1.0) > 1e-6:
        assert (stands == "broken") == (used > 1.0)


def test_the_error_budget_is_the_allowance_of_a_share_that_must_be_high() -> None:
    limit = Bound("I-01", ">=", 0.99, relative=False, must=True)
    assert share("serving.slo_attainment_share", limit, None, 0.992) == pytest.approx(0.8)
    assert word(limit, None, 0.98, 2.0) == "broken"


def test_a_relative_bound_without_todays_run_waits() -> None:
    limit = Bound("I-01", "<=", -0.2, relative=True, must=True)
    assert share("serving.cost_usd_per_h", limit, None, 1400.0) is None
    assert word(limit, None, 1400.0, None) == "waiting"
    assert word(limit, 1840.0, 1450.0, share("serving.cost_usd_per_h", limit, 1840.0, 1450.0)) == "at risk"

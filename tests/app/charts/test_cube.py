import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.charts.cube import MISSING, encode, pack, unpack

LOW, HIGH, LIMIT = 30.0, 106.2, 85.0
days = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 9)), elements=st.floats(20.0, 120.0))


def test_a_byte_of_gpu_temperature_is_three_tenths_of_a_degree() -> None:
    assert encode(np.array([[50.0]]), LIMIT, LOW, HIGH).step == pytest.approx(0.3)


@settings(max_examples=60, deadline=None)
@given(days)
def test_values_inside_the_scale_come_back_within_one_step(values: np.ndarray) -> None:
    cube = encode(values, LIMIT, LOW, HIGH)
    inside = (values >= LOW) & (values <= HIGH)
    assert np.all(np.abs(cube.values() - values)[inside] <= cube.step + 1e-9)


@settings(max_examples=60, deadline=None)
@given(days, st.floats(40.0, 100.0))
def test_over_the_limit_is_exact_whatever_the_rounding(values: np.ndarray, limit: float) -> None:
    assert np.array_equal(encode(values, limit, LOW, HIGH).over(), values > limit)


def test_a_hair_above_its_limit_is_flagged_and_at_the_limit_is_not() -> None:
    cube = encode(np.array([[85.0, 85.001, 87.0]]), np.array([85.0, 85.0, 87.0]), LOW, HIGH)
    assert cube.over().tolist() == [[False, True, False]]


def test_places_without_a_value_have_the_code_of_none_and_are_never_over() -> None:
    cube = encode(np.array([[np.nan, 99.0]]), np.array([85.0, np.inf]), LOW, HIGH)
    assert cube.codes[0, 0] == MISSING
    assert not cube.over().any()
    assert np.isnan(cube.values()[0, 0])


@settings(max_examples=40, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 7), st.just(5))))
def test_what_is_packed_is_unpacked(codes: np.ndarray) -> None:
    assert np.array_equal(unpack(pack(codes), 5), codes)


def test_a_limit_outside_the_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="widen the scale"):
        encode(np.array([[50.0]]), 200.0, LOW, HIGH)

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.store import states

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
keys = st.text(max_size=5).filter(lambda key: not key.startswith("@"))
arrays = st.lists(st.floats(allow_nan=False), max_size=5).map(np.array)
trees = st.dictionaries(
    keys, st.recursive(scalars | arrays, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)), max_size=4
)


def same(left: object, right: object) -> bool:
    if isinstance(left, np.ndarray):
        return isinstance(right, np.ndarray) and left.dtype == right.dtype and np.array_equal(left, right)
    if isinstance(left, dict):
        return isinstance(right, dict) and list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


@settings(max_examples=60, deadline=None)
@given(trees)
def test_a_state_comes_back_as_it_was_and_packs_to_the_same_bytes(state: dict[str, object]) -> None:
    packed = states.pack(state)
    again = states.unpack(packed)
    assert same(state, again)
    assert states.pack(again) == packed


def test_a_random_generator_goes_on_where_it_was() -> None:
    random = np.random.Generator(np.random.PCG64(7))
    random.random(5)
    kept = states.unpack(states.pack({"random": random.bit_generator.state}))
    other = np.random.Generator(np.random.PCG64(0))
    other.bit_generator.state = kept["random"]
    assert other.random() == random.random()


def test_numpy_scalars_and_structured_arrays_keep_their_type() -> None:
    state = {"n": np.int64(3), "f": np.float32(0.5), "rows": np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])}
    again = states.unpack(states.pack(state))
    assert type(again["n"]) is np.int64
    assert type(again["f"]) is np.float32
    assert again["rows"].dtype == state["rows"].dtype


@pytest.mark.parametrize("value", [(1, 2), {1, 2}, np.array([object()]), {"@array": 1}, {3: 1}])
def test_what_cannot_be_kept_is_refused_by_its_place(value: object) -> None:
    with pytest.raises(ValueError, match=r"/plant/x"):
        states.pack({"plant": {"x": value}})


def test_a_damaged_snapshot_is_one_clear_line() -> None:
    packed = states.pack({"a": np.arange(1000.0)})
    for damaged in (packed[: len(packed) // 2], packed[:200] + b"\0" * 50 + packed[250:], b""):
        with pytest.raises(ValueError, match="snapshot is damaged"):
            states.unpack(damaged)

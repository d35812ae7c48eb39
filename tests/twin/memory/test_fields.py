"""Finite fields."""

import numpy as np
import pytest

from twin.memory.fields import ORDERS, field


@pytest.mark.parametrize("order", ORDERS)
def test_every_table_is_a_field(order: int) -> None:
    """Both operations commute and associate, products distribute over sums, and each element but 0 has an inverse."""
    f, all_of = field(order), np.arange(order)
    a, b, c = np.meshgrid(all_of, all_of, all_of, indexing="ij")
    for table, neutral in ((f.sums, 0), (f.products, 1)):
        assert np.array_equal(table, table.T)
        assert np.array_equal(table[neutral], all_of)
        assert np.array_equal(table[table[a, b], c], table[a, table[b, c]])
        # Each row and column of what is invertible holds every element once: a Latin square.
        inner = table[neutral:, neutral:]
        assert np.array_equal(np.sort(inner, axis=1), np.tile(all_of[neutral:], (order - neutral, 1)))
    assert np.array_equal(f.products[a, f.sums[b, c]], f.sums[f.products[a, b], f.products[a, c]])
    assert np.array_equal(f.products[all_of[1:], f.inverses[1:]], np.ones(order - 1))


@pytest.mark.parametrize("order", ORDERS)
def test_every_element_is_a_root_of_x_to_the_order_less_x(order: int) -> None:
    """Fermat's little theorem, and its like in every finite field: x^q = x."""
    assert np.array_equal(field(order).power(np.arange(order), order), np.arange(order))


@pytest.mark.parametrize("order", [2, 3, 5, 7])
def test_a_field_of_a_prime_counts_modulo_it(order: int) -> None:
    a, b = np.meshgrid(np.arange(order), np.arange(order), indexing="ij")
    assert np.array_equal(field(order).sums, (a + b) % order)
    assert np.array_equal(field(order).products, a * b % order)


@pytest.mark.parametrize("order", [0, 1, 6, 10, 16])
def test_an_order_without_a_table_is_refused(order: int) -> None:
    with pytest.raises(ValueError, match=f"no field of {order} elements"):
        field(order)

"""Finite fields of up to nine elements, as tables of sums and products."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

# Order -> its prime and the low coefficients (1, x, ..) of the monic irreducible polynomial that is taken as zero.
_POLYNOMIALS: Final[dict[int, tuple[int, tuple[int, ...]]]] = {
    2: (2, (0,)),
    3: (3, (0,)),
    4: (2, (1, 1)),
    5: (5, (0,)),
    7: (7, (0,)),
    8: (2, (1, 1, 0)),
    9: (3, (1, 0)),
}
ORDERS: Final = tuple(_POLYNOMIALS)


@dataclass(frozen=True)
class Field:
    """GF(q): elements are 0 .. q-1, read as polynomials with their coefficients as digits in base p.

    ``sums`` and ``products`` have shape (q, q).
    """

    order: int
    sums: Ints
    products: Ints

    @cached_property
    def inverses(self) -> Ints:
        """The inverse of each element, shape (q,); that of 0 is given as 0."""
        out: Ints = np.argmax(self.products == 1, axis=1).astype(np.int64)
        out[0] = 0
        return out

    def power(self, base: Ints, exponent: int) -> Ints:
        """Return each element of ``base`` to the power of ``exponent`` >= 1."""
        out = base
        for _ in range(exponent - 1):
            out = np.asarray(self.products[out, base])
        return out


def _digits(value: int, prime: int, length: int) -> list[int]:
    return [value // prime**place % prime for place in range(length)]


def _number(digits: list[int], prime: int) -> int:
    return sum(digit * prime**place for place, digit in enumerate(digits))


def _product(left: list[int], right: list[int], prime: int, low: tuple[int, ...]) -> list[int]:
    """Multiply two polynomials and reduce them: x^k is minus the low part of the irreducible one."""
    degree = len(low)
    out = [0] * (2 * degree - 1)
    for (i, a), (j, b) in product(enumerate(left), enumerate(right)):
        out[i + j] += a * b
    for top in range(2 * degree - 2, degree - 1, -1):
        carried, out[top] = out[top], 0
        for place, coefficient in enumerate(low):
            out[top - degree + place] -= carried * coefficient
    return [value % prime for value in out[:degree]]


@lru_cache(maxsize=len(_POLYNOMIALS))
def field(order: int) -> Field:
    """Return GF(order); ValueError where no table is at hand.

    >>> int(field(4).products[2, 3])  # x (x + 1) = x^2 + x = 1
    1
    """
    if order not in _POLYNOMIALS:
        raise ValueError(f"no field of {order} elements is at hand; choose one of {', '.join(map(str, ORDERS))}")
    prime, low = _POLYNOMIALS[order]
    digits = [_digits(value, prime, len(low)) for value in range(order)]
    sums = [[_number([(x + y) % prime for x, y in zip(a, b, strict=True)], prime) for b in digits] for a in digits]
    products = [[_number(_product(a, b, prime, low), prime) for b in digits] for a in digits]
    return Field(order, np.array(sums, dtype=np.int64), np.array(products, dtype=np.int64))

"""One unit for a whole row of figures, chosen by one of its values."""

import math
from dataclasses import dataclass
from typing import Final

from twin.units import MINUS, NARROW_SPACE, split, suffix_of

_FACTORS: Final = (*(10.0**power for power in range(12, -13, -3)), 0.01, 60.0, 3600.0, 3.6e6, 3.6e9, 3.6e12)
_UNSHOWN: Final = "–"


def grouped(count: float) -> str:
    """Return a whole number with its thousands apart.

    >>> grouped(12345), grouped(-1234.4)
    ('12\\xa0345', '−1\\xa0234')
    """
    return f"{count:,.0f}".replace(",", NARROW_SPACE).replace("-", MINUS)


@dataclass(frozen=True, slots=True)
class Measure:
    """Shows values of one metric in one unit, three significant digits, so that a column can be read down."""

    name: str
    unit: str
    factor: float
    like: float = 0.0

    @classmethod
    def of(cls, name: str, like: float | None) -> "Measure":
        """Choose the unit in which ``like`` is shown best.

        >>> measure = Measure.of("serving.ttft_p99_s", 1.71)
        >>> measure.unit, measure.plain(0.16), measure.signed(0.16), measure.signed(0.0)
        ('s', '0.160', '+0.160', '0')
        """
        if not like or not math.isfinite(like):
            return cls(name, "%" if suffix_of(name) == "_share" else split(1.0, name)[1], 0.01 if suffix_of(name) == "_share" else 1.0)
        text, unit = split(like, name)
        seen = float(text.replace("\u2212", "-").replace(NARROW_SPACE, ""))
        ratio = abs(like / seen) if seen else 1.0
        return cls(name, unit, min(_FACTORS, key=lambda factor: abs(math.log(factor / ratio))), abs(like))

    @classmethod
    def percent(cls, name: str) -> "Measure":
        """Show shares of today's value."""
        return cls(f"{name}_change_share", "%", 0.01)

    def plain(self, value: float | None) -> str:
        """Return the number without its unit."""
        if value is None or not math.isfinite(value):
            return _UNSHOWN
        scaled = value / self.factor
        return split(scaled, "_c" if suffix_of(self.name) == "_c" else "")[0] if abs(scaled) < 1e4 else grouped(scaled)

    def signed(self, value: float | None) -> str:
        """Return a difference: its sign always written, zero without one; next to nothing (1/10,000, or in no digit) is said to be so."""
        if value and abs(value) < 1e-4 * self.like:
            return "≈\u00a00"
        text = self.plain(value)
        if value is None:
            return text
        if set(text) <= set("0.\u2212"):
            return "≈\u00a00" if value else "0"
        return f"+{text}" if value > 0 else text

"""Aisles: the air that servers want against what air handlers give."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.charts import svg
from app.charts.statements import named
from app.charts.tokens import Tokens
from twin.units import show

_WIDTH: Final = 294.0
_PITCH: Final = 58.0
# The bar ends here, so that a demand beyond the supply is seen as such.
_TOP: Final = 1.25
# Racks leak a little however much air there is; more than this is hot air that goes around.
LEAK_SHARE: Final = 0.035


@dataclass(frozen=True, slots=True)
class Aisle:
    """One cold aisle at a moment: demand and supply in m³/s, temperatures in C, the recirculated share of what servers draw."""

    id: str
    airflow_m3_per_s: float
    supply_m3_per_s: float
    supply_c: float
    recirculated_share: float
    inlet_max_c: float

    @property
    def wanted_share(self) -> float:
        """Return demand over supply; infinite where there is demand and no supply."""
        if self.supply_m3_per_s > 0:
            return self.airflow_m3_per_s / self.supply_m3_per_s
        return math.inf if self.airflow_m3_per_s > 0 else 0.0

    @property
    def state(self) -> str:
        """Return whether the aisle has air enough: broken where it wants more than there is, at risk in its last twentieth."""
        return "broken" if self.wanted_share > 1.0 else "at risk" if self.wanted_share > 0.95 else "met"


def aisles_title(aisles: Sequence[Aisle]) -> str:
    """Return which aisle is shortest of air, and what comes of it.

    >>> aisles_title([Aisle("aisle-2", 104.0, 100.0, 21.6, 0.07, 31.0)])
    'Aisle 2 wants 104\\xa0% of its air; hot air recirculates'
    """
    known = [aisle for aisle in aisles if not math.isnan(aisle.wanted_share)]
    if not known:
        return "No airflow was recorded"
    worst = max(known, key=lambda aisle: aisle.wanted_share)
    if math.isinf(worst.wanted_share):
        return f"{named(worst.id, 'aisle')} has no air at all; hot air recirculates"
    words = f"{100 * worst.wanted_share:.0f}\u00a0% of its air"
    if worst.wanted_share > 1.0:
        return f"{named(worst.id, 'aisle')} wants {words}; hot air recirculates"
    return f"{named(worst.id, 'aisle')} wants {words}" + ("; every aisle has enough" if len(known) > 1 else "; that is enough")


def aisles_svg(aisles: Sequence[Aisle], tokens: Tokens, *, shown: str) -> str:
    """Draw each aisle as a bar of what it wants, the red line at what it gets."""
    parts = []
    for index, aisle in enumerate(aisles):
        y = index * _PITCH
        ink = {"broken": tokens.broken_text, "at risk": tokens.risk_text}.get(aisle.state, tokens.text)
        glyph = {"broken": "✕ ", "at risk": "△ "}.get(aisle.state, "")
        wanted = f"{glyph}wants {100 * aisle.wanted_share:.0f}\u00a0%" if math.isfinite(aisle.wanted_share) else "✕ no air"
        parts.append(svg.text(0, y + 12, aisle.id, tokens.text, weight=600))
        parts.append(svg.text(_WIDTH, y + 12, wanted, ink, anchor="end", weight=600))
        end = _WIDTH / _TOP
        used = min(aisle.wanted_share, _TOP) if not math.isnan(aisle.wanted_share) else 0.0
        parts.append(svg.rect(0, y + 20, _WIDTH, 6, tokens.grid))
        parts.append(svg.rect(0, y + 20, end * min(used, 1.0), 6, tokens.candidate if shown == "candidate" else tokens.today))
        if used > 1.0:
            parts.append(svg.rect(end, y + 20, end * (used - 1.0), 6, tokens.hot))
        parts.append(svg.rect(end, y + 16, 1.2, 14, tokens.limit))
        air = f"{_flow(aisle.airflow_m3_per_s)} of {_flow(aisle.supply_m3_per_s)}\u00a0m³/s at {show(aisle.supply_c, 'x_c')}"
        parts.append(svg.text(0, y + 42, air, tokens.muted))
        back = "" if math.isnan(aisle.recirculated_share) else f"{show(aisle.recirculated_share, 'x_share')} comes back"
        hot = aisle.recirculated_share > LEAK_SHARE
        parts.append(svg.text(_WIDTH, y + 42, back, tokens.broken_text if hot else tokens.muted, anchor="end", weight=600 if hot else 400))
    return svg.document(_WIDTH, max(len(aisles) * _PITCH - 10, 10), parts, aisles_title(aisles))


def _flow(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1f}"

"""The price cut, optimisation by optimisation, from the regular price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.charts import svg
from app.charts.tokens import Tokens, translucent
from twin.units import MINUS
from twin.workloads.negotiation.treatments import TREATMENTS

_NAMES: Final[Mapping[str, str]] = {
    "harvest": "Harvest",
    "spot": "Spot",
    "multi_availability": "Multi-av.",
    "rightsizing": "Rightsize",
    "oversubscription": "Oversub.",
    "region_agnostic": "Region",
    "autoscaling": "Autosc.",
    "overclocking": "Clock +",
    "underclocking": f"Clock {MINUS}",
    "non_preprovisioning": "No prep.",
    "broken": "Broken",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step down (or, where a broken requirement is billed at the regular price, up): in points of the regular price."""

    name: str
    points: float

    @property
    def label(self) -> str:
        """Return its short name."""
        return _NAMES.get(self.name, self.name)


def steps(saved_usd: Mapping[str, float], regular_usd: float, billed_usd: float) -> list[Step]:
    """Return the steps in the order of application, those of nothing left out; they add up to regular minus billed.

    >>> [(step.name, round(step.points, 1)) for step in steps({"spot": 20.0, "harvest": 30.0}, 100.0, 55.0)]
    [('harvest', 30.0), ('spot', 20.0), ('broken', -5.0)]
    """
    if regular_usd <= 0:
        return []
    found = [Step(each.name, 100.0 * saved_usd.get(each.name, 0.0) / regular_usd) for each in TREATMENTS]
    rest = 100.0 * (regular_usd - billed_usd) / regular_usd - sum(step.points for step in found)
    return [step for step in [*found, Step("broken", rest)] if abs(step.points) >= 0.005]


def waterfall_svg(found: Sequence[Step], tokens: Tokens, title: str, *, narrow: bool = False) -> str:
    """Draw steps that hang from the regular price (dashed), and their sum as a solid bar."""
    width, top, height = (358.0 if narrow else 430.0), 10.0, 118.0
    total = sum(step.points for step in found)
    deepest, depth = 0.0, 0.0
    for step in found:
        depth += step.points
        deepest = max(deepest, depth)
    bars = len(found) + 1
    gap = 4.0
    wide = min((width - gap * (bars - 1)) / bars, 64.0)
    scale = (height - 26.0) / max(deepest, total, 1e-9)
    parts = [svg.line(0, top, width, top, tokens.muted, dash="4 3")]
    at, x = 0.0, 0.0
    small = wide < 44.0
    for index, step in enumerate(found):
        y0, y1 = top + at * scale, top + (at + step.points) * scale
        fill = translucent(tokens.candidate, 0.45) if step.points > 0 else translucent(tokens.limit, 0.35)
        parts.append(svg.rect(x, min(y0, y1), wide, max(abs(y1 - y0), 1.0), fill))
        parts.append(svg.line(x, y1, x + wide + gap, y1, tokens.candidate))
        sign = MINUS if step.points > 0 else "+"
        under = max(y0, y1) + 12.0
        # Beside the sum's own number there is room above the bar only.
        under = min(y0, y1) - 4.0 if small and index == len(found) - 1 else under
        parts.append(svg.text(x + wide / 2, under, f"{sign}{abs(step.points):.1f}", tokens.text, anchor="middle"))
        drop = 14.0 if small and index % 2 else 0.0
        place, anchor = (0.0, "start") if index == 0 else (x + wide / 2, "middle")
        parts.append(svg.text(place, top + height + 14.0 + drop, step.label, tokens.muted, anchor=anchor))
        at, x = at + step.points, x + wide + gap
    parts.append(svg.rect(x, top, wide, max(total * scale, 1.0), tokens.candidate))
    whole = f"{MINUS}{total:.1f}\u00a0%" if total > 0 else "0\u00a0%"
    place, anchor = (x + wide, "end") if small else (x + wide / 2, "middle")
    parts.append(svg.text(place, top + max(total * scale, 1.0) + 13.0, whole, tokens.candidate, anchor=anchor, weight=600))
    parts.append(svg.text(x + wide / 2, top + height + 14.0, "all", tokens.text, anchor="middle"))
    return svg.document(width, top + height + (32.0 if small else 18.0), parts, title)

"""The plans of one workflow that none beats: its trade-off front."""

from dataclasses import replace
from typing import Final

from policies.systems.murakkab.candidates import Candidate, Search
from policies.systems.murakkab.program import Aim, Bounds
from policies.systems.murakkab.ways import Ground, Work

_ROUNDING: Final = 1e-6
_ALIKE: Final = 0.005
_SCANNED: Final[tuple[Aim, ...]] = ("cost_usd", "energy_j")


def front(work: Work, ground: Ground, bounds: Bounds, points: int) -> tuple[list[Candidate], int]:
    """Return the plans that none beats in makespan, energy, cost and quality of a job at once, the fastest first; how many were looked at.

    One scan over makespans for each quality that the weakest stage can have, for cost and for energy. Of plans that nobody could tell
    apart by these figures one is kept.
    """
    search = Search(work, ground)
    found: list[Candidate] = []
    for level in [] if search.missing else search.qualities:
        if level < bounds.quality_share and level != search.qualities[0]:
            continue
        at = replace(bounds, quality_share=max(level, bounds.quality_share))
        for aim in _SCANNED:
            if work.starts:
                found += search.cold_ones(aim, at, points)
            if work.holds:
                found += search.warm_ones(aim, at, points)
    kept: list[Candidate] = []
    for each in sorted(dict.fromkeys(found), key=_compared):
        if not any(_beats(other, each) for other in found) and not any(_same(other, each) for other in kept):
            kept.append(each)
    return kept, search.looked


def _compared(each: Candidate) -> tuple[float, ...]:
    figures = each.figures
    # What is short of full quality, so that less is better in all.
    return figures.makespan_s, figures.cost_usd, figures.energy_j, 1.0 - figures.quality_share


def _beats(one: Candidate, other: Candidate) -> bool:
    """Return whether a plan is nowhere worse than another and somewhere better, by more than rounding."""
    pairs = list(zip(_compared(one), _compared(other), strict=True))
    return all(a <= b * (1.0 + _ROUNDING) + _ROUNDING for a, b in pairs) and any(a < b * (1.0 - 1e-4) - _ROUNDING for a, b in pairs)


def _same(one: Candidate, other: Candidate) -> bool:
    return all(abs(a - b) <= _ALIKE * max(a, b) + _ROUNDING for a, b in zip(_compared(one), _compared(other), strict=True))

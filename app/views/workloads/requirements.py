"""Panel of what hints demand and whether it was kept, beside price cuts."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import polars as pl

from app import parts, state
from app.charts.statements import count, plainly
from app.views.workloads import reading
from app.views.workloads.lanes import note
from app.views.workloads.reading import Listening
from app.widgets.rows import Head, rows

# From this part of what is allowed on, a requirement is close.
_CLOSE: Final = 0.8
# A longer lead is better; of everything else less is.
_AT_LEAST: Final = frozenset({"notice lead", "lead"})
_HEADS: Final = (
    Head("workload", "Workload", "strong", "26%"),
    Head("cut", "Price cut, %", "value", "16%"),
    Head("requirement", "Requirement", "muted", "28%", narrow=False),
    Head("now", "Worst", "number", "12%", narrow=False),
    Head("state", "State", "state", "18%"),
)


@dataclass(frozen=True, slots=True)
class Kept:
    """One requirement of a workload over the run: what is allowed, the worst hour, and VM-hours in which it was broken."""

    workload: str
    requirement: str
    bound: float
    worst: float
    broken_vm_hours: float

    @property
    def used_share(self) -> float:
        """Return how much of what is allowed the worst hour used; above one it was broken."""
        if self.requirement in _AT_LEAST:
            return self.bound / self.worst if self.worst > 0 else (0.0 if self.bound <= 0 else 9.0)
        if self.bound <= 0:
            return 0.0 if self.worst <= self.bound else 9.0
        return self.worst / self.bound

    @property
    def state(self) -> str:
        """Return met, at risk or broken."""
        if self.broken_vm_hours > 1e-9:
            return "broken"
        # A lead is kept or not: that it is kept to the second is no risk. Nor is a bound that every VM may use up.
        close = self.requirement not in _AT_LEAST and self.used_share >= _CLOSE and self.bound < 1.0
        return "at risk" if close else "met"


@lru_cache(maxsize=16)
def worst(home: str, run_id: str) -> tuple[Kept, ...]:
    """Return every requirement of every workload, its worst hour."""
    table = reading.table(run_id, "requirements")
    found = []
    for (workload, name), group in table.group_by("workload_id", "requirement", maintain_order=True) if not table.is_empty() else ():
        broken = float(group["broken_vm_hours"].sum())
        over = pl.col("bound") - pl.col("now") if name in _AT_LEAST else pl.col("now") - pl.col("bound")
        row = group.filter(pl.col("now").is_not_nan()).sort(over, descending=True, maintain_order=True).head(1)
        if row.is_empty():
            continue
        found.append(Kept(str(workload), str(name), float(row["bound"][0]), float(row["now"][0]), broken))
    return tuple(found)


def requirements(listen: Listening) -> None:
    """Show a row a workload: its price cut, the requirement that is broken or nearest to it, and how it stands."""
    kept = worst(listen.home, listen.run_id)
    bills = reading.bill(listen.home, listen.run_id)
    if not bills:
        return
    table = reading.table(listen.run_id, "requirements")
    with parts.panel(title(kept), "workloads-requirements", data=table, sql=_SQL.format(run_id=listen.run_id), png=True):
        everyone = reading.workloads(listen.home, listen.run_id)
        found = [_row(listen, name, [each for each in kept if each.workload == name]) for name in everyone]
        rows(
            _HEADS, found, state.colours(), key="workloads-requirement-rows", chosen=listen.whose or None,
            on_pick=lambda one: state.listen(whose=None if one == listen.whose else one),
        )  # fmt: skip
        note("Of each workload the requirement that came nearest to its bound. A broken one is billed at the regular price for that hour.")


def title(kept: tuple[Kept, ...]) -> str:
    """Return what is broken, or close, or that all is kept."""
    broken = {each.workload for each in kept if each.state == "broken"}
    close = {each.workload for each in kept if each.state == "at risk"} - broken
    if broken:
        return f"Requirements of {_some(broken)} are broken"
    if close:
        return f"No requirement is broken; {_some(close)} {'is' if len(close) == 1 else 'are'} close"
    return "No requirement is broken"


def _some(names: set[str]) -> str:
    return plainly(min(names)) if len(names) == 1 else count(len(names), "workload")


def _row(listen: Listening, name: str, mine: list[Kept]) -> dict[str, Any]:
    cut = reading.cut_share(reading.bill(listen.home, listen.run_id, name))
    order = {"broken": 0, "at risk": 1, "met": 2}
    nearest = min(mine, key=lambda each: (order[each.state], -each.used_share), default=None)
    return {
        "id": name,
        "workload": plainly(name),
        "cut": "–" if cut is None else f"{100 * cut:.1f}",
        "requirement": "asks for nothing" if nearest is None else bound_words(nearest),
        "now": "–" if nearest is None else value_words(nearest.requirement, nearest.worst),
        "state": {"word": "met", "text": "kept"} if nearest is None or nearest.state == "met" else nearest.state,
    }


def bound_words(kept: Kept) -> str:
    """Return a requirement with its bound."""
    sign = "≥" if kept.requirement in _AT_LEAST else "≤"
    return f"{_NAMES.get(kept.requirement, kept.requirement)} {sign} {value_words(kept.requirement, kept.bound)}"


def value_words(requirement: str, value: float) -> str:
    """Return a value in the requirement's unit."""
    if requirement in _AT_LEAST:
        return f"{value:.0f}\u00a0s"
    return f"{value:.3g}"


_NAMES: Final[Mapping[str, str]] = {"notice lead": "notice", "availability": "away", "eviction budget": "evicted at once"}
_SQL: Final = (
    "SELECT workload_id, requirement, max(now) AS worst, max(bound) AS bound, sum(broken_vm_hours) AS broken_vm_hours\n"
    "FROM requirements WHERE run_id = '{run_id}' GROUP BY workload_id, requirement ORDER BY workload_id"
)

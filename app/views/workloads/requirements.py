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
from twin.units import show

# From this part of what is allowed on, a requirement is close. An eviction budget is there to be used up, a lead to be kept to the second.
_CLOSE: Final = 0.8
_CAN_BE_CLOSE: Final = frozenset({"availability", "delay"})
# A longer lead and a higher availability are better; of everything else less is.
_AT_LEAST: Final = frozenset({"notice lead", "availability"})
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
        if self.requirement == "availability":
            used, allowed = 1.0 - self.worst, 1.0 - self.bound
        elif self.requirement == "notice lead":
            used, allowed = self.bound, self.worst
        else:
            used, allowed = self.worst, self.bound
        return used / allowed if allowed > 0 else (0.0 if used <= 0 else 9.0)

    @property
    def state(self) -> str:
        """Return met, at risk or broken."""
        if self.broken_vm_hours > 1e-9:
            return "broken"
        return "at risk" if self.requirement in _CAN_BE_CLOSE and self.used_share >= _CLOSE else "met"


@lru_cache(maxsize=16)
def worst(home: str, run_id: str) -> tuple[Kept, ...]:
    """Return every requirement of every workload, its worst hour."""
    table = reading.table(run_id, "requirements")
    found = []
    for (workload, name), group in table.group_by("workload_id", "requirement", maintain_order=True) if not table.is_empty() else ():
        broken = float(group["broken_vm_hours"].sum())
        rows_ = group.filter(pl.col("now").is_not_nan()).select("bound", "now").unique(maintain_order=True).iter_rows()
        each = [Kept(str(workload), str(name), float(bound), float(now), broken) for bound, now in rows_]
        found += [max(each, key=lambda one: one.used_share)] if each else []
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
        names = [listen.whose] if listen.whose else everyone
        found = [row for name in names for row in _rows(listen, name, [each for each in kept if each.workload == name])]
        rows(
            _HEADS, found, state.colours(), key="workloads-requirement-rows",
            on_pick=lambda one: state.listen(whose=None if one == listen.whose else one),
        )  # fmt: skip
        if listen.whose:
            words = f"Every requirement of {plainly(listen.whose)}; click one to see all workloads again."
        else:
            words = "Of each workload the requirement that came nearest to its bound; click one for all of its."
        note(f"{words} A broken one is billed at the regular price for that hour.")


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


def _rows(listen: Listening, name: str, mine: list[Kept]) -> list[dict[str, Any]]:
    """Return the row of a workload, or, of the one in focus, a row for each of its requirements."""
    cut = reading.cut_share(reading.bill(listen.home, listen.run_id, name))
    order = {"broken": 0, "at risk": 1, "met": 2}
    # That a lead is kept to the second says nothing: it comes last.
    ordered = sorted(mine, key=lambda each: (order[each.state], each.requirement == "notice lead", -each.used_share))
    shown: list[Kept | None] = list(ordered if listen.whose else ordered[:1]) or [None]
    return [
        {
            "id": name,
            "workload": plainly(name),
            "cut": "–" if cut is None else f"{100 * cut:.1f}",
            "requirement": "asks for nothing" if each is None else bound_words(each),
            "now": "–" if each is None else value_words(each.requirement, each.worst),
            "state": {"word": "met", "text": "kept"} if each is None or each.state == "met" else each.state,
        }
        for each in shown
    ]


def bound_words(kept: Kept) -> str:
    """Return a requirement with its bound."""
    sign = "≥" if kept.requirement in _AT_LEAST else "≤"
    return f"{_NAMES.get(kept.requirement, kept.requirement)} {sign} {value_words(kept.requirement, kept.bound)}"


def value_words(requirement: str, value: float) -> str:
    """Return a value in the requirement's unit.

    >>> value_words("availability", 0.9999), value_words("eviction budget", 0.4075), value_words("residency", 2.0)
    ('99.99\\xa0%', '40.8\\xa0%', '2')
    """
    if requirement == "availability":
        return f"{100 * value:.5f}".rstrip("0").rstrip(".") + "\u00a0%"
    if requirement in {"notice lead", "delay"}:
        return "0\u00a0s" if abs(value) < 0.5 else show(value, "x_s")
    return f"{100 * value:.3g}\u00a0%" if requirement == "eviction budget" else f"{value:.0f}"


_NAMES: Final[Mapping[str, str]] = {
    "availability": "up in a month",
    "eviction budget": "evicted at once",
    "notice lead": "notice",
    "residency": "VMs elsewhere",
    "delay": "work is late",
}
_SQL: Final = (
    "SELECT t_s, workload_id, requirement, bound, now, broken_vm_hours FROM requirements\n"
    "WHERE run_id = '{run_id}' ORDER BY broken_vm_hours DESC, t_s"
)

"""Who gets which optimisation, and which hint is missing for more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import polars as pl

from app.charts import svg
from app.charts.message_scene import short
from app.charts.statements import plainly
from app.charts.tokens import Tokens
from twin.workloads.negotiation.treatments import TREATMENTS

STATES: Final = ("granted", "better", "missing", "short", "forbidden")
_ALL: Final = 0.995
_SIDE: Final = 12.0
# A hint that is missing, as one would ask for it.
_WANTED: Final[Mapping[str, str]] = {
    "stateless": "it keeps no state",
    "scale_out_in": "more or fewer VMs",
    "scale_up_down": "more or fewer cores",
    "availability_nines": "three nines or less",
    "deploy_time_s": "VMs may come later",
    "delay_tolerance_s": "work may wait",
    "preemptibility_share": "some VMs may go",
    "preemptible": "VMs may be evicted",
    "region_independence": "other regions will do",
    "data_residency": "data may leave",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One workload and optimisation in one hour: VM-hours by state, the hint most often missing or in the way, what it saved."""

    vm_hours: Mapping[str, float]
    key: str
    saved_usd: float

    @property
    def granted_share(self) -> float:
        """Return the part of the VM-hours that has it."""
        whole = sum(self.vm_hours.values())
        return self.vm_hours.get("granted", 0.0) / whole if whole else 0.0

    @property
    def state(self) -> str:
        """Return granted where any VM has it, else what holds for most of them."""
        if self.granted_share > 0.0:
            return "granted"
        return max(self.vm_hours, key=lambda name: self.vm_hours[name], default="missing")


def hour_of(offers: pl.DataFrame, t_s: float) -> float | None:
    """Return the end of the hour that a moment is in, of those that the table has; None where it has none."""
    ends = offers["t_s"].unique().sort().to_list() if not offers.is_empty() else []
    return next((float(end) for end in ends if end >= t_s - 1e-6), float(ends[-1]) if ends else None)


def cells(offers: pl.DataFrame) -> dict[tuple[str, str], Cell]:
    """Return a cell for each workload and optimisation of one hour of the offers table."""
    found: dict[tuple[str, str], Cell] = {}
    for (workload, name), group in offers.group_by("workload_id", "optimisation", maintain_order=True):
        summed = group.group_by("state", maintain_order=True).agg(pl.col("vm_hours").sum().cast(pl.Float64))
        hours = {str(state): float(value) for state, value in summed.iter_rows()}
        wanting = group.filter((pl.col("state") != "granted") & (pl.col("key") != "")).sort("vm_hours", descending=True)
        key = str(wanting["key"][0]) if len(wanting) else ""
        found[str(workload), str(name)] = Cell(hours, key, float(group["saved_usd"].sum()))
    return found


def wanted(found: Mapping[tuple[str, str], Cell], name: str) -> str:
    """Return the hint that is missing for most VMs to have an optimisation; empty where none is."""
    by: dict[str, float] = {}
    for (_, one), cell in found.items():
        if one == name and cell.key and cell.state in {"missing", "forbidden"}:
            by[cell.key] = by.get(cell.key, 0.0) + sum(cell.vm_hours.values())
    key = max(by, key=lambda each: by[each], default="")
    return asked_for(key)


def asked_for(key: str) -> str:
    """Return a hint that is missing in words, as one would ask for it.

    >>> asked_for("delay_tolerance_s"), asked_for("want_boost")
    ('work may wait', 'want_boost')
    """
    return _WANTED.get(key, key)


def matrix_svg(
    found: Mapping[tuple[str, str], Cell], workloads: Sequence[str], tokens: Tokens, *, chosen: str = "", narrow: bool = False
) -> str:
    """Draw workloads across and optimisations down; a square is filled as far as its VMs have it.

    Small and grey: a better one has its slot. Hollow: a hint is missing. Dashed: room or power is short. Crossed: a hint forbids it.
    Each cell carries ``data-pick`` (its workload) and ``data-says``.
    """
    width, left, last = (358.0, 118.0, 352.0) if narrow else (430.0, 124.0, 306.0)
    head = max([6.2 * len(plainly(name)) for name in workloads], default=20.0) + 8.0
    head = min(head, 104.0)
    pitch = min((last - left) / max(len(workloads), 1), 27.0)
    parts = []
    for index, name in enumerate(workloads):
        x = left + (index + 0.5) * pitch
        heavy = ' font-weight="600"' if name == chosen else ""
        words = escape(short(plainly(name), 17))
        turned = f'transform="translate({svg.number(x + 4)} {svg.number(head - 4)}) rotate(-90)"'
        parts.append(f'<text {turned} fill="{tokens.text}"{heavy}>{words}</text>')
    if not narrow:
        parts.append(svg.text(width, head - 6, "most wanted hint", tokens.muted, anchor="end"))
    for row, treatment in enumerate(TREATMENTS):
        y = head + 21.0 * row
        parts += [svg.line(0, y, width, y, tokens.grid), svg.text(0, y + 15, treatment.title, tokens.text)]
        for index, name in enumerate(workloads):
            cell = found.get((name, treatment.name))
            if cell is not None:
                parts.append(_cell(cell, name, treatment.title, (left + (index + 0.5) * pitch, y + 10.5), tokens))
        if not narrow:
            parts.append(svg.text(width, y + 15, wanted(found, treatment.name), tokens.muted, anchor="end"))
    height = head + 21.0 * len(TREATMENTS)
    parts += [svg.line(0, height, width, height, tokens.grid), *_legend(height + 18.0, tokens, narrow)]
    return svg.document(width, height + (40.0 if narrow else 24.0), parts, "who gets which optimisation")


def says(cell: Cell, workload: str, title: str) -> str:
    """Return a cell in a sentence: how many of its VMs have it, and why the others have not."""
    whole, key = sum(cell.vm_hours.values()) or 1.0, cell.key or "a hint"
    reasons = {"granted": "have it", "better": "have a better one in its slot", "missing": f"lack {key}"}
    reasons |= {"short": "find no room, power or use for it", "forbidden": f"forbid it by {key}"}
    said = [
        f"{100 * hours / whole:.0f}\u00a0% {reasons.get(state, state)}"
        for state, hours in sorted(cell.vm_hours.items(), key=lambda item: STATES.index(item[0]) if item[0] in STATES else 9)
        if hours > 0
    ]
    saved = f"; saved {cell.saved_usd:.2f} USD" if cell.saved_usd > 0.005 else ""
    return f"{title}, {plainly(workload)}: of its VM-hours {', '.join(said)}{saved}"


def _cell(cell: Cell, workload: str, title: str, at: tuple[float, float], tokens: Tokens) -> str:
    return svg.marked(_drawn(cell, at, tokens), (at[0] - 10, at[1] - 10, 20, 20), workload, says(cell, workload, title))


def _drawn(cell: Cell, at: tuple[float, float], tokens: Tokens) -> str:
    x, y = at[0] - _SIDE / 2, at[1] - _SIDE / 2
    match cell.state:
        case "granted":
            share = cell.granted_share
            drawn = svg.rect(x, y, _SIDE, _SIDE, tokens.candidate if share >= _ALL else tokens.surface, stroke=tokens.candidate, radius=2)
            if share < _ALL:
                high = max(_SIDE * share, 2.0)
                drawn += svg.rect(x, y + _SIDE - high, _SIDE, high, tokens.candidate, radius=1)
            return drawn
        case "better":
            return svg.rect(at[0] - 2.5, at[1] - 2.5, 5, 5, tokens.today)
        case "short":
            square = f"M{svg.number(x + 0.7)} {svg.number(y + 0.7)}h10.6v10.6h-10.6Z"
            return svg.path(square, stroke=tokens.risk, width=1.4, dash="2.5 2")
        case "forbidden":
            return svg.path(f"M{svg.number(x + 2)} {svg.number(y + 2)}l8 8m0 -8l-8 8", stroke=tokens.control, width=1.3)
        case _:
            return svg.rect(x, y, _SIDE, _SIDE, "none", stroke=tokens.control, radius=2)


def _legend(y: float, tokens: Tokens, narrow: bool) -> list[str]:
    kinds: dict[str, dict[str, float]] = {
        "granted": {"granted": 1.0},
        "to a part": {"granted": 0.5, "missing": 0.5},
        "better taken": {"better": 1.0},
        "hint missing": {"missing": 1.0},
        "no room": {"short": 1.0},
        "forbidden": {"forbidden": 1.0},
    }
    parts, x = [], 0.0
    for word, hours in kinds.items():
        wide = 18.0 + 5.4 * len(word)
        if narrow and x + wide > 358.0:
            x, y = 0.0, y + 16.0
        parts += [_drawn(Cell(hours, "", 0.0), (x + 6, y - 4), tokens), svg.text(x + 16, y, word, tokens.muted)]
        x += wide + 4.0
    return parts

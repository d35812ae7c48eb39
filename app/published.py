"""Published claims beside ours: the rows of the Claims page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policies.catalogue import cards
from policies.claim import Capacity, Claim, Computed, Scored, Search, Sizing
from twin.metrics import METRICS
from twin.sources import code_hash
from twin.store import claims
from twin.units import MINUS, show, show_change


@dataclass(frozen=True, slots=True)
class Step:
    """One value of a sweep: ours as the median over seeds with its ends, and what each contender reached."""

    x: str
    own: bool
    ours: float | None
    low: float | None
    high: float | None
    labels: Mapping[str, float | None]
    failed: tuple[str, ...]
    exact: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One claim of one system with our number, where it was computed; ``verdict`` is empty before that.

    ``points`` are the claim's own point and those of its sweeps, as ``policies.reproduce`` tells them; ``probes`` counts the
    runs that were asked for, of ``probes_limit`` at most. ``stale`` says that an older version of the code computed it.
    """

    system_id: str
    system: str
    claim: Claim
    ours: float | None
    verdict: str
    why: str
    points: tuple[Mapping[str, Any], ...] = ()
    probes: int = 0
    probes_limit: int = 0
    stale: bool = False

    @property
    def key(self) -> str:
        """Return what names the claim."""
        return f"{self.system_id}/{self.claim.id}"


def checked(home: Path) -> list[dict[str, Any]]:
    """Return what every claim came to when it was last checked in this store, from wherever; ``stale`` where by older code."""
    return [{**row, "stale": code != code_hash()} for row, code in claims.load_all(home)]


def rows(checked: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return every claim on every card, with the results of the last check by system and claim."""
    found = {(str(item["system"]), str(item["claim"])): item for item in checked}
    out = []
    for card in cards().values():
        for claim in card.claims:
            item = found.get((card.id, claim.id)) or found.get((card.id, claim.text)) or {}
            ours = item.get("ours")
            why = str(item.get("why", ""))
            verdict, points = str(item.get("verdict", "")), tuple(item.get("points", ()))
            probes = (int(item.get("probes", 0)), int(item.get("probes_limit", 0)))
            stale = bool(item.get("stale", False))
            out.append(Row(card.id, card.name, claim, None if ours is None else float(ours), verdict, why, points, *probes, stale))
    return out


def sweeps(row: Row) -> dict[str, list[Step]]:
    """Return the steps of each sweep of a claim that was searched, its own point among them, in the order of the card."""
    if not isinstance(row.claim.evidence, Search) or not row.points:
        return {}
    found: dict[str, list[Step]] = {}
    for sweep in row.claim.evidence.sweeps:
        known = {str(point["x"]): point for point in row.points if point["sweep"] == sweep.name}
        known[str(sweep.own)] = row.points[0]
        found[sweep.name] = [_step(str(x), x == sweep.own, known[str(x)]) for x in sweep.settings if str(x) in known]
    return found


def own_step(row: Row) -> Step | None:
    """Return what was found at the claim's own point; None where nothing was searched."""
    return _step("", True, row.points[0]) if row.points else None


def _step(x: str, own: bool, point: Mapping[str, Any]) -> Step:
    return Step(
        x.removesuffix(".0"),
        own,
        *(None if point[name] is None else float(point[name]) for name in ("ours", "low", "high")),
        labels=point["labels"],
        failed=tuple(point["failed"]),
        exact=bool(point["exact"]),
    )


def reached(row: Row, value: float | None) -> str:
    """Return what a contender reached, in the unit of what was searched."""
    if value is None or not isinstance(row.claim.evidence, Search):
        return "–"
    find = row.claim.evidence.find
    if isinstance(find, Sizing):
        if find.quantity.endswith("_events"):
            return f"{show(value, find.quantity)} a day"
        return show(value, find.quantity) if not find.quantity.endswith("gpus_mean") else f"{value:.3g} GPUs"
    if isinstance(find, Capacity):
        return f"{value:.3g} times the load"
    # The unit of a claim is that of what is compared in the end: of a change or a ratio it is not that of the levels.
    form = row.claim.evidence.form if row.claim.evidence.against else "value"
    if form == "change" and row.claim.metric in METRICS:
        return show(value, row.claim.metric)
    return quantity(value, row.claim.unit if form == "value" else "")


def computed(row: Row) -> list[tuple[str, str]]:
    """Return the labelled numbers of a claim that was computed without a run or scored on incidents, ours first; else none."""
    if not isinstance(row.claim.evidence, Computed | Scored) or not row.points:
        return []
    labels, ours = row.points[0]["labels"], row.claim.evidence.ours
    names = [ours, *(label for label in labels if label != ours)]
    return [(label, "not on every seed" if labels[label] is None else f"{labels[label]:.4g}".replace("-", MINUS)) for label in names]


def searched(claim: Claim) -> str:
    """Return the name of what each contender reached."""
    find = claim.evidence.find if isinstance(claim.evidence, Search) else None
    return METRICS[find.quantity].label if isinstance(find, Sizing) else "load" if isinstance(find, Capacity) else claim.unit


def contenders(row: Row, step: Step) -> list[str]:
    """Return who took part at a step, in the card's order: the baseline first, then ours part by part."""
    named = list(row.claim.evidence.contenders) if isinstance(row.claim.evidence, Search) else []
    return sorted(step.labels, key=lambda label: named.index(label) if label in named else len(named))


def paper(claim: Claim) -> str:
    """Return the paper's number, or its range with the unit once; levels from the lower to the higher."""
    first = quantity(claim.paper, claim.unit)
    if claim.paper_high is None:
        return first
    ends = [claim.paper, claim.paper_high]
    low, high = (quantity(end, claim.unit) for end in (ends if "baseline" in claim.unit else sorted(ends)))
    unit = high.rpartition("\u00a0")[2]
    return f"{low.removesuffix(unit).rstrip()} to {high}"


def quantity(value: float | None, unit: str) -> str:
    """Return a claim's number as it is read: a share of the baseline's is a change, another share a level.

    >>> quantity(-0.17, "share of the baseline's"), quantity(0.79, "share of TTFT"), quantity(0.3, "C"), quantity(None, "x")
    ('−17.0\\xa0%', '79.0\\xa0%', '0.3\\xa0°C', '–')
    """
    if value is None:
        return "–"
    if unit.startswith("share"):
        return show_change(value, "x_share") if "baseline" in unit else show(value, "x_share")
    return f"{value:.3g}\u00a0{'°C' if unit == 'C' else unit}".replace("-", MINUS).strip()


def title(found: Sequence[Row]) -> str:
    """Return the state of all claims in one sentence, findings of our own apart, with what was fitted to get there."""
    published, own = [row for row in found if not row.claim.own], [row for row in found if row.claim.own]
    if not any(row.verdict for row in found):
        count = len(published)
        return f"{_number(count)} published claim{'s' if count != 1 else ''} to hold our numbers against; none is checked here yet"
    holds, ours = ([row for row in rows if row.verdict == "reproduced"] for rows in (published, own))
    fitted = sum(row.claim.fitted_parameters for row in (*holds, *ours))
    words = f"{_number(len(holds)) if holds else 'None'} of {_number(len(published)).lower()} published claims hold here"
    words += f", and {_number(len(ours)).lower()} of {_number(len(own)).lower()} findings of our own" if own else ""
    old = sum(row.stale for row in found if row.verdict)
    tail = f"; {old} {'was' if old == 1 else 'were'} checked by an older version of this code" if old else ""
    return f"{words}; {fitted or 'no'} number{'s' if fitted != 1 else ''} {'were' if fitted != 1 else 'was'} fitted to get them{tail}"


def _number(count: int) -> str:
    names = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
    return names[count] if count < len(names) else str(count)

"""Published claims beside ours: the rows of the Claims page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policies.catalogue import cards
from policies.claim import Claim
from twin.units import MINUS, show, show_change


@dataclass(frozen=True, slots=True)
class Row:
    """One claim of one system with our number, where it was computed; ``verdict`` is empty before that."""

    system_id: str
    system: str
    claim: Claim
    ours: float | None
    verdict: str
    why: str

    @property
    def key(self) -> str:
        """Return what names the claim."""
        return f"{self.system_id}/{self.claim.id}"


def rows(checked: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return every claim on every card, with the results of the last check by system and claim."""
    found = {(str(item["system"]), str(item["claim"])): item for item in checked}
    out = []
    for card in cards().values():
        for claim in card.claims:
            item = found.get((card.id, claim.id)) or found.get((card.id, claim.text)) or {}
            ours = item.get("ours")
            why = str(item.get("why", ""))
            out.append(Row(card.id, card.name, claim, None if ours is None else float(ours), str(item.get("verdict", "")), why))
    return out


def quantity(value: float | None, unit: str) -> str:
    """Return a claim's number as it is read: a share of the baseline's is a change, another share a level.

    >>> quantity(-0.17, "share of the baseline's"), quantity(0.79, "share of TTFT"), quantity(5.0, "x"), quantity(None, "x")
    ('−17.0\\xa0%', '79.0\\xa0%', '5\\xa0x', '–')
    """
    if value is None:
        return "–"
    if unit.startswith("share"):
        return show_change(value, "x_share") if "baseline" in unit else show(value, "x_share")
    return f"{value:.3g}\u00a0{unit}".replace("-", MINUS).strip()


def title(found: Sequence[Row]) -> str:
    """Return the state of all claims in one sentence, with what was fitted to get there."""
    checked = [row for row in found if row.verdict]
    if not checked:
        return (
            f"{_number(len(found))} published claim{'s' if len(found) != 1 else ''} to hold our numbers against; none is checked here yet"
        )
    holds = [row for row in checked if row.verdict == "reproduced"]
    fitted = sum(row.claim.fitted_parameters for row in holds)
    words = f"{_number(len(holds))} of {_number(len(found)).lower()} published claims hold here"
    return f"{words}; {fitted or 'no'} number{'s' if fitted != 1 else ''} {'were' if fitted != 1 else 'was'} fitted to get them"


def _number(count: int) -> str:
    names = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
    return names[count] if count < len(names) else str(count)

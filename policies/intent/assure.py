"""Intents in force, held against a run: met, at risk or broken."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from policies.intent.judge import Row, Standing, Values, judge
from policies.intent.model import Intent
from policies.intent.references import References, no_reference

_ORDER: Final[tuple[Standing, ...]] = ("broken", "at risk", "unknown", "met")


@dataclass(frozen=True, slots=True)
class Assurance:
    """How one intent stands in a run: each expectation, and the worst of them."""

    intent_id: str
    version: int
    rows: tuple[Row, ...]
    standing: Standing

    def json_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "intent_id": self.intent_id,
            "version": self.version,
            "standing": self.standing,
            "rows": [row.json_dict() for row in self.rows],
        }


def assure(
    intents: Iterable[tuple[str, int, Intent]], today: Values, run: Values, look: References = no_reference
) -> list[Assurance]:  # fmt: skip
    """Hold a run against intents (id, version, intent), over their scopes and windows.

    Changes are against ``today``, or against what ``look`` gives where the vocabulary says so.
    """
    return [_assurance(intent_id, version, judge(intent, today, run, look)) for intent_id, version, intent in intents]


def _assurance(intent_id: str, version: int, rows: tuple[Row, ...]) -> Assurance:
    # A *should* that is missed is no breach.
    found: set[Standing] = {"at risk" if row.strength == "should" and row.standing == "broken" else row.standing for row in rows}
    worst: Standing = next((name for name in _ORDER if name in found), "met")
    return Assurance(intent_id, version, rows, worst)


def state_of(standing: Standing) -> str | None:
    """Return the state of the life cycle that a standing stands for, None where nothing was measured.

    >>> state_of("at risk"), state_of("unknown")
    ('at_risk', None)
    """
    return {"met": "met", "at risk": "at_risk", "broken": "broken"}.get(standing)

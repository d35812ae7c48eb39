"""What intents ask, held against runs."""

from dataclasses import dataclass
from typing import Any

from app import state
from app.headlines import AT_RISK_SHARE, change_words
from app.report.judgement import Bound, bounds_of
from policies.intent.model import Intent
from twin.metrics import METRICS
from twin.units import show


@dataclass(frozen=True, slots=True)
class Line:
    """One expectation: what it is about, its bound, today's value, the value that is judged, and how it stands.

    ``share`` is the part of the allowance that is used, so that above 1 is broken for every direction; None where it says nothing.
    """

    intent_id: str
    metric: str
    bound: Bound
    today: float | None
    value: float | None
    state: str
    share: float | None
    today_share: float | None

    @property
    def label(self) -> str:
        """Return the metric with the place and time of its bound."""
        place = self.bound.place_words.removeprefix("from ").replace(", from ", ", ").replace(" to ", "–")
        words = METRICS[self.metric].label
        words = words[0].upper() + words[1:]
        return f"{words}, {place}" if place else words


def understood(record: Any) -> Intent:
    """Return the intent of a record of the ledger."""
    return Intent.model_validate(dict(record.intent))


def lines(record: Any, today_run: str | None, run_id: str | None) -> list[Line]:
    """Return how a run stands in each expectation of an intent; relative bounds are against today's run."""
    found = []
    for metric, bound in bounds_of(record.intent_id, understood(record)):
        today = state.metric(today_run, metric, bound.scope, bound.window)
        value = state.metric(run_id, metric, bound.scope, bound.window)
        used = share(metric, bound, today, value)
        found.append(
            Line(record.intent_id, metric, bound, today, value, word(bound, today, value, used), used, share(metric, bound, today, today))
        )
    return found


def share(metric: str, bound: Bound, today: float | None, value: float | None) -> float | None:
    """Return which part of what is allowed a value uses; for a share that must be high, the part of the permitted misses.

    >>> share("serving.slo_attainment_share", Bound("I-01", ">=", 0.99, False, True), None, 0.995)
    0.5
    """
    if value is None or (bound.relative and today is None):
        return None
    limit = today + bound.value * abs(today) if bound.relative and today is not None else bound.value
    if bound.op == ">=":
        if METRICS[metric].high == 1:
            value, limit = 1.0 - value, 1.0 - limit
        else:
            value, limit = limit, value
    if limit <= 0:
        return 0.0 if value <= limit else 1.25
    return round(value / limit, 9)


def word(bound: Bound, today: float | None, value: float | None, used: float | None) -> str:
    """Return met, at risk or broken; waiting where there is nothing to judge by."""
    if value is None or (bound.relative and today is None):
        return "waiting"
    if not bound.holds(today if today is not None else value, value):
        return "broken"
    return "at risk" if used is not None and used > AT_RISK_SHARE and bound.value != 0 else "met"


def worst(found: list[Line]) -> str:
    """Return the state of a whole intent: that of its worst expectation."""
    order = ("broken", "at risk", "waiting", "met")
    return next((name for name in order if any(line.state == name for line in found)), "waiting")


def cells(line: Line, compared: bool) -> dict[str, Any]:
    """Return the cells of a table's row; the change only where two runs are compared."""
    change, sense = change_words(line.metric, line.today, line.value) if compared else ("", "")
    return {
        "id": line.intent_id,
        "intent": {"lead": line.intent_id, "text": line.label},
        "state": line.state,
        "now": show(line.value, line.metric),
        "bound": line.bound.words(line.metric),
        "share": {"share": line.share, "today": line.today_share} if line.share is not None else None,
        "change": {"text": change, "sense": sense} if change else None,
    }

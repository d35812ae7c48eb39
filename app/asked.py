"""What intents ask, held against runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app import desk, state
from app.headlines import change_words
from app.overlays import Overlay, spans
from app.report.judgement import Bound, bounds_of
from policies.intent.judge import Values, judge
from policies.intent.model import Intent
from policies.intent.references import settled_for
from twin.clock import Window
from twin.metrics import METRICS, Scope
from twin.units import show


@dataclass(frozen=True, slots=True)
class Line:
    """One expectation: what it is about, its bound, today's value, the value that is judged, and how it stands.

    ``limit`` is the bound in the metric's own unit. ``share`` is the part of the allowance that is used, so that above 1 is broken
    for every direction. Both are None where they say nothing.
    """

    intent_id: str
    metric: str
    bound: Bound
    today: float | None
    value: float | None
    state: str
    share: float | None
    today_share: float | None
    limit: float | None = None

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


def values(run_id: str | None) -> Values:
    """Return what a stored run measures, as the intents' judge asks for it."""

    def read(metric: str, scope: tuple[Scope, ...], window: Window | None) -> float | None:
        return state.metric(run_id, metric, scope, window)

    return read


def world_of(run_id: str | None) -> Mapping[str, Any]:
    """Return the scenario of a stored run as its manifest holds it; empty without one."""
    return {} if run_id is None else dict(state.run(run_id).manifest["scenario"])


def lines(record: Any, today_run: str | None, run_id: str | None) -> list[Line]:
    """Return how a run stands in each expectation of an intent; relative bounds are against today's run."""
    intent = understood(record)
    intent = settled_for(intent, world_of(run_id or today_run))
    rows = judge(intent, values(today_run), values(run_id))
    found = []
    for row, (metric, bound) in zip(rows, bounds_of(record.intent_id, intent), strict=True):
        stands = "waiting" if row.standing == "unknown" else str(row.standing)
        used, before = (share(metric, row.op, row.bound, value) for value in (row.candidate, row.today))
        found.append(Line(record.intent_id, metric, bound, row.today, row.candidate, stands, used, before, row.bound))
    return found


def standing(now: state.Context) -> list[Line]:
    """Return how the run that is shown stands in everything that is asked."""
    return [line for record in desk.standing() for line in lines(record, now.today, now.run_id)]


def overlays(now: state.Context) -> list[Overlay]:
    """Return every bound that stands, in its metric's own unit, over the hours of the run that is shown."""
    if now.run_id is None:
        return []
    begin_s = state.run(now.run_id).brief.begin_s
    return [
        Overlay(
            line.intent_id, line.metric, line.bound.op, line.limit, line.bound.scope,
            spans(now.clock, line.bound.window, begin_s, now.horizon_s), line.state,
        )
        for line in standing(now)
        if line.limit is not None
    ]  # fmt: skip


def share(metric: str, op: str, limit: float | None, value: float | None) -> float | None:
    """Return which part of what is allowed a value uses; for a share that must be high, the part of the permitted misses.

    >>> share("serving.slo_attainment_share", ">=", 0.99, 0.995)
    0.5
    """
    if value is None or limit is None:
        return None
    if op == ">=":
        if METRICS[metric].high == 1:
            value, limit = 1.0 - value, 1.0 - limit
        else:
            value, limit = limit, value
    if limit <= 0:
        return 0.0 if value <= limit else 1.25
    return round(value / limit, 9)


def worst(found: list[Line]) -> str:
    """Return the state of a whole intent: that of its worst expectation; a *should* that is missed is only at risk."""
    words = {"at risk" if line.state == "broken" and not line.bound.must else line.state for line in found}
    return next((name for name in ("broken", "at risk", "waiting", "met") if name in words), "waiting")


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

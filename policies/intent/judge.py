"""An intent held against values: what was asked, what is, what holds."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from policies.intent.model import Expectation, Intent
from policies.intent.references import AGAINST, References, no_reference, settled
from twin.clock import Window
from twin.metrics import METRICS, Scope

# A value within this share of its bound is at risk; a temperature within these degrees, because its zero means nothing.
AT_RISK_SHARE: Final = 0.05
AT_RISK_C: Final = 1.0
# Decided once and built so: it comes no nearer to its bound by itself.
_BUILT: Final = ("memory.pod_hosts", "memory.cost_usd_per_host", "memory.access_latency_s")
Standing = Literal["met", "at risk", "broken", "unknown"]
# metric, scope, window -> value; None where there is no evidence
Values = Callable[[str, tuple[Scope, ...], Window | None], float | None]


@dataclass(frozen=True, slots=True)
class Row:
    """One expectation beside what the twin shows. ``bound`` is absolute, in the metric's unit; None where nothing was measured."""

    expectation: int
    metric: str
    op: str
    strength: str
    relative: bool
    today: float | None
    candidate: float | None
    bound: float | None
    met: bool | None
    standing: Standing

    def json_dict(self) -> dict[str, Any]:
        """Return the row as plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


def bound_of(wish: Expectation, today: float | None) -> float | None:
    """Return the absolute bound of an expectation; a change is taken of today's value.

    >>> bound_of(Expectation(metric="serving.cost_usd_per_h", op="<=", value=-0.2, relative=True), 1000.0)
    800.0
    """
    if not wish.relative:
        return wish.value
    # Today there may be no pod at all: a change of its cost without the pod that it is held against says nothing.
    return None if today is None or wish.metric in AGAINST else today + wish.value * abs(today)


def holds(op: str, value: float, bound: float) -> bool:
    """Return whether a value keeps a bound; a rounding error of a billionth is forgiven."""
    slack = 1e-9 * max(abs(bound), abs(value))
    return value <= bound + slack if op == "<=" else value >= bound - slack


def standing(wish: Expectation, value: float | None, bound: float | None) -> Standing:
    """Return met, at risk (within 5 % of the bound, or 1 C) or broken; unknown without evidence."""
    if value is None or bound is None or math.isnan(value):
        return "unknown"
    if not holds(wish.op, value, bound):
        return "broken"
    # Nothing can come nearer to "none" than none, and a share is measured by what it misses.
    if METRICS[wish.metric].high == 1 and wish.op == ">=":
        value, bound = 1.0 - value, 1.0 - bound
    if bound == 0.0 or wish.metric in _BUILT or (wish.relative and wish.value == 0.0):
        return "met"
    margin = AT_RISK_C if wish.metric.endswith("_c") else AT_RISK_SHARE * abs(bound)
    return "at risk" if abs(value - bound) < margin else "met"


def judge(intent: Intent, today: Values, candidate: Values, look: References = no_reference) -> tuple[Row, ...]:
    """Hold a candidate against every expectation, each over its own scope and window.

    A change is held against today's value, or against what ``look`` gives where the vocabulary says so.
    """
    intent = settled(intent, look)
    return tuple(_row(intent, index, wish, today, candidate) for index, wish in enumerate(intent.expectations))


def _row(intent: Intent, index: int, wish: Expectation, today: Values, candidate: Values) -> Row:
    scope, spec = intent.scope_of(wish), intent.window_of(wish)
    window = None if spec is None else spec.window()
    before, after = today(wish.metric, scope, window), candidate(wish.metric, scope, window)
    bound = bound_of(wish, before)
    stands = standing(wish, after, bound)
    met = None if stands == "unknown" else stands != "broken"
    return Row(index, wish.metric, wish.op, wish.strength, wish.relative, before, after, bound, met, stands)


def meets(rows: Iterable[Row]) -> bool:
    """Return whether every *must* holds; one that could not be measured does not."""
    return all(row.met for row in rows if row.strength == "must")


def shortfall(rows: Iterable[Row]) -> float:
    """Return by how much the *musts* are missed: the sum of the misses, each as a share of its bound."""
    total = 0.0
    for row in rows:
        if row.strength == "must" and row.met is not True:
            if row.candidate is None or row.bound is None:
                total += 1.0
            else:
                total += abs(row.candidate - row.bound) / max(abs(row.bound), 1e-9)
    return total


def binding(rows: Iterable[Row]) -> Row | None:
    """Return the *must* that is missed by most, None where all hold."""
    missed = [row for row in rows if row.strength == "must" and row.met is not True]
    return max(missed, key=lambda row: shortfall((row,)), default=None)

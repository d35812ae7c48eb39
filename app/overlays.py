"""Bounds of intents over a run's time axis: how much, where and when."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twin.clock import Clock, Window
from twin.metrics import Scope
from twin.units import show

STEP_S = 60.0
# More bounds than these in one figure hide what they are held against.
AT_MOST = 3


@dataclass(frozen=True, slots=True)
class Overlay:
    """One bound in its metric's own unit, with the spans of the run (from, to, in seconds) in which it holds, and how the run stands."""

    intent_id: str
    metric: str
    op: str
    value: float
    scope: tuple[Scope, ...]
    spans: tuple[tuple[float, float], ...]
    stands: str

    @property
    def words(self) -> str:
        """Return the bound as it is written beside its line."""
        where = "".join(f" {scope.id}" for scope in self.scope[:1]) + (" …" if len(self.scope) > 1 else "")
        return f"{self.intent_id}{where} {'≤' if self.op == '<=' else '≥'} {show(self.value, self.metric)}"


def spans(clock: Clock, window: Window | None, begin_s: float, end_s: float) -> tuple[tuple[float, float], ...]:
    """Return when a window is open between two moments of a run."""
    if window is None:
        return ((begin_s, end_s),)
    times = np.arange(begin_s, end_s, STEP_S)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], clock.inside(times, window), [False]]).astype(np.int8)))
    return tuple((begin_s + first * STEP_S, min(begin_s + last * STEP_S, end_s)) for first, last in edges.reshape(-1, 2).tolist())


def of(found: Sequence[Overlay], metric: str, scope: tuple[Scope, ...] = ()) -> list[Overlay]:
    """Return the bounds of one metric at one place, the strictest first."""
    mine = [item for item in found if item.metric == metric and item.scope == scope]
    return sorted(mine, key=lambda item: item.value if item.op == "<=" else -item.value)[:AT_MOST]

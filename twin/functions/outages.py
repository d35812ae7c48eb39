"""Faults of functions: warm instances that vanish all the while."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.faults import Fault

Floats = NDArray[np.float64]
STORM: Final = "cold_start_storm"
FAULT_KINDS: Final = (STORM,)
SITE: Final = "site"
# While a storm lasts idle instances vanish this often: our own choice, so that a call in every few finds none.
EVERY_S: Final = 5.0
_ROUNDING_S: Final = 1e-9


class Storms:
    """The storms of a run: whose idle instances vanish, what share of them, when. It keeps no state: all follows from the time.

    A target is a function, or "site" for all of them. ValueError, one line, for one that is not there.
    """

    def __init__(self, faults: Sequence[Fault], function_ids: Sequence[str]) -> None:
        self._storms = [(fault, _struck(fault, function_ids)) for fault in faults if fault.kind in FAULT_KINDS]

    def next_s(self, t_s: float) -> float:
        """Return when instances vanish next, after a time; infinite for never."""
        return min((_next_s(fault, t_s) for fault, _ in self._storms), default=math.inf)

    def share(self, t_s: float) -> Floats | None:
        """Return what share of each function's (F) idle instances vanishes at a time; None where none does."""
        due = [fault.severity * struck for fault, struck in self._storms if fault.active(t_s) and _is_due(fault, t_s)]
        return np.asarray(np.max(due, axis=0)) if due else None


def _struck(fault: Fault, ids: Sequence[str]) -> Floats:
    if fault.target == SITE:
        return np.ones(len(ids))
    if fault.target not in ids:
        known = ", ".join(list(ids)[:5]) or "none"
        raise ValueError(f"faults: {fault.kind}: no function is called {fault.target!r}; write {SITE} or one of {known}")
    return np.array([float(name == fault.target) for name in ids])


def _is_due(fault: Fault, t_s: float) -> bool:
    turns = (t_s - fault.from_s) / EVERY_S
    return abs(turns - round(turns)) < _ROUNDING_S


def _next_s(fault: Fault, t_s: float) -> float:
    if t_s < fault.from_s - _ROUNDING_S:
        return fault.from_s
    after_s = fault.from_s + (math.floor((t_s - fault.from_s) / EVERY_S + _ROUNDING_S) + 1.0) * EVERY_S
    return after_s if fault.active(after_s) else math.inf

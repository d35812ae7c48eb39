"""A flood of hints: a workload that says far more than it is heard."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from twin.faults import Fault
from twin.sources import calibration
from twin.workloads.negotiation import hint, keys
from twin.workloads.negotiation.tenants import Tenants

FLOOD: Final = "hint_flood"
# At full severity a workload hints so many times what the managers hear of it: our own choice, far beyond any limit.
TIMES_LIMIT: Final = 30.0
_WORKLOAD: Final = keys.SCOPES.index("workload")


class Floods:
    """The floods of a run: a client that loops says again and again how much its workload is worth, now the most, now nothing.

    They are said at even times from the fault's beginning, whatever the ticks. What is heard of them is in force for all VMs of the
    workload that do not speak for themselves; what is beyond the limit is refused and counted. It keeps no state.
    """

    def __init__(self, faults: Sequence[Fault], tenants: Tenants) -> None:
        rate_per_s = TIMES_LIMIT * float(calibration("negotiation")["hints"]["rate_per_s"]["value"])
        mine = [fault for fault in faults if fault.kind == FLOOD]
        self._floods = [(fault, _struck(fault, tenants), rate_per_s * fault.severity) for fault in mine]

    def between(self, from_s: float, to_s: float) -> hint.Hints:
        """Return what is said from one time (included) to another (excluded)."""
        return hint.joined([_said(fault, of, per_s, from_s, to_s) for fault, of, per_s in self._floods])


def _struck(fault: Fault, tenants: Tenants) -> int:
    if fault.target not in tenants.workload_ids:
        known = ", ".join(tenants.workload_ids) or "none"
        raise ValueError(f"faults: {fault.kind}: {fault.target!r} does not negotiate; it is one of {known}")
    return tenants.workload_ids.index(fault.target)


def _said(fault: Fault, of: int, per_s: float, from_s: float, to_s: float) -> hint.Hints:
    begin_s, end_s = max(from_s, fault.from_s), min(to_s, math.inf if fault.until_s is None else fault.until_s)
    if end_s <= begin_s:
        return hint.none()
    first, last = (math.ceil((t_s - fault.from_s) * per_s - 1e-6) for t_s in (begin_s, end_s))
    number = np.arange(first, last)
    count = len(number)

    def all_of(value: int) -> hint.Ints:
        return np.full(count, value, dtype=np.int64)

    t_s = np.maximum(fault.from_s + number / per_s, begin_s)
    worth = np.asarray(100.0 * (number % 2), dtype=np.float64)
    return hint.Hints(t_s, all_of(_WORKLOAD), all_of(of), all_of(keys.INDEX["vm_priority"]), worth, all_of(hint.AGENT))

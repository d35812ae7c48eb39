"""What change log and logs say beside services: planned, and of faults."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from twin.faults import Fault
from twin.incidents.changes import Change
from twin.incidents.readings import CHANGES, LOGS
from twin.incidents.settings import PlannedChange
from twin.tables import Sink, Table

_MINUTE_S: Final = 60.0
# NVIDIA's XID errors: 79 is "GPU has fallen off the bus".
_XID: Final = "NVRM: Xid (PCI:0000:{bus:02x}:00): 79, GPU has fallen off the bus."
_HINTS: Final = "hint manager: {id} says more than its limit, hints refused"


class Said(NamedTuple):
    """Lines of a log that say the same, ``times`` of them in the minute that ends at ``t_s``."""

    t_s: float
    entity_kind: str
    entity_id: str
    level: str
    template: str
    times: int
    words: str


def changes(faults: Sequence[Fault]) -> list[Change]:
    """Return the entries of the change log that belong to faults: a cap that somebody set, and took back."""
    found: list[Change] = []
    for fault in faults:
        if fault.kind != "power_cap_wrong":
            continue
        cap = 100.0 * (1.0 - fault.severity)
        words = f"power cap of {fault.target} set to {cap:.0f} % of its rating"
        found.append(Change(fault.from_s, "row", fault.target, "setting", "facility operations", words))
        if fault.until_s is not None:
            words = f"power cap of {fault.target} set back to 100 % of its rating"
            found.append(Change(fault.until_s, "row", fault.target, "setting", "facility operations", words))
    return sorted(found)


def lines(faults: Sequence[Fault], horizon_s: float) -> list[Said]:
    """Return the log lines that belong to faults, in the order of time: what drivers and managers say by themselves."""
    return sorted(line for fault in faults for line in _lines(fault, horizon_s))


def _lines(fault: Fault, horizon_s: float) -> Iterator[Said]:
    until_s = horizon_s if fault.until_s is None else min(fault.until_s, horizon_s)
    if fault.kind == "gpu_off_bus":
        for gpu in range(max(1, round(8 * fault.severity))):
            words = _XID.format(bus=0x10 + 0x11 * gpu)
            yield Said(fault.from_s, "server", fault.target, "error", "xid 79", 1, words)
    if fault.kind == "hint_flood":
        minutes = int((until_s - fault.from_s) // _MINUTE_S)
        for minute in range(1, minutes + 1):
            words = _HINTS.format(id=fault.target)
            yield Said(fault.from_s + minute * _MINUTE_S, "workload", fault.target, "warning", "hints refused", 1, words)


class Elsewhere:
    """Writes what a scenario plans and what faults of other domains leave in the change log and the logs. It keeps no state."""

    def __init__(self, planned: Sequence[PlannedChange], faults: Sequence[Fault], horizon_s: float) -> None:
        own = [Change(each.at_s, each.entity_kind, each.entity_id, each.kind, each.actor, each.words) for each in planned]
        self._changes, self._lines = sorted(own + changes(faults)), lines(faults, horizon_s)
        self._times = [row.t_s for row in self._changes], [row.t_s for row in self._lines]

    def record(self, sink: Sink, from_s: float, until_s: float) -> None:
        """Write what is said from one time (included) to another (excluded)."""
        written: tuple[tuple[Table, Sequence[tuple[Any, ...]], Sequence[float]], ...] = (
            (CHANGES, self._changes, self._times[0]),
            (LOGS, self._lines, self._times[1]),
        )
        for table, rows, times in written:
            first, last = bisect_left(times, from_s), bisect_left(times, until_s)
            if last > first:
                sink.append(table, _columns(table, rows[first:last]))


def _columns(table: Table, rows: Sequence[tuple[Any, ...]]) -> dict[str, np.ndarray[Any, Any]]:
    """Return columns of rows in the order of the table's; texts as objects."""
    columns = {}
    for i, column in enumerate(table.columns):
        values = [row[i] for row in rows]
        columns[column.name] = np.array(values, dtype=object if isinstance(values[0], str) else type(values[0]))
    return columns

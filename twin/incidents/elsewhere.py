"""What change log and logs say of faults that are not of services."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from twin.faults import Fault
from twin.incidents.changes import Change

_MINUTE_S: Final = 60.0
# NVIDIA's XID errors: 79 is "GPU has fallen off the bus".
_XID: Final = "NVRM: Xid (PCI:0000:{bus:02x}:00): 79, GPU has fallen off the bus."
_HINTS: Final = "hint manager: {id} says more than its limit, hints refused"


class Line(NamedTuple):
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


def lines(faults: Sequence[Fault], horizon_s: float) -> list[Line]:
    """Return the log lines that belong to faults, in the order of time: what drivers and managers say by themselves."""
    return sorted(line for fault in faults for line in _lines(fault, horizon_s))


def _lines(fault: Fault, horizon_s: float) -> Iterator[Line]:
    until_s = horizon_s if fault.until_s is None else min(fault.until_s, horizon_s)
    if fault.kind == "gpu_off_bus":
        for gpu in range(max(1, round(8 * fault.severity))):
            words = _XID.format(bus=0x10 + 0x11 * gpu)
            yield Line(fault.from_s, "server", fault.target, "error", "xid 79", 1, words)
    if fault.kind == "hint_flood":
        minutes = int((until_s - fault.from_s) // _MINUTE_S)
        for minute in range(1, minutes + 1):
            words = _HINTS.format(id=fault.target)
            yield Line(fault.from_s + minute * _MINUTE_S, "workload", fault.target, "warning", "hints refused", 1, words)

"""What the platform tells workloads: kinds of notices, and answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from twin.sources import calibration

Answers = Literal["accept or decline", "best effort", "none"]
# What a workload answers; OPEN until it does, IGNORED where it never does before the notice falls due.
OPEN, ACCEPTED, DECLINED, IGNORED = 0, 1, 2, 3
ANSWERS: Final = ("open", "accepted", "declined", "ignored")


@dataclass(frozen=True, slots=True)
class NoticeKind:
    """One kind of notice: how long before its event it must reach the VM, and whether a workload may decline it."""

    name: str
    lead_s: float
    may_decline: bool
    meaning: str


@cache
def kinds() -> Mapping[str, NoticeKind]:
    """Return every kind by its name, with the lead times of ``data/calibration/negotiation.toml``."""
    entries = calibration("negotiation")["notice"]
    return {
        name: NoticeKind(name, float(each["lead_s"]), bool(each["may_decline"]), str(each["meaning"])) for name, each in entries.items()
    }


# The order in which notices are numbered in arrays.
NAMES: Final = (
    "eviction",
    "scale_up_offer",
    "scale_down_request",
    "overclock_offer",
    "overclock_end",
    "underclock_notice",
    "maintenance",
    "power_emergency",
    "region_move_offer",
    "rightsize_recommendation",
    "price_change",
)
INDEX: Final[Mapping[str, int]] = {name: index for index, name in enumerate(NAMES)}

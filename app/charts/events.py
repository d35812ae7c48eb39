"""Events of a run as marks in lanes: what happened, where, how long."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

LANES: Final = ("policy", "plant", "serving", "memory")
# Closer than this they are one spell; instances come and go all day, so that only the larger gaps between them tell anything.
APART_S: Final = 1800.0
INSTANCES_APART_S: Final = 5400.0
# What has an end: faults that come from outside, and feeds and rows that went dark on overload.
FAULTS: Final = frozenset(
    {"ahu_loss", "chiller_loss", "pdu_loss", "rack_blocked", "ups_loss", "ups_trip", "pdu_trip", "row_dark"}
    | {"cxl_link_loss", "cxl_device_loss", "cxl_switch_loss"}
)
HARMS: Final = frozenset({"power_brake", "thermal_throttle", "instance_lost", "rejected", "pool_overflow", "vms_hit"})
KINDS: Final[Mapping[str, str]] = {
    "ahu_loss": "air handlers lost in {where}",
    "rack_blocked": "{where} blocked",
    "chiller_loss": "chiller lost ({where})",
    "pdu_loss": "{where} lost",
    "ups_loss": "UPS lost ({where})",
    "ups_trip": "{where} trips on overload",
    "pdu_trip": "{where} trips on overload",
    "row_dark": "{where} has no power",
    "power_cap": "{where} slows down to save power",
    "power_brake": "{where} brakes on power",
    "replay_out_of_reach": "{where} cannot draw what was measured",
    "replay_silent": "{where} was not measured for a while",
    "thermal_throttle": "{where} throttles on heat",
    "instance_start": "{where} starts",
    "instance_stop": "{where} stops",
    "instance_lost": "{where} lost",
    "requests_requeued": "requests of {where} queued again",
    "rejected": "{where} rejects requests",
    "cxl_link_loss": "CXL link {where} lost",
    "cxl_device_loss": "memory {where} lost",
    "cxl_switch_loss": "CXL {where} lost",
    "no_such_link": "{where} is not in this run’s pod",
    "no_such_device": "{where} is not in this run’s pod",
    "no_such_switch": "{where} is not in this run’s pod",
    "vms_hit": "VMs lose memory on {where}",
    "memory_lost_bytes": "memory of VMs lost on {where}",
    "pool_overflow": "{where} overflows",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened in a lane: from, to (the same for an instant), words, and whether it is a harm."""

    lane: str
    from_s: float
    to_s: float
    words: str
    harm: bool = False


def gathered(events: pl.DataFrame, end_s: float) -> list[Mark]:
    """Return events as marks: the same kind within half an hour is one, with its places counted; faults last until they end."""
    if events.is_empty():
        return []
    found: list[Mark] = []
    for (domain, kind), group in events.sort("t_s").group_by(["domain", "kind"], maintain_order=True):
        if kind in FAULTS:
            found += _spells(str(kind), group, end_s)
            continue
        apart_s = INSTANCES_APART_S if str(kind).startswith("instance_") else APART_S
        cut = (pl.col("t_s").diff().fill_null(0.0) > apart_s).cum_sum().alias("part")
        for _, part in group.with_columns(cut).group_by("part", maintain_order=True):
            found.append(_mark(str(domain), str(kind), part))
    return sorted(found, key=lambda mark: (mark.from_s, mark.lane, mark.words))


def _spells(kind: str, group: pl.DataFrame, end_s: float) -> list[Mark]:
    """Return faults from begin to end: an event of value 0 ends what began at the same place; one without an end lasts on."""
    found: list[Mark] = []
    domain = str(group["domain"][0])
    for (place,), part in group.group_by(["entity_id"], maintain_order=True):
        begun: float | None = None
        for t_s, value in part.select("t_s", "value").iter_rows():
            if value > 0 and begun is None:
                begun = t_s
            elif value == 0 and begun is not None:
                found.append(Mark(domain, begun, t_s, KINDS[kind].format(where=place), harm=True))
                begun = None
        if begun is not None:
            found.append(Mark(domain, begun, end_s, KINDS[kind].format(where=place), harm=True))
    return found


def _mark(domain: str, kind: str, part: pl.DataFrame) -> Mark:
    places = part["entity_id"].unique(maintain_order=True).to_list()
    noun = str(part["entity_kind"][0])
    where = str(places[0]) if len(places) == 1 else f"{len(places)} {noun}s"
    words = KINDS.get(kind, kind.replace("_", " ") + " {where}").format(where=where).strip()
    if len(places) > 1:
        for verb in ("throttle", "brake", "start", "stop", "reject", "overflow"):
            words = words.replace(f" {verb}s", f" {verb}")
    return Mark(domain, float(part["t_s"][0]), float(part["t_s"][-1]), words, kind in HARMS)

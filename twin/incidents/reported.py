"""What monitoring may know of events: reports of units, never faults."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from twin.incidents.causes import CAUSES

# Units report their capacity in whole percents: less than half of one is nothing to them.
LEAST_SHARE: Final = 0.005


@dataclass(frozen=True, slots=True)
class Report:
    """What a unit says when it loses capacity and when it has it again: kinds of event, and their words.

    The first {} is who says it, the second how much of its capacity is gone.
    """

    lost: str
    back: str
    lost_words: str
    back_words: str


def _capacity(unit: str) -> Report:
    return Report(
        "capacity_lost",
        "capacity_back",
        unit + " {} reports that {} % of its capacity is gone",
        unit + " {} reports all of its capacity",
    )


def _connection(name: str, noun: str) -> Report:
    return Report(f"{name}_down", f"{name}_up", f"{noun} {{}} is down", f"{noun} {{}} is up again")


# Injected faults that the unit which they strike knows of by itself: its controller or its driver says so, without knowing why. Events of
# every other injected kind are the twin's own notes, and no tool reads them: nobody is told that a rack is blocked or a sensor drifts.
REPORTS: Final[Mapping[str, Report]] = {
    "ahu_loss": _capacity("air handling of"),
    "chiller_loss": _capacity("chilled water of"),
    "ups_loss": _capacity("UPS"),
    "pdu_loss": _capacity("PDU"),
    "cxl_link_loss": _connection("link", "CXL port"),
    "cxl_device_loss": _connection("device", "CXL device"),
    "cxl_switch_loss": _connection("switch", "CXL switch"),
}
INJECTED: Final = frozenset(kind for cause in CAUSES.values() for kind in cause.faults)
# Notes of the twin on its own work: what a replay could not follow, faults that name what a run does not have.
_NOTES: Final = r"^(replay_|no_such_)"


def reported(events: pl.LazyFrame) -> pl.LazyFrame:
    """Return events (t_s, kind, entity_kind, entity_id, value, …) as monitoring has them, with ``words``.

    What domains do and refuse stays as it is (brakes, trips, throttling, evictions, instances that go, requests turned away). An
    injected fault becomes what its unit reports of itself, and is left out where no unit does.
    """
    kind, value, entity = pl.col("kind"), pl.col("value"), pl.col("entity_id")
    told = pl.format("{} of {} {}: {}", "kind", "entity_kind", "entity_id", value.round(4))
    kinds = kind
    for fault, report in REPORTS.items():
        mine, percent = kind == fault, (value * 100.0).round(0).cast(pl.Int64).cast(pl.String)
        lost = pl.format(report.lost_words, *[entity, percent][: report.lost_words.count("{}")])
        back = pl.format(report.back_words, entity)
        told = pl.when(mine).then(pl.when(value > 0.0).then(lost).otherwise(back)).otherwise(told)
        kinds = pl.when(mine).then(pl.when(value > 0.0).then(pl.lit(report.lost)).otherwise(pl.lit(report.back))).otherwise(kinds)
    hidden = kind.is_in(sorted(INJECTED - set(REPORTS))) | kind.str.contains(_NOTES)
    faint = kind.is_in(sorted(REPORTS)) & (value > 0.0) & (value < LEAST_SHARE)
    return events.filter(~(hidden | faint)).with_columns(words=told, kind=kinds)

"""Sentences that figures of the floor carry as titles, made from data."""

import re
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app.charts.day import MINUTE_S, Day, Mark, Outage
from app.charts.events import FAULTS, HARMS, KINDS
from app.charts.heatmap import Plan, PlanRack
from twin.clock import Clock
from twin.fleet import GPUS_PER_SERVER
from twin.units import show

_KINDS = {"ups": "UPS", "pdu": "PDU"}
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


@dataclass(frozen=True, slots=True)
class Place:
    """The worst GPU of a day against its limit: where, when, how hot, how far above the limit (negative below)."""

    row: int
    rack: PlanRack
    minute: int
    temp_c: float
    over_c: float


def named(entity_id: str, kind: str = "") -> str:
    """Return an id at the beginning of a sentence; an id that does not say what it is gets its ``kind`` before it.

    >>> named("row-4"), named("north", "row"), named("k-1", "rack"), named("ups-2", "ups")
    ('Row 4', 'Row north', 'Rack k-1', 'UPS 2')
    """
    text = plainly(entity_id)
    if text == entity_id and kind and not entity_id.startswith(f"{kind}-"):
        text = f"{_KINDS.get(kind, kind)} {entity_id}"
    return text[:1].upper() + text[1:]


def plainly(words: str) -> str:
    """Return words with the numbered places of a generated site as people say them; other ids stay what they are.

    >>> plainly("air handlers lost in aisle-2"), plainly("row-2-pdu-a lost"), plainly("k-1 blocked")
    ('air handlers lost in aisle 2', 'PDU a of row 2 lost', 'k-1 blocked')
    """
    words = re.sub(r"(?<![\w-])([\w.-]+)-pdu-(\w+)(?![\w-])", r"PDU \2 of \1", words)
    return re.sub(r"(?<![\w-])(row|rack|server|host|aisle|ups)-(\d+)(?![\w-])", lambda m: f"{_KINDS.get(m[1], m[1])} {m[2]}", words)


def count(number: int, noun: str) -> str:
    """Return a count in words up to eight: two GPUs, 12 GPUs."""
    word = _NUMBERS[number] if 0 <= number < len(_NUMBERS) else f"{number:,}".replace(",", "\u00a0")
    return f"{word} {noun}" if number == 1 else f"{word} {noun}s"


def worst_place(day: Day, plan: Plan, limits_c: NDArray[np.floating]) -> Place | None:
    """Return where and when a GPU comes nearest to its limit, or is farthest above it."""
    temps = day.values["gpu_temp_c"]
    margin = np.where(np.isnan(temps), -np.inf, temps - limits_c)
    if not np.isfinite(margin).any():
        return None
    minute, gpu = np.unravel_index(int(np.argmax(margin)), margin.shape)
    server = int(gpu) // GPUS_PER_SERVER
    for index, row in enumerate(plan.rows):
        for rack in row.racks:
            if rack.first_server <= server < rack.first_server + rack.servers:
                return Place(index, rack, int(minute), float(temps[minute, gpu]), float(margin[minute, gpu]))
    return None


def floor_title(day: Day, plan: Plan, limits_c: NDArray[np.floating], clock: Clock) -> str:
    """Return what the day comes to: the hottest place and the room that its row keeps below its power budget."""
    place = worst_place(day, plan, limits_c)
    if place is None:
        return "This run recorded no temperatures"
    row, at = plan.rows[place.row], clock.at(day.begin_s + place.minute * MINUTE_S).strftime("%H:%M")
    free = day.row_budget_w[:, place.row] - day.row_power_w[:, place.row]
    known = free[np.isfinite(free)]
    room = "" if not known.size else f"{show(abs(float(known.min())), 'x_w')} {'under' if known.min() >= 0 else 'over'} its budget"
    if place.over_c > 0:
        tail = f"; {plainly(row.id)} runs {room}" if room else ""
        return f"{named(place.rack.id, 'rack')} is {show(place.over_c, 'x_c')} over its limit at {at}{tail}"
    start = f"{named(row.id, 'row')} runs {room} and reaches" if room else f"{named(row.id, 'row')} reaches"
    return f"{start} {show(place.temp_c, 'x_c')} at {at}"


def rack_title(temps_c: NDArray[np.floating], limits_c: NDArray[np.floating], rack_id: str) -> str:
    """Return how a rack stands now; arrays hold its GPUs."""
    known = np.isfinite(temps_c)
    if not known.any():
        return f"{named(rack_id, 'rack')} has no reading now"
    over = int(np.count_nonzero(temps_c[known] > limits_c[known]))
    if over:
        return f"{named(rack_id, 'rack')}: {count(over, 'GPU')} over the limit"
    return f"{named(rack_id, 'rack')} is {show(float(np.min((limits_c - temps_c)[known])), 'x_c')} under its limit"


def event_words(kind: str, entity_id: str, value: float) -> str:
    """Return an event in words; a fault ends with the value 0."""
    words = KINDS.get(kind, kind.replace("_", " ") + " {where}").format(where=entity_id)
    if kind in FAULTS | {"power_cap"} and value == 0:
        return f"{words}: over"
    return f"{words}, at {100 * value:.0f}\u00a0% of its rating" if kind.endswith("_trip") else words


def marks(events: pl.DataFrame, domain: str = "plant") -> list[Mark]:
    """Return the marks of the time axis: one per minute and kind, the first of each; faults and brakes are bad news."""
    if events.is_empty():
        return []
    mine = (
        events.filter(pl.col("domain") == domain)
        .sort("t_s")
        .with_columns((pl.col("t_s") // MINUTE_S).alias("minute"))
        .unique(["minute", "kind"], keep="first", maintain_order=True)
    )
    return [
        Mark(
            row["t_s"],
            event_words(row["kind"], row["entity_id"], row["value"] or 0.0),
            row["kind"] in FAULTS | HARMS and bool(row["value"]),
        )
        for row in mine.iter_rows(named=True)
    ]


def outages(events: pl.DataFrame, end_s: float) -> list[Outage]:
    """Return when aisles lack air handlers: from an event ``ahu_loss`` with a severity to the one with 0, or the end."""
    if events.is_empty():
        return []
    found, begun = [], {}
    for row in events.filter(pl.col("kind") == "ahu_loss").sort("t_s").iter_rows(named=True):
        if row["value"]:
            begun[row["entity_id"]] = (row["t_s"], row["value"])
        elif row["entity_id"] in begun:
            found.append((row["entity_id"], *begun.pop(row["entity_id"]), row["t_s"]))
    found += [(aisle, from_s, severity, end_s) for aisle, (from_s, severity) in begun.items()]
    return [Outage(aisle, from_s, to_s, f"{100 * severity:.0f}\u00a0% of the air is lost") for aisle, from_s, severity, to_s in found]

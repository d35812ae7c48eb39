"""A run's day of the floor: minutes by places, as panels and browser ask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app.charts.cube import encode, floats, pack
from app.charts.heatmap import QUANTITIES, Plan, Quantity
from app.charts.tokens import HEAT, Tokens
from twin.clock import Clock
from twin.fleet import GPUS_PER_SERVER
from twin.units import split

Floats = NDArray[np.float32]
MINUTE_S: Final = 60.0
# quantity -> table, key column, value column
SOURCES: Final[Mapping[str, tuple[str, str, str]]] = {
    "gpu_temp_c": ("gpus", "gpu_id", "temp_max_c"),
    "inlet_c": ("servers", "server_id", "inlet_c"),
    "server_power_w": ("servers", "server_id", "power_w"),
    "airflow_share": ("servers", "server_id", "airflow_share"),
    "throttled_share": ("servers", "server_id", "throttled_gpu_share"),
}


@dataclass(frozen=True)
class Day:
    """One run on the floor. ``values`` are minutes x places in the fleet's order, not-a-number where nothing was recorded.

    ``row_power_w`` is minutes x rows of the plan, the highest of each minute.
    """

    begin_s: float
    minutes: int
    values: Mapping[str, Floats]
    row_power_w: Floats
    row_budget_w: Floats

    def minute(self, t_s: float) -> int:
        """Return the minute of a second of the run, kept inside the day."""
        return int(min(max((t_s - self.begin_s) // MINUTE_S, 0), self.minutes - 1))


def read_day(tables: Mapping[str, pl.LazyFrame], plan: Plan, begin_s: float, end_s: float) -> Day:
    """Gather a stored run's tables into arrays; a table that the run does not have leaves not-a-number."""
    minutes = max(1, int(np.ceil((end_s - begin_s) / MINUTE_S)))
    gpu_ids = [f"{server}/gpu-{slot}" for server in plan.server_ids for slot in range(GPUS_PER_SERVER)]
    places = {"gpu_id": gpu_ids, "server_id": list(plan.server_ids), "row_id": [row.id for row in plan.rows]}
    values = {}
    for quantity in QUANTITIES:
        table, key, column = SOURCES[quantity.name]
        values[quantity.name] = by_minute(tables.get(table), key, column, places[key], begin_s, minutes)
    power = by_minute(tables.get("rows"), "row_id", "power_w", places["row_id"], begin_s, minutes)
    budget = by_minute(tables.get("rows"), "row_id", "budget_w", places["row_id"], begin_s, minutes)
    fixed = np.array([row.budget_w for row in plan.rows], dtype=np.float32)
    return Day(begin_s, minutes, values, power, np.where(np.isnan(budget), fixed, budget))


def by_minute(lazy: pl.LazyFrame | None, key: str, column: str, ids: Sequence[str], begin_s: float, minutes: int) -> Floats:
    """Return the highest value of each minute and place, shape minutes x places. ``t_s`` of a row is the end of its interval."""
    out = np.full((minutes, len(ids)), np.nan, dtype=np.float32)
    if lazy is None or column not in lazy.collect_schema().names():
        return out
    frame = lazy.select("t_s", key, column).collect()
    place = frame[key].cast(pl.Enum(list(ids)), strict=False).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
    minute = np.ceil((frame["t_s"].to_numpy() - begin_s) / MINUTE_S - 1e-6).astype(np.int64) - 1
    kept = (place >= 0) & (minute >= 0) & (minute < minutes)
    flat = minute[kept] * len(ids) + place[kept]
    highest = np.full(minutes * len(ids), -np.inf, dtype=np.float32)
    np.maximum.at(highest, flat, frame[column].to_numpy().astype(np.float32)[kept])
    found = np.isfinite(highest)
    out.reshape(-1)[found] = highest[found]
    return out


def over_spans(values: Floats, limits: NDArray[np.floating]) -> list[tuple[int, int]]:
    """Return the spans of minutes (first, last) in which any place is over its limit."""
    over = np.any(values > limits, axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], over, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


def worst(values: Floats) -> Floats:
    """Return the highest value of each minute, not-a-number where there is none."""
    seen = np.isfinite(values).any(axis=1)
    out = np.full(len(values), np.nan, dtype=np.float32)
    out[seen] = np.nanmax(values[seen], axis=1)
    return out


@dataclass(frozen=True, slots=True)
class Mark:
    """An event on the time axis: when, in words, and whether something broke."""

    t_s: float
    words: str
    bad: bool


@dataclass(frozen=True, slots=True)
class Outage:
    """A span in which an aisle lacks air handlers, in words."""

    aisle: str
    from_s: float
    to_s: float
    words: str


def message(
    days: Mapping[str, Day],
    shown: str,
    plan: Plan,
    limits: Mapping[str, NDArray[np.floating]],
    marks: Sequence[Mark],
    clock: Clock,
    outages: Sequence[Outage] = (),
) -> dict[str, Any]:
    """Return a day as the browser takes it: the shown run's cubes, both runs' curves, power, events.

    ``days`` is keyed today and candidate; ``limits`` holds, for the quantities that have one, a limit per place.
    """
    day = days[shown]
    begin = clock.at(day.begin_s)
    return {
        "shown": shown,
        "minutes": day.minutes,
        "begin_s": day.begin_s,
        "start_minute": begin.hour * 60 + begin.minute,
        "heat": list(HEAT),
        "servers": list(plan.server_ids),
        "rows": [
            {
                "id": row.id,
                "aisle": row.aisle,
                "racks": [{"id": rack.id, "first": rack.first_server, "servers": rack.servers} for rack in row.racks],
            }
            for row in plan.rows
        ],
        "quantities": [_quantity(quantity, days, shown, plan, limits.get(quantity.name), clock) for quantity in QUANTITIES],
        "power": {name: floats(other.row_power_w) for name, other in days.items() if other.minutes == day.minutes},
        "budget": floats(day.row_budget_w),
        "aisles": _aisles(day, plan),
        "outages": [{"aisle": o.aisle, "from": day.minute(o.from_s), "to": day.minute(o.to_s), "words": o.words} for o in outages],
        "events": [
            {"minute": day.minute(mark.t_s), "words": mark.words, "bad": mark.bad}
            for mark in marks
            if 0 <= mark.t_s - day.begin_s <= day.minutes * MINUTE_S
        ],
    }


def _aisles(day: Day, plan: Plan) -> dict[str, str]:
    """Return the mean inlet and the mean fan airflow of each aisle's servers, minute by minute."""
    out = {}
    for aisle in dict.fromkeys(row.aisle for row in plan.rows):
        racks = [rack for row in plan.rows if row.aisle == aisle for rack in row.racks]
        servers = np.concatenate([np.arange(rack.first_server, rack.first_server + rack.servers) for rack in racks])
        for name in ("inlet_c", "airflow_share"):
            out[f"{aisle}/{name}"] = floats(day.values[name][:, servers].mean(axis=1))
    return out


def colours(tokens: Tokens) -> dict[str, str]:
    """Return the colours that the browser draws with, by role."""
    return {role: getattr(tokens, role) for role in tokens.__slots__ if role not in {"theme", "series"}}


def _quantity(
    quantity: Quantity, days: Mapping[str, Day], shown: str, plan: Plan, limits: NDArray[np.floating] | None, clock: Clock
) -> dict[str, Any]:
    values = days[shown].values[quantity.name]
    bounds = np.full(values.shape[1], np.inf) if limits is None else limits
    cube = encode(values, bounds, quantity.low, quantity.high)
    curves = {name: floats(worst(day.values[quantity.name])) for name, day in days.items() if day.minutes == days[shown].minutes}
    per = GPUS_PER_SERVER if quantity.per == "gpu" else 1
    for index, row in enumerate(plan.rows):
        own = np.concatenate([np.arange(rack.first_server * per, (rack.first_server + rack.servers) * per) for rack in row.racks])
        curves[f"row-{index}"] = floats(worst(values[:, own]))
    unit, factor, digits, coarse = _unit(quantity)
    distinct = sorted({float(limit) for limit in bounds if np.isfinite(limit)})
    return {
        "name": quantity.name,
        "label": quantity.label,
        "title": quantity.title,
        "per": quantity.per,
        "places": int(values.shape[1]),
        "low": quantity.low,
        "top": max(distinct, default=quantity.top),
        "step": cube.step,
        "codes": pack(cube.codes),
        "limit_codes": _base64(cube.limit_codes),
        "worst": curves,
        "worst_words": quantity.worst_words,
        "unit": unit,
        "factor": factor,
        "digits": digits,
        "coarse": coarse,
        "ticks": list(quantity.ticks),
        "lines": [{"value": limit, "words": f"limit {_words(limit, quantity)}"} for limit in distinct[:2]],
        "limit_words": f"limit {' / '.join(_words(limit, quantity, bare=i + 1 < len(distinct)) for i, limit in enumerate(distinct))}"
        if distinct
        else "",
        "says": says(quantity, days[shown], bounds, clock),
    }


def says(quantity: Quantity, day: Day, limits: NDArray[np.floating], clock: Clock) -> str:
    """Return what the day's curve says, in one sentence."""
    values = day.values[quantity.name]
    curve = worst(values)
    if not np.isfinite(curve).any():
        return f"No {quantity.title} was recorded"
    top = int(np.nanargmax(curve))
    at = clock.at(day.begin_s + top * MINUTE_S).strftime("%H:%M")
    spans = over_spans(values, limits)
    if spans:
        first, last = (clock.at(day.begin_s + minute * MINUTE_S).strftime("%H:%M") for minute in (spans[0][0], spans[-1][1]))
        total = sum(b - a + 1 for a, b in spans)
        if len(spans) == 1:
            return f"The {quantity.worst_words} is over its limit from {first} to {last}"
        return f"The {quantity.worst_words} is over its limit for {total} minutes between {first} and {last}"
    if quantity.name == "throttled_share" and float(np.nanmax(curve)) <= 0.0:
        return "No GPU is throttled all day"
    return f"The {quantity.worst_words} peaks at {_words(float(curve[top]), quantity)}, at {at}"


def _words(value: float, quantity: Quantity, *, bare: bool = False) -> str:
    unit, factor, digits, _ = _unit(quantity)
    text = f"{value * factor:.{0 if abs(value * factor - round(value * factor)) < 1e-6 else digits}f}"
    return text if bare else f"{text}\u00a0{unit}"


def _unit(quantity: Quantity) -> tuple[str, float, int, int]:
    """Return unit, factor, decimals of exact values and decimals of values read off the bytes."""
    if quantity.name.endswith("_w"):
        return "kW", 1e-3, 2, 1
    if quantity.name.endswith("_share"):
        return "%", 100.0, 0, 0
    return split(1.0, quantity.name)[1], 1.0, 1, 0


def _base64(codes: NDArray[np.uint8]) -> str:
    import base64

    return base64.b64encode(codes.tobytes()).decode("ascii")

"""Floor plan as a heat map: rows as they stand, a cell per GPU."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app.charts import svg
from app.charts.tokens import HEAT, Tokens
from twin.fleet import GPUS_PER_SERVER, Fleet
from twin.units import show

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PlanRack:
    """One rack of a plan: its id and the indices of its servers, top first."""

    id: str
    first_server: int
    servers: int


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One row of GPU racks, the aisle it draws from, and the power it may use."""

    id: str
    aisle: str
    budget_w: float
    racks: tuple[PlanRack, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Where every GPU server stands. Servers are numbered as the fleet numbers them, GPUs eight a server."""

    rows: tuple[PlanRow, ...]
    server_ids: tuple[str, ...]

    def rack_of(self, rack_id: str) -> tuple[PlanRow, PlanRack]:
        """Return a rack and its row; ValueError where the plan has no such rack."""
        for row in self.rows:
            for rack in row.racks:
                if rack.id == rack_id:
                    return row, rack
        raise ValueError(f"rack {rack_id!r} is not on this floor plan")


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a floor plan shows: a name that carries the unit, words, and a scale that never follows the frame.

    ``low`` is the coolest expected value, ``top`` the end of the colours where no place has a limit, ``high`` the end of what can be
    stored, ``ticks`` what the scale names in between. ``per`` says whether a value belongs to a GPU or to a server.
    """

    name: str
    label: str
    title: str
    worst_words: str
    per: str
    low: float
    top: float
    high: float
    ticks: tuple[float, ...] = ()


QUANTITIES: Final = (
    Quantity("gpu_temp_c", "GPU", "GPU temperature", "hottest GPU", "gpu", 30.0, 87.0, 106.2, (45.0, 60.0)),
    Quantity("inlet_c", "Inlet", "inlet temperature", "warmest inlet", "server", 15.0, 35.0, 53.1, (20.0, 25.0)),
    Quantity(
        "server_power_w", "Power", "server power", "busiest server", "server", 0.0, 10_200.0, 12_700.0, (2000.0, 4000.0, 6000.0, 8000.0)
    ),
    Quantity("airflow_share", "Airflow", "airflow of the fans", "fastest fan", "server", 0.3, 1.0, 1.0, (0.5, 0.7)),
    Quantity("throttled_share", "Throttling", "time throttled", "most throttled server", "server", 0.0, 1.0, 1.0, (0.25, 0.5, 0.75)),
)


def plan_of(fleet: Fleet) -> Plan:
    """Return the floor plan of a fleet's GPU rows."""
    rows = []
    for index, row_id in enumerate(fleet.row_ids):
        racks = []
        for rack in np.flatnonzero(fleet.rack_rows == index):
            servers = np.flatnonzero(fleet.server_racks == rack)
            if servers.size:
                racks.append(PlanRack(fleet.rack_ids[rack], int(servers[0]), int(servers.size)))
        if racks:
            rows.append(PlanRow(row_id, fleet.aisle_ids[fleet.row_aisles[index]], float(fleet.row_power_budgets_w[index]), tuple(racks)))
    return Plan(tuple(rows), fleet.server_ids)


def ramp(position: NDArray[np.floating] | float) -> list[str]:
    """Return the heat colour at positions 0 (coolest expected) to 1 (limit), between the ten stops of Cividis from 8 %."""
    stops = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in HEAT], dtype=np.float64)
    where = np.clip(np.nan_to_num(np.atleast_1d(position)), 0.0, 1.0) * (len(stops) - 1)
    below = np.minimum(where.astype(np.int64), len(stops) - 2)
    mixed = stops[below] + (stops[below + 1] - stops[below]) * (where - below)[:, None]
    return [f"#{r:02X}{g:02X}{b:02X}" for r, g, b in np.rint(mixed).astype(int)]


LABEL_W: Final = 60
POWER_W: Final = 156
RACK_GAP: Final = 5
CELL_H: Final = 18
AISLE_H: Final = 20
NUMBER_H: Final = 16


def floor_plan_svg(
    frame: pl.DataFrame, plan: Plan, quantity: Quantity, tokens: Tokens, *, limits: Floats | None = None, power: pl.DataFrame | None = None
) -> str:
    """Draw one moment of the floor.

    ``frame`` has ``gpu_id`` or ``server_id`` and ``value``; ``limits`` one per GPU or server in the fleet's order (none: nothing is
    over); ``power`` has ``row_id``, ``power_w`` and, where known, ``today_w``. Cells over their limit are red and outlined.
    """
    width = 826
    cell_w = 7 if quantity.per == "gpu" else 56
    values = _in_order(frame, plan, quantity)
    over = np.zeros(values.shape, dtype=np.bool_) if limits is None else values > limits
    colours = ramp((values - quantity.low) / (quantity.top - quantity.low))
    cells: dict[str, list[str]] = {}
    hot: list[str] = []
    parts: list[str] = []
    y = 0.0
    for index, row in enumerate(plan.rows):
        facing = index > 0 and plan.rows[index - 1].aisle == row.aisle
        if facing:
            parts += _aisle(row, y, tokens)
            y += AISLE_H + 6
        y += 0 if facing else NUMBER_H
        parts += _row_words(row, values, over, quantity, y, tokens)
        for position, rack in enumerate(row.racks):
            x = LABEL_W + position * (56 + RACK_GAP)
            height = rack.servers * CELL_H
            parts.append(svg.rect(x, y, 56, height, tokens.hairline))
            label_y = y + height + 13 if facing else y - 4
            parts.append(svg.text(x + 28, label_y, rack.id.rpartition("-")[2], tokens.muted, anchor="middle"))
            for slot in range(rack.servers):
                per = GPUS_PER_SERVER if quantity.per == "gpu" else 1
                for column in range(per):
                    place = (rack.first_server + slot) * per + column
                    if np.isnan(values[place]):
                        continue
                    box = f"M{x + column * cell_w} {svg.number(y + slot * CELL_H)}h{cell_w - 1}v{CELL_H - 1}h{1 - cell_w}z"
                    (hot if over[place] else cells.setdefault(colours[place], [])).append(box)
        if power is not None:
            parts += _power(row, power, y, tokens)
        y += max((rack.servers for rack in row.racks), default=0) * CELL_H + (NUMBER_H + 10 if facing else 6)
    parts += [svg.path("".join(boxes), fill=colour) for colour, boxes in sorted(cells.items())]
    if hot:
        parts.append(svg.path("".join(hot), fill=tokens.hot, stroke=tokens.hot_outline, width=1.5))
    hottest = float(np.nanmax(values)) if np.isfinite(values).any() else None
    title = f"Floor plan, {quantity.title}: highest {show(hottest, quantity.name)}, {int(over.sum())} over the limit"
    return svg.document(width, y + 4, parts, title)


def scale_svg(quantity: Quantity, tokens: Tokens, limit: str = "") -> str:
    """Draw the colours of a quantity from its coolest expected value to its end; ``limit`` are the words under the end."""
    steps = 58
    parts = [
        svg.rect(4 + i * 3, 2, 3.2, 10, colour) for i, colour in enumerate(ramp(np.linspace(0.0, 1.0, steps)))
    ]  # thin slices: an SVG gradient would interpolate in another colour space
    parts.append(svg.text(4, 26, show(quantity.low, quantity.name), tokens.muted))
    if limit:
        parts.append(svg.line(178, 0, 178, 14, tokens.limit, width=1.5))
        parts.append(svg.rect(179.5, 2.5, 24, 9, tokens.hot, stroke=tokens.hot_outline))
    parts.append(svg.text(204, 26, limit or show(quantity.top, quantity.name), tokens.broken_text if limit else tokens.muted, anchor="end"))
    return svg.document(208, 30, parts, f"Scale of {quantity.title}")


def _in_order(frame: pl.DataFrame, plan: Plan, quantity: Quantity) -> Floats:
    """Return values in the fleet's order, not-a-number for places without one."""
    if quantity.per == "gpu":
        ids = [f"{server}/gpu-{slot}" for server in plan.server_ids for slot in range(GPUS_PER_SERVER)]
        key = "gpu_id"
    else:
        ids, key = list(plan.server_ids), "server_id"
    known = dict(zip(frame[key].cast(pl.String).to_list(), frame["value"].to_list(), strict=True))
    return np.array([known.get(name, np.nan) for name in ids], dtype=np.float64)


def _row_words(row: PlanRow, values: Floats, over: NDArray[np.bool_], quantity: Quantity, y: float, tokens: Tokens) -> list[str]:
    per = GPUS_PER_SERVER if quantity.per == "gpu" else 1
    places = np.concatenate([np.arange(rack.first_server * per, (rack.first_server + rack.servers) * per) for rack in row.racks])
    worst = float(np.nanmax(values[places])) if np.isfinite(values[places]).any() else None
    broken = bool(over[places].any())
    return [
        svg.text(0, y + 33, row.id, tokens.text, weight=600),
        svg.text(0, y + 49, show(worst, quantity.name), tokens.broken_text if broken else tokens.muted, weight=600 if broken else 400),
    ]


def _aisle(row: PlanRow, y: float, tokens: Tokens) -> list[str]:
    width = len(row.racks) * (56 + RACK_GAP) - RACK_GAP
    words = f"cold {row.aisle}"
    return [
        svg.rect(LABEL_W, y, width, AISLE_H, tokens.candidate_fill),
        svg.text(LABEL_W + width / 2, y + 14, words, tokens.muted, anchor="middle"),
    ]


def _power(row: PlanRow, power: pl.DataFrame, y: float, tokens: Tokens) -> list[str]:
    mine = power.filter(pl.col("row_id").cast(pl.String) == row.id)
    if mine.is_empty():
        return []
    used, x, width = float(mine["power_w"][0]), 826 - POWER_W + 14, POWER_W - 18
    over = used > row.budget_w
    free = show(abs(row.budget_w - used), "x_w")
    parts = [
        svg.text(x, y + 22, f"{free} over" if over else f"{free} free", tokens.broken_text if over else tokens.text, weight=600),
        svg.rect(x, y + 34, width, 7, tokens.hairline),
        svg.rect(x, y + 34, width * min(used / row.budget_w, 1.0), 7, tokens.candidate),
        svg.line(x + width, y + 30, x + width, y + 45, tokens.limit),
        svg.text(x, y + 60, f"{show(used, 'x_w')} of {show(row.budget_w, 'x_w')}", tokens.muted),
    ]
    if "today_w" in mine.columns and mine["today_w"][0] is not None:
        at = x + width * min(float(mine["today_w"][0]) / row.budget_w, 1.0)
        parts.append(svg.line(at, y + 31, at, y + 44, tokens.today, width=2))
    return parts

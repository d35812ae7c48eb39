"""Floors of stored runs: plan, limits and day, each read once."""

import base64
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app import state
from app.charts.cube import floats
from app.charts.day import MINUTE_S, Day, by_minute, message, read_day
from app.charts.heatmap import Plan, plan_of
from app.charts.statements import marks, outages
from app.overlays import AT_MOST, Overlay
from app.site import fleet_of
from twin.fleet import GPUS_PER_SERVER, Fleet
from twin.plant.hardware import server_models

# metrics whose bounds can be seen on the floor
ON_THE_FLOOR: Final = {"plant.gpu_temp_max_c": "gpu_temp_c", "plant.inlet_temp_max_c": "inlet_c"}

# Runs never change, so what is read of them may be kept; the store's folder is part of the key.


@lru_cache(maxsize=8)
def fleet_in(home: str, run_id: str) -> Fleet:
    """Return the fleet of a run."""
    return fleet_of(state.run(run_id).manifest)


@lru_cache(maxsize=8)
def plan_in(home: str, run_id: str) -> Plan:
    """Return the floor plan of a run's fleet."""
    return plan_of(fleet_in(home, run_id))


@lru_cache(maxsize=8)
def limits_in(home: str, run_id: str) -> NDArray[np.float64]:
    """Return the highest operating temperature of every GPU in C, in the fleet's order."""
    fleet = fleet_in(home, run_id)
    limits: NDArray[np.float64] = server_models(fleet)["limit_c"][fleet.server_models]
    return np.repeat(limits, GPUS_PER_SERVER)


@lru_cache(maxsize=6)
def day_in(home: str, run_id: str) -> Day:
    """Return a run's day of the floor."""
    stored = state.run(run_id)
    return read_day(stored.tables, plan_in(home, run_id), stored.brief.begin_s, stored.brief.end_s)


@lru_cache(maxsize=6)
def sent(home: str, today: str | None, candidate: str | None, which: str) -> dict[str, Any]:
    """Return the day as the browser takes it: the run that is shown, with the other one's curves."""
    runs = {name: run_id for name, run_id in (("today", today), ("candidate", candidate)) if run_id}
    which = which if which in runs else next(iter(runs))
    run_id = runs[which]
    stored, events = state.run(run_id), state.table(run_id, "events")
    days = {name: day_in(home, other) for name, other in runs.items()}
    limits = {"gpu_temp_c": limits_in(home, run_id)}
    found = message(days, which, plan_in(home, run_id), limits, marks(events), stored.clock, outages(events, stored.brief.end_s))
    return found | {"air": air_in(home, run_id), "version": f"{today}-{candidate}-{which}"}


def air_in(home: str, run_id: str) -> dict[str, str]:
    """Return, by aisle and minute, demand over supply of air and the supply temperature; empty in runs older than the table."""
    lazy, day, ids = state.run(run_id).tables.get("aisles"), day_in(home, run_id), fleet_in(home, run_id).aisle_ids
    if lazy is None:
        return {}
    found = {}
    shared = lazy.with_columns((pl.col("airflow_m3_per_s") / pl.col("supply_m3_per_s")).alias("wanted_share"))
    for column in ("wanted_share", "supply_c"):
        values = by_minute(shared, "aisle_id", column, ids, day.begin_s, day.minutes)
        found |= {f"{aisle}/{column}": floats(values[:, index]) for index, aisle in enumerate(ids)}
    return found


def bounds(home: str, run_id: str, asks: Sequence[Overlay]) -> list[dict[str, Any]]:
    """Return the bounds of intents as the browser draws them over a day: value, words, minutes, and which cells are past it."""
    day = day_in(home, run_id)
    found = []
    for item in [one for one in asks if one.metric in ON_THE_FLOOR and one.op == "<="][:AT_MOST]:
        over = past(home, run_id, item)
        minutes = [(day.minute(a), day.minute(b)) for a, b in item.spans]
        packed = base64.b64encode(zlib.compress(np.packbits(over.reshape(-1), bitorder="little").tobytes(), 6)).decode("ascii")
        of_floor = {"quantity": ON_THE_FLOOR[item.metric], "value": item.value, "words": item.words, "spans": minutes}
        found.append(of_floor | {"over": packed if over.any() else ""})
    return found


@lru_cache(maxsize=16)
def past(home: str, run_id: str, item: Overlay) -> NDArray[np.bool_]:
    """Return which places (minutes x places) are past a bound of an intent, inside its hours and its scope."""
    day, quantity = day_in(home, run_id), ON_THE_FLOOR[item.metric]
    values = day.values[quantity]
    over = values > item.value
    when = np.zeros(day.minutes, dtype=np.bool_)
    for from_s, to_s in item.spans:
        when[int((from_s - day.begin_s) // MINUTE_S) : int((to_s - day.begin_s) // MINUTE_S)] = True
    servers = _servers_in(home, run_id, item)
    where = np.repeat(servers, GPUS_PER_SERVER) if values.shape[1] != servers.size else servers
    return over & when[:, None] & where[None, :]


def _servers_in(home: str, run_id: str, item: Overlay) -> NDArray[np.bool_]:
    """Return which servers lie in a bound's scope; all of them where it has none."""
    fleet = fleet_in(home, run_id)
    found = np.full(len(fleet.server_ids), not item.scope)
    for kind in {scope.kind for scope in item.scope}:
        found |= fleet.servers_within(kind, [scope.id for scope in item.scope if scope.kind == kind])
    return found


def servers_at(home: str, run_id: str, minute: int) -> pl.DataFrame:
    """Return the floor at a minute as a table, a row per server: what the canvas shows, for reading and for a screen reader."""
    day, plan = day_in(home, run_id), plan_in(home, run_id)
    where = [
        (row.id, rack.id, server)
        for row in plan.rows
        for rack in row.racks
        for server in range(rack.first_server, rack.first_server + rack.servers)
    ]
    order = np.array([server for _, _, server in where])
    columns = {name: day.values[name][minute, order] for name in ("inlet_c", "server_power_w", "airflow_share", "throttled_share")}
    hottest = day.values["gpu_temp_c"][minute].reshape(-1, GPUS_PER_SERVER).max(axis=1)[order]
    return pl.DataFrame(
        {
            "row_id": [row for row, _, _ in where],
            "rack_id": [rack for _, rack, _ in where],
            "server_id": [plan.server_ids[server] for server in order],
            "gpu_temp_max_c": hottest,
            **columns,
        }
    )


def servers_sql(run_id: str, day: Day, minute: int) -> str:
    """Return the SELECT that gives the same rows from the store."""
    t_s = day.begin_s + (minute + 1) * MINUTE_S
    return (
        "SELECT row_id, rack_id, server_id, gpu_temp_max_c, inlet_c, power_w, airflow_share, throttled_gpu_share\n"
        f"FROM servers WHERE run_id = '{run_id}' AND t_s = {t_s:.0f}"
    )

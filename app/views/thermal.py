"""Where is it hot, and how far from the limits?"""

from functools import lru_cache
from typing import Any, Final

import numpy as np
import polars as pl
import streamlit as st
from numpy.typing import NDArray

from app import parts, state
from app.charts.day import MINUTE_S, Day, colours, message, read_day
from app.charts.dots import gpu_dots_svg
from app.charts.heatmap import Plan, PlanRack, plan_of
from app.charts.statements import count, event_words, floor_title, marks, named, outages, rack_title, trip_title, worst_place
from app.widgets.drawing import drawing
from app.widgets.floor import floor
from app.widgets.rows import Head, rows
from twin.fleet import GPUS_PER_SERVER, load
from twin.sources import calibration, data_dir
from twin.units import show as shown

KEY: Final = "floor"
_RACK: Final = "_thermal_rack"
_AROUND_S: Final = 3600.0
_LEAST_FREE: Final = 0.05


def show() -> None:
    """Show the page."""
    if not parts.no_run("thermal"):
        _live()


@st.fragment
def _live() -> None:
    now = state.context()
    run_id = now.run_id or ""
    home, plan = str(state.home()), _plan(str(state.home()), run_id)
    day = _day(home, run_id)
    limits_c, minute = _limits_c(plan, _models(home, run_id)), day.minute(now.t_s)
    worst = worst_place(day, plan, limits_c)
    rack_id = st.session_state.get(_RACK) or (worst.rack.id if worst else plan.rows[0].racks[0].id)
    racks = sum(len(row.racks) for row in plan.rows)
    under = f"{len(plan.rows)} rows, {racks} racks, {len(plan.server_ids)} servers, {8 * len(plan.server_ids):,} GPUs".replace(
        ",", "\u00a0", 0
    )
    parts.page_title(floor_title(day, plan, limits_c, now.clock), f"{under} · {now.clock_text} · arrow keys step one minute", legend=False)
    left, right = st.columns([858, 326], gap="small")
    with (
        left,
        parts.panel(
            _plan_title(day, minute, limits_c, now.clock_text),
            "floor",
            data=lambda: _table(home, run_id, minute),
            sql=_sql(run_id, day, minute),
            png=True,
        ),
    ):
        floor(
            _message(home, now.today, now.candidate, now.shown) | {"colours": colours(state.colours())},
            minute,
            rack_id,
            key=KEY,
            on_minute=_moved,
            on_rack=_picked,
        )
    with right:
        _rack(day, plan, minute, rack_id, limits_c)
        _rows(day, plan, minute)
        _events(run_id, now)


def _moved() -> None:
    state.set_t(float(st.session_state[KEY].minute) * MINUTE_S + _begin_s())


def _picked() -> None:
    st.session_state[_RACK] = str(st.session_state[KEY].rack)


def _begin_s() -> float:
    now = state.context()
    return state.run(now.run_id).brief.begin_s if now.run_id else 0.0


# ---- panels ------------------------------------------------------------------------------------------------------------------


def _rack(day: Day, plan: Plan, minute: int, rack_id: str, limits_c: NDArray[np.float64]) -> None:
    row, rack = plan.rack_of(rack_id)
    gpus = slice(rack.first_server * GPUS_PER_SERVER, (rack.first_server + rack.servers) * GPUS_PER_SERVER)
    temps = day.values["gpu_temp_c"][minute]
    found = [_server(day, plan, minute, server, limits_c) for server in range(rack.first_server, rack.first_server + rack.servers)]
    hottest = _hottest_server(temps, rack)
    tokens = state.colours()
    with parts.panel(rack_title(temps[gpus], limits_c[gpus], rack_id), "rack", data=lambda: pl.DataFrame(found)):
        power = float(np.nansum(day.values["server_power_w"][minute, rack.first_server : rack.first_server + rack.servers]))
        slowed = np.nanmax(day.values["throttled_share"][minute, rack.first_server : rack.first_server + rack.servers], initial=0.0)
        word, ink = ("✕ throttled", tokens.broken_text) if slowed > 0 else ("✓ full clock", tokens.good_text)
        st.html(
            f'<div class="iw-line"><p class="iw-note">{row.id} · {shown(power, "x_w")}</p>'
            f'<p class="iw-note" style="color:{ink};font-weight:600">{word}</p></div>'
        )
        heads = (
            Head("server", "Server"),
            Head("inlet_c", "Inlet, °C", "number"),
            Head("gpu_temp_c", "GPU, °C", "number"),
            Head("power_kw", "Power, kW", "number"),
        )
        rows(heads, found, tokens, key="rack-servers")
        own = slice(hottest * GPUS_PER_SERVER, (hottest + 1) * GPUS_PER_SERVER)
        st.html(f'<p class="iw-note">GPU temperature in {plan.server_ids[hottest]}, by GPU</p>')
        drawing(gpu_dots_svg(temps[own].tolist(), float(limits_c[own][0]), tokens), key="rack-gpus")


def _server(day: Day, plan: Plan, minute: int, server: int, limits_c: NDArray[np.float64]) -> dict[str, Any]:
    gpus = slice(server * GPUS_PER_SERVER, (server + 1) * GPUS_PER_SERVER)
    temps = day.values["gpu_temp_c"][minute, gpus]
    hottest = float(np.nanmax(temps)) if np.isfinite(temps).any() else float("nan")
    return {
        "server": plan.server_ids[server],
        "inlet_c": _number(day.values["inlet_c"][minute, server], 1),
        "gpu_temp_c": _number(hottest, 1) + (" ✕" if hottest > limits_c[gpus][0] else ""),
        "power_kw": _number(day.values["server_power_w"][minute, server] / 1000.0, 2),
    }


def _rows(day: Day, plan: Plan, minute: int) -> None:
    found = []
    for index, row in enumerate(plan.rows):
        power, budget = float(day.row_power_w[minute, index]), float(day.row_budget_w[minute, index])
        free = budget - power
        word = "broken" if free < 0 else "at risk" if free < _LEAST_FREE * budget else "met"
        least = np.nanmin(day.row_budget_w[:, index] - day.row_power_w[:, index], initial=np.inf)
        found.append(
            {
                "row": row.id,
                "free_kw": _number(free / 1000.0, 1),
                "least_kw": _number(float(least) / 1000.0, 1),
                "state": word,
                "_free_share": free / budget,
            }
        )
    found.sort(key=lambda item: item["_free_share"] if np.isfinite(item["_free_share"]) else np.inf)
    heads = (
        Head("row", "Row", "text", "64px"),
        Head("free_kw", "Free, kW", "number"),
        Head("least_kw", "Least, kW", "number"),
        Head("state", "", "state", "36px"),
    )
    data = [{key: value for key, value in item.items() if not key.startswith("_")} for item in found]
    with parts.panel(trip_title(day, plan, minute), "row-power", data=lambda: pl.DataFrame(data)):
        rows(heads, data, state.colours(), key="row-headroom")


def _events(run_id: str, now: state.Context) -> None:
    events = state.table(run_id, "events")
    near = (
        events.filter((pl.col("domain") == "plant") & ((pl.col("t_s") - now.t_s).abs() <= _AROUND_S)).sort("t_s")
        if not events.is_empty()
        else events
    )
    title = (
        f"{_first_up(count(near.height, 'event'))} within an hour of {now.clock_text}"
        if near.height
        else f"Nothing happened near {now.clock_text}"
    )
    with parts.panel(title, "floor-events", data=near if near.height else None):
        if near.is_empty():
            st.html('<p class="iw-note">No throttling, brake or fault within an hour of the cursor.</p>')
            return
        closest = near.sort((pl.col("t_s") - now.t_s).abs()).head(6).sort("t_s")
        found = [
            {
                "at": now.clock.at(event["t_s"]).strftime("%H:%M"),
                "what": named(event_words(event["kind"], event["entity_id"], event["value"] or 0.0)),
            }
            for event in closest.iter_rows(named=True)
        ]
        rows((Head("at", "At", "muted", "48px"), Head("what", "What")), found, state.colours(), key="floor-event-rows")


def _plan_title(day: Day, minute: int, limits_c: NDArray[np.float64], clock_text: str) -> str:
    temps = day.values["gpu_temp_c"][minute]
    known = np.isfinite(temps)
    if not known.any():
        return f"No GPU temperature was recorded at {clock_text}"
    over = int(np.count_nonzero(temps[known] > limits_c[known]))
    nearest = float(np.min((limits_c - temps)[known]))
    return (
        f"{_first_up(count(over, 'GPU'))} over the limit at {clock_text}"
        if over
        else f"Every GPU is {shown(nearest, 'x_c')} or more below its limit at {clock_text}"
    )


def _first_up(words: str) -> str:
    return words[:1].upper() + words[1:]


def _hottest_server(temps: NDArray[np.float32], rack: PlanRack) -> int:
    mine = np.nan_to_num(temps.reshape(-1, GPUS_PER_SERVER), nan=-np.inf).max(axis=1)[rack.first_server : rack.first_server + rack.servers]
    return rack.first_server + int(np.argmax(mine))


def _number(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}".replace("-", "\u2212") if np.isfinite(value) else "–"


# ---- what a stored run says, once: runs never change ---------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _plan(home: str, run_id: str) -> Plan:
    return plan_of(load(data_dir() / "fleets" / f"{state.run(run_id).manifest['scenario']['fleet']}.toml"))


@lru_cache(maxsize=8)
def _models(home: str, run_id: str) -> tuple[str, ...]:
    fleet = load(data_dir() / "fleets" / f"{state.run(run_id).manifest['scenario']['fleet']}.toml")
    return tuple(fleet.model_names[model] for model in fleet.server_models)


@lru_cache(maxsize=8)
def _limits_c(plan: Plan, models: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the highest operating temperature of every GPU, in the fleet's order."""
    known = calibration("hardware")["server"]
    return np.repeat([float(known[model]["limit_c"]["value"]) for model in models], GPUS_PER_SERVER)


@lru_cache(maxsize=6)
def _day(home: str, run_id: str) -> Day:
    stored = state.run(run_id)
    return read_day(stored.tables, _plan(home, run_id), stored.brief.begin_s, stored.brief.end_s)


@lru_cache(maxsize=6)
def _message(home: str, today: str | None, candidate: str | None, which: str) -> dict[str, Any]:
    runs = {name: run_id for name, run_id in (("today", today), ("candidate", candidate)) if run_id}
    run_id = runs.get(which) or next(iter(runs.values()))
    stored, plan, events = state.run(run_id), _plan(home, run_id), state.table(run_id, "events")
    limits = {"gpu_temp_c": _limits_c(plan, _models(home, run_id))}
    days = {name: _day(home, other) for name, other in runs.items()}
    which = which if which in days else next(iter(days))
    return message(days, which, plan, limits, marks(events), stored.clock, outages(events, stored.brief.end_s)) | {
        "version": f"{today}-{candidate}-{which}"
    }


def _table(home: str, run_id: str, minute: int) -> pl.DataFrame:
    """Return the floor at a minute as a table, a row per server: what the canvas shows, for reading and for a screen reader."""
    day, plan = _day(home, run_id), _plan(home, run_id)
    hottest = np.nanmax(day.values["gpu_temp_c"][minute].reshape(-1, GPUS_PER_SERVER), axis=1)
    where = [
        (row.id, rack.id, plan.server_ids[server])
        for row in plan.rows
        for rack in row.racks
        for server in range(rack.first_server, rack.first_server + rack.servers)
    ]
    frame = pl.DataFrame(where, schema=["row_id", "rack_id", "server_id"], orient="row")
    servers = {name: day.values[name][minute] for name in ("inlet_c", "server_power_w", "airflow_share", "throttled_share")}
    order = [plan.server_ids.index(server) for _, _, server in where]
    return frame.with_columns(
        pl.Series("gpu_temp_max_c", hottest[order]), *(pl.Series(name, values[order]) for name, values in servers.items())
    )


def _sql(run_id: str, day: Day, minute: int) -> str:
    t_s = day.begin_s + (minute + 1) * MINUTE_S
    return (
        "SELECT row_id, rack_id, server_id, gpu_temp_max_c, inlet_c, power_w, airflow_share, throttled_gpu_share\n"
        f"FROM servers WHERE run_id = '{run_id}' AND t_s = {t_s:.0f}"
    )

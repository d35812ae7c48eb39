"""Where is it hot, and how far from the limits?"""

from typing import Any, Final

import numpy as np
import polars as pl
import streamlit as st
from numpy.typing import NDArray

from app import asked, parts, state
from app.charts.day import MINUTE_S, Day, colours
from app.charts.dots import gpu_dots_svg
from app.charts.heatmap import Plan, PlanRack
from app.charts.statements import count, event_words, floor_title, named, rack_title, trip_title, worst_place
from app.floors import ON_THE_FLOOR, bounds, day_in, limits_in, past, plan_in, sent, servers_at, servers_sql
from app.overlays import Overlay
from app.widgets.drawing import drawing
from app.widgets.floor import floor
from app.widgets.rows import Head, rows
from twin.fleet import GPUS_PER_SERVER
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
    home = str(state.home())
    day, plan, limits_c = day_in(home, run_id), plan_in(home, run_id), limits_in(home, run_id)
    minute = day.minute(now.t_s)
    asks = [item for item in asked.overlays(now) if item.metric in ON_THE_FLOOR and item.op == "<="]
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
            _plan_title(day, minute, limits_c, now.clock_text) + _past_words(home, run_id, asks, minute),
            "floor",
            data=lambda: servers_at(home, run_id, minute),
            sql=servers_sql(run_id, day, minute),
            png=True,
        ),
    ):
        floor(
            sent(home, now.today, now.candidate, now.shown) | {"colours": colours(state.colours())},
            minute,
            rack_id,
            bounds=bounds(home, run_id, asks),
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
    free = day.row_budget_w - day.row_power_w
    share = free / day.row_budget_w
    found = [
        {
            "row": row.id,
            "free_kw": _number(float(free[minute, index]) / 1000.0, 1),
            "free_percent": _number(100.0 * float(share[minute, index]), 0),
            "least_percent": _number(100.0 * float(np.nanmin(share[:, index], initial=np.inf)), 0),
            "state": "broken" if share[minute, index] < 0 else "at risk" if share[minute, index] < _LEAST_FREE else "met",
        }
        for index, row in enumerate(plan.rows)
    ]
    order = np.argsort(np.nan_to_num(share[minute], nan=np.inf), kind="stable")
    found = [found[index] for index in order]
    heads = (
        Head("row", "Row"),
        Head("free_kw", "kW free", "number"),
        Head("free_percent", "% free", "number"),
        Head("state", "", "state", "30px"),
    )
    with parts.panel(trip_title(day, plan, minute), "row-power", data=lambda: pl.DataFrame(found)):
        rows(heads, found, state.colours(), key="row-headroom")


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


def _past_words(home: str, run_id: str, asks: list[Overlay], minute: int) -> str:
    """Return how many cells of the minute are past what is asked, in a few words; empty where none is."""
    for item in asks:
        cells = int(np.count_nonzero(past(home, run_id, item)[minute]))
        if cells:
            noun = "GPU" if item.metric == "plant.gpu_temp_max_c" else "server"
            return f"; {count(cells, noun)} past what {item.intent_id} asks"
    return ""


def _first_up(words: str) -> str:
    return words[:1].upper() + words[1:]


def _hottest_server(temps: NDArray[np.float32], rack: PlanRack) -> int:
    mine = np.nan_to_num(temps.reshape(-1, GPUS_PER_SERVER), nan=-np.inf).max(axis=1)[rack.first_server : rack.first_server + rack.servers]
    return rack.first_server + int(np.argmax(mine))


def _number(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}".replace("-", "\u2212") if np.isfinite(value) else "–"

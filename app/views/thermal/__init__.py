"""Where is it hot, and how far from the limits?"""

from typing import Final

import numpy as np
import polars as pl
import streamlit as st
from numpy.typing import NDArray

from app import asked, parts, state
from app.charts.day import MINUTE_S, Day, colours
from app.charts.statements import count, event_words, floor_title, named, worst_place
from app.floors import ON_THE_FLOOR, bounds, day_in, limits_in, past, plan_in, sent, servers_at, servers_sql
from app.overlays import Overlay
from app.views.thermal import ablation, air, power, rack, what_if
from app.widgets.floor import floor
from app.widgets.rows import Head, rows
from twin.units import show as shown

KEY: Final = "floor"
_AROUND_S: Final = 3600.0


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
    known = {each.id for row in plan.rows for each in row.racks}
    picked = st.session_state.get(power.RACK)
    rack_id = picked if picked in known else worst.rack.id if worst else plan.rows[0].racks[0].id
    racks = sum(len(row.racks) for row in plan.rows)
    gpus = f"{8 * len(plan.server_ids):,}".replace(",", "\u00a0")
    under = f"{len(plan.rows)} rows, {racks} racks, {len(plan.server_ids)} servers, {gpus} GPUs"
    parts.page_title(floor_title(day, plan, limits_c, now.clock), f"{under} · {now.clock_text} · arrow keys step one minute", legend=False)
    what_if.back(run_id)
    with st.container(key="thermal-top"):
        left, right = st.columns([858, 326], gap="small")
    with left:
        title = _plan_title(day, minute, limits_c, now.clock_text) + _past_words(home, run_id, asks, minute)
        sql = servers_sql(run_id, day, minute)
        with parts.panel(title, "floor", data=lambda: servers_at(home, run_id, minute), sql=sql, png=True):
            floor(
                sent(home, now.today, now.candidate, now.shown) | {"colours": colours(state.colours())},
                minute,
                rack_id,
                bounds=bounds(home, run_id, asks),
                key=KEY,
                on_minute=_moved,
                on_rack=_picked,
            )
        rack.server(home, run_id, now, rack_id, limits_c)
    with right:
        rack.rack(day, plan, minute, rack_id, limits_c)
        air.aisles(run_id, now)
        what_if.what_if(home, run_id, now, asks)
        _events(run_id, now)
    power.power(home, run_id, now, plan, rack_id)
    ablation.ablation(run_id, now)


def _moved() -> None:
    state.set_t(float(st.session_state[KEY].minute) * MINUTE_S + _begin_s())


def _picked() -> None:
    st.session_state[power.RACK] = str(st.session_state[KEY].rack)


def _begin_s() -> float:
    now = state.context()
    return state.run(now.run_id).brief.begin_s if now.run_id else 0.0


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

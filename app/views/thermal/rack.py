"""Panels of one rack and of one server in it, with its eight GPUs."""

from typing import Any, Final

import numpy as np
import polars as pl
import streamlit as st
from numpy.typing import NDArray

from app import floors, parts, state
from app.charts.day import MINUTE_S, Day
from app.charts.dots import gpu_dots_svg
from app.charts.heatmap import Plan, PlanRack
from app.charts.server import Line, Scale, Span, lines_svg
from app.charts.statements import count, named, rack_title
from app.views.thermal import reading
from app.widgets.drawing import drawing
from app.widgets.rows import Head, rows
from twin.fleet import GPUS_PER_SERVER
from twin.units import show as shown

SERVER: Final = "_thermal_server"


def server_of(day: Day, plan: Plan, minute: int, rack_id: str) -> int:
    """Return the server that the page looks into: the one that was picked if it is in the rack, else the rack's hottest."""
    rack = plan.rack_of(rack_id)[1]
    mine = range(rack.first_server, rack.first_server + rack.servers)
    picked = st.session_state.get(SERVER)
    return next((server for server in mine if plan.server_ids[server] == picked), _hottest(day.values["gpu_temp_c"][minute], rack))


def rack(day: Day, plan: Plan, minute: int, rack_id: str, limits_c: NDArray[np.float64]) -> None:
    """Show the servers of a rack at the cursor; a click looks into one."""
    row, found = plan.rack_of(rack_id)
    servers = range(found.first_server, found.first_server + found.servers)
    gpus = slice(found.first_server * GPUS_PER_SERVER, (found.first_server + found.servers) * GPUS_PER_SERVER)
    temps = day.values["gpu_temp_c"][minute]
    lines = [_line(day, plan, minute, server, limits_c) for server in servers]
    chosen = server_of(day, plan, minute, rack_id)
    tokens = state.colours()
    with parts.panel(rack_title(temps[gpus], limits_c[gpus], rack_id), "rack", data=lambda: pl.DataFrame(lines).drop("id")):
        power = float(np.nansum(day.values["server_power_w"][minute, servers.start : servers.stop]))
        slowed = np.nanmax(day.values["throttled_share"][minute, servers.start : servers.stop], initial=0.0)
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
        rows(heads, lines, tokens, key="rack-servers", chosen=plan.server_ids[chosen], on_pick=_picked)
        own = slice(chosen * GPUS_PER_SERVER, (chosen + 1) * GPUS_PER_SERVER)
        st.html(f'<p class="iw-note">GPU temperature in {plan.server_ids[chosen]}, by GPU</p>')
        drawing(gpu_dots_svg(temps[own].tolist(), float(limits_c[own][0]), tokens), key="rack-gpus")


def _picked(server_id: str) -> None:
    st.session_state[SERVER] = server_id


def server(home: str, run_id: str, now: state.Context, rack_id: str, limits_c: NDArray[np.float64]) -> None:
    """Show the eight GPUs of one server over the day against their limit, its inlet, power and clock, and whose VMs it carries."""
    day, plan = floors.day_in(home, run_id), floors.plan_in(home, run_id)
    index = server_of(day, plan, day.minute(now.t_s), rack_id)
    name, own = plan.server_ids[index], slice(index * GPUS_PER_SERVER, (index + 1) * GPUS_PER_SERVER)
    temps, limit = day.values["gpu_temp_c"][:, own], float(limits_c[own][0])
    title = server_title(name, temps, limit, day, now)
    vms = reading.vms_on(run_id, name, now.t_s)
    tokens = state.colours()
    over = Span(now.clock, day.begin_s, day.begin_s + day.minutes * MINUTE_S, now.t_s)
    columns = {
        "inlet_c": day.values["inlet_c"][:, index],
        "power_w": day.values["server_power_w"][:, index],
        "clock_min_share": reading.clocks(home, run_id, name),
    }
    with parts.panel(title, "server", data=lambda: _frame(day, temps, columns), sql=_SQL.format(run_id=run_id, server=name), png=True):
        st.html(f'<p class="iw-note">{carried(vms, name, now.clock_text)}</p>')
        lines = [Line(f"GPU {gpu}", tokens.series[gpu], temps[:, gpu]) for gpu in range(GPUS_PER_SERVER)]
        scale = Scale(1.0, "°C", limit, f"limit {shown(limit, 'x_c')}")
        wide, narrow = (lines_svg(lines, over, scale, tokens, title, width=w, height=h) for w, h in ((826.0, 190.0), (320.0, 190.0)))
        drawing(wide, key="server-gpus", narrow=narrow)
        _small(columns, over, tokens)
        if vms.height:
            heads = (Head("vm", "VM"), Head("whose", "Whose"), Head("kind", "Kind", "muted"), Head("gpus", "GPUs", "number", "72px"))
            rows(heads, [_vm(vm) for vm in vms.iter_rows(named=True)], tokens, key="server-vms")


def _small(columns: dict[str, Any], over: Span, tokens: Any) -> None:
    scales = {"inlet_c": Scale(1.0, "°C"), "power_w": Scale(1e-3, "kW"), "clock_min_share": Scale(100.0, "%", fixed=(0.0, 105.0))}
    words = {"inlet_c": "Inlet", "power_w": "Power", "clock_min_share": "Slowest clock, of the highest"}
    ink = tokens.candidate if state.context().shown == "candidate" else tokens.today
    grid = st.grid(3, min_column_width=200, gap="small")
    for name, values in columns.items():
        # The drawings keep the highest of a stretch; of a clock the lowest is what matters.
        lowest = name == "clock_min_share"
        with grid.container():
            st.html(f'<p class="iw-note">{words[name]}</p>')
            line = Line("", ink, values)
            drawing(
                lines_svg([line], over, scales[name], tokens, words[name], width=264.0, height=92.0, lowest=lowest), key=f"server-{name}"
            )


def server_title(name: str, temps: NDArray[np.float32], limit: float, day: Day, now: state.Context) -> str:
    """Return how near a server's hottest GPU comes to its limit, and when."""
    if not np.isfinite(temps).any():
        return f"{named(name, 'server')} has no readings"
    minute, gpu = np.unravel_index(int(np.nanargmax(temps)), temps.shape)
    at = now.clock.at(day.begin_s + int(minute) * MINUTE_S).strftime("%H:%M")
    room = limit - float(temps[minute, gpu])
    side = "under" if room >= 0 else "over"
    hottest = f"GPU {gpu} comes to {shown(float(temps[minute, gpu]), 'x_c')} at {at}"
    return f"{named(name, 'server')}: {hottest}, {shown(abs(room), 'x_c')} {side} its limit"


def carried(vms: pl.DataFrame, name: str, clock_text: str) -> str:
    """Return in words what a server carries."""
    if vms.is_empty():
        return f"No VM stands on {name} at {clock_text}"
    opaque = vms.filter(pl.col("kind") == "iaas").height
    told = f"{count(vms.height, 'VM')} at {clock_text}"
    inside = (
        "opaque to the operator"
        if opaque == vms.height
        else f"{opaque} of them opaque"
        if opaque
        else "serving, can be routed and configured"
    )
    return f"{told[:1].upper()}{told[1:]}, {inside}"


def _vm(vm: dict[str, Any]) -> dict[str, str]:
    gpus, first = vm["gpus"], vm["first_gpu"]
    if gpus is None:
        place = "all"
    elif first is None or first < 0 or gpus < 1:
        place = "–"
    else:
        place = str(first) if gpus == 1 else f"{first}–{first + gpus - 1}"
    return {"vm": vm["vm_id"], "whose": vm["workload_id"], "kind": vm["kind"], "gpus": place}


def _frame(day: Day, temps: NDArray[np.float32], columns: dict[str, Any]) -> pl.DataFrame:
    t_s = day.begin_s + (np.arange(day.minutes) + 1) * MINUTE_S
    return pl.DataFrame({"t_s": t_s, **{f"gpu_{gpu}_temp_max_c": temps[:, gpu] for gpu in range(GPUS_PER_SERVER)}, **columns})


def _line(day: Day, plan: Plan, minute: int, index: int, limits_c: NDArray[np.float64]) -> dict[str, Any]:
    gpus = slice(index * GPUS_PER_SERVER, (index + 1) * GPUS_PER_SERVER)
    temps = day.values["gpu_temp_c"][minute, gpus]
    hottest = float(np.nanmax(temps)) if np.isfinite(temps).any() else float("nan")
    return {
        "id": plan.server_ids[index],
        "server": plan.server_ids[index],
        "inlet_c": _number(day.values["inlet_c"][minute, index], 1),
        "gpu_temp_c": _number(hottest, 1) + (" ✕" if hottest > limits_c[gpus][0] else ""),
        "power_kw": _number(day.values["server_power_w"][minute, index] / 1000.0, 2),
    }


def _hottest(temps: NDArray[np.float32], found: PlanRack) -> int:
    known = np.nan_to_num(temps.reshape(-1, GPUS_PER_SERVER), nan=-np.inf).max(axis=1)
    return found.first_server + int(np.argmax(known[found.first_server : found.first_server + found.servers]))


def _number(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}".replace("-", "\u2212") if np.isfinite(value) else "–"


_SQL: Final = (
    "SELECT t_s, gpu_id, temp_max_c FROM gpus WHERE run_id = '{run_id}' AND gpu_id LIKE '{server}/%' ORDER BY t_s, gpu_id;\n"
    "SELECT t_s, inlet_c, power_w, clock_min_share FROM servers WHERE run_id = '{run_id}' AND server_id = '{server}' ORDER BY t_s"
)

"""One tick of the plant in a compiled kernel, composed of the rooms' formulas."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from twin.fleet import GPUS_PER_SERVER
from twin.plant.airflow import AIR_J_PER_M3_K, airflow_m3_per_s, fan_target_share
from twin.plant.cooling import J_PER_KWH, air_handler_power_w, electrical_loss_w, free_share, heat_pump_power_w
from twin.plant.heat import relaxation, sink_resistance_c_per_w, toward
from twin.plant.inlet import mix, mixing_share, supply_temp_c
from twin.plant.layout import Layout
from twin.plant.power import busy_power_w, decode_power_w, gpu_power_w, host_power_w, idle_power_w, server_power_w
from twin.plant.throttling import brake_row, thermal_clock_share

Floats = NDArray[np.float64]
# A server that throttles is stepped this finely inside a tick, so that throttling does not depend on the tick.
_FINE_S = 1.0
_KERNEL_ROOMS = ("airflow", "cooling", "heat", "inlet", "layout", "power", "step", "throttling")


class Load(NamedTuple):
    """What every GPU (shape G) and host (shape H) does during a tick, and the clock that the emergency lever allows."""

    prefill_share: Floats
    decode_share: Floats
    decode_batch: Floats
    decode_bandwidth_share: Floats
    opaque_share: Floats
    resident: NDArray[np.bool_]
    clock_share: Floats
    clock_cap_share: Floats
    host_share: Floats


class Around(NamedTuple):
    """What surrounds the plant during a tick. ``host`` is idle power, full power and full airflow of a CPU host."""

    dt_s: float
    outside_c: float
    wet_bulb_c: float
    host: tuple[float, float, float]


@njit  # type: ignore[untyped-decorator]
def _draw_power(lay: Layout, load: Load, dt_s: float) -> None:
    """Set fans, airflow, clocks and power of every server for the tick."""
    site = lay.site[0]
    fan_gain = relaxation(dt_s, site.fan_tau_s)
    for s in range(len(lay.servers)):
        server = lay.servers[s]
        model = lay.models[server.model]
        brake = lay.rows[server.row].brake_clock_share
        running = server.off_s <= 0.0
        server.fan_share = toward(server.fan_share, fan_target_share(site, server.load_share, server.hottest_c), fan_gain)
        total_w, busy = 0.0, 0.0
        for g in range(s * GPUS_PER_SERVER, (s + 1) * GPUS_PER_SERVER):
            gpu = lay.gpus[g]
            prefill, decode, opaque = load.prefill_share[g], load.decode_share[g], load.opaque_share[g]
            idle_w = idle_power_w(model, load.resident[g])
            busy_w = busy_power_w(
                model, idle_w, prefill, decode, opaque, decode_power_w(model, load.decode_batch[g], load.decode_bandwidth_share[g])
            )
            gpu.allowed_clock_share = min(load.clock_share[g], load.clock_cap_share[g], brake)
            gpu.clock_share = min(gpu.allowed_clock_share, gpu.thermal_clock_share) if running else 0.0
            gpu.idle_w, gpu.busy_w = idle_w, busy_w
            gpu.power_w = gpu_power_w(model, idle_w, busy_w, gpu.clock_share) if running else 0.0
            total_w += gpu.power_w
            busy += min(prefill + decode + opaque, 1.0)
        server.busy_share = busy / GPUS_PER_SERVER
        fan = server.fan_share if running else 0.0
        server.power_w = server_power_w(model, server.busy_share, total_w, fan) if running else model.standby_w
        server.airflow_m3_per_s = airflow_m3_per_s(model.airflow_max_m3_per_s, fan, server.blocked_share)


@njit  # type: ignore[untyped-decorator]
def _mix_air(lay: Layout, load: Load, around: Around) -> None:
    """Gather heat and flow by rack and aisle, and solve for every rack's inlet."""
    site = lay.site[0]
    for k in range(len(lay.racks)):
        lay.racks[k].heat_w, lay.racks[k].airflow_m3_per_s = 0.0, 0.0
    for s in range(len(lay.servers)):
        rack = lay.racks[lay.servers[s].rack]
        rack.heat_w += lay.servers[s].power_w
        rack.airflow_m3_per_s += lay.servers[s].airflow_m3_per_s
    host_idle_w, host_max_w, host_flow = around.host
    for h in range(len(lay.hosts)):
        rack = lay.racks[lay.hosts[h].rack]
        rack.heat_w += host_power_w(host_idle_w, host_max_w, load.host_share[h])
        rack.airflow_m3_per_s += host_flow * (0.35 + 0.65 * load.host_share[h])
    for a in range(len(lay.aisles)):
        lay.aisles[a].demand_m3_per_s, lay.aisles[a].flow_w_per_c = 0.0, 1e-9
    for k in range(len(lay.racks)):
        rack = lay.racks[k]
        rack.airflow_m3_per_s = max(rack.airflow_m3_per_s, 1e-3)
        rack.flow_w_per_c = AIR_J_PER_M3_K * rack.airflow_m3_per_s
        lay.aisles[rack.aisle].demand_m3_per_s += rack.airflow_m3_per_s
        lay.aisles[rack.aisle].flow_w_per_c += rack.flow_w_per_c
    handler_gain = relaxation(around.dt_s, site.air_handler_tau_s)
    site.supply_c = supply_temp_c(site, around.outside_c)
    for a in range(len(lay.aisles)):
        aisle = lay.aisles[a]
        aisle.air_share = toward(aisle.air_share, aisle.air_target_share, handler_gain)
        aisle.supply_c = site.supply_c + aisle.supply_offset_c + site.lost_air_rise_c * (1.0 - aisle.air_share)
        supply = aisle.design_m3_per_s * aisle.air_share
        aisle.mixing_share = mixing_share(supply, aisle.demand_m3_per_s, site.leak_share, site.mixing_max_share)
    mix(lay.racks, lay.aisles, lay.neighbours, lay.neighbour_share)
    load_rise_c = site.load_rise_c * site.it_power_w / site.nameplate_w
    for k in range(len(lay.racks)):
        rack = lay.racks[k]
        rack.air_c = lay.aisles[rack.aisle].supply_c + load_rise_c + rack.rise_c
        rack.inlet_c = rack.air_c + rack.offset_c


@njit  # type: ignore[untyped-decorator]
def _heat_server(lay: Layout, s: int, dt_s: float, sink_gains: Floats, die_gains: Floats) -> bool:
    """Step a server's GPUs over the tick at constant power; return False, with nothing changed, where one would throttle."""
    server = lay.servers[s]
    model = lay.models[server.model]
    first = s * GPUS_PER_SERVER
    if server.off_s > 0.0:
        return False
    flow = max(server.fan_share * (1.0 - server.blocked_share), 0.05)
    sink_r = sink_resistance_c_per_w(model, flow, lay.site[0].sink_flow_exponent)
    sink_gain, die_gain = sink_gains[server.model], die_gains[server.model]
    for g in range(first, first + GPUS_PER_SERVER):
        gpu = lay.gpus[g]
        gpu.next_sink_c = toward(gpu.sink_c, sink_r * gpu.power_w, sink_gain)
        gpu.next_die_c = toward(gpu.die_c, model.r_die_c_per_w * gpu.power_w, die_gain)
        if gpu.thermal_clock_share < 1.0 or server.inlet_c + gpu.offset_c + gpu.next_sink_c + gpu.next_die_c > model.limit_c:
            return False
    hottest, load_share = -1e9, 0.0
    for g in range(first, first + GPUS_PER_SERVER):
        gpu = lay.gpus[g]
        gpu.sink_c, gpu.die_c = gpu.next_sink_c, gpu.next_die_c
        gpu.temp_c = server.inlet_c + gpu.offset_c + gpu.sink_c + gpu.die_c
        gpu.peak_c = max(gpu.peak_c, gpu.temp_c)
        hottest = max(hottest, gpu.temp_c)
        load_share += (gpu.power_w - model.idle_w) / (model.tdp_w - model.idle_w)
    server.hottest_c, server.tick_peak_c = hottest, hottest
    server.load_share = min(max(load_share / GPUS_PER_SERVER, 0.0), 1.0)
    server.throttled_s = 0.0
    server.edges = 0.0
    return True


@njit  # type: ignore[untyped-decorator]
def _throttle_server(lay: Layout, s: int, dt_s: float) -> None:
    """Step a hot or stopped server second by second: its clocks follow its temperatures; its power becomes the tick's mean."""
    server = lay.servers[s]
    model, site = lay.models[server.model], lay.site[0]
    count = int(np.ceil(dt_s / _FINE_S - 1e-9))
    h = dt_s / count
    sink_gain, die_gain = relaxation(h, model.tau_sink_s), relaxation(h, model.tau_die_s)
    flow = max(server.fan_share * (1.0 - server.blocked_share), 0.05)
    sink_r = sink_resistance_c_per_w(model, flow, site.sink_flow_exponent)
    fan_w = server_power_w(model, server.busy_share, 0.0, server.fan_share)
    energy_j, load_share, hottest = 0.0, 0.0, -1e9
    server.tick_peak_c, server.throttled_s, server.edges = -1e9, 0.0, 0.0
    first = s * GPUS_PER_SERVER
    for _ in range(count):
        running = server.off_s <= 0.0
        server.off_s = max(server.off_s - h, 0.0)
        total_w, hottest = 0.0, -1e9
        load_share = 0.0
        for g in range(first, first + GPUS_PER_SERVER):
            gpu = lay.gpus[g]
            gpu.clock_share = min(gpu.allowed_clock_share, gpu.thermal_clock_share) if running else 0.0
            power_w = gpu_power_w(model, gpu.idle_w, gpu.busy_w, gpu.clock_share) if running else 0.0
            gpu.power_w = power_w
            gpu.sink_c = toward(gpu.sink_c, sink_r * power_w, sink_gain)
            gpu.die_c = toward(gpu.die_c, model.r_die_c_per_w * power_w, die_gain)
            gpu.temp_c = server.inlet_c + gpu.offset_c + gpu.sink_c + gpu.die_c
            gpu.peak_c = max(gpu.peak_c, gpu.temp_c)
            hottest = max(hottest, gpu.temp_c)
            if not running or gpu.thermal_clock_share < 1.0:
                server.throttled_s += h
            if running:
                before = gpu.thermal_clock_share
                gpu.thermal_clock_share = thermal_clock_share(model, site, before, gpu.clock_share, gpu.temp_c, h)
                if before >= 1.0 and gpu.thermal_clock_share < 1.0:
                    server.edges += 1.0
            total_w += power_w
            load_share += (power_w - model.idle_w) / (model.tdp_w - model.idle_w)
        energy_j += h * (fan_w + total_w if running else model.standby_w)
        server.tick_peak_c = max(server.tick_peak_c, hottest)
        if running and hottest > model.shutdown_c:
            server.off_s = site.restart_s
    server.power_w = energy_j / dt_s
    server.hottest_c = hottest
    server.load_share = min(max(load_share / GPUS_PER_SERVER, 0.0), 1.0)


@njit  # type: ignore[untyped-decorator]
def _heat(lay: Layout, dt_s: float) -> None:
    """Step every server's temperatures."""
    sink_gains, die_gains = np.empty(len(lay.models)), np.empty(len(lay.models))
    for m in range(len(lay.models)):
        sink_gains[m] = relaxation(dt_s, lay.models[m].tau_sink_s)
        die_gains[m] = relaxation(dt_s, lay.models[m].tau_die_s)
    for s in range(len(lay.servers)):
        server = lay.servers[s]
        server.inlet_c = lay.racks[server.rack].air_c + server.offset_c
        if not _heat_server(lay, s, dt_s, sink_gains, die_gains):
            _throttle_server(lay, s, dt_s)


@njit  # type: ignore[untyped-decorator]
def _gather(lay: Layout, load: Load, around: Around) -> None:
    """Sum power by rack and row, brake rows, and keep the minute's and the half minute's extremes."""
    dt_s = around.dt_s
    for r in range(len(lay.rows)):
        row = lay.rows[r]
        row.power_w, row.gpu_c, row.throttled_share = 0.0, np.nan, 0.0
    for k in range(len(lay.racks)):
        rack = lay.racks[k]
        rack.power_w, rack.gpu_c, rack.throttled_s = 0.0, np.nan, 0.0
    for s in range(len(lay.servers)):
        server = lay.servers[s]
        rack = lay.racks[server.rack]
        braked = lay.rows[server.row].brake_clock_share < 1.0
        throttled_s = dt_s * GPUS_PER_SERVER if braked else server.throttled_s
        slowest = 1.0
        for g in range(s * GPUS_PER_SERVER, (s + 1) * GPUS_PER_SERVER):
            slowest = min(slowest, lay.gpus[g].clock_share)
        rack.power_w += server.power_w
        rack.throttled_s += throttled_s
        if not rack.gpu_c >= server.tick_peak_c:
            rack.gpu_c = server.tick_peak_c
        rack.part_inlet_c = max(rack.part_inlet_c, server.inlet_c)
        server.minute_inlet_c = max(server.minute_inlet_c, server.inlet_c)
        server.minute_gpu_c = max(server.minute_gpu_c, server.tick_peak_c)
        server.minute_clock_share = min(server.minute_clock_share, slowest)
        server.minute_j += server.power_w * dt_s
        server.minute_air_s += server.fan_share * (1.0 - server.blocked_share) * dt_s
        server.minute_throttled_s += throttled_s
        server.minute_edges += server.edges
    host_idle_w, host_max_w, _ = around.host
    for h in range(len(lay.hosts)):
        lay.racks[lay.hosts[h].rack].power_w += host_power_w(host_idle_w, host_max_w, load.host_share[h])
    for k in range(len(lay.racks)):
        rack = lay.racks[k]
        row = lay.rows[rack.row]
        row.power_w += rack.power_w
        row.throttled_share += rack.throttled_s
        if not row.gpu_c >= rack.gpu_c:
            row.gpu_c = rack.gpu_c
        rack.part_inlet_c = max(rack.part_inlet_c, rack.inlet_c)
        rack.part_gpu_c = max(rack.part_gpu_c, rack.gpu_c) if rack.gpus > 0.0 else np.nan
        rack.part_j += rack.power_w * dt_s
        rack.part_throttled_s += rack.throttled_s
    for r in range(len(lay.rows)):
        row = lay.rows[r]
        row.throttled_share = row.throttled_share / (row.gpus * dt_s) if row.gpus > 0.0 else 0.0
        row.began = 1.0 if brake_row(row, lay.site[0], dt_s) else 0.0


@njit  # type: ignore[untyped-decorator]
def _meter(lay: Layout, around: Around) -> None:
    """Add up what the site draws at the utility meter and evaporates."""
    site = lay.site[0]
    it_w = 0.0
    for r in range(len(lay.rows)):
        it_w += lay.rows[r].power_w
    handlers_w = 0.0
    for a in range(len(lay.aisles)):
        aisle = lay.aisles[a]
        flow = min(aisle.demand_m3_per_s, aisle.design_m3_per_s * aisle.air_share)
        handlers_w += air_handler_power_w(site, flow, aisle.design_m3_per_s)
    heat_w = it_w + handlers_w
    site.free_share = free_share(site, around.wet_bulb_c, site.supply_c)
    plant_w = handlers_w + heat_pump_power_w(site, heat_w, around.outside_c, site.free_share)
    site.it_power_w = it_w
    site.site_power_w = it_w + plant_w + electrical_loss_w(site, it_w, site.rated_w) + site.other_share * it_w
    site.pue = site.site_power_w / it_w
    site.water_l_per_s = site.water_l_per_kwh * heat_w / J_PER_KWH
    site.minute_s += around.dt_s
    site.part_s += around.dt_s


@njit  # type: ignore[untyped-decorator]
def _step(stamp: int, lay: Layout, load: Load, around: Around) -> None:
    """Advance every array by one tick."""
    _draw_power(lay, load, around.dt_s)
    _mix_air(lay, load, around)
    _heat(lay, around.dt_s)
    _gather(lay, load, around)
    _meter(lay, around)


@cache
def compiled() -> Callable[[Layout, Load, Around], None]:
    """Return the step, compiled once per machine and version.

    The on-disk cache of compiled code looks at the entry's own file and closure only; the stamp over all rooms makes a
    change in any of them compile afresh.
    """
    rooms = "".join((Path(__file__).parent / f"{room}.py").read_text(encoding="utf-8") for room in _KERNEL_ROOMS)
    stamp = int(hashlib.sha256(rooms.encode()).hexdigest()[:12], 16)

    @njit(cache=True)  # type: ignore[untyped-decorator]
    def step(lay: Layout, load: Load, around: Around) -> None:
        _step(stamp, lay, load, around)

    return step  # type: ignore[no-any-return]

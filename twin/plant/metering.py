"""Stages of a tick, last: sums by rack and row, brakes, and the meter."""

import numpy as np
from numba.extending import register_jitable

from twin.fleet import GPUS_PER_SERVER
from twin.plant.cooling import J_PER_KWH, air_handler_power_w, free_share, heat_pump_power_w
from twin.plant.driving import Around, Load
from twin.plant.liquid import loop_power_w
from twin.plant.power import host_power_w
from twin.plant.records import Layout
from twin.plant.room import take_out
from twin.plant.throttling import brake_row, grade_row, held_clock_share
from twin.plant.tree import loss_w


@register_jitable
def _throttled_s(lay: Layout, s: int, dt_s: float) -> float:
    """Return the GPU-seconds that a server spent throttled by heat, darkness, itself, the row's brake or its caps."""
    row = lay.rows[lay.servers[s].row]
    if min(held_clock_share(row, 0.0), lay.servers[s].own_clock_share) < 1.0:
        return dt_s * GPUS_PER_SERVER
    slowed = 0.0
    if row.low_clock_share < 1.0:
        for g in range(s * GPUS_PER_SERVER, (s + 1) * GPUS_PER_SERVER):
            slowed += lay.gpus.low_priority[g]
    return float(max(lay.servers[s].throttled_s, dt_s * slowed))


@register_jitable
def gather(lay: Layout, load: Load, around: Around) -> None:
    """Sum power by rack and row, brake rows, and keep the minute's and the half minute's extremes."""
    dt_s = around.dt_s
    for r in range(len(lay.rows)):
        row = lay.rows[r]
        row.power_w, row.gpu_c, row.throttled_share = 0.0, np.nan, 0.0
    for k in range(len(lay.racks)):
        rack = lay.racks[k]
        rack.power_w, rack.gpu_c, rack.throttled_s = rack.devices_w * lay.rows[rack.row].live, np.nan, 0.0
    for s in range(len(lay.servers)):
        server = lay.servers[s]
        rack = lay.racks[server.rack]
        throttled_s, slowest = _throttled_s(lay, s, dt_s), 1.0
        for g in range(s * GPUS_PER_SERVER, (s + 1) * GPUS_PER_SERVER):
            slowest = min(slowest, lay.gpus.clock_share[g])
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
        lay.racks[lay.hosts[h].rack].power_w += host_power_w(host_idle_w, host_max_w, load.host_share[h]) * lay.rows[lay.hosts[h].row].live
    for k in range(len(lay.racks)):
        rack = lay.racks[k]
        row = lay.rows[rack.row]
        row.power_w += rack.power_w
        row.throttled_share += rack.throttled_s
        if not row.gpu_c >= rack.gpu_c:
            row.gpu_c = rack.gpu_c
        rack.part_inlet_c = max(rack.part_inlet_c, rack.inlet_c)
        lay.aisles[rack.aisle].part_inlet_c = max(lay.aisles[rack.aisle].part_inlet_c, rack.part_inlet_c)
        rack.part_gpu_c = max(rack.part_gpu_c, rack.gpu_c) if rack.gpus > 0.0 else np.nan
        rack.part_j += rack.power_w * dt_s
        rack.part_throttled_s += rack.throttled_s
    for r in range(len(lay.rows)):
        row = lay.rows[r]
        row.throttled_share = row.throttled_share / (row.gpus * dt_s) if row.gpus > 0.0 else 0.0
        row.began = 1.0 if brake_row(row, lay.site[0], dt_s) else 0.0
        grade_row(row, lay.site[0], dt_s)


@register_jitable
def meter(lay: Layout, around: Around) -> None:
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
        aisle.part_airflow_m3_per_s = max(aisle.part_airflow_m3_per_s, aisle.demand_m3_per_s)
        aisle.part_mixing_share = max(aisle.part_mixing_share, aisle.mixing_share)
    site.liquid_w = 0.0
    for r in range(len(lay.runs)):
        if lay.models[lay.runs[r, 0]].on_plates > 0.0:
            for s in range(lay.runs[r, 1] // GPUS_PER_SERVER, lay.runs[r, 2] // GPUS_PER_SERVER):
                site.liquid_w += lay.servers[s].gpus_w
    air_w = it_w - site.liquid_w + handlers_w
    site.free_share = free_share(site, around.wet_bulb_c, site.supply_c)
    free_w, chilled_w = take_out(site, air_w, around.wet_bulb_c, around.dt_s)
    moving_w = heat_pump_power_w(site, free_w, chilled_w, around.outside_c, site.supply_c) + loop_power_w(site, site.liquid_w)
    plant_w = handlers_w + moving_w
    site.removed_w = free_w + chilled_w
    per_it = 1.0 / it_w if it_w > 0.0 else 0.0
    site.cooling_power_w, site.partial_pue = plant_w, (it_w + plant_w) * per_it
    site.it_power_w = it_w
    site.site_power_w = it_w + plant_w + loss_w(lay) + site.other_share * it_w
    site.pue = site.site_power_w * per_it
    site.water_l_per_s = site.water_l_per_kwh * (site.removed_w + site.liquid_w) / J_PER_KWH
    site.minute_s += around.dt_s
    site.part_s += around.dt_s


@register_jitable
def began(lay: Layout) -> float:
    """Return how many GPUs began to throttle and rows to brake."""
    began = 0.0
    for s in range(len(lay.servers)):
        began += lay.servers[s].edges
    for r in range(len(lay.rows)):
        began += lay.rows[r].began
    return began

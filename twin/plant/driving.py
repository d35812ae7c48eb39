"""Stages of a tick, first half: fans, clocks, power and the air they meet."""

from typing import NamedTuple

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from twin.fleet import GPUS_PER_SERVER
from twin.plant.airflow import AIR_J_PER_M3_K, LEAST_AIR_SHARE, airflow_m3_per_s, fan_target_share
from twin.plant.hardware import Quantity, Record
from twin.plant.heat import relaxation, sink_resistance_c_per_w, toward
from twin.plant.inlet import mix, mixing_share, supply_temp_c
from twin.plant.liquid import coolant_temp_c
from twin.plant.power import busy_power_w, decode_power_w, gpu_power_w, host_power_w, idle_power_w, server_power_w
from twin.plant.records import Gpus, Layout
from twin.plant.throttling import held_clock_share

Floats = NDArray[np.float64]

# The air of a tick is solved before a hot server's clocks are; by how much its mean power then differs reaches the air in
# the next ticks, as from a server's own metal.
_OWED_TAU_S = 30.0


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


@register_jitable
def drive_fans(lay: Layout, dt_s: float) -> None:
    """Set fans and airflow of every server, and what brake and restart allow its GPUs."""
    gpus, site = lay.gpus, lay.site[0]
    fan_gain = relaxation(dt_s, site.fan_tau_s)
    for s in range(len(lay.servers)):
        server = lay.servers[s]
        running = server.off_s <= 0.0
        model = lay.models[server.model]
        # Fans that only cool a board do not mind how warm the GPUs on their plates are.
        warmest_c = site.fan_from_c if model.on_plates > 0.0 else server.hottest_c
        server.fan_share = toward(server.fan_share, fan_target_share(site, server.load_share, warmest_c), fan_gain)
        blown = server.fan_share if running else 0.0
        server.airflow_m3_per_s = airflow_m3_per_s(model.airflow_max_m3_per_s, blown, server.blocked_share)
        row = lay.rows[server.row]
        held = min(held_clock_share(row, 0.0), server.own_clock_share) if running else 0.0
        for g in range(s * GPUS_PER_SERVER, (s + 1) * GPUS_PER_SERVER):
            gpus.held_clock_share[g] = held
        if running and row.low_clock_share < row.high_clock_share:
            for g in range(s * GPUS_PER_SERVER, (s + 1) * GPUS_PER_SERVER):
                gpus.held_clock_share[g] = min(held_clock_share(row, gpus.low_priority[g]), server.own_clock_share)


@register_jitable
def set_clocks(gpus: Gpus, load: Load) -> None:
    """Set every GPU's clock to the lowest that anybody allows: its owner, the emergency lever, brake and heat."""
    for g in range(len(gpus.clock_share)):
        gpus.clock_share[g] = min(
            min(load.clock_share[g], load.clock_cap_share[g]), min(gpus.held_clock_share[g], gpus.thermal_clock_share[g])
        )


@register_jitable
def draw_power(gpus: Gpus, load: Load, model: Record, first: int, last: int) -> None:
    """Set the power of a run of GPUs of one model. Slices and one output array let the machine take several GPUs at a time."""
    prefill, decode, opaque = load.prefill_share[first:last], load.decode_share[first:last], load.opaque_share[first:last]
    batch, bandwidth, resident = load.decode_batch[first:last], load.decode_bandwidth_share[first:last], load.resident[first:last]
    clock, power = gpus.clock_share[first:last], gpus.power_w[first:last]
    for g in range(len(power)):
        idle_w = idle_power_w(model, resident[g])
        busy_w = busy_power_w(model, idle_w, prefill[g], decode[g], opaque[g], decode_power_w(model, batch[g], bandwidth[g]))
        drawn_w = gpu_power_w(model, idle_w, busy_w, clock[g])
        power[g] = drawn_w if clock[g] > 0.0 else 0.0


@register_jitable
def sum_servers(lay: Layout, load: Load) -> None:
    """Set every server's power from its GPUs, board and fans."""
    power = lay.gpus.power_w
    for s in range(len(lay.servers)):
        server = lay.servers[s]
        model = lay.models[server.model]
        gpus_w, busy = 0.0, 0.0
        for g in range(s * GPUS_PER_SERVER, (s + 1) * GPUS_PER_SERVER):
            gpus_w += power[g]
            busy += min(load.prefill_share[g] + load.decode_share[g] + load.opaque_share[g], 1.0)
        server.busy_share = busy / GPUS_PER_SERVER
        server.gpus_w = gpus_w
        running = server.off_s <= 0.0
        server.power_w = (
            server_power_w(model, server.busy_share, gpus_w, server.fan_share) if running else model.standby_w * lay.rows[server.row].live
        )


@register_jitable
def air_heat_w(server: Record, model: Record) -> Quantity:
    """Return the heat that a server gives to the air: all its power, but for GPUs on plates."""
    return server.power_w - model.on_plates * server.gpus_w


@register_jitable
def mix_air(lay: Layout, load: Load, around: Around) -> None:
    """Gather heat and flow by rack and aisle, and solve for every rack's inlet."""
    site, owed_gain = lay.site[0], relaxation(around.dt_s, _OWED_TAU_S)
    for k in range(len(lay.racks)):
        rack = lay.racks[k]
        live = lay.rows[rack.row].live
        rack.heat_w, rack.airflow_m3_per_s = rack.devices_w * live, rack.devices_m3_per_s * live
    for s in range(len(lay.servers)):
        server = lay.servers[s]
        rack = lay.racks[server.rack]
        rack.heat_w += air_heat_w(server, lay.models[server.model])
        if server.owed_j != 0.0:
            late_j = owed_gain * server.owed_j
            server.owed_j -= late_j
            rack.heat_w += late_j / around.dt_s
        rack.airflow_m3_per_s += server.airflow_m3_per_s
    host_idle_w, host_max_w, host_flow = around.host
    for h in range(len(lay.hosts)):
        rack = lay.racks[lay.hosts[h].rack]
        live = lay.rows[lay.hosts[h].row].live
        rack.heat_w += host_power_w(host_idle_w, host_max_w, load.host_share[h]) * live
        rack.airflow_m3_per_s += host_flow * (site.fan_floor_share + (1.0 - site.fan_floor_share) * load.host_share[h]) * live
    for a in range(len(lay.aisles)):
        lay.aisles[a].demand_m3_per_s, lay.aisles[a].flow_w_per_c = 0.0, 1e-9
    for k in range(len(lay.racks)):
        rack = lay.racks[k]
        rack.airflow_m3_per_s = max(rack.airflow_m3_per_s, 1e-3)
        rack.flow_w_per_c = AIR_J_PER_M3_K * rack.airflow_m3_per_s
        lay.aisles[rack.aisle].demand_m3_per_s += rack.airflow_m3_per_s
        lay.aisles[rack.aisle].flow_w_per_c += rack.flow_w_per_c
    handler_gain = relaxation(around.dt_s, site.air_handler_tau_s)
    site.supply_c = supply_temp_c(site, around.outside_c) + site.room_rise_c
    site.coolant_c = coolant_temp_c(site, around.wet_bulb_c)
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


@register_jitable
def spread_air(lay: Layout) -> None:
    """Set every server's inlet, and for its GPUs the air (or coolant) at their sinks and the sinks' resistance at this flow."""
    gpus, exponent, coolant_c = lay.gpus, lay.site[0].sink_flow_exponent, lay.site[0].coolant_c
    for s in range(len(lay.servers)):
        server = lay.servers[s]
        server.inlet_c = lay.racks[server.rack].air_c + server.offset_c
        flow = max(server.fan_share * (1.0 - server.blocked_share), LEAST_AIR_SHARE)
        model = lay.models[server.model]
        sink_r = sink_resistance_c_per_w(model, flow, exponent)
        inlet_c = coolant_c if model.on_plates > 0.0 else server.inlet_c
        for g in range(s * GPUS_PER_SERVER, (s + 1) * GPUS_PER_SERVER):
            gpus.sink_r_c_per_w[g] = sink_r * gpus.sink_scale[g]
        for g in range(s * GPUS_PER_SERVER, (s + 1) * GPUS_PER_SERVER):
            gpus.inlet_c[g] = inlet_c

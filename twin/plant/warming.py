"""Stages of a tick, second half: temperatures and the clocks they allow."""

import numpy as np
from numba.extending import register_jitable

from twin.fleet import GPUS_PER_SERVER
from twin.plant.driving import Load, air_heat_w, draw_power
from twin.plant.hardware import Quantity, Record
from twin.plant.heat import over_limit_c, relaxation, toward
from twin.plant.power import server_power_w
from twin.plant.records import Gpus, Layout
from twin.plant.throttling import held_clock_share, thermal_clock_share

# A server that throttles is stepped this finely inside a tick, so that throttling does not depend on the tick.
_FINE_S = 1.0


@register_jitable
def warm(gpus: Gpus, model: Record, dt_s: float, first: int, last: int) -> None:
    """Step both thermal nodes of a run of GPUs of one model over the tick, at constant power, into the ``next`` arrays."""
    sink_gain, die_gain = relaxation(dt_s, model.tau_sink_s), relaxation(dt_s, model.tau_die_s)
    power, sink, die = gpus.power_w[first:last], gpus.sink_c[first:last], gpus.die_c[first:last]
    sink_r, next_sink, next_die = gpus.sink_r_c_per_w[first:last], gpus.next_sink_c[first:last], gpus.next_die_c[first:last]
    for g in range(len(power)):
        next_sink[g] = toward(sink[g], sink_r[g] * power[g], sink_gain)
    for g in range(len(power)):
        next_die[g] = toward(die[g], model.r_die_c_per_w * power[g], die_gain)


@register_jitable
def settle_servers(lay: Layout, load: Load, dt_s: float) -> None:
    """Take the step where no GPU of a server throttles; step the other servers finely."""
    gpus = lay.gpus
    for g in range(len(gpus.temp_c)):
        gpus.temp_c[g] = gpus.inlet_c[g] + gpus.offset_c[g] + (gpus.next_sink_c[g] + gpus.next_die_c[g])
    for s in range(len(lay.servers)):
        server = lay.servers[s]
        model = lay.models[server.model]
        hottest, slowest = -1e9, 1.0
        for g in range(s * GPUS_PER_SERVER, (s + 1) * GPUS_PER_SERVER):
            hottest, slowest = max(hottest, gpus.temp_c[g]), min(slowest, gpus.thermal_clock_share[g])
        if over_limit_c(model, hottest) > 0.0 or slowest < 1.0 or server.off_s > 0.0:
            _throttle_server(lay, load, s, dt_s)
            continue
        server.hottest_c, server.tick_peak_c = hottest, hottest
        server.load_share = _load_share(model, server.gpus_w)
        server.throttled_s, server.edges = 0.0, 0.0
    for g in range(len(gpus.sink_c)):
        gpus.sink_c[g] = gpus.next_sink_c[g]
    for g in range(len(gpus.die_c)):
        gpus.die_c[g] = gpus.next_die_c[g]
    for g in range(len(gpus.peak_c)):
        gpus.peak_c[g] = max(gpus.peak_c[g], gpus.temp_c[g])


@register_jitable
def _load_share(model: Record, total_w: float) -> Quantity:
    """Return how far a server's GPUs are between idle and TDP."""
    return min(max((total_w / GPUS_PER_SERVER - model.idle_w) / (model.tdp_w - model.idle_w), 0.0), 1.0)


@register_jitable
def _throttle_server(lay: Layout, load: Load, s: int, dt_s: float) -> None:
    """Step a hot or stopped server second by second: its clocks follow its temperatures; its power becomes the tick's mean."""
    gpus, server = lay.gpus, lay.servers[s]
    model, site = lay.models[server.model], lay.site[0]
    first, last = s * GPUS_PER_SERVER, (s + 1) * GPUS_PER_SERVER
    in_air_w = air_heat_w(server, model)
    count = int(np.ceil(dt_s / _FINE_S - 1e-9))
    h = dt_s / count
    sink_gain, die_gain = relaxation(h, model.tau_sink_s), relaxation(h, model.tau_die_s)
    board_w = server_power_w(model, server.busy_share, 0.0, server.fan_share)
    row = lay.rows[server.row]
    energy_j, gpus_j, gpus_w, hottest = 0.0, 0.0, 0.0, -1e9
    server.tick_peak_c, server.throttled_s, server.edges = -1e9, 0.0, 0.0
    for g in range(first, last):
        gpus.next_sink_c[g], gpus.next_die_c[g] = gpus.sink_c[g], gpus.die_c[g]
    for _ in range(count):
        running = server.off_s <= 0.0
        # The restart begins when there is power again.
        server.off_s = max(server.off_s - h * row.live, 0.0)
        gpus_w, hottest = 0.0, -1e9
        for g in range(first, last):
            held = min(held_clock_share(row, gpus.low_priority[g]), server.own_clock_share)
            allowed = min(load.clock_share[g], load.clock_cap_share[g], held)
            before = gpus.thermal_clock_share[g]
            gpus.clock_share[g] = min(allowed, before) if running else 0.0
            draw_power(gpus, load, model, g, g + 1)
            gpus.next_sink_c[g] = toward(gpus.next_sink_c[g], gpus.sink_r_c_per_w[g] * gpus.power_w[g], sink_gain)
            gpus.next_die_c[g] = toward(gpus.next_die_c[g], model.r_die_c_per_w * gpus.power_w[g], die_gain)
            gpus.temp_c[g] = gpus.inlet_c[g] + gpus.offset_c[g] + (gpus.next_sink_c[g] + gpus.next_die_c[g])
            gpus.peak_c[g] = max(gpus.peak_c[g], gpus.temp_c[g])
            gpus_w += gpus.power_w[g]
            hottest = max(hottest, gpus.temp_c[g])
            if not running or before < 1.0:
                server.throttled_s += h
            if running:
                gpus.thermal_clock_share[g] = thermal_clock_share(model, site, before, gpus.clock_share[g], gpus.temp_c[g], h)
                if before >= 1.0 and gpus.thermal_clock_share[g] < 1.0:
                    server.edges += 1.0
        gpus_j += h * gpus_w
        energy_j += h * (board_w + gpus_w if running else model.standby_w * row.live)
        server.tick_peak_c = max(server.tick_peak_c, hottest)
        if running and hottest > model.shutdown_c:
            server.off_s = site.restart_s
    server.power_w, server.gpus_w = energy_j / dt_s, gpus_j / dt_s
    server.owed_j += (air_heat_w(server, model) - in_air_w) * dt_s
    server.hottest_c = hottest
    server.load_share = _load_share(model, gpus_w)

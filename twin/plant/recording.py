"""Writes the plant's tables while a run goes on."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.clock import Clock
from twin.fleet import Fleet
from twin.plant.carbon import intensity
from twin.plant.cooling import J_PER_KWH, Cooling, by_hour
from twin.plant.heat import memory_temp_c
from twin.plant.outages import Told
from twin.plant.records import Layout
from twin.plant.sensors import Drifts
from twin.plant.trips import Trips
from twin.plant.written import AISLES, CAPACITY, GPUS, MINUTE_S, PART_S, RACKS, ROWS, SERVERS, SITE
from twin.tables import EVENTS, Sink, event_columns

Columns = dict[str, NDArray[Any]]
# Ticks are handed to the sink in blocks of this many, so that a day is a few dozen parts and not thousands.
_BLOCK_TICKS: Final = 360
# Stored GPU temperatures are rounded to 1/32 C: far below a sensor's step, and a third of the bytes.
_TEMP_STEPS_PER_C: Final = 32.0
_SITE: Final = (
    *("supply_c", "it_power_w", "site_power_w", "pue", "free_share", "water_l_per_s"),
    *("partial_pue", "coolant_c", "liquid_w"),
)
_SITE_NAMES: Final = {"free_share": "free_cooling_share", "liquid_w": "liquid_heat_w"}
_ROW: Final = ("power_w", "budget_w", "gpu_c", "throttled_share", "began", "brake_clock_share")


def _crosses(t_s: float, tick_s: float, every_s: float) -> bool:
    return math.floor(t_s / every_s + 1e-9) > math.floor((t_s - tick_s) / every_s + 1e-9)


def _capacity(fleet: Fleet) -> Columns:
    rows, extra = len(fleet.row_ids), fleet.row_extra_servers
    stand = np.bincount(fleet.server_rows, minlength=rows)
    servers = {"servers": (stand - extra).astype(np.int32), "extra_servers": extra.astype(np.int32)}
    return {"t_s": np.zeros(rows), "row_id": np.arange(rows, dtype=np.uint32), **servers}


class Recorder:
    """Keeps ticks until a block is full; minutes and half minutes are gathered in the arrays themselves."""

    def __init__(self, fleet: Fleet, arrays: Layout, clock: Clock, cooling: Cooling, horizon_s: float, drifts: Drifts) -> None:
        self._fleet, self._arrays, self._clock, self._drifts = fleet, arrays, clock, drifts
        self._models = arrays.models[arrays.servers["model"]].view(np.recarray)
        self._plates = bool(fleet.row_liquid.any())
        self._carbon, _ = intensity(cooling.carbon_kg_per_kwh, clock, horizon_s)
        self._tariff = np.array(by_hour(cooling.tariff_usd_per_kwh, "tariff_usd_per_kwh"))
        self._times = np.zeros((_BLOCK_TICKS, 4))
        self._site = np.zeros((_BLOCK_TICKS, len(_SITE)))
        self._rows = np.zeros((_BLOCK_TICKS, len(_ROW), len(fleet.row_ids)))
        self._held = 0
        self._gpu_index = np.arange(len(fleet.gpu_servers), dtype=np.uint32)
        self._server_index = np.arange(len(fleet.server_ids), dtype=np.uint32)
        self._trips = Trips(fleet, arrays)
        self._rack_index = np.arange(len(fleet.rack_ids), dtype=np.uint32)
        self.clear()

    def record(self, sink: Sink, t_s: float, tick_s: float, air_c: tuple[float, float], told: list[Told]) -> None:
        """Take one tick; ``air_c`` is dry and wet bulb at its end."""
        arrays, held = self._arrays, self._held
        self._times[held] = (t_s, tick_s, *air_c)
        site = arrays.site[0]
        for column, name in enumerate(_SITE):
            self._site[held, column] = site[name]
        for column, name in enumerate(_ROW):
            self._rows[held, column] = arrays.rows[name]
        self._held += 1
        events = list(told)
        if arrays.rows["began"].any():
            events += [(t_s, "plant", "power_brake", "row", self._fleet.row_ids[row], 1.0) for row in np.flatnonzero(arrays.rows["began"])]
        events += self._trips.turned(t_s)
        if t_s - tick_s <= 0.0:
            sink.append(CAPACITY, _capacity(self._fleet))
        if _crosses(t_s, tick_s, MINUTE_S):
            events += self._throttles(t_s)
            self._minute(sink, t_s)
        if _crosses(t_s, tick_s, PART_S):
            self._part(sink, t_s)
        if events:
            sink.append(EVENTS, event_columns(sorted(events)))
        if self._held == _BLOCK_TICKS:
            self._flush(sink)

    def close(self, sink: Sink, t_s: float) -> None:
        """Write the ticks and the unfinished minute that are still held."""
        self._flush(sink)
        if self._arrays.site["minute_s"][0] > 0.0:
            events = self._throttles(t_s)
            self._minute(sink, t_s)
            if events:
                sink.append(EVENTS, event_columns(events))
        if self._arrays.site["part_s"][0] > 0.0:
            self._part(sink, t_s)

    def clear(self) -> None:
        """Forget every tick, minute and half minute gathered so far."""
        self._held = 0
        self._clear_minute()
        self._clear_part()

    def drop_ticks(self) -> None:
        """Forget the ticks that were held back, as after taking back a snapshot."""
        self._held = 0
        self._trips.catch_up()

    def _flush(self, sink: Sink) -> None:
        held, rows = self._held, len(self._fleet.row_ids)
        self._held = 0
        if not held:
            return
        t_s, tick_s, outside_c, wet_bulb_c = self._times[:held].copy().T
        site: Columns = dict(zip(_SITE, self._site[:held].copy().T, strict=True))
        began_s = np.maximum(t_s - tick_s, 0.0)
        if not self._plates:
            site["coolant_c"] = np.full(held, np.nan)
        hour = self._clock.hour(began_s).astype(np.int64)
        kwh_per_s = site["site_power_w"] / J_PER_KWH
        rates = {"carbon_kg_per_s": self._carbon(began_s) * kwh_per_s, "cost_usd_per_h": self._tariff[hour] * kwh_per_s * 3600.0}
        air = {"t_s": t_s, "tick_s": tick_s, "outside_c": outside_c, "wet_bulb_c": wet_bulb_c}
        sink.append(SITE, air | {_SITE_NAMES.get(name, name): values for name, values in site.items()} | rates)
        by_name = {name: self._rows[:held, column].ravel().copy() for column, name in enumerate(_ROW)}
        sink.append(
            ROWS,
            {
                "t_s": np.repeat(t_s, rows),
                "tick_s": np.repeat(tick_s, rows),
                "row_id": np.tile(np.arange(rows, dtype=np.uint32), held),
                "power_w": by_name["power_w"],
                "facility_power_w": by_name["power_w"] * np.repeat(site["pue"], rows),
                "budget_w": by_name["budget_w"],
                "gpu_temp_max_c": by_name["gpu_c"],
                "throttled_gpu_share": by_name["throttled_share"],
                "power_brakes": by_name["began"],
                "braking": by_name["brake_clock_share"] < 1.0,
            },
        )

    def _minute(self, sink: Sink, t_s: float) -> None:
        servers, gpus = self._arrays.servers, self._arrays.gpus
        span_s = float(self._arrays.site["minute_s"][0])
        peaks = np.round(gpus.peak_c * _TEMP_STEPS_PER_C) / _TEMP_STEPS_PER_C
        sink.append(GPUS, {"t_s": np.full(len(peaks), t_s), "gpu_id": self._gpu_index, "temp_max_c": peaks.astype(np.float32)})
        gpu_s = 8.0 * span_s
        sink.append(
            SERVERS,
            {
                "t_s": np.full(len(servers), t_s),
                "server_id": self._server_index,
                "rack_id": self._fleet.server_racks.astype(np.uint32),
                "row_id": self._fleet.server_rows.astype(np.uint32),
                "inlet_c": servers["minute_inlet_c"].astype(np.float32),
                "inlet_sensor_c": self._drifts.server_c(servers["minute_inlet_c"], t_s).astype(np.float32),
                "gpu_temp_max_c": servers["minute_gpu_c"].astype(np.float32),
                "memory_temp_max_c": memory_temp_c(self._models, servers["minute_gpu_c"]).astype(np.float32),
                "power_w": (servers["minute_j"] / span_s).astype(np.float32),
                "airflow_share": (servers["minute_air_s"] / span_s).astype(np.float32),
                "clock_min_share": servers["minute_clock_share"].astype(np.float32),
                "throttled_gpu_share": (servers["minute_throttled_s"] / gpu_s).astype(np.float32),
                "thermal_throttles": servers["minute_edges"].astype(np.int32),
            },
        )
        self._clear_minute()

    def _part(self, sink: Sink, t_s: float) -> None:
        racks, span_s = self._arrays.racks, float(self._arrays.site["part_s"][0])
        gpu_s = np.maximum(racks["gpus"], 1.0) * span_s
        sink.append(
            RACKS,
            {
                "t_s": np.full(len(racks), t_s),
                "rack_id": self._rack_index,
                "row_id": self._fleet.rack_rows.astype(np.uint32),
                "inlet_c": racks["part_inlet_c"].astype(np.float32),
                "gpu_temp_max_c": racks["part_gpu_c"].astype(np.float32),
                "power_w": (racks["part_j"] / span_s).astype(np.float32),
                "throttled_gpu_share": (racks["part_throttled_s"] / gpu_s).astype(np.float32),
            },
        )
        self._trips.write_feeds(sink, t_s)
        self._aisles(sink, t_s)
        self._clear_part()

    def _aisles(self, sink: Sink, t_s: float) -> None:
        aisles = self._arrays.aisles
        # An aisle without racks has no inlet.
        inlet_c = np.where(np.isfinite(aisles["part_inlet_c"]), aisles["part_inlet_c"], np.nan)
        sink.append(
            AISLES,
            {
                "t_s": np.full(len(aisles), t_s),
                "aisle_id": np.arange(len(aisles), dtype=np.uint32),
                "supply_c": aisles["supply_c"].astype(np.float32),
                "airflow_m3_per_s": aisles["part_airflow_m3_per_s"].astype(np.float32),
                "supply_m3_per_s": (aisles["design_m3_per_s"] * aisles["air_share"]).astype(np.float32),
                "recirculated_share": aisles["part_mixing_share"].astype(np.float32),
                "inlet_max_c": inlet_c.astype(np.float32),
            },
        )

    def _throttles(self, t_s: float) -> list[Told]:
        edges = self._arrays.servers["minute_edges"]
        return [
            (t_s, "plant", "thermal_throttle", "server", self._fleet.server_ids[server], float(edges[server]))
            for server in np.flatnonzero(edges)
        ]

    def _clear_minute(self) -> None:
        servers = self._arrays.servers
        self._arrays.gpus.peak_c[:] = -np.inf
        for name in ("minute_inlet_c", "minute_gpu_c"):
            servers[name] = -np.inf
        for name in ("minute_j", "minute_air_s", "minute_throttled_s", "minute_edges"):
            servers[name] = 0.0
        servers["minute_clock_share"] = 1.0
        self._arrays.site["minute_s"] = 0.0

    def _clear_part(self) -> None:
        racks = self._arrays.racks
        for name in ("part_inlet_c", "part_gpu_c"):
            racks[name] = -np.inf
        for name in ("part_j", "part_throttled_s"):
            racks[name] = 0.0
        aisles = self._arrays.aisles
        aisles["part_inlet_c"] = -np.inf
        for name in ("part_airflow_m3_per_s", "part_mixing_share"):
            aisles[name] = 0.0
        self._arrays.feeds["part_power_w"] = 0.0
        self._arrays.site["part_s"] = 0.0

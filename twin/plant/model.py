"""State of the plant: power and heat of every GPU, tick by tick."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twin.clock import Clock
from twin.faults import Fault
from twin.fleet import Fleet
from twin.plant import calibrating, driving, layout, records, step, tree
from twin.plant.averaging import Averaging
from twin.plant.cooling import by_hour
from twin.plant.hardware import host_model
from twin.plant.heat import limit_c
from twin.plant.history import Past, past
from twin.plant.levers import PlantObservation
from twin.plant.load import GpuLoad, Ratings, carried, ratings
from twin.plant.outages import FAULT_KINDS, Outages, drawn
from twin.plant.pace import Pace
from twin.plant.recording import Recorder
from twin.plant.replay import Observed, Replay
from twin.plant.sensors import Drifts
from twin.plant.settings import Settings
from twin.plant.starting import Air, beginning
from twin.plant.throttling import named_servers
from twin.plant.weather import generate
from twin.stack import State, read_only
from twin.tables import Sink

__all__ = ["FAULT_KINDS", "GpuLoad", "Model", "Ratings", "Settings"]

Floats = NDArray[np.float64]


class Model:
    """Power, heat and protection of a fleet. Faults and weather are known before the first tick."""

    def __init__(self, settings: Settings, fleet: Fleet, clock: Clock, horizon_s: float, faults: Sequence[Fault], seed: int) -> None:
        self.t_s = 0.0
        self._settings, self._fleet, self._clock, self._seed = settings, fleet, clock, seed
        site = layout.site_record(
            settings.airflow, settings.inlet, settings.heat, settings.throttling, settings.cooling, settings.liquid, settings.tree
        )
        self.arrays = layout.build(fleet, site.view(np.ndarray), settings.inlet, settings.heat, seed, settings.liquid)
        if settings.telemetry is not None:
            calibrating.apply(calibrating.fitted_to(settings, fleet, clock), self.arrays)
        self._before = records.copied(self.arrays)
        self.weather: Air = generate(settings.weather, clock, horizon_s, seed)
        self._replay = None if settings.replay is None else Replay(settings.replay, fleet, clock, horizon_s)
        if self._replay is not None:
            self.weather = Observed(self._replay.sensed, self.weather)
        faults = (*faults, *drawn(settings.random_faults, fleet, settings.cooling.chillers, horizon_s, seed))
        self._outages = Outages(fleet, faults, settings.cooling.chillers)
        self._drifts = Drifts(settings.sensors, fleet, faults, seed)
        self._recorder = Recorder(fleet, self.arrays, clock, settings.cooling, horizon_s, self._drifts)
        by_hour(settings.cooling.tariff_usd_per_kwh, "tariff_usd_per_kwh")
        self._host = host_model()
        self._typical_bandwidth_share = np.repeat(self.arrays.models["decode_bandwidth_share"][fleet.server_models], 8)
        self._opaque = read_only(np.zeros(len(fleet.gpu_servers), dtype=np.bool_))
        self._hosts = len(fleet.host_ids)
        self._limit_c = read_only(np.repeat(limit_c(self.arrays.models.view(np.recarray))[fleet.server_models], 8))
        self._row_pdus, self._pdu_ups_share = read_only(fleet.row_pdus.copy()), read_only(fleet.pdu_ups_share.copy())
        self._gpu_servers, self._server_rows = read_only(fleet.gpu_servers), read_only(fleet.server_rows)
        self.gpu_tdp_w, self.gpu_idle_w = (np.repeat(self.arrays.models[name][fleet.server_models], 8) for name in ("tdp_w", "idle_w"))
        self._pace = Pace(self.arrays)
        self._low_priority = named_servers(settings.throttling.graded, fleet)
        if self._low_priority is not None:
            self.arrays.gpus.low_priority[:] = self._low_priority
        self._tick_s = 0.0
        self._seen: PlantObservation | None = None
        self._past: Past | None = None
        self._settle()

    def set_opaque(self, opaque: NDArray[np.bool_]) -> None:
        """Mark the GPUs (shape G) of VMs whose inside the operator cannot reach."""
        self._opaque = read_only(np.array(opaque, dtype=np.bool_))
        self.arrays.gpus.low_priority[:] = self._opaque if self._low_priority is None else self._low_priority
        self._seen = None

    def set_devices(self, rack_power_w: Floats) -> None:
        """Set what devices that are neither servers nor hosts draw in each rack, shape K; they take air like a busy host per watt."""
        _, host_max_w, host_m3_per_s = host_model()
        self.arrays.racks["devices_w"] = rack_power_w
        self.arrays.racks["devices_m3_per_s"] = rack_power_w * (host_m3_per_s / host_max_w)
        self._seen = None

    @property
    def ratings(self) -> Ratings:
        """Return what servers and GPUs are rated for."""
        return ratings(self.arrays)

    @property
    def fine_until_s(self) -> float:
        """Until when ticks are to be fine."""
        return self._pace.fine_until_s

    @property
    def fault_edges_s(self) -> tuple[float, ...]:
        """When faults begin and end, those of the schedule and the random ones, in order."""
        return tuple(self._outages.edges_s)

    @property
    def gpu_clock_share(self) -> Floats:
        """The clock that each GPU really runs at, shape G; 0 while a server is switched off by heat."""
        return self.observe().gpu_clock_share

    def observe(self) -> PlantObservation:
        """Return the plant at the end of the last tick."""
        if self._seen is None:
            self._seen = self._observation()
        return self._seen

    def past(self) -> Past:
        """Return what the plant's sensors said in the weeks before the run; made when first asked for, the same at any time."""
        if self._past is None:
            settings = self._settings
            arrays = records.copied(self._before)
            self._past = past(arrays, settings.weather, settings.history, settings.sensors, self._fleet, self._clock, self._seed)
        return self._past

    def advance(self, until_s: float, load: GpuLoad, clock_cap_share: Floats) -> None:
        """Advance to ``until_s`` under a load and clock caps (shape G), in steps of at most ``max_step_s``."""
        handed = carried(load, clock_cap_share, self._typical_bandwidth_share, self._hosts)
        start_s, span_s = self.t_s, until_s - self.t_s
        if span_s <= 0.0:
            raise ValueError(f"the plant is at {self.t_s} s and cannot advance to {until_s} s")
        for fault_s in self._outages.apply(self.t_s, self.arrays):
            self._pace.struck(fault_s)
        count = math.ceil(span_s / self._settings.max_step_s - 1e-9)
        dt_s = span_s / count
        whole = Averaging(self.arrays) if count > 1 else None
        for index in range(count):
            now_s = start_s + (index + 1) * dt_s
            outside_c, wet_bulb_c = self.weather.at(now_s)
            driven = handed if self._replay is None else self._replay.drive(self.arrays, handed, dt_s, now_s, self._host)
            if self._step(self.arrays, driven, driving.Around(dt_s, outside_c, wet_bulb_c, self._host)):
                self._pace.protect(now_s)
            if self._settings.throttling.graded is not None:
                self._pace.graded(now_s)
            if whole is not None:
                whole.add()
        if whole is not None:
            whole.settle()
        self.t_s, self._tick_s, self._seen = until_s, span_s, None

    def record(self, sink: Sink) -> None:
        """Write the last tick; tables of a coarser resolution when their interval is full."""
        outside_c, wet_bulb_c = self.weather.at(self.t_s)
        replayed = [] if self._replay is None else self._replay.told()
        self._recorder.record(sink, self.t_s, self._tick_s, (outside_c, wet_bulb_c), [*self._outages.told(), *replayed])

    def close(self, sink: Sink) -> None:
        """Write what is still held back."""
        self._recorder.close(sink, self.t_s)

    def snapshot(self) -> State:
        """Return everything that the next tick depends on."""
        arrays: State = {
            name: {field: records.column(self.arrays, name, field).copy() for field in fields} for name, fields in records.STATE.items()
        }
        return arrays | {
            "t_s": self.t_s,
            "tick_s": self._tick_s,
            **self._pace.snapshot(),
            "replay_missed": np.zeros(0, dtype=np.bool_) if self._replay is None else self._replay.missed.copy(),
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot of a model with the same settings, fleet, faults and seed."""
        for name, fields in records.STATE.items():
            for field in fields:
                records.column(self.arrays, name, field)[...] = state[name][field]
        self.t_s, self._tick_s = float(state["t_s"]), float(state["tick_s"])
        self._pace.restore(state)
        if self._replay is not None:
            self._replay.missed = np.array(state["replay_missed"], dtype=np.bool_)
        self._outages.resume(self.t_s, self.arrays)
        self._recorder.drop_ticks()
        self._seen = None

    def _settle(self) -> None:
        """Bring fans and temperatures to where an idle fleet stands at the start, or where sensors saw this one."""
        begin = None if self._settings.start_from is None else beginning(self._settings.start_from, self._fleet, self._clock)
        if begin is not None and self._replay is None:
            self.weather = begin.weather(self.weather)
        gpus, hosts = len(self._opaque), len(self._fleet.host_ids)
        none, one = np.zeros(gpus), np.ones(gpus)
        idle = GpuLoad(none, none, none, none, self._opaque, one, np.zeros(hosts))
        outside_c, wet_bulb_c = self.weather.at(0.0)
        handed, around = carried(idle, one, self._typical_bandwidth_share, hosts), driving.Around(300.0, outside_c, wet_bulb_c, self._host)
        self._step = step.entry(self.arrays, handed, around)
        for _ in range(12):
            driven = handed if begin is None else begin.load(self.arrays, handed)
            driven = driven if self._replay is None else self._replay.drive(self.arrays, driven, around.dt_s, 0.0, self._host)
            self._step(self.arrays, driven, around)
        if begin is not None:
            begin.take(self.arrays)
        if self._replay is not None:
            self._replay.forget()
        self._recorder.clear()

    def _observation(self) -> PlantObservation:
        gpus, servers, rows, aisles = self.arrays.gpus, self.arrays.servers, self.arrays.rows, self.arrays.aisles

        def now(values: Floats) -> Floats:
            return read_only(values.copy())

        feeds, ups = self.arrays.feeds, len(self._fleet.ups_ids)
        in_force_w = tree.in_force_w(feeds)
        design, drifts, t_s = aisles["design_m3_per_s"] * aisles["air_share"], self._drifts, self.t_s
        return PlantObservation(
            t_s=self.t_s,
            tick_s=self._tick_s,
            outside_c=self.weather.at(self.t_s)[0],
            gpu_temp_c=read_only(drifts.gpu_c(gpus.temp_c, t_s)),
            gpu_limit_c=self._limit_c,
            gpu_power_w=now(gpus.power_w),
            gpu_clock_share=now(gpus.clock_share),
            gpu_servers=self._gpu_servers,
            gpu_opaque=self._opaque,
            server_rows=self._server_rows,
            inlet_c=read_only(drifts.server_c(servers["inlet_c"], t_s)),
            server_power_w=now(servers["power_w"]),
            row_power_w=now(rows["power_w"]),
            row_budget_w=now(rows["budget_w"]),
            aisle_airflow_share=read_only(aisles["demand_m3_per_s"] / np.maximum(design, 1e-9)),
            aisle_airflow_m3_per_s=now(aisles["demand_m3_per_s"]),
            aisle_supply_m3_per_s=read_only(design),
            ups_load_w=now(feeds["power_w"][:ups]),
            ups_rated_w=read_only(in_force_w[:ups].copy()),
            pdu_load_w=now(feeds["power_w"][ups:]),
            pdu_rated_w=read_only(in_force_w[ups:].copy()),
            row_live=read_only(rows["live"] > 0.0),
            row_pdus=self._row_pdus,
            pdu_ups_share=self._pdu_ups_share,
        )

"""Replay: measured power of rows, and measured weather, drive the plant."""

import bisect
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.clock import Clock
from twin.fleet import GPUS_PER_SERVER, Fleet
from twin.plant.airflow import fan_target_share
from twin.plant.driving import Load
from twin.plant.heat import relaxation
from twin.plant.outages import Told
from twin.plant.power import busy_power_w, clock_factor, decode_power_w, host_power_w, idle_power_w, server_power_w
from twin.plant.records import Layout
from twin.plant.sensed import Sensed, on_clock
from twin.plant.weather import Series

Floats = NDArray[np.float64]
# A row that misses its trace by more than this share of it is told in the events.
_TOLD_SHARE: Final = 0.005
# A row that was not measured for longer than this is told in the events.
_SILENT_S: Final = 900.0


class Observed:
    """Weather as sensors saw it; the generated climate fills in what they did not see.

    Where only one of dry and wet bulb was measured, the climate's difference between the two is kept.
    """

    def __init__(self, sensed: Sensed, climate: Series) -> None:
        self._climate = climate
        self._dry, self._wet = sensed.series("site.outside_c"), sensed.series("site.wet_bulb_c")

    def at(self, t_s: float) -> tuple[float, float]:
        """Return dry and wet bulb at a time; before and after the telemetry its first and last readings hold."""
        dry, wet = self._climate.at(t_s)
        if self._dry is None and self._wet is None:
            return dry, wet
        if self._dry is None:
            measured = float(np.interp(t_s, *self._wet))  # type: ignore[misc]
            return max(dry + measured - wet, measured), measured
        measured = float(np.interp(t_s, *self._dry))
        if self._wet is None:
            return measured, min(wet + measured - dry, measured)
        return measured, min(float(np.interp(t_s, *self._wet)), measured)


def _of_row(sensed: Sensed, fleet: Fleet) -> list[tuple[Floats, Floats] | None]:
    """Return each row's measured power: its own sensor's, else that of ``cdu-N`` for the Nth liquid-cooled row."""
    numbers = np.cumsum(fleet.row_liquid)
    found = []
    for row, name in enumerate(fleet.row_ids):
        series = sensed.series(f"{name}.power_w")
        if series is None and fleet.row_liquid[row]:
            series = sensed.series(f"cdu-{numbers[row]}.power_w")
        found.append(series)
    return found


class Replay:
    """Sets the opaque load of every row so that it draws what was measured. Shapes: R rows, S servers, G GPUs.

    Power is linear in the load while clocks and fans are what they are, so the share is found at once. What instances of
    endpoints do is not touched; the other GPUs share what is left. Below idle, servers are switched off from the row's end.
    """

    def __init__(self, name: str, fleet: Fleet, clock: Clock, horizon_s: float) -> None:
        self.sensed = on_clock(name, clock)
        series = _of_row(self.sensed, fleet)
        if not any(series):
            raise ValueError(
                f"plant.replay: telemetry {name!r} measures the power of no row of fleet {fleet.name}; its sensors must be called "
                f"{fleet.row_ids[0]}.power_w, or cdu-1.power_w for the first liquid-cooled row"
            )
        if self.sensed.last_s < 0.0 or self.sensed.first_s >= horizon_s:
            first, last = (clock.at(edge).strftime("%Y-%m-%dT%H:%M") for edge in (self.sensed.first_s, self.sensed.last_s))
            raise ValueError(f"plant.replay: telemetry {name!r} lasts from {first} to {last}, outside the run; set start inside it")
        times = np.unique(np.concatenate([found[0] for found in series if found]))
        self._times: list[float] = times.tolist()
        self._power_w = np.column_stack([np.interp(times, *found) if found else np.full(len(times), np.nan) for found in series])
        self._silences = sorted(
            (from_s, row, lasts_s) for row, found in enumerate(series) if found for from_s, lasts_s in _gaps(found[0], horizon_s)
        )
        self._fleet = fleet
        self.missed = np.zeros(len(fleet.row_ids), dtype=np.bool_)
        self._told: list[Told] = []
        self._model: _Plain | None = None
        # Place of each server counted from its row's end: those are switched off first.
        order = np.lexsort((-np.arange(len(fleet.server_rows)), fleet.server_rows))
        self._from_end = np.empty(len(order), dtype=np.int64)
        begins = np.searchsorted(fleet.server_rows[order], np.arange(len(fleet.row_ids)))
        self._from_end[order] = np.arange(len(order)) - begins[fleet.server_rows[order]]

    def power_w(self, t_s: float) -> Floats:
        """Return each row's measured power at a time, shape R; not a number for rows that were not measured."""
        after = min(max(bisect.bisect_left(self._times, t_s), 1), len(self._times) - 1) if len(self._times) > 1 else 0
        if not after:
            return np.asarray(self._power_w[0])
        low, high = self._times[after - 1], self._times[after]
        part = min(max((t_s - low) / (high - low), 0.0), 1.0)
        return np.asarray(self._power_w[after - 1] + part * (self._power_w[after] - self._power_w[after - 1]))

    def drive(self, lay: Layout, load: Load, dt_s: float, until_s: float, host: tuple[float, float, float]) -> Load:
        """Return the load under which every measured row draws its trace's power at ``until_s``, as near as it can."""
        wanted = self.power_w(until_s)
        measured = np.isfinite(wanted)
        if self._model is None:
            self._model = _Plain(lay)
            self._wide = self._model.wide()
        fixed_w, slope_w, idle_w, free = _draws(self._model, self._wide, lay, load, dt_s)
        rows, count = self._fleet.server_rows, len(self._fleet.row_ids)
        fixed = np.bincount(rows, weights=fixed_w, minlength=count)
        if len(lay.hosts):
            fixed += np.bincount(
                lay.hosts["row"],
                weights=host_power_w(host[0], host[1], load.host_share) * lay.rows["live"][lay.hosts["row"]],
                minlength=count,
            )
        fixed += np.bincount(lay.racks["row"], weights=lay.racks["devices_w"], minlength=count) * lay.rows["live"]
        off = self._switched_off(np.where(measured, fixed - wanted, 0.0), np.where(free.min(axis=1) >= 1.0, idle_w, 0.0))
        fixed -= np.bincount(rows, weights=np.where(off, idle_w, 0.0), minlength=count)
        slope = np.bincount(rows, weights=np.where(off, 0.0, slope_w), minlength=count)
        asked = np.where(measured, (wanted - fixed) / np.maximum(slope, 1e-9), 0.0)
        share = np.clip(asked, 0.0, 1.0)
        self._tell(until_s, wanted, fixed + share * slope)
        for from_s, row, lasts_s in self._silences[
            bisect.bisect_left(self._silences, (until_s - dt_s,)) : bisect.bisect_left(self._silences, (until_s,))
        ]:
            self._told.append((from_s, "plant", "replay_silent", "row", self._fleet.row_ids[row], lasts_s))
        opaque = np.broadcast_to((share[rows] * ~off)[:, None] * free, (len(rows), GPUS_PER_SERVER)).ravel()
        if not measured.all():
            opaque = np.where(np.repeat(measured[rows], GPUS_PER_SERVER), opaque, load.opaque_share)
        clock = np.where(np.repeat(off, GPUS_PER_SERVER), 0.0, load.clock_share) if off.any() else load.clock_share
        return load._replace(opaque_share=opaque, clock_share=clock)

    def told(self) -> list[Told]:
        """Return and forget the events since the last call.

        ``replay_out_of_reach``: a row left what it can draw, with the power asked for. ``replay_silent``: a row was not measured
        for so many seconds; a straight line between its readings, its first or its last one stand for it.
        """
        told, self._told = self._told, []
        return told

    def forget(self) -> None:
        """Forget which rows missed their trace, as at the start of a run."""
        self._told, self.missed = [], np.zeros_like(self.missed)

    def _switched_off(self, surplus_w: Floats, idle_w: Floats) -> NDArray[np.bool_]:
        """Return which servers' GPUs (shape S) must be off so that each row's idle power falls by its surplus (shape R)."""
        rows, count = self._fleet.server_rows, len(surplus_w)
        there = np.bincount(rows, weights=idle_w > 0.0, minlength=count)
        each = np.bincount(rows, weights=idle_w, minlength=count) / np.maximum(there, 1.0)
        number = np.ceil(np.maximum(surplus_w, 0.0) / np.maximum(each, 1e-9) - 1e-9)
        return np.asarray((self._from_end < number[rows]) & (idle_w > 0.0))

    def _tell(self, t_s: float, wanted: Floats, drawn: Floats) -> None:
        with np.errstate(invalid="ignore"):
            misses = np.abs(wanted - drawn) > _TOLD_SHARE * np.abs(wanted)
        for row in np.flatnonzero(misses & ~self.missed):
            self._told.append((t_s, "plant", "replay_out_of_reach", "row", self._fleet.row_ids[row], float(wanted[row])))
        self.missed = misses


def _gaps(times: Floats, horizon_s: float) -> list[tuple[float, float]]:
    """Return the stretches of a run without a reading that are too long to be a sensor's interval: from when, how long, s."""
    edges = np.concatenate([[0.0], times[(times > 0.0) & (times < horizon_s)], [horizon_s]])
    return [(float(edges[k]), float(edges[k + 1] - edges[k])) for k in np.flatnonzero(np.diff(edges) > _SILENT_S)]


class _Plain:
    """The coefficients of each server's model as plain arrays, shape S; as a model they are taken by the laws of power."""

    def __init__(self, lay: Layout) -> None:
        mine = lay.models[lay.servers["model"]]
        for name in mine.dtype.names or ():
            setattr(self, name, np.ascontiguousarray(mine[name]))

    def wide(self) -> "_Plain":
        """Return the same with a column more, to meet arrays of shape (S, 8)."""
        out = object.__new__(_Plain)
        for name, values in vars(self).items():
            setattr(out, name, values[:, None])
        return out


def _draws(model: Any, wide: Any, lay: Layout, load: Load, dt_s: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Return of each server: power without opaque load, power more per share of it, its GPUs' idle power (S), and free shares (S, 8 or 1).

    Fans and clocks are those that the coming step will set, which follow from the state.
    """
    servers: Any = lay.servers
    site: Any = lay.site.view(np.recarray)[0]
    warmest = np.where(model.on_plates > 0.0, site.fan_from_c, servers["hottest_c"])
    target = fan_target_share(site, servers["load_share"], warmest)
    fan = servers["fan_share"] + relaxation(dt_s, site.fan_tau_s) * (target - servers["fan_share"])
    running = servers["off_s"] <= 0.0
    if _plain(lay, load, running):
        board, dynamic_w = (
            server_power_w(model, 0.0, GPUS_PER_SERVER * model.idle_w, fan),
            model.opaque_power_share * model.tdp_w - model.idle_w,
        )
        more = GPUS_PER_SERVER * dynamic_w + model.base_load_w
        return board, more, GPUS_PER_SERVER * model.idle_w, np.ones((len(servers), 1))
    clock = _clocks(lay, load, running)
    factor, idle, free = clock_factor(wide, clock), idle_power_w(wide, load.resident.reshape(clock.shape)), np.ones(clock.shape)
    if stopped := bool((clock <= 0.0).any()):
        idle = idle * (clock > 0.0)
    gpus_w, busy = idle, np.zeros(len(servers))
    if load.prefill_share.any() or load.decode_share.any():
        prefill, decode = load.prefill_share.reshape(clock.shape), load.decode_share.reshape(clock.shape)
        decode_w = decode_power_w(wide, load.decode_batch.reshape(clock.shape), load.decode_bandwidth_share.reshape(clock.shape))
        gpus_w = gpus_w + factor * busy_power_w(wide, idle, prefill, decode, 0.0, decode_w)
        free = np.clip(1.0 - prefill - decode, 0.0, 1.0)
        busy = 1.0 - free.mean(axis=1)
    live = lay.rows["live"][servers["row"]]
    fixed = np.where(running, server_power_w(model, busy, gpus_w.sum(axis=1), fan), model.standby_w * live)
    more = (factor * free * (wide.opaque_power_share * wide.tdp_w - idle)).sum(axis=1) + model.base_load_w * (1.0 - busy)
    switched_w = idle.sum(axis=1)
    if stopped:
        more, switched_w = np.where(running, more, 0.0), np.where(running, switched_w, 0.0)
    return fixed, more, switched_w, free


def _plain(lay: Layout, load: Load, running: NDArray[np.bool_]) -> bool:
    """Return whether every GPU is free, empty and at full clock: then all of a server's GPUs draw alike."""
    if load.resident.any() or load.prefill_share.any() or load.decode_share.any() or not running.all():
        return False
    slowest = min(float(clocks.min()) for clocks in (load.clock_share, load.clock_cap_share, lay.gpus.thermal_clock_share))
    return slowest >= 1.0 and all(
        float(lay.rows[name].min()) >= 1.0 for name in ("brake_clock_share", "high_clock_share", "low_clock_share")
    )


def _clocks(lay: Layout, load: Load, running: NDArray[np.bool_]) -> Floats:
    """Return the clocks (S, 8) that owners, emergency lever, heat, brake and caps allow; 0 on servers that are off."""
    rows, shape = lay.rows, (len(running), GPUS_PER_SERVER)
    high = np.where(running, np.minimum(rows["brake_clock_share"], rows["high_clock_share"])[lay.servers["row"]], 0.0)[:, None]
    if (rows["low_clock_share"] < rows["high_clock_share"]).any():
        low = np.where(running, np.minimum(rows["brake_clock_share"], rows["low_clock_share"])[lay.servers["row"]], 0.0)[:, None]
        high = np.where(lay.gpus.low_priority.reshape(shape) > 0.0, low, high)
    allowed = np.minimum(load.clock_share, load.clock_cap_share)
    return np.asarray(np.minimum(np.minimum(allowed, lay.gpus.thermal_clock_share).reshape(shape), high))

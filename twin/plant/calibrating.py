"""A site's own coefficients: telemetry against the twin's physics."""

from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.clock import Clock
from twin.fleet import GPUS_PER_SERVER, Fleet
from twin.plant import fitting
from twin.plant.accuracy import Report
from twin.plant.airflow import fan_target_share
from twin.plant.fitting import Fitted, Floats
from twin.plant.hardware import server_models
from twin.plant.heat import sink_resistance_c_per_w
from twin.plant.records import Layout
from twin.plant.sensed import Sensed, on_clock

if TYPE_CHECKING:
    from twin.plant.model import GpuLoad, Model, Settings

# Moments of the telemetry at which the twin's inlets are held against the measured ones.
_MOMENTS: Final = 32
_SETTLE_S: Final = 900.0
# The supply curve is fitted anew only where the outside moved by this much on a piece of it.
_SEEN_RANGE_C: Final = 3.0
# A GPU's sink is told from its offset only where its rise moved by this much.
_SEEN_RISE_C: Final = 2.0
_SINK_SCALE: Final = (0.25, 4.0)


@dataclass(frozen=True)
class _Seen:
    """Telemetry of a fleet on one grid: T samples."""

    t_s: Floats
    outside_c: Floats
    load_share: Floats
    inlet_c: Floats
    fan_share: Floats
    gpu_power_w: Floats
    gpu_temp_c: Floats
    step_s: float


def calibrate(settings: "Settings", fleet: Fleet, clock: Clock, name: str) -> tuple[Fitted, Report]:
    """Fit a fleet to imported telemetry. ValueError names what is missing."""
    seen = _gathered(on_clock(name, clock), fleet, name)
    use = ~fitting.held_out(seen.t_s)
    gpu_offset_c, gpu_sink_scale, law_error_c = _gpus(seen, use, settings, fleet)
    report = _judged(seen, use, settings, fleet, law_error_c)
    kept = Fitted(np.full(len(fleet.server_ids), np.nan), gpu_offset_c, gpu_sink_scale)
    return _inlets(seen, settings, fleet, clock, kept), report


def fitted_to(settings: "Settings", fleet: Fleet, clock: Clock) -> Fitted:
    """Return what ``settings.telemetry`` says of the fleet; fitted once for equal settings and contents."""
    from twin.sources import imported

    path = imported("telemetry", str(settings.telemetry))
    return _fitted(settings.model_dump_json(), fleet.name, fleet.server_ids, path.stat().st_mtime_ns, _Held((settings, fleet, clock)))


class _Held(tuple[Any, ...]):
    """Arguments that are equal whenever the key beside them is."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=4)
def _fitted(settings_json: str, fleet_name: str, server_ids: tuple[str, ...], changed_ns: int, held: _Held) -> Fitted:
    settings, fleet, clock = held
    return calibrate(settings, fleet, clock, settings.telemetry)[0]


def apply(fitted: Fitted, lay: Layout) -> None:
    """Put fitted offsets, resistances and supply curve where drawn and default ones stand; what was not fitted stays."""
    servers, gpus = lay.servers, lay.gpus
    known = np.isfinite(fitted.server_offset_c)
    servers["offset_c"][known] = fitted.server_offset_c[known]
    # A rack shows the air of its coolest server.
    coolest = np.full(len(lay.racks), np.inf)
    np.minimum.at(coolest, servers["rack"][known], fitted.server_offset_c[known])
    lay.racks["offset_c"] = np.where(np.isfinite(coolest), coolest, lay.racks["offset_c"])
    for array, found in ((gpus.offset_c, fitted.gpu_offset_c), (gpus.sink_scale, fitted.gpu_sink_scale)):
        array[np.isfinite(found)] = found[np.isfinite(found)]
    for field, shift in zip(("supply_low_c", "supply_slope", "supply_slope_hot"), fitted.supply_shift, strict=True):
        lay.site[field] += shift


def _gathered(sensed: Sensed, fleet: Fleet, name: str) -> _Seen:
    step_s = sensed.step_s()

    def grid(ids: tuple[str, ...], what: str) -> Floats:
        return sensed.grid([f"{each}.{what}" for each in ids], step_s)

    inlet_c, gpu_temp_c, gpu_power_w = grid(fleet.server_ids, "inlet_c"), grid(fleet.gpu_ids, "temp_c"), grid(fleet.gpu_ids, "power_w")
    if not np.isfinite(inlet_c).any():
        raise ValueError(
            f"telemetry {name!r} has no inlet of fleet {fleet.name}; its sensors must be called {fleet.server_ids[0]}.inlet_c, "
            f"{fleet.gpu_ids[0]}.temp_c and {fleet.gpu_ids[0]}.power_w"
        )
    outside_c = sensed.grid(["site.outside_c"], step_s)[:, 0]
    if not np.isfinite(outside_c).any():
        raise ValueError(f"telemetry {name!r} has no site.outside_c; inlets cannot be explained without the outside temperature")
    t_s = sensed.first_s + step_s * np.arange(len(outside_c), dtype=np.float64)
    known = np.isfinite(outside_c)
    outside_c = np.asarray(np.interp(t_s, t_s[known], outside_c[known]), dtype=np.float64)
    models = server_models(fleet)[fleet.server_models]
    tdp_w = np.repeat(models["tdp_w"], GPUS_PER_SERVER)
    load_share = fitting.nanmean((gpu_power_w / tdp_w).T)
    typical = fitting.nanmean(load_share[:, None])[0]
    load_share = np.asarray(np.where(np.isfinite(load_share), load_share, np.nan_to_num(typical)), dtype=np.float64)
    return _Seen(t_s, outside_c, load_share, inlet_c, grid(fleet.server_ids, "fan_share"), gpu_power_w, gpu_temp_c, step_s)


def _judged(seen: _Seen, use: NDArray[np.bool_], settings: "Settings", fleet: Fleet, law_error_c: Floats) -> Report:
    x = np.column_stack([fitting.pieces(seen.outside_c, settings.inlet.supply_knee_c, settings.inlet.supply_bend_c), seen.load_share])
    inlet_fit = fitting.plane(x, seen.inlet_c, use)
    above_c = seen.gpu_temp_c - np.repeat(seen.inlet_c, GPUS_PER_SERVER, axis=1)
    offset, slope = fitting.line(seen.gpu_power_w, above_c, use)
    return Report(
        fitting.mean_error(seen.inlet_c, x @ inlet_fit.T, ~use),
        fitting.mean_error(above_c, offset + slope * seen.gpu_power_w, ~use),
        law_error_c,
        fleet.server_ids,
        len(seen.t_s),
        seen.step_s,
    )


def _gpus(seen: _Seen, use: NDArray[np.bool_], settings: "Settings", fleet: Fleet) -> tuple[Floats, Floats, Floats]:
    """Fit each air-cooled GPU's offset and sink: temp - inlet - die = offset + scale * (sink's rise at the fan's speed).

    Returns offsets, scales and the mean absolute error on held-out hours, each of shape G.
    """
    model: Any = server_models(fleet)[fleet.server_models].view(np.recarray)
    wide = np.repeat(model, GPUS_PER_SERVER).view(np.recarray)
    fan_share = _fans(seen, settings, model)
    sink_r = sink_resistance_c_per_w(wide, np.repeat(fan_share, GPUS_PER_SERVER, axis=1), settings.heat.sink_flow_exponent)
    dt_s = np.full(len(seen.t_s), seen.step_s)
    rise_c = fitting.settled(sink_r * seen.gpu_power_w, dt_s, wide.tau_sink_s)
    die_c = wide.r_die_c_per_w * seen.gpu_power_w
    rest_c = seen.gpu_temp_c - np.repeat(seen.inlet_c, GPUS_PER_SERVER, axis=1) - die_c
    offset, scale = fitting.line(rise_c, rest_c, use)
    there = np.where(use[:, None] & np.isfinite(rest_c), rise_c, np.nan)
    moved = np.nan_to_num(np.nanmax(there, axis=0, initial=-np.inf) - np.nanmin(there, axis=0, initial=np.inf), nan=0.0, neginf=0.0)
    plain = (moved < _SEEN_RISE_C) | ~(scale > _SINK_SCALE[0]) | ~(scale < _SINK_SCALE[1])
    alone = fitting.nanmedian(np.where(use[:, None], rest_c - rise_c, np.nan))
    few = np.isfinite(there).sum(axis=0) < fitting.LEAST_SAMPLES
    unknown = few | np.repeat(fleet.row_liquid[fleet.server_rows], GPUS_PER_SERVER)
    offset = np.where(unknown, np.nan, np.where(plain, alone, offset))
    scale = np.where(unknown, np.nan, np.where(plain, 1.0, scale))
    return offset, scale, fitting.mean_error(rest_c, offset + scale * rise_c, ~use)


def _fans(seen: _Seen, settings: "Settings", model: Any) -> Floats:
    """Return fan speeds (T, S): measured, else what the fans' law makes of power and the hottest GPU; the floor where nothing is known."""
    shape = (*seen.inlet_c.shape, GPUS_PER_SERVER)
    power, temp = seen.gpu_power_w.reshape(shape), seen.gpu_temp_c.reshape(shape)
    mean_w = fitting.nanmean(np.moveaxis(power, 2, 0))
    load = np.clip((mean_w - model.idle_w) / (model.tdp_w - model.idle_w), 0.0, 1.0)
    law = SimpleNamespace(**dict(settings.airflow) | {"fan_by_heat": 1.0 if settings.airflow.law == "thermal" else 0.0})
    hottest = np.where(np.isfinite(temp), temp, -np.inf).max(axis=2)
    wanted = fan_target_share(law, np.nan_to_num(load, nan=0.0), np.where(np.isfinite(hottest), hottest, settings.airflow.fan_from_c))
    followed = fitting.settled(wanted, np.full(len(seen.t_s), seen.step_s), np.full(wanted.shape[1], settings.airflow.fan_tau_s))
    return np.where(np.isfinite(seen.fan_share), seen.fan_share, followed)


class _Still:
    """Weather that stands still while the twin settles."""

    def __init__(self) -> None:
        self.air_c = (15.0, 10.0)

    def at(self, t_s: float) -> tuple[float, float]:
        return self.air_c


def _inlets(seen: _Seen, settings: "Settings", fleet: Fleet, clock: Clock, kept: Fitted) -> Fitted:
    """Run the twin through moments of the telemetry; what its inlets lack is the supply curve's and each server's own offset."""
    from twin.plant.model import Model  # it fits itself to telemetry when a scenario says so

    own = settings.model_copy(update={"telemetry": None, "start_from": None, "replay": None, "max_step_s": 60.0})
    moments = np.unique(np.linspace(0, len(seen.t_s) - 1, min(_MOMENTS, len(seen.t_s))).astype(np.int64))
    said = np.isfinite(seen.inlet_c).sum(axis=0) >= fitting.LEAST_SAMPLES
    offset, shift = np.where(said, 0.0, np.nan), (0.0, 0.0, 0.0)
    for _ in range(2):
        model = Model(own, fleet, clock, 60.0, (), 0)
        model.arrays.servers["offset_c"] = 0.0
        apply(Fitted(offset, kept.gpu_offset_c, kept.gpu_sink_scale, shift), model.arrays)
        missing = np.array([_lacking(model, seen, int(k)) for k in moments])
        more = _supply(fitting.nanmedian(missing.T), seen.outside_c[moments], settings)
        pieces = fitting.pieces(seen.outside_c[moments], settings.inlet.supply_knee_c, settings.inlet.supply_bend_c)
        shift = (shift[0] + more[0], shift[1] + more[1], shift[2] + more[2])
        offset = offset + fitting.nanmedian(missing - (pieces @ np.array(more))[:, None])
    return Fitted(offset, kept.gpu_offset_c, kept.gpu_sink_scale, shift)


def _lacking(model: "Model", seen: _Seen, k: int) -> Floats:
    """Return measured inlets (shape S) less the twin's, settled under the measured power at sample ``k``."""
    still = _Still()
    still.air_c = (float(seen.outside_c[k]), float(seen.outside_c[k]) - 5.0)
    model.weather = still
    load = _imposed(model, seen.gpu_power_w[k])
    model.advance(model.t_s + _SETTLE_S, load, np.ones(len(load.clock_share)))
    return np.asarray(seen.inlet_c[k] - model.arrays.servers["inlet_c"])


def _imposed(model: "Model", power_w: Floats) -> "GpuLoad":
    """Return the load under which GPUs draw a measured power; those that were not measured draw what the others do."""
    from twin.plant.model import GpuLoad

    record: Any = np.repeat(model.arrays.models[model.arrays.servers["model"]], GPUS_PER_SERVER).view(np.recarray)
    share = np.clip((power_w - record.idle_w) / (record.prefill_power_share * record.tdp_w - record.idle_w), 0.0, 1.0)
    typical = fitting.nanmean(share[:, None])[0]
    share = np.where(np.isfinite(share), share, typical if np.isfinite(typical) else 0.0)
    none, hosts = np.zeros(len(share)), np.full(len(model.arrays.hosts), 0.5)
    return GpuLoad(share, none, none, none, np.zeros(len(share), dtype=np.bool_), np.ones(len(share)), hosts)


def _supply(missing: Floats, outside_c: Floats, settings: "Settings") -> tuple[float, float, float]:
    """Return what the supply curve lacks (cold, per degree, per degree when hot) where the outside moved enough to tell."""
    x = fitting.pieces(outside_c, settings.inlet.supply_knee_c, settings.inlet.supply_bend_c)
    seen = np.ptp(x, axis=0) >= _SEEN_RANGE_C
    there = np.isfinite(missing)
    if not seen.any() or there.sum() < 8:
        return 0.0, 0.0, 0.0
    columns = np.flatnonzero(seen | (np.arange(3) == 0))
    solved, *_ = np.linalg.lstsq(x[there][:, columns], missing[there], rcond=None)
    more = np.zeros(3)
    more[columns] = solved
    # What is constant is each server's own: servers without sensors keep the default curve and their default offsets.
    return 0.0, float(more[1]), float(more[2])

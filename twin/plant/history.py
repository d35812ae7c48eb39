"""What sensors said before the run: the plant's own past, hour by hour."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from twin.chance import stream
from twin.clock import HOUR_S, Clock
from twin.fleet import GPUS_PER_SERVER, Fleet
from twin.plant import driving, step
from twin.plant.calibrated import calibrated
from twin.plant.hardware import host_model
from twin.plant.records import Layout
from twin.plant.sensors import Sensors
from twin.plant.weather import Weather, generate
from twin.stack import read_only

Floats = NDArray[np.float64]
# Fans settle in tens of seconds, sinks in half a minute: after this many steps of a minute an hour stands still.
_STEPS: Final = 6
_STEP_S: Final = 60.0
# GPUs of one server differ by this much of their load: they mostly hold one model together.
_GPU_SPREAD_SHARE: Final = 0.1
# A GPU's share of its work that is prefill; the rest is work of unknown kind.
_PREFILL_SHARE: Final = 0.3
_HOST_SHARE: Final = 0.5


class History(BaseModel):
    """The load that the site carried before the run: a daily wave, and each server's hours about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hours: Annotated[int, Field(ge=24, le=8760)] = calibrated("history.hours")
    load_mean_share: Annotated[float, Field(gt=0, le=1)] = calibrated("history.load_mean_share")
    load_swing_share: Annotated[float, Field(ge=0, le=1)] = calibrated("history.load_swing_share")
    load_spread_share: Annotated[float, Field(ge=0, le=1)] = calibrated("history.load_spread_share")
    peak_hour: Annotated[float, Field(ge=0, lt=24)] = calibrated("history.peak_hour")


@dataclass(frozen=True, slots=True)
class Past:
    """Readings with the sensors' noise; shapes: T hours, S servers, G GPUs. ``load_share`` is IT power over nameplate."""

    outside_c: Floats
    load_share: Floats
    inlet_c: Floats
    server_power_w: Floats
    airflow_m3_per_s: Floats
    gpu_power_w: Floats
    gpu_temp_c: Floats


def busy_share(history: History, hour: Floats, servers: int, random: np.random.Generator) -> Floats:
    """Return each server's share of busy time in each hour, shape (T, S); ``hour`` is the local hour of day, shape T.

    The site's level differs from day to day and hour to hour, so that load can be told from weather and time of day.
    """
    hours = len(hour)
    wave = history.load_swing_share * np.cos(2.0 * np.pi * (hour - history.peak_hour) / 24.0)
    days = random.normal(0.0, 0.5 * history.load_swing_share, hours // 24 + 1)[np.arange(hours) // 24]
    own = random.normal(0.0, history.load_spread_share, (hours, servers))
    return np.clip(history.load_mean_share + (wave + days)[:, None] + own, 0.0, 1.0)


def past(arrays: Layout, weather: Weather, history: History, sensors: Sensors, fleet: Fleet, clock: Clock, seed: int) -> Past:
    """Run the plant's own step over the hours before the run and return what its sensors said at each hour's end.

    ``arrays`` is a settled layout of the fleet; it is worked on and not given back. Weather is the climate's in those
    hours; neither it nor the load shares a draw with the run. No fault is on, no clock is capped.
    """
    hours, servers, gpus = history.hours, len(fleet.server_ids), len(fleet.gpu_servers)
    before = Clock(clock.start - timedelta(hours=hours))
    random = stream(seed, "plant", "history")
    series = generate(weather, before, hours * HOUR_S, int(random.integers(2**31)))
    busy = busy_share(history, before.hour(np.arange(hours) * HOUR_S), servers, random)
    kept: dict[str, Any] = {name: np.empty((hours, servers)) for name in ("inlet_c", "server_power_w", "airflow_m3_per_s")}
    kept |= {name: np.empty((hours, gpus)) for name in ("gpu_power_w", "gpu_temp_c")}
    outside_c, load_share = np.empty(hours), np.empty(hours)
    none, one = np.zeros(gpus), np.ones(gpus)
    hosts = np.full(len(fleet.host_ids), _HOST_SHARE)
    load = driving.Load(none.copy(), none, none, none, none.copy(), read_only(np.ones(gpus, dtype=np.bool_)), one, one, hosts)
    around = driving.Around(_STEP_S, *series.at(0.0), host_model())
    go = step.entry(arrays, load, around)
    site = arrays.site[0]
    for index in range(hours):
        each = np.clip(
            np.repeat(busy[index], GPUS_PER_SERVER) * random.uniform(1.0 - _GPU_SPREAD_SHARE, 1.0 + _GPU_SPREAD_SHARE, gpus), 0.0, 1.0
        )
        load.prefill_share[:], load.opaque_share[:] = _PREFILL_SHARE * each, (1.0 - _PREFILL_SHARE) * each
        around = driving.Around(_STEP_S, *series.at((index + 1) * HOUR_S), host_model())
        for _ in range(_STEPS):
            go(arrays, load, around)
        outside_c[index], load_share[index] = around.outside_c, site["it_power_w"] / site["nameplate_w"]
        kept["inlet_c"][index] = arrays.servers["inlet_c"]
        kept["server_power_w"][index] = arrays.servers["power_w"]
        kept["airflow_m3_per_s"][index] = arrays.servers["airflow_m3_per_s"]
        kept["gpu_power_w"][index], kept["gpu_temp_c"][index] = arrays.gpus.power_w, arrays.gpus.temp_c
    for name, noise in (
        *(("inlet_c", sensors.temp_noise_c), ("gpu_temp_c", sensors.temp_noise_c)),
        *(("server_power_w", sensors.power_noise_w), ("gpu_power_w", sensors.power_noise_w)),
    ):
        kept[name] += noise * random.standard_normal(kept[name].shape)
    outside_c += sensors.temp_noise_c * random.standard_normal(hours)
    return Past(outside_c, load_share, **kept)

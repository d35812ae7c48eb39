"""Begin from a site's own state: last readings instead of an idle fleet."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from twin.clock import Clock
from twin.fleet import GPUS_PER_SERVER, Fleet
from twin.plant.driving import Load
from twin.plant.records import Layout
from twin.plant.sensed import on_clock

Floats = NDArray[np.float64]
ImportName = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
# A reading older than this says nothing about the start.
STALE_S: Final = 3600.0
# How long the weather at the start outlasts the climate's: spells of an afternoon, not of days.
_WEATHER_FADES_S: Final = 6 * 3600.0


class StartFrom(BaseModel):
    """Imported telemetry to begin from. ``at`` is local to the scenario's timezone; without it the telemetry's last time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    telemetry: ImportName
    at: datetime | None = None


class Air(Protocol):
    """Weather: dry and wet bulb at a time."""

    def at(self, t_s: float) -> tuple[float, float]:
        """Return dry and wet bulb."""


class Easing:
    """Weather that begins where sensors saw it and eases into the climate's."""

    def __init__(self, climate: Air, outside_c: float, wet_bulb_c: float) -> None:
        dry, wet = climate.at(0.0)
        known = outside_c - dry if math.isfinite(outside_c) else wet_bulb_c - wet
        self._climate, self._dry = climate, known if math.isfinite(known) else 0.0
        self._wet = wet_bulb_c - wet if math.isfinite(wet_bulb_c) else self._dry

    def at(self, t_s: float) -> tuple[float, float]:
        """Return dry and wet bulb at a time."""
        dry, wet = self._climate.at(t_s)
        left = math.exp(-max(t_s, 0.0) / _WEATHER_FADES_S)
        return dry + self._dry * left, min(wet + self._wet * left, dry + self._dry * left)


@dataclass(frozen=True)
class Beginning:
    """Last readings before the start; not a number where there is none. Shapes: S servers, G GPUs."""

    outside_c: float
    wet_bulb_c: float
    inlet_c: Floats
    server_power_w: Floats
    fan_share: Floats
    gpu_power_w: Floats
    gpu_temp_c: Floats

    def weather(self, climate: Air) -> Air:
        """Return the run's weather, from what was seen at the start on."""
        seen = math.isfinite(self.outside_c) or math.isfinite(self.wet_bulb_c)
        return Easing(climate, self.outside_c, self.wet_bulb_c) if seen else climate

    def load(self, lay: Layout, idle: Load) -> Load:
        """Return the load that draws the power that was read, at the fans' speed now; GPUs without a reading idle."""
        model: Any = lay.models[lay.servers["model"]].view(np.recarray)
        busy_w = model.prefill_power_share * model.tdp_w - model.idle_w
        boards_w = model.base_w + model.fan_max_w * lay.servers["fan_share"] ** 3
        by_server = (self.server_power_w - boards_w - GPUS_PER_SERVER * model.idle_w) / (GPUS_PER_SERVER * busy_w + model.base_load_w)
        by_gpu = (self.gpu_power_w.reshape(-1, GPUS_PER_SERVER) - model.idle_w[:, None]) / busy_w[:, None]
        share = np.where(np.isfinite(by_gpu), by_gpu, by_server[:, None])
        return idle._replace(prefill_share=np.clip(np.nan_to_num(share, nan=0.0), 0.0, 1.0).ravel())

    def take(self, lay: Layout) -> None:
        """Set what was read in a plant that has settled under that load: fans, inlets, dies and sinks."""
        gpus, servers = lay.gpus, lay.servers
        for field, seen in (("fan_share", self.fan_share), ("inlet_c", self.inlet_c)):
            servers[field] = np.where(np.isfinite(seen), seen, servers[field])
        there = np.isfinite(self.gpu_temp_c)
        # The die follows power within seconds; what is left of the temperature stands in the sink. It is counted from the inlet
        # that the plant has of its own, so that the temperature does not jump when the first tick sets inlets anew.
        rest = self.gpu_temp_c - gpus.inlet_c - gpus.offset_c - gpus.die_c
        gpus.sink_c[there] = rest[there]
        gpus.temp_c[there] = self.gpu_temp_c[there]
        servers["hottest_c"] = gpus.temp_c.reshape(-1, GPUS_PER_SERVER).max(axis=1)


def beginning(start: StartFrom, fleet: Fleet, clock: Clock) -> Beginning:
    """Return the last readings at or before a start, none older than an hour.

    ValueError where the telemetry is not there, or where it says nothing about this fleet at that time.
    """
    sensed = on_clock(start.telemetry, clock)
    at_s = sensed.last_s
    if start.at is not None:
        local = start.at if start.at.tzinfo else start.at.replace(tzinfo=clock.start.tzinfo)
        at_s = local.timestamp() - clock.start.timestamp()
    site = sensed.before(("site.outside_c", "site.wet_bulb_c"), at_s, STALE_S)
    of_server = [
        sensed.before([f"{name}.{what}" for name in fleet.server_ids], at_s, STALE_S) for what in ("inlet_c", "power_w", "fan_share")
    ]
    of_gpu = [sensed.before([f"{name}.{what}" for name in fleet.gpu_ids], at_s, STALE_S) for what in ("power_w", "temp_c")]
    if not any(np.isfinite(part).any() for part in (site, *of_server, *of_gpu)):
        first, last = (clock.at(edge).strftime("%Y-%m-%dT%H:%M") for edge in (sensed.first_s, sensed.last_s))
        raise ValueError(
            f"plant.start_from: telemetry {start.telemetry!r} says nothing about fleet {fleet.name} in the hour before "
            f"{clock.at(at_s).strftime('%Y-%m-%dT%H:%M')}; it lasts from {first} to {last}"
        )
    return Beginning(float(site[0]), float(site[1]), *of_server, *of_gpu)

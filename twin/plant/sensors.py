"""What sensors say: the truth, less or more a drift that grows."""

from collections.abc import Sequence
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from twin.chance import stream
from twin.clock import HOUR_S
from twin.faults import Fault
from twin.fleet import GPUS_PER_SERVER, Fleet
from twin.plant.calibrated import calibrated

Floats = NDArray[np.float64]
DRIFT: Final = "sensor_drift"


class Sensors(BaseModel):
    """How far a fault takes a server's readings off and how fast; noise of readings kept from before the run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    drift_max_c: Annotated[float, Field(ge=0, le=50)] = calibrated("sensors.drift_max_c")
    drift_c_per_h: Annotated[float, Field(gt=0)] = calibrated("sensors.drift_c_per_h")
    temp_noise_c: Annotated[float, Field(ge=0, le=10)] = calibrated("sensors.temp_noise_c")
    power_noise_w: Annotated[float, Field(ge=0)] = calibrated("sensors.power_noise_w")


class Drifts:
    """How far the inlet and GPU sensors of each server are off, shape S.

    Whether a server's readings drift up or down is drawn once per server and the same in every run of a seed. A drift ends
    with its fault, as when the sensor is replaced.
    """

    def __init__(self, settings: Sensors, fleet: Fleet, faults: Sequence[Fault], seed: int) -> None:
        self._settings, self._servers = settings, len(fleet.server_ids)
        self._drifts = tuple(fault for fault in faults if fault.kind == DRIFT)
        index = {name: server for server, name in enumerate(fleet.server_ids)} if self._drifts else {}
        self._server = np.array([index[fault.target] for fault in self._drifts], dtype=np.int64)
        self._from_s = np.array([fault.from_s for fault in self._drifts])
        self._until_s = np.array([np.inf if fault.until_s is None else fault.until_s for fault in self._drifts])
        self._most_c = settings.drift_max_c * np.array([fault.severity for fault in self._drifts])
        self._sign = np.where(stream(seed, "plant", DRIFT).random(self._servers) < 0.5, -1.0, 1.0)

    def offset_c(self, t_s: float) -> Floats | None:
        """Return how much more than the truth each server's sensors say at a time; None where all are right."""
        if not self._drifts:
            return None
        on = np.flatnonzero((self._from_s <= t_s) & (t_s < self._until_s))
        if not len(on):
            return None
        off, server = np.zeros(self._servers), self._server[on]
        grown_c = self._settings.drift_c_per_h * (t_s - self._from_s[on]) / HOUR_S
        np.add.at(off, server, self._sign[server] * np.minimum(grown_c, self._most_c[on]))
        return off

    def server_c(self, true_c: Floats, t_s: float) -> Floats:
        """Return what the inlet sensors say, shape S."""
        off = self.offset_c(t_s)
        return true_c.copy() if off is None else true_c + off

    def gpu_c(self, true_c: Floats, t_s: float) -> Floats:
        """Return what the GPUs' sensors say, shape G."""
        off = self.offset_c(t_s)
        return true_c.copy() if off is None else true_c + np.repeat(off, GPUS_PER_SERVER)

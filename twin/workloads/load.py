"""How busy a VM is over day and week, and how VMs of one template differ."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Floats = NDArray[np.float64]


class Load(BaseModel):
    """How busy a VM is over the day, as a share: a daily wave with noise that is drawn before the run.

    ``spread_share`` and ``spread_h`` are how far VMs of one template lie apart (one standard deviation): in their mean load and
    in the hour of their peak.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean_share: Annotated[float, Field(ge=0, le=1)] = 0.6
    swing_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    peak_hour: Annotated[float, Field(ge=0, lt=24)] = 15.0
    weekend_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    noise_share: Annotated[float, Field(ge=0, le=0.5)] = 0.08
    spread_share: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    spread_h: Annotated[float, Field(ge=0, le=12)] = 0.0


def wave_share(mean_share: Floats, swing_share: Floats, peak_hour: Floats, hour: NDArray[np.floating] | float) -> Floats:
    """Return the daily wave of a load on a weekday, without noise; shapes are broadcast."""
    return np.asarray(mean_share + swing_share * np.cos((hour - peak_hour) * (2.0 * np.pi / 24.0)))


def kept_wave(mean_share: Floats, swing_share: Floats) -> tuple[Floats, Floats]:
    """Return mean and swing of waves that stay within 0 to 1, as VMs on hosts keep theirs."""
    mean = np.clip(mean_share, 0.0, 1.0)
    return mean, np.minimum(swing_share, np.minimum(mean, 1.0 - mean))

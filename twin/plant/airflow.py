"""Air through servers: fan speed, volume flow and the heat it carries."""

from typing import Annotated, Literal, Self

import numpy as np
from numba.extending import register_jitable
from pydantic import BaseModel, ConfigDict, Field, model_validator

from twin.plant.calibrated import calibrated
from twin.plant.hardware import Quantity, Record

# Density times specific heat of air, J per m3 and K (1.2 kg/m3, 1,005 J/kgK).
AIR_J_PER_M3_K = 1206.0
CFM_M3_PER_S = 4.719e-4
# A stopped or blocked server still leaks some air; keeps heat balances finite.
LEAST_AIR_SHARE = 0.05


class Airflow(BaseModel):
    """How servers draw air. ``thermal`` fans follow the hottest GPU and the load, ``linear`` ones the load alone (as in TAPAS)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    law: Literal["thermal", "linear"] = "thermal"
    fan_floor_share: Annotated[float, Field(gt=0, le=1)] = calibrated("airflow.fan_floor_share")
    fan_tau_s: Annotated[float, Field(gt=0)] = calibrated("airflow.fan_tau_s")
    fan_from_c: float = calibrated("airflow.fan_from_c")
    fan_full_c: float = calibrated("airflow.fan_full_c")

    @model_validator(mode="after")
    def _fans_speed_up(self) -> Self:
        if self.fan_full_c <= self.fan_from_c:
            raise ValueError(f"fan_full_c is {self.fan_full_c:g}, not above fan_from_c of {self.fan_from_c:g}; raise it")
        return self


@register_jitable
def fan_target_share(site: Record, load_share: Quantity, hottest_c: Quantity) -> Quantity:
    """Return the fan speed that a server's controller wants, from its GPUs' load and its hottest GPU."""
    warm = site.fan_by_heat * (hottest_c - site.fan_from_c) / (site.fan_full_c - site.fan_from_c)
    wanted = site.fan_floor_share + (1.0 - site.fan_floor_share) * np.maximum(load_share, warm)
    return np.minimum(np.maximum(wanted, site.fan_floor_share), 1.0)


@register_jitable
def airflow_m3_per_s(airflow_max_m3_per_s: Quantity, fan_share: Quantity, blocked_share: Quantity) -> Quantity:
    """Return a server's airflow, linear in fan speed, less what a blocked rack keeps out."""
    return airflow_max_m3_per_s * np.maximum(fan_share * (1.0 - blocked_share), LEAST_AIR_SHARE)


@register_jitable
def exhaust_rise_c(power_w: Quantity, flow_m3_per_s: Quantity) -> Quantity:
    """Return how much warmer the air leaves than it came in: all power becomes heat of the air."""
    return power_w / (AIR_J_PER_M3_K * flow_m3_per_s)

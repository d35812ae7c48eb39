"""Rows whose GPUs sit on cold plates: coolant, its loop, boards in air."""

from typing import Annotated, Any

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from twin.plant.calibrated import calibrated
from twin.plant.hardware import Quantity, Record

Positive = Annotated[float, Field(gt=0)]


class Liquid(BaseModel):
    """Rows that a fleet marks ``cooling = "liquid"``: all heat of their GPUs goes to the coolant, the boards' to the air."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    coolant_low_c: Annotated[float, Field(ge=5, le=60)] = calibrated("liquid.coolant_low_c")
    coolant_approach_c: Annotated[float, Field(ge=0, le=30)] = calibrated("liquid.coolant_approach_c")
    plate_c_per_w: Positive = calibrated("liquid.plate_c_per_w")
    board_air_share: Annotated[float, Field(gt=0, le=1)] = calibrated("liquid.board_air_share")
    cdu_pump_share: Annotated[float, Field(ge=0, le=0.2)] = calibrated("liquid.cdu_pump_share")
    loop_cop: Positive = calibrated("liquid.loop_cop")


def with_plates(models: NDArray[Any], liquid: Liquid) -> NDArray[Any]:
    """Return server models followed by the same models on cold plates; the field ``on_plates`` is 0 or 1.

    A plate stands between die and coolant alone (no heat sink), and the fans are as small as the boards need.
    """
    both = np.zeros(2 * len(models), dtype=[*models.dtype.descr, ("on_plates", np.float64)])
    for name in models.dtype.names or ():
        both[name] = np.tile(models[name], 2)
    plates = both[len(models) :]
    plates["on_plates"] = 1.0
    plates["r_sink_c_per_w"], plates["r_die_c_per_w"] = 0.0, liquid.plate_c_per_w
    for name in ("fan_max_w", "airflow_max_m3_per_s"):
        plates[name] *= liquid.board_air_share
    return both


@register_jitable
def coolant_temp_c(site: Record, wet_bulb_c: Quantity) -> Quantity:
    """Return the coolant's temperature at the plates: what the towers reach, not below the loop's set-point."""
    return np.maximum(site.coolant_low_c, wet_bulb_c + site.coolant_approach_c)


@register_jitable
def loop_power_w(site: Record, heat_w: Quantity) -> Quantity:
    """Return the power of the distribution units' pumps and of the loop that takes their heat and the plates' outside."""
    pumps_w = site.cdu_pump_share * heat_w
    return pumps_w + (heat_w + pumps_w) / site.loop_cop

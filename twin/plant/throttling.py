"""Protection: thermal throttling of GPUs and the power brake of rows."""

from typing import Annotated

import numpy as np
from numba.extending import register_jitable
from pydantic import BaseModel, ConfigDict, Field

from twin.plant.calibrated import calibrated
from twin.plant.hardware import Quantity, Record

Share = Annotated[float, Field(ge=0, le=1)]


class Throttling(BaseModel):
    """Rates and thresholds of protection; temperature limits belong to the server models."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step_down_per_s: float = calibrated("throttling.step_down_per_s")
    recover_per_s: float = calibrated("throttling.recover_per_s")
    hysteresis_c: float = calibrated("throttling.hysteresis_c")
    clock_floor_share: Share = calibrated("throttling.clock_floor_share")
    slowdown_clock_share: Share = calibrated("throttling.slowdown_clock_share")
    restart_s: float = calibrated("throttling.restart_s")
    brake_after_s: float = calibrated("throttling.brake_after_s")
    brake_clock_share: Share = calibrated("throttling.brake_clock_share")
    brake_hold_s: float = calibrated("throttling.brake_hold_s")
    brake_release_share: Share = calibrated("throttling.brake_release_share")
    ups_units: Annotated[int, Field(ge=2, le=64)] = calibrated("throttling.ups_units")


@register_jitable
def thermal_clock_share(
    model: Record, site: Record, cap_share: Quantity, running_share: Quantity, temp_c: Quantity, dt_s: Quantity
) -> Quantity:
    """Return the clock that heat allows after ``dt_s``; ``cap_share`` is what it allowed before, ``running_share`` the clock in use.

    Above the limit the clock steps down from where it runs; above the slowdown temperature it is halved at once; it comes
    back slowly, and only once the GPU is cooler than the limit by the hysteresis.
    """
    stepped = np.minimum(cap_share, running_share) - site.step_down_per_s * dt_s
    if temp_c > model.slowdown_c:
        return np.maximum(np.minimum(stepped, site.slowdown_clock_share), site.clock_floor_share)
    if temp_c > model.limit_c:
        return np.maximum(stepped, site.clock_floor_share)
    if temp_c < model.limit_c - site.hysteresis_c:
        return np.minimum(cap_share + site.recover_per_s * dt_s, 1.0)
    return cap_share


@register_jitable
def brake_row(row: Record, site: Record, dt_s: float) -> bool:
    """Update a row's power brake in place; return whether it began to brake.

    A row above its budget for longer than ``brake_after_s`` drops to the brake clock, holds it, then comes back as fast as
    its power leaves room. A brake that trips again before it is fully released is the same brake.
    """
    row.hold_s = np.maximum(row.hold_s - dt_s, 0.0)
    if row.power_w > row.budget_w:
        row.over_s += dt_s
    else:
        row.over_s = 0.0
    if row.over_s >= site.brake_after_s:
        began = row.brake_clock_share >= 1.0
        row.brake_clock_share = site.brake_clock_share
        row.hold_s = site.brake_hold_s
        row.over_s = 0.0
        return bool(began)
    room = site.brake_release_share * row.budget_w / np.maximum(row.power_w, 1.0)
    if row.brake_clock_share < 1.0 and row.hold_s <= 0.0 and room > 1.0:
        # Power grows about as fast as the clock, so the clock may grow by the room there is; a long tick does not overshoot.
        wanted = np.minimum(row.brake_clock_share + site.recover_per_s * dt_s, row.brake_clock_share * room)
        row.brake_clock_share = np.minimum(wanted, 1.0)
    return False


def budget_share_left(severity: float, ups_units: int) -> float:
    """Return what remains of the power budgets when ``severity`` of one of ``ups_units`` is lost (4N/3: one of four leaves 75 %)."""
    return 1.0 - severity / ups_units

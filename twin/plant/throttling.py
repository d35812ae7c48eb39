"""Protection: thermal throttling of GPUs and the power brake of rows."""

from typing import Annotated

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from twin.fleet import GPUS_PER_SERVER, Fleet, expand
from twin.plant.calibrated import calibrated
from twin.plant.hardware import Quantity, Record
from twin.plant.heat import over_limit_c

Share = Annotated[float, Field(ge=0, le=1)]
# Times are counted in ticks that need not add up to the last bit.
_ACTS_S = 1e-9


class Graded(BaseModel):
    """Caps in two grades before the power brake: low-priority GPUs first, then everybody (POLCA, arXiv:2308.12908).

    ``low_priority_servers`` names whose GPUs slow down first (ids or ranges); empty takes those of opaque VMs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    t1_share: Share = calibrated("graded.t1_share")
    t2_share: Share = calibrated("graded.t2_share")
    t1_low_clock_share: Share = calibrated("graded.t1_low_clock_share")
    t2_low_clock_share: Share = calibrated("graded.t2_low_clock_share")
    t2_high_clock_share: Share = calibrated("graded.t2_high_clock_share")
    release_share: Share = calibrated("graded.release_share")
    act_after_s: Annotated[float, Field(ge=0)] = calibrated("graded.act_after_s")
    low_priority_servers: tuple[str, ...] = ()


class Throttling(BaseModel):
    """Rates and thresholds of protection; temperature limits belong to the server models."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step_down_per_s: Annotated[float, Field(gt=0)] = calibrated("throttling.step_down_per_s")
    recover_per_s: Annotated[float, Field(gt=0)] = calibrated("throttling.recover_per_s")
    hysteresis_c: Annotated[float, Field(ge=0)] = calibrated("throttling.hysteresis_c")
    clock_floor_share: Share = calibrated("throttling.clock_floor_share")
    slowdown_clock_share: Share = calibrated("throttling.slowdown_clock_share")
    restart_s: Annotated[float, Field(ge=0)] = calibrated("throttling.restart_s")
    brake_after_s: Annotated[float, Field(ge=0)] = calibrated("throttling.brake_after_s")
    brake_clock_share: Share = calibrated("throttling.brake_clock_share")
    brake_hold_s: Annotated[float, Field(ge=0)] = calibrated("throttling.brake_hold_s")
    brake_release_share: Share = calibrated("throttling.brake_release_share")
    graded: Graded | None = None


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
    over_c = over_limit_c(model, temp_c)
    if over_c > 0.0:
        return np.maximum(stepped, site.clock_floor_share)
    if over_c < -site.hysteresis_c:
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


def graded_values(graded: Graded | None) -> dict[str, float]:
    """Return the graded caps' settings as the kernel's record names them; without them no power is ever above a threshold."""
    part = Graded() if graded is None else graded
    values = {f"graded_{name}": float(value) for name, value in part if isinstance(value, int | float)}
    return values if graded is not None else values | {"graded_t1_share": np.inf, "graded_t2_share": np.inf}


def named_servers(graded: Graded | None, fleet: Fleet) -> NDArray[np.bool_] | None:
    """Return which GPUs (shape G) the settings give low priority; None where they leave it to the VMs."""
    if graded is None or not graded.low_priority_servers:
        return None
    names = expand(graded.low_priority_servers)
    for name in names:
        if name not in fleet.server_ids:
            raise ValueError(f"plant.throttling.graded: server {name!r} is not in the fleet, whose first is {fleet.server_ids[0]}")
    return np.repeat(fleet.servers_within("server", names), GPUS_PER_SERVER)


@register_jitable
def _order(on: float, order_s: float, wanted: bool, dt_s: float, act_after_s: float) -> tuple[float, float]:
    """Return whether a cap is on and in how long its order acts. An order that is under way is not taken back."""
    if order_s > 0.0:
        order_s -= dt_s
        return (1.0 - on, 0.0) if order_s <= _ACTS_S else (on, order_s)
    if wanted == (on > 0.0):
        return on, 0.0
    return (on, act_after_s) if act_after_s > 0.0 else (1.0 - on, 0.0)


@register_jitable
def grade_row(row: Record, site: Record, dt_s: float) -> None:
    """Update a row's graded caps in place, at the end of a tick of ``dt_s``.

    Above a threshold its cap is ordered, acts out of band after ``graded_act_after_s``, and is taken back the same way once
    power is below the threshold by ``graded_release_share`` of the budget.
    """
    if site.graded_t1_share > 1.0 and site.graded_t2_share > 1.0:
        return
    slack_1, slack_2 = row.t1_on * site.graded_release_share, row.t2_on * site.graded_release_share
    share = row.power_w / np.maximum(row.budget_w, 1.0)
    row.t1_on, row.t1_order_s = _order(row.t1_on, row.t1_order_s, share > site.graded_t1_share - slack_1, dt_s, site.graded_act_after_s)
    row.t2_on, row.t2_order_s = _order(row.t2_on, row.t2_order_s, share > site.graded_t2_share - slack_2, dt_s, site.graded_act_after_s)
    row.low_clock_share = row.high_clock_share = 1.0
    if row.t1_on > 0.0:
        row.low_clock_share = site.graded_t1_low_clock_share
    if row.t2_on > 0.0:
        row.low_clock_share, row.high_clock_share = site.graded_t2_low_clock_share, site.graded_t2_high_clock_share


@register_jitable
def held_clock_share(row: Record, low_priority: float) -> Quantity:
    """Return the clock that a row's brake and caps leave to a GPU of high (0) or low (1) priority."""
    return min(row.brake_clock_share, row.low_clock_share if low_priority > 0.0 else row.high_clock_share)

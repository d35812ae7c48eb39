"""The cooling plant and the electrical path: from IT power to the meter."""

from typing import Annotated, Literal

import numpy as np
from numba.extending import register_jitable
from pydantic import BaseModel, ConfigDict, Field

from twin.plant.calibrated import calibrated
from twin.plant.hardware import Quantity, Record

J_PER_KWH = 3.6e6
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class Cooling(BaseModel):
    """The cooling plant, electrical losses, and what a kilowatt-hour emits and costs by local hour (1 or 24 values).

    ``carbon_kg_per_kwh = "import:NAME"`` takes an imported hourly series (see ``twin.plant.carbon.intensity``).

    ``chiller_law`` makes the chiller's efficiency fall with the air outside, or rise with the supply air's temperature.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    free_cop: Positive = calibrated("cooling.free_cop")
    free_approach_c: float = calibrated("cooling.free_approach_c")
    free_margin_c: float = calibrated("cooling.free_margin_c")
    free_blend_c: Annotated[float, Field(gt=0)] = calibrated("cooling.free_blend_c")
    chiller_law: Literal["outside", "supply"] = "outside"
    chiller_cop: float = calibrated("cooling.chiller_cop")
    chiller_cop_per_c: float = calibrated("cooling.chiller_cop_per_c")
    chiller_cop_low: Positive = calibrated("cooling.chiller_cop_low")
    chiller_cop_high: Positive = calibrated("cooling.chiller_cop_high")
    chiller_supply_cop: float = calibrated("cooling.chiller_supply_cop")
    chiller_supply_cop_per_c: float = calibrated("cooling.chiller_supply_cop_per_c")
    chiller_supply_cop_per_c2: float = calibrated("cooling.chiller_supply_cop_per_c2")
    chillers: Annotated[int, Field(ge=1, le=64)] = calibrated("cooling.chillers")
    chiller_capacity_share: Positive = calibrated("cooling.chiller_capacity_share")
    room_j_per_c_per_rack: Positive = calibrated("cooling.room_j_per_c_per_rack")
    room_m3_per_rack: Annotated[float, Field(ge=0)] = calibrated("cooling.room_m3_per_rack")
    air_handler_w_per_m3_per_s: NotNegative = calibrated("cooling.air_handler_w_per_m3_per_s")
    pump_share: NotNegative = calibrated("cooling.pump_share")
    ups_loss_idle_share: NotNegative = calibrated("cooling.ups_loss_idle_share")
    ups_loss_linear_share: NotNegative = calibrated("cooling.ups_loss_linear_share")
    ups_loss_square_share: NotNegative = calibrated("cooling.ups_loss_square_share")
    pdu_loss_share: NotNegative = calibrated("cooling.pdu_loss_share")
    other_share: NotNegative = calibrated("cooling.other_share")
    water_l_per_kwh: NotNegative = calibrated("cooling.water_l_per_kwh")
    carbon_kg_per_kwh: tuple[float, ...] | str = calibrated("cooling.carbon_kg_per_kwh")
    tariff_usd_per_kwh: tuple[float, ...] = calibrated("cooling.tariff_usd_per_kwh")


def by_hour(values: tuple[float, ...], name: str) -> tuple[float, ...]:
    """Return 24 hourly values from 1 or 24."""
    if len(values) not in {1, 24}:
        raise ValueError(f"plant.cooling.{name} has {len(values)} values; give one, or 24 by local hour")
    return values if len(values) == 24 else values * 24


@register_jitable
def free_reach_share(site: Record, wet_bulb_c: Quantity, supply_c: Quantity) -> Quantity:
    """Return what cooling towers alone could take as a share of heat; above 1 they can cool the room as well."""
    margin_c = supply_c - site.free_margin_c - (wet_bulb_c + site.free_approach_c)
    return np.maximum(1.0 + margin_c / site.free_blend_c, 0.0)


@register_jitable
def free_share(site: Record, wet_bulb_c: Quantity, supply_c: Quantity) -> Quantity:
    """Return the share of heat that cooling towers alone take: all when the wet bulb is far below supply, none when near."""
    return np.minimum(free_reach_share(site, wet_bulb_c, supply_c), 1.0)


@register_jitable
def chiller_cop(site: Record, outside_c: Quantity, supply_c: Quantity) -> Quantity:
    """Return heat moved per chiller power: falling as it warms outside (dc-rl), or rising with the supply (Moore et al. 2005)."""
    by_outside = np.minimum(
        np.maximum(site.chiller_cop - site.chiller_cop_per_c * (outside_c - 25.0), site.chiller_cop_low), site.chiller_cop_high
    )
    by_supply = site.chiller_supply_cop + supply_c * (site.chiller_supply_cop_per_c + site.chiller_supply_cop_per_c2 * supply_c)
    return by_supply if site.chiller_by_supply > 0.0 else by_outside


@register_jitable
def heat_pump_power_w(site: Record, free_w: Quantity, chilled_w: Quantity, outside_c: Quantity, supply_c: Quantity) -> Quantity:
    """Return the power that moves heat out: towers, chillers and the pumps of both."""
    return free_w / site.free_cop + chilled_w / chiller_cop(site, outside_c, supply_c) + site.pump_share * (free_w + chilled_w)


@register_jitable
def air_handler_power_w(site: Record, flow_m3_per_s: Quantity, design_m3_per_s: Quantity) -> Quantity:
    """Return the fans' power of an aisle's air handlers, cubic in flow."""
    part = flow_m3_per_s / design_m3_per_s
    return site.air_handler_w_per_m3_per_s * design_m3_per_s * part * part * part


@register_jitable
def ups_loss_w(site: Record, load_w: Quantity, rated_w: Quantity) -> Quantity:
    """Return what a UPS loses: an idle part, one linear and one square in load."""
    load = load_w / rated_w
    return rated_w * (site.ups_loss_idle_share + site.ups_loss_linear_share * load + site.ups_loss_square_share * load * load)

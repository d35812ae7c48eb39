"""The room's air when the cooling plant cannot take all the heat."""

import numpy as np
from numba.extending import register_jitable

from twin.plant.airflow import AIR_J_PER_M3_K
from twin.plant.cooling import free_reach_share
from twin.plant.hardware import Quantity, Record


def heat_capacity_j_per_c(racks: int, room_j_per_c_per_rack: float, room_m3_per_rack: float) -> float:
    """Return what warms a room of so many racks by one degree: racks, floor and walls, and the air."""
    return racks * (room_j_per_c_per_rack + AIR_J_PER_M3_K * room_m3_per_rack)


@register_jitable
def take_out(site: Record, heat_w: Quantity, wet_bulb_c: Quantity, dt_s: Quantity) -> tuple[Quantity, Quantity]:
    """Set the room's rise above its set-point in place; return the heat that towers and that chillers take, W.

    Both take the heat of the tick and what the room has stored: towers as far as the air outside reaches, chillers as far
    as what is left of them carries. The rest stays: C dT/dt = Q - Q_cool. A warmer room lets the towers reach further.
    """
    owed_w = heat_w + site.room_rise_c * site.room_j_per_c / dt_s
    free_w = np.minimum(free_reach_share(site, wet_bulb_c, site.supply_c) * heat_w, owed_w)
    chilled_w = np.minimum(owed_w - free_w, site.chiller_capacity_w * site.chiller_left_share)
    site.room_rise_c = (owed_w - free_w - chilled_w) * dt_s / site.room_j_per_c
    return free_w, chilled_w

"""Inlet air: supply temperature, aisle mixing and recirculation."""

from typing import Annotated, Self

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from twin.plant.airflow import AIR_J_PER_M3_K
from twin.plant.calibrated import calibrated
from twin.plant.hardware import Quantity, Record

Share = Annotated[float, Field(ge=0, le=1)]
# Sweeps stop when no rack's inlet moves by more than this; the cap is never reached below a mixing share of 0.6.
_SETTLED_C = 1e-9
_MOST_SWEEPS = 60


class Inlet(BaseModel):
    """How air reaches the servers. Dictionaries by id replace the site-wide value or the drawn offset for one aisle or row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    supply_low_c: float = calibrated("inlet.supply_low_c")
    supply_knee_c: float = calibrated("inlet.supply_knee_c")
    supply_bend_c: float = calibrated("inlet.supply_bend_c")
    supply_slope: float = calibrated("inlet.supply_slope")
    supply_slope_hot: float = calibrated("inlet.supply_slope_hot")
    supply_offset_c: float = 0.0
    aisle_supply_offset_c: dict[str, float] = {}
    load_rise_c: float = calibrated("inlet.load_rise_c")
    offset_spread_c: Annotated[float, Field(ge=0)] = calibrated("inlet.offset_spread_c")
    row_offset_c: dict[str, float] = {}
    rack_offset_c: dict[str, float] = {}
    height_rise_c: float = calibrated("inlet.height_rise_c")
    near_air_handler_c: float = calibrated("inlet.near_air_handler_c")
    adjacent_share: Share = calibrated("inlet.adjacent_share")
    second_share: Share = calibrated("inlet.second_share")
    across_share: Share = calibrated("inlet.across_share")
    leak_share: Annotated[float, Field(ge=0, le=0.95)] = calibrated("inlet.leak_share")
    mixing_max_share: Annotated[float, Field(ge=0, le=0.95)] = calibrated("inlet.mixing_max_share")
    air_supply_share: Annotated[float, Field(gt=0, le=3)] = calibrated("inlet.air_supply_share")
    aisle_air_supply_share: dict[str, Annotated[float, Field(gt=0, le=3)]] = {}
    air_handler_tau_s: Annotated[float, Field(gt=0)] = calibrated("inlet.air_handler_tau_s")
    lost_air_rise_c: Annotated[float, Field(ge=0)] = calibrated("inlet.lost_air_rise_c")

    @model_validator(mode="after")
    def _air_is_shared_out(self) -> Self:
        taken = 2.0 * self.adjacent_share + 2.0 * self.second_share + self.across_share
        if taken + self.mixing_max_share > 1.0:
            raise ValueError(
                f"neighbours take {taken:g} of a rack's exhaust (twice adjacent_share and second_share, and across_share), which with "
                f"mixing_max_share of {self.mixing_max_share:g} is more than all of it; lower one"
            )
        if self.leak_share > self.mixing_max_share:
            raise ValueError(f"leak_share is {self.leak_share:g}, above mixing_max_share of {self.mixing_max_share:g}; lower it")
        if self.supply_knee_c > self.supply_bend_c:
            raise ValueError(f"supply_knee_c is {self.supply_knee_c:g}, above supply_bend_c of {self.supply_bend_c:g}; lower it")
        return self


@register_jitable
def supply_temp_c(site: Record, outside_c: Quantity) -> Quantity:
    """Return the supply air's temperature: flat when cold outside, then linear, then slower (TAPAS eq. 1, arXiv:2501.02600)."""
    warm = np.minimum(np.maximum(outside_c - site.supply_knee_c, 0.0), site.supply_bend_c - site.supply_knee_c)
    hot = np.maximum(outside_c - site.supply_bend_c, 0.0)
    return site.supply_low_c + site.supply_offset_c + site.supply_slope * warm + site.supply_slope_hot * hot


@register_jitable
def mixing_share(supply_m3_per_s: Quantity, demand_m3_per_s: Quantity, leak_share: Quantity, most_share: Quantity) -> Quantity:
    """Return the share of an aisle's air that is hot exhaust: what the air handlers cannot give, servers draw from behind."""
    return np.minimum(np.maximum(1.0 - supply_m3_per_s / np.maximum(demand_m3_per_s, 1e-9), leak_share), most_share)


@register_jitable
def mix(racks: NDArray[np.void], aisles: NDArray[np.void], neighbours: NDArray[np.int64], neighbour_share: NDArray[np.float64]) -> None:
    """Solve every rack's inlet rise above supply, in place, from heat and flow of racks and mixing shares of aisles.

    Rack i draws a share A_ji of neighbour j's exhaust and a share phi of its aisle's mixed exhaust, the rest from supply:
    K_i x_i = sum_j A_ji (K_j x_j + P_j) + phi K_i X_a, with X_a = sum(K x + P) / sum(K) over the aisle (heat-flow form of
    Tang et al. 2008, banded). Energy closes: the heat that leaves to the return equals the sum of P. ``neighbours`` is
    shape (K, n) with -1 for none, ``neighbour_share`` the matching shares. Gauss-Seidel from the last solution.
    """
    for _ in range(_MOST_SWEEPS):
        for a in range(len(aisles)):
            aisles[a].heat_w = 0.0
            aisles[a].recirculated_w = 0.0
        for i in range(len(racks)):
            drawn_w = 0.0
            for n in range(neighbours.shape[1]):
                j = neighbours[i, n]
                if j >= 0:
                    drawn_w += neighbour_share[i, n] * (racks[j].flow_w_per_c * racks[j].rise_c + racks[j].heat_w)
            racks[i].drawn_w = drawn_w
            aisles[racks[i].aisle].heat_w += racks[i].heat_w
            aisles[racks[i].aisle].recirculated_w += drawn_w
        moved = 0.0
        for i in range(len(racks)):
            aisle = aisles[racks[i].aisle]
            # Sum of K x + P over the aisle, solved for exactly so that a large mixing share does not slow convergence.
            exhaust_w = (aisle.heat_w + aisle.recirculated_w) / (1.0 - aisle.mixing_share)
            rise_c = racks[i].drawn_w / racks[i].flow_w_per_c + aisle.mixing_share * exhaust_w / aisle.flow_w_per_c
            moved = max(moved, abs(rise_c - racks[i].rise_c))
            racks[i].rise_c = rise_c
        if moved < _SETTLED_C:
            break


def returned_heat_w(
    racks: NDArray[np.void], aisles: NDArray[np.void], neighbours: NDArray[np.int64], neighbour_share: NDArray[np.float64]
) -> float:
    """Return the heat that leaves with the return air of all racks, relative to supply; equals the sum of their powers."""
    exhaust_w = racks["flow_w_per_c"] * racks["rise_c"] + racks["heat_w"]
    taken = np.zeros(len(racks))
    for n in range(neighbours.shape[1]):
        there = neighbours[:, n] >= 0
        np.add.at(taken, neighbours[there, n], neighbour_share[there, n])
    left = 1.0 - taken - aisles["mixing_share"][racks["aisle"]]
    return float((exhaust_w * left).sum())


def heat_capacity_w_per_c(flow_m3_per_s: float) -> float:
    """Return the heat that a flow of air carries per degree."""
    return AIR_J_PER_M3_K * flow_m3_per_s

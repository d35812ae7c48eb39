"""What a holder of a plant lever may see and move."""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from twin.stack import Lever

Floats = NDArray[np.float64]
CLOCK_LOW: Final = 0.2
CLOCK_HIGH: Final = 1.0

LEVERS: Final = (
    Lever("capacity", "plant", "at the start", "as_built", "how many servers stand above what the power budgets were made for", "size"),
    Lever("emergency", "plant", "each tick", "uniform_cap", "who slows down when power or heat runs out", "cap"),
)


@dataclass(frozen=True, slots=True)
class CapacityObservation:
    """The site before it is filled. Shape R: rows; a row without GPU servers cannot take more."""

    row_ids: tuple[str, ...]
    row_servers: NDArray[np.int64]
    row_nameplate_w: Floats
    row_budget_w: Floats


@dataclass(frozen=True, slots=True)
class CapacityAction:
    """How many servers each row takes beyond those it was built for, shape R; budgets and air handlers stay as they are."""

    extra_servers: NDArray[np.int64]


class Capacity(Protocol):
    """How many servers stand above the provisioned budgets; asked once, before the run."""

    def size(self, seen: CapacityObservation) -> CapacityAction:
        """Return the extra servers of each row, each from 0 to as many as there are."""


@dataclass(frozen=True, slots=True)
class PlantObservation:
    """The plant at the end of the last tick, as its sensors say; arrays are read-only.

    Shapes: G GPUs, S servers, R rows, A aisles, U UPS units, P PDUs. ``gpu_clock_share`` is what the GPU really runs at.
    ``aisle_airflow_m3_per_s`` is what the aisle's servers draw, ``aisle_supply_m3_per_s`` what its air handlers can give now.
    ``ups_rated_w`` and ``pdu_rated_w`` are the ratings in force, 0 for a unit that is out; ``row_live`` says whether a row has a
    live feed, ``row_pdus`` (R, 2) which two PDUs feed it, ``pdu_ups_share`` (P, U) how a PDU divides its load while all are up.
    ``gpu_opaque`` marks GPUs of VMs whose inside the operator cannot reach (IaaS).
    """

    t_s: float
    tick_s: float
    outside_c: float
    gpu_temp_c: Floats
    gpu_limit_c: Floats
    gpu_power_w: Floats
    gpu_clock_share: Floats
    gpu_servers: NDArray[np.int64]
    gpu_opaque: NDArray[np.bool_]
    server_rows: NDArray[np.int64]
    inlet_c: Floats
    server_power_w: Floats
    row_power_w: Floats
    row_budget_w: Floats
    aisle_airflow_share: Floats
    aisle_airflow_m3_per_s: Floats
    aisle_supply_m3_per_s: Floats
    ups_load_w: Floats
    ups_rated_w: Floats
    pdu_load_w: Floats
    pdu_rated_w: Floats
    row_live: NDArray[np.bool_]
    row_pdus: NDArray[np.int64]
    pdu_ups_share: Floats


@dataclass(frozen=True, slots=True)
class EmergencyAction:
    """The highest clock that each GPU may run at, shape G, from 0.2 to 1 (1 = no cap)."""

    clock_cap_share: Floats


class Emergency(Protocol):
    """Who slows down, each tick."""

    def cap(self, seen: PlantObservation) -> EmergencyAction:
        """Return the clock caps that hold during the next tick."""

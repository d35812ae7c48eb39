"""What a holder of a workload lever may see and move."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from twin.stack import Lever

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
HOURS_OF_WEEK: Final = 168

LEVERS: Final = (Lever("vm_placement", "workloads", "each tick", "best_fit", "which server takes a new VM", "rank", "may_place"),)


@dataclass(frozen=True, slots=True)
class VmAsked:
    """A VM that looks for a place. ``workload`` is an index of ``workload_ids``; nobody knows how long it will live."""

    workload: int
    gpus: int
    opaque: bool


@dataclass(frozen=True, slots=True)
class PastVms:
    """What past VMs of each workload drew, by hour of the week, shape (W, 168): GPU power over idle as a share of the rating.

    Measured by the operator from outside, so it exists for opaque VMs too. ``highest_share`` is the highest hourly mean seen.
    """

    mean_share: Floats
    highest_share: Floats


@dataclass(frozen=True, slots=True)
class PastPlant:
    """Sensor readings of the plant before the run, hour by hour, with the sensors' noise.

    Shapes: T hours, S servers, G GPUs. ``load_share`` is the site's IT power over its nameplate.
    """

    outside_c: Floats
    load_share: Floats
    inlet_c: Floats
    server_power_w: Floats
    airflow_m3_per_s: Floats
    gpu_power_w: Floats
    gpu_temp_c: Floats


@dataclass(frozen=True, slots=True)
class PlantAtServers:
    """The plant as placement sees it, at the end of the last tick. Shapes: S servers, R rows, A aisles."""

    outside_c: float
    inlet_c: Floats
    server_power_w: Floats
    server_nameplate_w: Floats
    server_idle_w: Floats
    server_airflow_max_m3_per_s: Floats
    gpu_tdp_w: Floats
    gpu_limit_c: Floats
    row_power_w: Floats
    row_budget_w: Floats
    aisle_airflow_m3_per_s: Floats
    aisle_supply_m3_per_s: Floats


@dataclass(frozen=True, slots=True)
class PlacementObservation:
    """Who is where when a VM looks for a place; arrays are read-only.

    Shapes: S servers, V VMs that run on GPU servers, W workloads. ``past_vms`` and ``past_plant`` are read when first asked for.
    """

    t_s: float
    hour_of_week: int
    workload_ids: tuple[str, ...]
    gpus_free: Ints
    server_rows: Ints
    server_racks: Ints
    server_aisles: Ints
    vm_workload: Ints
    vm_server: Ints
    vm_gpus: Ints
    vm_opaque: Bools
    plant: PlantAtServers
    past_vms: Callable[[], PastVms]
    past_plant: Callable[[], PastPlant]


class Placement(Protocol):
    """Which server takes a new VM: the one with enough free GPUs that ranks highest; the lowest index where several do."""

    def rank(self, seen: PlacementObservation, asked: VmAsked) -> Floats:
        """Return how good each server is, shape S; minus infinity where the VM must not go (it waits if there is no other)."""


class PlacementGuard(Protocol):
    """Strikes out servers before the holder ranks the rest."""

    def may_place(self, seen: PlacementObservation, asked: VmAsked) -> Bools:
        """Return which servers may take the VM, shape S."""

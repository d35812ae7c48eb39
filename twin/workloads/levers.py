"""What a holder of a workload lever may see and move."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from twin.stack import Lever

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
HOURS_OF_WEEK: Final = 168

LEVERS: Final = (
    Lever("vm_placement", "workloads", "each tick", "best_fit", "which server takes a new VM", "rank", "may_place"),
    Lever("offers", "workloads", "each tick", "opaque", "which VMs are treated how, by what they have hinted", "offer"),
)
# Hosts sell vCPUs, GPU servers sell GPUs: two pools of capacity, counted in cores of their own kind.
POOLS: Final = ("hosts", "servers")
# What is to be done with a VM: left alone, taken back until there is room, shut down until there is power, moved to another region.
LEAVE, EVICT, SHUT, MOVE = 0, 1, 2, 3
SIZE_LOW: Final = 0.1
SIZE_HIGH: Final = 2.0
OFFER_CLOCK_LOW: Final = 0.5
OFFER_CLOCK_HIGH: Final = 1.2


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


@dataclass(frozen=True, slots=True)
class Spare:
    """What the other domains have left for VMs, at the end of the last tick. Shapes: P pools, H hosts, R rows.

    ``reserve_cores`` is what customers who pay the regular price ask for now beyond the VMs that stand, ``coming_cores`` the most
    that they will ask for within the longest lead time of an eviction; both are met before any surplus VM. ``host_idle_vcpus``
    are rented and idle. ``others_cores`` are held by VMs outside of the negotiation. ``row_coming_w`` is what a row will draw beyond
    what it draws now for work that its planner has announced: power that nobody is offered.
    """

    total_cores: Floats
    reserve_cores: Floats
    coming_cores: Floats
    host_free_vcpus: Floats
    host_idle_vcpus: Floats
    host_free_memory_bytes: Floats
    row_power_w: Floats
    row_budget_w: Floats
    carbon_kg_per_kwh: float
    others_cores: Floats = field(default_factory=lambda: np.zeros(len(POOLS)))
    row_coming_w: Floats = field(default_factory=lambda: np.zeros(1))


@dataclass(frozen=True, slots=True)
class OffersObservation:
    """The VMs that the negotiation is about, at the beginning of a tick; arrays are read-only.

    Shapes: N VMs that have a place (also those that are taken back and wait for it again), D deployments, W workloads.
    ``vm`` are their numbers, ``place`` is a host of pool 0 or a server of pool 1, ``row`` its row. ``hints`` gives the value in
    force of each key of ``twin.workloads.negotiation.keys`` (shape N): the narrowest scope's, the default where nothing is said or
    where hints contradict one another. ``deployment_vms`` (D) counts the VMs of each deployment that have a place. ``taken_off`` is
    what each treatment takes off its price, None for the packaged discounts. ``granted`` are the treatments in force (a sum of
    powers of two, see ``twin.workloads.negotiation.treatments``), ``size_share`` the cores over those that were asked for,
    ``clock_share`` the clock. ``running`` is False while a VM is evicted or shut down, ``moved`` True while it runs in another
    region, ``noticed`` True while a notice of that stands open, ``declined`` True where its workload asked for another one to be
    taken, ``stays`` where it declined another region lately (None: nobody did). ``busy_share`` is its load now, ``peak_share`` the
    highest of an ordinary day, of its cores; ``power_w`` what it draws now beyond an idle machine. ``changed`` marks VMs that are new
    or whose hints in force changed since the last tick.
    """

    t_s: float
    tick_s: float
    workload_ids: tuple[str, ...]
    vm: Ints
    workload: Ints
    deployment: Ints
    pool: Ints
    place: Ints
    row: Ints
    cores: Ints
    memory_bytes: Ints
    arrive_s: Floats
    hints: Mapping[str, Floats]
    granted: Ints
    size_share: Floats
    clock_share: Floats
    running: Bools
    moved: Bools
    noticed: Bools
    declined: Bools
    busy_share: Floats
    peak_share: Floats
    power_w: Floats
    changed: Bools
    deployment_vms: Ints
    surplus_unlimited: bool
    spare: Spare
    taken_off: Mapping[str, float] | None = None
    stays: Bools | None = None


@dataclass(frozen=True, slots=True)
class OffersAction:
    """What a holder wants of every VM that it sees, shape N; the platform sends the notices and acts when they are due.

    ``granted`` holds at once (prices follow it); ``size_share`` from 0.1 to 2 and ``clock_share`` from 0.5 to 1.2 come with their
    notices; ``take`` is LEAVE, EVICT, SHUT or MOVE, and a VM that was taken back comes again where it is LEAVE. ``cause`` says in
    a word what each taking, resizing and clock is for (an index of CAUSES). ``why`` (N, T treatments), where a holder says it, is
    the reason of each treatment: an index of REASONS plus 8 times one more than the index of the hint key that it turns on (0: none).
    """

    granted: Ints
    size_share: Floats
    clock_share: Floats
    take: Ints
    cause: Ints
    why: NDArray[np.signedinteger[Any]] | None = None


# Why a VM has a treatment or not: granted, another one has its slot, a hint is missing, capacity or power is short, a hint forbids it.
REASONS: Final = ("granted", "better", "missing", "short", "forbidden")
CAUSES: Final = ("calm", "capacity", "power", "region", "hint")


class Offers(Protocol):
    """How VMs are treated, each tick."""

    def offer(self, seen: OffersObservation) -> OffersAction:
        """Return the treatment of every VM that is seen."""

"""What a holder of a memory lever may see and move."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from twin.memory.demand import Floats, Ints, PastDemand
from twin.memory.pods import Pod
from twin.memory.settings import Settings
from twin.stack import Lever

LEVERS: Final = (
    Lever("pod_topology", "memory", "at the start", "none", "which hosts share which pool devices", "design"),
    Lever("pool_allocation", "memory", "compiled", "least_loaded", "which device takes a slice of memory", "refresh"),
)


@dataclass(frozen=True, slots=True)
class TopologyObservation:
    """The hosts that a pod is chosen for. ``past`` gives what stood on them before the run; it is made when first asked for."""

    host_ids: tuple[str, ...]
    host_racks: Ints
    settings: Settings
    past: Callable[[], PastDemand]


@dataclass(frozen=True, slots=True)
class TopologyAction:
    """One pod, repeated over the fleet's hosts in their order; hosts that fill no whole pod keep to themselves.

    ``device_bytes`` is the capacity of each device, or of those of each pod in their order. ``pod`` None is no pool; ``why`` says why
    where one was asked for.
    """

    pod: Pod | None
    device_bytes: int | tuple[int, ...] = 0
    why: str = ""

    def pod_bytes(self, pods: int) -> Ints:
        """Return the capacity of a device in each of so many pods, shape (P); ValueError, one line, for another number of sizes."""
        sizes = np.array(self.device_bytes, dtype=np.int64)
        if sizes.ndim and len(sizes) != pods:
            raise ValueError(f"pod_topology: {len(sizes)} sizes of devices for {pods} pods; give one, or one for each pod")
        return np.broadcast_to(sizes, (pods,))


class PodTopology(Protocol):
    """Which pod is built, decided once at the start."""

    def design(self, seen: TopologyObservation) -> TopologyAction:
        """Return the pod."""


@dataclass(frozen=True, slots=True)
class PoolObservation:
    """The pool at a window's edge; arrays are read-only. Shapes: M devices of all pods, H hosts."""

    t_s: float
    device_ids: tuple[str, ...]
    used_slices: Ints
    device_slices: Ints
    host_pooled_bytes: Floats


@dataclass(frozen=True, slots=True)
class PoolAction:
    """What the compiled rule uses until the next window.

    ``score`` has one number per device of all pods, for the rule to use. With ``migrate`` slices of other VMs are moved aside,
    as few as can be, when a slice finds no room on any device that its host reaches; without it that slice overflows.
    """

    score: Floats
    migrate: bool


class PoolAllocation(Protocol):
    """Which device takes the next slice: a compiled rule, refreshed each window.

    ``pick`` is a function decorated with ``twin.memory.allocation.picker``:
    ``pick(reach, used, room, score) -> place in reach, or -1 for none``, where ``reach`` (R) are the devices of the VM's host and
    ``used``, ``room`` (slices) and ``score`` go by device.
    """

    pick: Any

    def refresh(self, seen: PoolObservation) -> PoolAction:
        """Return what the rule uses until the next window."""

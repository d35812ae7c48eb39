"""What a VM draws as it is treated, and what that emits where it runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.sources import calibration
from twin.workloads.negotiation.taking import COMPILED
from twin.workloads.negotiation.treatments import AUTOSCALED, OVERSUBSCRIBED, RIGHTSIZED, TREATMENTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# An idle core draws half of what a busy one does; so does a GPU of a VM.
IDLE_SHARE: Final = 0.5
# Above zero, so that work can be divided by it.
_LEAST_BUSY_SHARE: Final = 1e-300


@dataclass(frozen=True, slots=True)
class Region:
    """Another region: what a core costs there and what a kilowatt-hour emits, over this one."""

    name: str
    price_share: float
    carbon_share: float


@cache
def regions() -> tuple[Region, ...]:
    """Return the other regions, the cheapest first."""
    found = [
        Region(name, float(each["price_share"]["value"]), float(each["carbon_share"]["value"]))
        for name, each in calibration("negotiation")["region"].items()
    ]
    return tuple(sorted(found, key=lambda region: (region.price_share, region.carbon_share, region.name)))


def watts(cores: Ints, pool: Ints) -> Floats:
    """Return what VMs draw at full load, shape V: ``cores`` are vCPUs on hosts (pool 0) and GPUs on servers (pool 1)."""
    entries = calibration("negotiation")["carbon"]
    each = np.array([entries["watts_per_core"]["value"], entries["watts_per_gpu"]["value"]], dtype=np.float64)
    return np.asarray(cores * each[pool])


class Draw:
    """Power of VMs under their grants, and of opaque VMs that do the same work; both in shares of the power at full load.

    A core draws half when idle and the rest in proportion to its work, at any clock: a clock alone saves nothing, it only bounds
    what gets done. A size other than 1 is what the holder set, and more than 1 does more work. Where a grant gives cores back
    that the holder does not take off the VM's size (rightsizing, oversubscription, and core-hours by autoscaling), they are
    gone by as much as the price says, and their idle power with them.
    """

    def __init__(self, taken_off: Mapping[str, float]) -> None:
        grants = np.arange(1 << len(TREATMENTS))
        held = {name: np.where(grants & bit, 1.0 - taken_off[name], 1.0) for name, bit in _GIVES_BACK.items()}
        self._size = held["rightsizing"] * held["oversubscription"]
        self._count = held["autoscaling"]

    def shares(self, granted: Ints, size_share: Floats, clock_share: Floats, busy_share: Floats) -> tuple[Floats, Floats]:
        """Return what VMs draw, and what opaque ones would for the same work, of any one shape."""
        draws, alike = np.empty(np.shape(granted)), np.empty(np.shape(granted))
        columns = [np.ascontiguousarray(each).ravel() for each in (granted, size_share, clock_share, busy_share)]
        _drawer()(*columns, (self._size, self._count), draws.ravel(), alike.ravel())
        return draws, alike


def _draw(granted: Ints, size_share: Floats, clock_share: Floats, busy_share: Floats, held: Any, draws: Floats, alike: Floats) -> None:
    of_size, of_count = held
    for i in range(len(granted)):
        size = size_share[i]
        left = of_size[granted[i]] if size == 1.0 else size
        busy = max(busy_share[i], _LEAST_BUSY_SHARE)
        done = min(busy * max(size, 1.0), left * clock_share[i])
        work = (1.0 - IDLE_SHARE) * done
        draws[i] = IDLE_SHARE * left * of_count[granted[i]] + work
        # So many VMs of the size that was asked for do this work in the same time.
        alike[i] = IDLE_SHARE * (done / busy) + work


@cache
def _drawer() -> Any:
    return COMPILED(_draw)


def _add(vm: Ints, running: Any, draws: Floats, alike: Floats, of: Any, power_w: Floats) -> None:
    full_w, workload = of
    for i in range(len(vm)):
        now_w, whose = (full_w[vm[i]] if running[i] else 0.0), workload[vm[i]]
        power_w[0, whose] += now_w * draws[i]
        power_w[1, whose] += now_w * alike[i]


@cache
def _adder() -> Any:
    return COMPILED(_add)


def drawn_w(seen: tuple[Any, ...], full_w: Floats, workload: Ints, workloads: int) -> Floats:
    """Return what each workload's VMs draw, and would as opaque ones, shape (2, W).

    ``seen`` are VMs (N), which of them run, and their shares as from ``Draw.shares``; ``full_w`` and ``workload`` (V) are all VMs'.
    """
    power_w = np.zeros((2, workloads))
    _adder()(*seen, (full_w, workload), power_w)
    return power_w


_GIVES_BACK: Final = {"rightsizing": RIGHTSIZED, "oversubscription": OVERSUBSCRIBED, "autoscaling": AUTOSCALED}
